//! From a service's name to the endpoints that it has now.

use std::{future::Future, io, pin::Pin, sync::Arc};

use super::address::EndpointAddress;
use crate::runtime::Runtime;

/// Finds the endpoints of a service: in a registry, an orchestrator's interface, a file.
///
/// A channel asks it before the first call, after a connection failed (at most once a second), at an
/// [interval](super::ChannelBuilder::with_resolve_interval) while the channel is used, and whenever it
/// [says](Self::changed) that there is news. An answer replaces the one before: endpoints that are still there keep their
/// connections, those that are gone end their calls and take no more. After an error, or an empty list, the channel goes
/// on with the endpoints that it knows.
///
/// Subsets and zones are for the resolver to choose: a channel uses all that it is given.
pub trait Resolve: Send + Sync + 'static {
    /// The endpoints of the host and port of the channel's URI.
    ///
    /// # Errors
    ///
    /// Any; the text is shown to callers when the channel knows no endpoint.
    fn resolve(&self, host: &str, port: u16) -> Resolving;

    /// Waits until the endpoints may be others than when they were asked for the last time: for resolvers that are told.
    /// Whenever it returns, the channel asks again, and waits again a tenth of a second later. Default: never.
    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::pending())
    }
}

/// The endpoints that a [`Resolve`] is looking for.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<EndpointAddress>>> + Send>>;

/// The runtime's own look-up, each address an endpoint.
pub(super) struct Dns<R>(pub(super) R);

impl<R: Runtime> Resolve for Dns<R> {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        let (runtime, host) = (self.0.clone(), host.to_owned());
        Box::pin(async move {
            let addresses = runtime.resolve(&host, port).await?;
            Ok(addresses.into_iter().map(EndpointAddress::from).collect())
        })
    }
}

/// Always the same.
pub(super) struct Fixed(pub(super) Arc<[EndpointAddress]>);

impl Resolve for Fixed {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        Box::pin(std::future::ready(Ok(self.0.to_vec())))
    }
}
