//! Where a channel's requests go: the URI it was made for.

use connect_proto::Error;
use http::{
    HeaderValue, Uri,
    uri::{Authority, Parts, PathAndQuery, Scheme},
};

/// A scheme, a host and a port, and a path that stands before every request's own.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    scheme: Scheme,
    authority: Authority,
    host_header: HeaderValue,
    port: u16,
    prefix: String,
}

impl Origin {
    /// Reads `http://host[:port][/prefix]` or the same with `https`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            Error::invalid_argument(format!(
                "{text:?} cannot be called: {why}; give a URI such as http://127.0.0.1:8080"
            ))
        };
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        let Parts {
            scheme,
            authority,
            path_and_query,
            ..
        } = uri.into_parts();
        let Some(scheme) = scheme.filter(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS) else {
            return Err(invalid("the scheme is neither http nor https"));
        };
        let authority = authority.ok_or_else(|| invalid("there is no host"))?;
        if authority.host().is_empty() {
            return Err(invalid("there is no host"));
        }
        if authority.as_str().contains('@') {
            return Err(invalid("user names belong into a header"));
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            // "host:" stands for the default, "host:99999" for a mistake.
            None if !authority.as_str().ends_with([':', ']'])
                && authority.as_str() != authority.host() =>
            {
                return Err(invalid("the port is no port"));
            }
            None if scheme == Scheme::HTTPS => 443,
            None => 80,
        };
        let path = path_and_query.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if path.query().is_some() {
            return Err(invalid("a query belongs to a request"));
        }
        Ok(Self {
            port,
            host_header: HeaderValue::from_str(authority.as_str())
                .map_err(|_| invalid("the host is no header value"))?,
            prefix: path.path().trim_end_matches('/').to_owned(),
            scheme,
            authority,
        })
    }

    pub(super) fn is_tls(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// The host to look up: without the brackets of an IPv6 address.
    pub(super) fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The value of HTTP/1.1's `host` header.
    pub(super) fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// The target of a request: path and query of its URI, behind the prefix.
    pub(super) fn target(&self, uri: &Uri) -> Result<PathAndQuery, Error> {
        let path = uri
            .path_and_query()
            .cloned()
            .unwrap_or_else(|| PathAndQuery::from_static("/"));
        if self.prefix.is_empty() {
            return Ok(path);
        }
        let joined = format!("{}{}", self.prefix, path);
        PathAndQuery::try_from(joined).map_err(|error| {
            Error::invalid_argument("the request's path cannot be sent").with_source(error)
        })
    }

    /// The absolute URI of a target, for HTTP/2's pseudo-headers.
    pub(super) fn absolute(&self, target: PathAndQuery) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(target);
        // All three are there, which is all that this asks for.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use connect_proto::Code;

    use super::*;

    #[test]
    fn uris_are_read() {
        for (text, host, port, tls, target) in [
            ("http://127.0.0.1:8080", "127.0.0.1", 8080, false, "/a/b?c"),
            ("http://example.com", "example.com", 80, false, "/a/b?c"),
            ("https://example.com/", "example.com", 443, true, "/a/b?c"),
            ("https://[::1]:9/api/", "::1", 9, true, "/api/a/b?c"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.host(), host, "{text}");
            assert_eq!(origin.port(), port, "{text}");
            assert_eq!(origin.is_tls(), tls, "{text}");
            let path = origin.target(&"/a/b?c".parse().unwrap()).unwrap();
            assert_eq!(path, target, "{text}");
        }
    }

    #[test]
    fn what_is_no_origin_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "empty"),
            ("127.0.0.1:8080", "scheme"),
            ("/path", "scheme"),
            ("ftp://example.com", "scheme"),
            ("http://", "empty"),
            ("http://user@example.com", "user names"),
            ("http://example.com/?q=1", "query"),
            ("http://example.com:99999", "port"),
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn http2_gets_an_absolute_uri() {
        let origin = Origin::parse("https://example.com:8443").unwrap();
        let uri = origin.absolute(PathAndQuery::from_static("/s/m"));
        assert_eq!(uri, "https://example.com:8443/s/m");
    }
}
