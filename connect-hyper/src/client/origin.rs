//! Where a channel's requests go: the URI it was made for, in the forms that requests need.

use connect_proto::Error;
use connect_tower::transport::BaseUri;
use http::{
    HeaderValue, Uri,
    uri::{Parts, PathAndQuery, Scheme},
};

#[derive(Clone, Debug)]
pub(super) struct Origin {
    base: BaseUri,
    host_header: HeaderValue,
}

impl Origin {
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let base = BaseUri::parse(text)?;
        let host_header = HeaderValue::from_str(base.authority().as_str()).map_err(|error| {
            Error::invalid_argument(format!("{base}: the host is no header value"))
                .with_source(error)
        })?;
        Ok(Self { base, host_header })
    }

    pub(super) fn is_tls(&self) -> bool {
        *self.base.scheme() == Scheme::HTTPS
    }

    /// The host to look up.
    pub(super) fn host(&self) -> &str {
        self.base.host()
    }

    pub(super) fn port(&self) -> u16 {
        self.base.port()
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
        let prefix = self.base.prefix();
        if prefix.is_empty() {
            return Ok(path);
        }
        let joined = format!("{prefix}{path}");
        PathAndQuery::try_from(joined).map_err(|error| {
            Error::invalid_argument("the request's path cannot be sent").with_source(error)
        })
    }

    /// The absolute URI of a target, for HTTP/2's pseudo-headers.
    pub(super) fn absolute(&self, target: PathAndQuery) -> Uri {
        let mut parts = Parts::default();
        parts.scheme = Some(self.base.scheme().clone());
        parts.authority = Some(self.base.authority().clone());
        parts.path_and_query = Some(target);
        // All three are there, which is all that this asks for.
        Uri::from_parts(parts).unwrap_or_default()
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.base.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_goes_behind_the_prefix() {
        for (text, target) in [
            ("http://127.0.0.1:8080", "/a/b?c"),
            ("https://example.com/", "/a/b?c"),
            ("https://[::1]:9/api/", "/api/a/b?c"),
        ] {
            let origin = Origin::parse(text).unwrap();
            let path = origin.target(&"/a/b?c".parse().unwrap()).unwrap();
            assert_eq!(path, target, "{text}");
        }
    }

    #[test]
    fn http2_gets_an_absolute_uri() {
        let origin = Origin::parse("https://example.com:8443").unwrap();
        let uri = origin.absolute(PathAndQuery::from_static("/s/m"));
        assert_eq!(uri, "https://example.com:8443/s/m");
    }
}
