//! Which server a channel calls: four things that are often one, and need not be.
//!
//! The origin is what requests say (scheme, path prefix), the authority what they call the server (`:authority`, `host`), the TLS
//! name what its certificate is checked for, and the address where it is reached.

use connect_proto::Error;
use connect_tower::transport::{BaseUri, Sent, TransportError};
use http::{
    HeaderValue, Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

use super::address::{EndpointAddress, unix_path};

/// What a builder was told about the server, beside the URI.
#[derive(Clone, Debug, Default)]
pub(super) struct TargetOptions {
    pub(super) authority: Option<String>,
    pub(super) tls_name: Option<String>,
    pub(super) address: Option<EndpointAddress>,
}

#[derive(Clone, Debug)]
pub(super) struct Target {
    base: BaseUri,
    authority: Authority,
    host_header: HeaderValue,
    tls_name: String,
    address: EndpointAddress,
}

impl Target {
    /// Reads `http[s]://host[:port][/prefix]` or `unix:/path`.
    pub(super) fn parse(text: &str, options: TargetOptions) -> Result<Self, Error> {
        let (base, of_uri) = match unix_path(text) {
            // What gRPC calls a server without a name: "localhost".
            Some(_) => (BaseUri::parse("http://localhost")?, text.parse()?),
            None => {
                let base = BaseUri::parse(text)?;
                let address = EndpointAddress::host(base.host(), base.port());
                (base, address)
            }
        };
        let authority = match options.authority {
            None => base.authority().clone(),
            Some(text) => read_authority(&text)?,
        };
        let host_header = HeaderValue::from_str(authority.as_str()).map_err(|error| {
            Error::invalid_argument(format!("{base}: the host is no header value"))
                .with_source(error)
        })?;
        let tls_name = options.tls_name.unwrap_or_else(|| base.host().to_owned());
        Ok(Self {
            base,
            authority,
            host_header,
            tls_name,
            address: options.address.unwrap_or(of_uri),
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        *self.base.scheme() == Scheme::HTTPS
    }

    /// What the URI says: a name or an address in text, and a port.
    pub(super) fn host_and_port(&self) -> (&str, u16) {
        (self.base.host(), self.base.port())
    }

    /// The name that the server's certificate must have, and that is sent to it (SNI).
    pub(super) fn tls_name(&self) -> &str {
        &self.tls_name
    }

    /// What requests call the server.
    pub(super) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Where the server is reached.
    pub(super) fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// The value of HTTP/1.1's `host` header.
    pub(super) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// Path and query of a request's URI, behind the prefix.
    pub(super) fn path(&self, uri: &Uri) -> Result<PathAndQuery, TransportError> {
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        let prefix = self.base.prefix();
        if prefix.is_empty() {
            return Ok(path);
        }
        let joined = format!("{prefix}{path}");
        PathAndQuery::try_from(joined).map_err(|error| {
            let error =
                Error::invalid_argument("the request's path cannot be sent").with_source(error);
            TransportError::new(Sent::No, error)
        })
    }

    /// The absolute URI of a path, for HTTP/2's pseudo-headers.
    pub(super) fn absolute(&self, path: PathAndQuery) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.base.scheme().clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path);
        // All three are there, which is all that this asks for.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

fn read_authority(text: &str) -> Result<Authority, Error> {
    let refused = |why: String| {
        Error::invalid_argument(format!(
            "{text:?} is no authority: {why}; give host or host:port"
        ))
    };
    let authority = Authority::try_from(text).map_err(|error| refused(error.to_string()))?;
    if text.contains('@') {
        return Err(refused("user names belong in a header".into()));
    }
    Ok(authority)
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            EndpointAddress::Unix(_) => self.address.fmt(f),
            EndpointAddress::Host(..) | EndpointAddress::Sockets(_) => self.base.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::parse(text, TargetOptions::default()).unwrap()
    }

    #[test]
    fn the_path_goes_behind_the_prefix() {
        for (text, path) in [
            ("http://127.0.0.1:8080", "/a/b?c"),
            ("https://example.com/", "/a/b?c"),
            ("https://[::1]:9/api/", "/api/a/b?c"),
        ] {
            let found = target(text).path(&"/a/b?c".parse().unwrap()).unwrap();
            assert_eq!(found, path, "{text}");
        }
    }

    #[test]
    fn http2_gets_an_absolute_uri() {
        let target = target("https://example.com:8443");
        let uri = target.absolute(PathAndQuery::from_static("/s/m"));
        assert_eq!(uri, "https://example.com:8443/s/m");
    }

    #[test]
    fn a_uri_says_all_four() {
        let target = target("https://example.com:8443/api");
        assert_eq!(target.host_header(), "example.com:8443");
        assert_eq!(target.tls_name(), "example.com");
        let address = EndpointAddress::host("example.com", 8443);
        assert_eq!(target.address(), &address);
        assert_eq!(target.to_string(), "https://example.com:8443/api");
    }

    #[test]
    fn each_is_set_on_its_own() {
        let options = TargetOptions {
            authority: Some("api.internal:1".into()),
            tls_name: Some("cert.internal".into()),
            address: Some(EndpointAddress::host("192.0.2.1", 2)),
        };
        let target = Target::parse("https://example.com/api", options).unwrap();
        assert_eq!(target.host_header(), "api.internal:1");
        let uri = target.absolute(PathAndQuery::from_static("/s/m"));
        assert_eq!(uri, "https://api.internal:1/s/m");
        assert_eq!(target.tls_name(), "cert.internal");
        let address = EndpointAddress::host("192.0.2.1", 2);
        assert_eq!(target.address(), &address);
    }

    #[test]
    fn a_unix_socket_is_called_localhost() {
        let target = target("unix:/run/app.sock");
        assert!(!target.is_tls());
        assert_eq!(target.host_header(), "localhost");
        let address = EndpointAddress::unix("/run/app.sock");
        assert_eq!(target.address(), &address);
        assert_eq!(target.to_string(), "unix:/run/app.sock");
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        for text in ["", "a b", "ada@example.com", "example.com/path"] {
            let options = TargetOptions {
                authority: Some(text.into()),
                ..TargetOptions::default()
            };
            let error = Target::parse("http://example.com", options).unwrap_err();
            assert!(error.message().contains("no authority"), "{error}");
        }
    }
}
