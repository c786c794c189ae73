//! The client: one channel over all servers.

use std::net::SocketAddr;

use connect_hyper::{
    Channel, Runtime,
    client::{Ejection, RoundRobin},
};
use connect_tower::{ClientConfig, Error, Protocol};

use crate::rpc::FleetServiceClient;

/// A client of these servers, who calls each in turn.
pub(crate) fn new<R: Runtime>(
    addresses: &[SocketAddr],
    _retries: bool,
) -> Result<FleetServiceClient<Channel<R>>, Error> {
    let channel = Channel::builder("http://fleet.example")
        .with_endpoints(addresses.iter().copied())
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new())
        .build()?;
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    Ok(FleetServiceClient::new(channel).with_config(config))
}
