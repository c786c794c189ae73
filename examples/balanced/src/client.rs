//! The client: one channel over all servers.

use std::net::SocketAddr;

use connect_hyper::{
    Channel, Runtime,
    client::{Ejection, RoundRobin},
};
use connect_tower::{Client, ClientConfig, Error, Protocol, RetryPolicy};

use crate::rpc::FleetServiceClient;

/// A client of these servers, that calls each in turn. With retries it makes a call again that was lost with its server, as
/// the procedure has no side effects.
pub(crate) fn new<R: Runtime>(
    addresses: &[SocketAddr],
    retries: bool,
) -> Result<FleetServiceClient<Channel<R>>, Error> {
    let channel = Channel::builder("http://fleet.example")
        .with_endpoints(addresses.iter().copied())
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new())
        .build()?;
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    let client = Client::new(channel).with_config(config);
    Ok(FleetServiceClient::from_client(match retries {
        true => client.with_retry(RetryPolicy::new()),
        false => client,
    }))
}
