//! What a builder says about the server, beside its URI, about the way to it, and about its endpoints if there are many.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use super::{
    ChannelBuilder,
    address::EndpointAddress,
    balance::{Balance, Ejection},
    connector::{Connect, Connector},
    health_check::HealthCheck,
    options::EndpointSource,
    resolve::Resolve,
    way::Way,
};
use crate::runtime::Runtime;

/// # Which server, and the way to it
///
/// The URI says four things: what requests begin with, what they call the server, which name its certificate
/// must have, and where it is reached. Each but the first can be set on its own.
impl<R: Runtime> ChannelBuilder<R> {
    /// What requests call the server: `host` or `host:port`, in HTTP/2's `:authority` and HTTP/1.1's `host`. Default: what the
    /// URI says. The name that TLS checks stays the URI's; see [`with_tls_name`](Self::with_tls_name).
    pub fn with_authority(mut self, authority: impl Into<String>) -> Self {
        self.target.authority = Some(authority.into());
        self
    }

    /// The name that the server's certificate must have, and that is sent to it by SNI: a name, or an address in text. Default:
    /// the URI's host.
    pub fn with_tls_name(mut self, name: impl Into<String>) -> Self {
        self.target.tls_name = Some(name.into());
        self
    }

    /// Reaches the server by a Unix domain socket, whatever the URI's host is. `Channel::new("unix:/path")` is the
    /// short form of a channel to `http://localhost` with it.
    ///
    /// On platforms without such sockets calls end `unavailable`.
    pub fn with_unix_socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.target.address = Some(EndpointAddress::unix(path));
        self
    }

    /// Reaches the server through an HTTP proxy, `http://[user:password@]host[:port]`, by a tunnel: CONNECT (RFC 9110,
    /// section 9.3.6), in the clear too. The proxy looks the server's name up; of an endpoint with several addresses it is asked for
    /// one after the other. User and password, percent-encoded, are sent by
    /// basic authentication (RFC 7617). Default: no proxy. Unix sockets are reached without it.
    pub fn with_proxy(mut self, uri: impl Into<String>) -> Self {
        self.way = Way::Proxy(uri.into());
        self
    }

    /// Reaches the server through the proxy that the environment names, if it does: `HTTPS_PROXY` for `https`, `HTTP_PROXY`
    /// for `http`, `ALL_PROXY` for both, unless `NO_PROXY` excepts the server; each also in small letters, which counts if
    /// there is none in capitals; an empty one is none. In a CGI program (`REQUEST_METHOD` is set) `HTTP_PROXY` is what a
    /// client has sent, so only `http_proxy` counts.
    ///
    /// `NO_PROXY` is a list with commas: `*`; a name, for itself and all below it; an address, or a network such as
    /// `10.0.0.0/8`; a name or an address with `:port`. Entries that cannot be read except nothing. `localhost` and loopback
    /// addresses are never behind a proxy. A server is excepted by the URI's host, and each of many endpoints also by its
    /// own.
    ///
    /// It is read when the channel is built. Default: the environment is not asked.
    pub fn with_proxy_from_env(mut self) -> Self {
        self.way = Way::ProxyFromEnvironment;
        self
    }

    /// Opens connections by this, in place of sockets and proxies.
    pub fn with_connector(mut self, connector: impl Connect) -> Self {
        self.way = Way::Own(Connector::Own(Arc::new(connector)));
        self
    }
}

/// # Many endpoints
///
/// Without these settings all addresses of the URI's host count as one server. With any of the first three each is an endpoint of
/// its own, with its own connections, and calls are spread over them.
impl<R: Runtime> ChannelBuilder<R> {
    /// The endpoints, once and for all: as [`EndpointAddress`]es, socket addresses, or in text, `host:port` or
    /// `unix:/path`. The URI says what the service is called.
    ///
    /// ```
    /// # fn with<R: connect_hyper::Runtime>() -> Result<(), connect_proto::Error> {
    /// use connect_hyper::{Channel, client::RoundRobin};
    ///
    /// let channel = Channel::<R>::builder("http://greet.internal")
    ///     .with_endpoints(["192.0.2.1:8080", "192.0.2.2:8080"])
    ///     .with_balance(RoundRobin::new())
    ///     .build()?;
    /// # drop(channel);
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_endpoints<A>(mut self, endpoints: impl IntoIterator<Item = A>) -> Self
    where
        A: TryInto<EndpointAddress, Error: fmt::Display>,
    {
        let read = |endpoint: A| endpoint.try_into().map_err(|error| error.to_string());
        let list = endpoints.into_iter().map(read).collect();
        self.endpoints.source = Some(EndpointSource::List(list));
        self
    }

    /// Finds the endpoints by this. Default: the runtime's look-up of the URI's host.
    pub fn with_resolver(mut self, resolver: impl Resolve) -> Self {
        self.endpoints.source = Some(EndpointSource::Resolver(Arc::new(resolver)));
        self
    }

    /// Chooses the endpoint of each call by this: [`RoundRobin`](super::RoundRobin),
    /// [`LeastOutstanding`](super::LeastOutstanding), or one of your own. Default: [`PickFirst`](super::PickFirst).
    pub fn with_balance(mut self, balance: impl Balance) -> Self {
        self.endpoints.balance = Some(Box::new(balance));
        self
    }

    /// Leaves endpoints alone for a while that fail calls. Default: `None`, none is.
    pub fn with_ejection(mut self, ejection: impl Into<Option<Ejection>>) -> Self {
        self.endpoints.ejection = ejection.into();
        self
    }

    /// Set by [`with_ejection`](Self::with_ejection).
    #[must_use]
    pub fn ejection(&self) -> Option<&Ejection> {
        self.endpoints.ejection.as_ref()
    }

    /// Asks each endpoint whether it serves this service, a full name such as `greet.v1.GreetService`, or `""` for the server as
    /// a whole: by `grpc.health.v1.Health/Watch`, in gRPC and so over HTTP/2, for as long as it has a connection. Default: `None`,
    /// none is asked.
    ///
    /// Calls go only to endpoints that say `SERVING`, and to those that have no health service: `unimplemented` is no reason
    /// against them. One that cannot be asked, or has not answered within the
    /// [connect timeout](Self::with_connect_timeout), counts as not serving. A stream that ends is opened again after a pause: up to
    /// a second at first, up to two minutes when it keeps giving no answer, at random. When none serves, calls end `unavailable`, or wait if they
    /// [wait for ready](connect_tower::Request::with_wait_for_ready).
    ///
    /// It needs a balancer that connects to all endpoints; others refuse to be built with it (gRFC A17). The stream takes one
    /// of the places for calls on a connection, but is none of them: it keeps no connection from being idle, and none that drains.
    /// A connection that has one place is not asked. Where a gate wants a token for it, [`HealthCheck::with_headers`] gives one;
    /// an endpoint that refuses the request counts as not serving.
    ///
    /// Specification: [gRPC Health Checking Protocol](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
    pub fn with_health_check(mut self, check: impl Into<HealthCheck>) -> Self {
        self.endpoints.health_check = Some(check.into());
        self
    }

    /// Set by [`with_health_check`](Self::with_health_check).
    #[must_use]
    pub fn health_check(&self) -> Option<&HealthCheck> {
        self.endpoints.health_check.as_ref()
    }

    /// How old a list of endpoints becomes before the resolver is asked again, by the next call. At least a second. Default:
    /// 30 seconds. `None`: it is asked only after a connection has failed, and when it says that there is news.
    pub fn with_resolve_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.endpoints.resolve_interval = interval.into();
        self
    }

    /// Set by [`with_resolve_interval`](Self::with_resolve_interval).
    #[must_use]
    pub fn resolve_interval(&self) -> Option<Duration> {
        self.endpoints.resolve_interval
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::Channel, test_runtime::NoRuntime};

    #[test]
    fn getters_read_what_setters_have_set() {
        let builder = Channel::<NoRuntime>::builder("http://example.com");
        assert!(builder.ejection().is_none() && builder.health_check().is_none());
        assert_eq!(builder.resolve_interval(), Some(Duration::from_secs(30)));
        let builder = builder
            .with_ejection(Ejection::new().with_failures(2))
            .with_health_check("greet.v1.GreetService")
            .with_resolve_interval(None);
        assert_eq!(builder.ejection().map(Ejection::failures), Some(2));
        let service = builder.health_check().map(HealthCheck::service);
        assert_eq!(service, Some("greet.v1.GreetService"));
        assert_eq!(builder.resolve_interval(), None);
    }

    #[test]
    fn endpoints_that_cannot_be_read_are_refused() {
        for (endpoints, why) in [
            (vec!["192.0.2.1:1", "nowhere"], "the port is missing"),
            (vec![], "needs an endpoint"),
        ] {
            let builder = Channel::<NoRuntime>::builder("http://example.com");
            let error = builder.with_endpoints(endpoints).build().unwrap_err();
            assert!(error.message().contains(why), "{error}");
        }
    }
}
