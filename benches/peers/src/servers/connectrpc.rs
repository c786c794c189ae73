//! The `connectrpc` crate, as its guide writes it.

use std::sync::Arc;

use connectrpc::{
    Encodable, InboundStream, RequestContext, Response, Router, Server, ServiceRequest,
    ServiceResult, ServiceStream,
};
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

use crate::Failure;

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/connectrpc/_connectrpc.rs"));
}

use proto::bench::v1::{BenchService, Count, EchoMessage, LogBatch};

struct Bench;

#[allow(refining_impl_trait, reason = "the guide's own form")]
impl BenchService for Bench {
    async fn echo(
        &self,
        _ctx: RequestContext,
        request: ServiceRequest<'_, EchoMessage>,
    ) -> ServiceResult<EchoMessage> {
        Response::ok(request.to_owned_message())
    }

    async fn summarize(
        &self,
        _ctx: RequestContext,
        request: ServiceRequest<'_, LogBatch>,
    ) -> ServiceResult<Count> {
        let mut bytes = 0;
        for record in &request.records {
            bytes += record.service_name.len() + record.instance_id.len() + record.message.len();
            bytes += record
                .source
                .as_option()
                .map_or(0, |source| source.file.len());
            let labels = record.labels.iter();
            bytes += labels
                .map(|(key, value)| key.len() + value.len())
                .sum::<usize>();
        }
        Response::ok(count(bytes as i64))
    }

    async fn repeat(
        &self,
        _ctx: RequestContext,
        request: ServiceRequest<'_, EchoMessage>,
    ) -> ServiceResult<ServiceStream<impl Encodable<EchoMessage> + Send + use<>>> {
        let message = request.to_owned_message();
        let answers = (0..message.number).map(move |_| Ok(message.clone()));
        Response::stream_ok(stream::iter(answers))
    }

    async fn collect(
        &self,
        _ctx: RequestContext,
        mut requests: InboundStream<EchoMessage>,
    ) -> ServiceResult<Count> {
        let mut number = 0;
        while let Some(message) = requests.next().await {
            message?;
            number += 1;
        }
        Response::ok(count(number))
    }

    async fn chat(
        &self,
        _ctx: RequestContext,
        requests: InboundStream<EchoMessage>,
    ) -> ServiceResult<ServiceStream<impl Encodable<EchoMessage> + Send + use<>>> {
        Response::stream_ok(requests)
    }
}

fn count(number: i64) -> Count {
    Count {
        number,
        ..Count::default()
    }
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let router = Router::new().add_service(Arc::new(Bench));
    Server::from_listener(listener).serve(router).await?;
    Ok(())
}
