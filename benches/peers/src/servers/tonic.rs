//! The `tonic` crate, as its guide writes it.

use std::pin::Pin;

use futures_util::{Stream, StreamExt, stream};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status, Streaming,
    codec::CompressionEncoding::Gzip,
    transport::{Server, server::TcpIncoming},
};

use crate::Failure;

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tonic/bench.v1.rs"));
}

use proto::{
    Count, EchoMessage, LogBatch,
    bench_service_server::{BenchService, BenchServiceServer},
};

struct Bench;

type Messages = Pin<Box<dyn Stream<Item = Result<EchoMessage, Status>> + Send>>;

#[tonic::async_trait]
impl BenchService for Bench {
    type RepeatStream = Messages;
    type ChatStream = Streaming<EchoMessage>;

    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(request.into_inner()))
    }

    async fn summarize(&self, request: Request<LogBatch>) -> Result<Response<Count>, Status> {
        let mut bytes = 0;
        for record in &request.get_ref().records {
            bytes += record.service_name.len() + record.instance_id.len() + record.message.len();
            bytes += record.source.as_ref().map_or(0, |source| source.file.len());
            let labels = record.labels.iter();
            bytes += labels
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
        }
        let number = bytes as i64;
        Ok(Response::new(Count { number }))
    }

    async fn repeat(&self, request: Request<EchoMessage>) -> Result<Response<Messages>, Status> {
        let message = request.into_inner();
        let answers = (0..message.number).map(move |_| Ok(message.clone()));
        Ok(Response::new(stream::iter(answers).boxed()))
    }

    async fn collect(
        &self,
        request: Request<Streaming<EchoMessage>>,
    ) -> Result<Response<Count>, Status> {
        let mut messages = request.into_inner();
        let mut number = 0;
        while messages.message().await?.is_some() {
            number += 1;
        }
        Ok(Response::new(Count { number }))
    }

    async fn chat(
        &self,
        request: Request<Streaming<EchoMessage>>,
    ) -> Result<Response<Streaming<EchoMessage>>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = BenchServiceServer::new(Bench)
        .accept_compressed(Gzip)
        .send_compressed(Gzip);
    let server = Server::builder().add_service(service);
    server.serve_with_incoming(incoming).await?;
    Ok(())
}
