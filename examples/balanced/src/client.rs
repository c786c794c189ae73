//! The client: one channel over all servers.

use std::net::SocketAddr;

use connect_hyper::{Channel, Runtime};
use connect_tower::{ClientConfig, Error, Protocol};

use crate::rpc::FleetServiceClient;

/// A client of these servers, who calls each in turn.
pub(crate) fn new<R: Runtime>(
    addresses: &[SocketAddr],
    _retries: bool,
) -> Result<FleetServiceClient<Channel<R>>, Error> {
    let channel = Channel::builder(format!("http://{}", addresses[0])).build()?;
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    Ok(FleetServiceClient::new(channel).with_config(config))
}
