//! The `connectrpc` crate, as its guide writes it.

use std::sync::Arc;

use connectrpc::{RequestContext, Response, Router, Server, ServiceRequest, ServiceResult};
use tokio::net::TcpListener;

use crate::load::Failure;

#[allow(warnings, reason = "generated")]
mod proto {
    include!(concat!(env!("OUT_DIR"), "/connectrpc/_connectrpc.rs"));
}

use proto::bench::v1::{EchoMessage, EchoService};

struct Echo;

#[allow(refining_impl_trait, reason = "the guide's own form")]
impl EchoService for Echo {
    async fn echo(
        &self,
        _ctx: RequestContext,
        request: ServiceRequest<'_, EchoMessage>,
    ) -> ServiceResult<EchoMessage> {
        Response::ok(request.to_owned_message())
    }
}

pub(super) async fn serve(listener: TcpListener) -> Result<(), Failure> {
    let router = Router::new().add_service(Arc::new(Echo));
    Server::from_listener(listener).serve(router).await?;
    Ok(())
}
