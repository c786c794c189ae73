//! This project, as a user writes it.

use connect_tokio::{Error, Request, Response, Router, Server};
use tokio::net::TcpListener;

use crate::load::Failure;

mod echo {
    connect_tokio::include_proto!("bench.v1");
}

struct Echo;

impl echo::EchoService for Echo {
    async fn echo(
        &self,
        request: Request<echo::EchoMessage>,
    ) -> Result<Response<echo::EchoMessage>, Error> {
        Ok(Response::new(request.into_message()))
    }
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let router = Router::new().add_service(echo::EchoServiceServer::new(Echo));
    Server::from_listener(listener).serve(router).await;
    Ok(())
}
