//! This project, as a user writes it.

use std::net::{SocketAddr, TcpListener};

use connect_tokio::{Error, Request, Response, ResponseStream, Router, Streaming};

use crate::{
    Failure, messages,
    proto::{BenchService, BenchServiceServer, Count, EchoMessage, LogBatch},
};

struct Bench;

impl BenchService for Bench {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Error> {
        Ok(Response::new(request.into_message()))
    }

    async fn summarize(&self, request: Request<LogBatch>) -> Result<Response<Count>, Error> {
        Ok(Response::new(messages::summary(request.message())))
    }

    async fn repeat(
        &self,
        request: Request<EchoMessage>,
    ) -> Result<Response<ResponseStream<EchoMessage>>, Error> {
        let message = request.into_message();
        let answers = (0..message.number).map(move |_| message.clone());
        Ok(Response::new(ResponseStream::from(answers)))
    }

    async fn collect(
        &self,
        request: Request<Streaming<EchoMessage>>,
    ) -> Result<Response<Count>, Error> {
        let mut messages = request.into_stream();
        let mut count = 0;
        while messages.message().await?.is_some() {
            count += 1;
        }
        Ok(Response::new(messages::count(count)))
    }

    async fn chat(
        &self,
        request: Request<Streaming<EchoMessage>>,
    ) -> Result<Response<ResponseStream<EchoMessage>>, Error> {
        Ok(Response::new(ResponseStream::new(request.into_stream())))
    }
}

fn router() -> Router {
    Router::new().add_service(BenchServiceServer::new(Bench))
}

pub(super) async fn serve_on_tokio(listener: tokio::net::TcpListener) -> Result<(), Failure> {
    let server = connect_tokio::Server::from_listener(listener);
    server.serve(router()).await;
    Ok(())
}

/// As many workers as there are processors for the process.
pub(super) async fn serve_on_workers(listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
    let server = connect_tokio::Server::bind_workers("127.0.0.1:0", None).await?;
    listening(server.local_addr()?);
    server.serve(router()).await;
    Ok(())
}

pub(super) async fn serve_on_smol(listener: TcpListener) -> Result<(), Failure> {
    let listener = smol::net::TcpListener::try_from(listener)?;
    let server = connect_smol::Server::from_listener(listener);
    server.serve(router()).await;
    Ok(())
}
