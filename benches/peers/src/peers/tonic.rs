//! The `tonic` crate, as its guide writes it.

use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::TcpIncoming},
};

use crate::load::Failure;

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/tonic/bench.v1.rs"));
}

use proto::{
    EchoMessage,
    echo_service_server::{EchoService, EchoServiceServer},
};

struct Echo;

#[tonic::async_trait]
impl EchoService for Echo {
    async fn echo(&self, request: Request<EchoMessage>) -> Result<Response<EchoMessage>, Status> {
        Ok(Response::new(request.into_inner()))
    }
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let server = Server::builder().add_service(EchoServiceServer::new(Echo));
    server.serve_with_incoming(incoming).await?;
    Ok(())
}
