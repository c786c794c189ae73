//! Where a server is reached, which need not be what its URI says.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use connect_proto::Error;

/// Where one server is reached: what a [`Resolve`](super::Resolve) finds, and what a [`Connect`](super::Connect) connects to.
///
/// In text it is `host:port`, `192.0.2.1:port`, `[2001:db8::1]:port` or `unix:/path`:
///
/// ```
/// use connect_hyper::client::EndpointAddress;
///
/// let address: EndpointAddress = "example.com:8080".parse().unwrap();
/// assert_eq!(address, EndpointAddress::host("example.com", 8080));
/// assert_eq!(EndpointAddress::unix("/run/app.sock").to_string(), "unix:/run/app.sock");
/// assert!("example.com".parse::<EndpointAddress>().is_err());
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum EndpointAddress {
    /// A name, looked up whenever a connection is opened, and a port. All its addresses count as one server's.
    Host(Arc<str>, u16),
    /// The socket addresses of one server. They are tried as RFC 8305 says: both families in turn, each address
    /// 250 ms after the one before.
    Sockets(Arc<[SocketAddr]>),
    /// A Unix domain socket.
    Unix(Arc<Path>),
}

impl EndpointAddress {
    /// A name and a port.
    #[must_use]
    pub fn host(name: impl Into<Arc<str>>, port: u16) -> Self {
        Self::Host(name.into(), port)
    }

    /// A server with these addresses.
    #[must_use]
    pub fn sockets(addresses: impl Into<Arc<[SocketAddr]>>) -> Self {
        Self::Sockets(addresses.into())
    }

    /// A Unix domain socket with this path.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self::Unix(path.into().into())
    }
}

impl From<SocketAddr> for EndpointAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Sockets(Arc::new([address]))
    }
}

impl FromStr for EndpointAddress {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let refused = |why| {
            Error::invalid_argument(format!(
                "{text:?} is no address: {why}; write host:port, such as example.com:8080, or unix:/path"
            ))
        };
        if let Some(path) = unix_path(text) {
            return match path.is_empty() {
                true => Err(refused("the path is missing")),
                false => Ok(Self::unix(path)),
            };
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Ok(address.into());
        }
        let (host, port) = text
            .rsplit_once(':')
            .ok_or_else(|| refused("the port is missing"))?;
        let port = port
            .parse()
            .map_err(|_| refused("the port is not a number up to 65535"))?;
        if host.is_empty() || host.contains(['/', '@', ':', '[', ' ']) {
            return Err(refused("the host is neither a name nor an address"));
        }
        Ok(Self::host(host, port))
    }
}

impl TryFrom<&str> for EndpointAddress {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for EndpointAddress {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

/// The path of `unix:path` and of `unix:///path`.
pub(super) fn unix_path(text: &str) -> Option<&str> {
    let path = text.strip_prefix("unix:")?;
    Some(match path.strip_prefix("//") {
        Some(absolute) if absolute.starts_with('/') => absolute,
        _ => path,
    })
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(name, port) if name.contains(':') => write!(f, "[{name}]:{port}"),
            Self::Host(name, port) => write!(f, "{name}:{port}"),
            Self::Sockets(addresses) => {
                for (index, address) in addresses.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{address}")?;
                }
                Ok(())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use connect_proto::Code;

    use super::*;

    #[test]
    fn addresses_are_read_and_shown() {
        for (text, address) in [
            ("example.com:80", EndpointAddress::host("example.com", 80)),
            (
                "192.0.2.1:80",
                SocketAddr::from(([192, 0, 2, 1], 80)).into(),
            ),
            (
                "[::1]:9",
                SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], 9)).into(),
            ),
            ("unix:/run/a b", EndpointAddress::unix("/run/a b")),
            ("unix:socket", EndpointAddress::unix("socket")),
        ] {
            assert_eq!(text.parse(), Ok(address.clone()), "{text}");
            assert_eq!(address.to_string(), text);
        }
        let three_slashes = "unix:///run/app.sock".parse();
        assert_eq!(three_slashes, Ok(EndpointAddress::unix("/run/app.sock")));
    }

    #[test]
    fn what_is_no_address_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "the port is missing"),
            ("example.com", "the port is missing"),
            ("example.com:", "not a number"),
            ("example.com:65536", "not a number"),
            (":80", "neither"),
            ("http://example.com:80", "neither"),
            ("ada@example.com:80", "neither"),
            ("::1:80", "neither"),
            ("unix:", "the path is missing"),
        ] {
            let error = text.parse::<EndpointAddress>().unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }
}
