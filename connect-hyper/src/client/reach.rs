//! What a builder says about the server, beside its URI, and about the way to it.

use std::{path::PathBuf, sync::Arc};

use super::{
    ChannelBuilder,
    address::EndpointAddress,
    connector::{Connect, Connector},
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
    /// section 9.3.6), in the clear too. The proxy looks the server's name up. User and password, percent-encoded, are sent by
    /// basic authentication (RFC 7617). Default: no proxy. Unix sockets are reached without it.
    pub fn with_proxy(mut self, uri: impl Into<String>) -> Self {
        self.way = Way::Proxy(uri.into());
        self
    }

    /// Reaches the server through the proxy that the environment names, if it does: `HTTPS_PROXY` for `https`, `HTTP_PROXY`
    /// for `http`, `ALL_PROXY` for both, unless `NO_PROXY` excepts the server; each also in small letters, which counts if
    /// there is none in capitals. In a CGI program (`REQUEST_METHOD` is set) `HTTP_PROXY` is what a client has sent, so
    /// only `http_proxy` counts.
    ///
    /// `NO_PROXY` is a list with commas: `*`; a name, for itself and all below it; an address, or a network such as
    /// `10.0.0.0/8`; a name or an address with `:port`. `localhost` and loopback addresses are never behind a
    /// proxy.
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
