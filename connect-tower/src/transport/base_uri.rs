//! The URI that a transport is made for.

use std::fmt;

use connect_proto::Error;
use http::{
    Uri,
    uri::{Authority, Parts, Scheme},
};

/// Where a transport's requests go, for writers of transports: `http://host[:port][/prefix]`, or the same with `https`. The
/// prefix stands before the path of every request.
///
/// ```
/// use connect_tower::transport::BaseUri;
///
/// let base = BaseUri::parse("https://[::1]/api/").unwrap();
/// assert_eq!((base.host(), base.port(), base.prefix()), ("::1", 443, "/api"));
/// assert!(BaseUri::parse("localhost:8080").is_err());
/// ```
#[derive(Clone, Debug)]
pub struct BaseUri {
    scheme: Scheme,
    authority: Authority,
    port: u16,
    prefix: String,
}

impl BaseUri {
    /// Reads such a URI.
    ///
    /// # Errors
    ///
    /// `invalid_argument` for anything else, and for what no request could keep: a user's name, a query, a fragment.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::read(text).map_err(|why| {
            Error::invalid_argument(format!(
                "{text:?} cannot be called: {why}; give a URI such as http://127.0.0.1:8080"
            ))
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        // Else it would be dropped without a word.
        if text.contains('#') {
            return Err("a fragment is never sent".into());
        }
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let Parts {
            scheme,
            authority,
            path_and_query: path,
            ..
        } = uri.into_parts();
        let scheme = scheme.ok_or("the scheme is missing")?;
        let default_port = match scheme.as_str() {
            "https" => 443,
            "http" => 80,
            _ => return Err("the scheme is neither http nor https".into()),
        };
        let authority = authority
            .filter(|authority| !authority.host().is_empty())
            .ok_or("there is no host")?;
        if authority.as_str().contains('@') {
            return Err("user names belong in a header".into());
        }
        let port = match authority.port_u16() {
            Some(port) => port,
            // "host:" has the default port, "host:99999" is a mistake.
            None if authority.as_str().trim_end_matches(':') == authority.host() => default_port,
            None => return Err("the port is not a number up to 65535".into()),
        };
        if path.as_ref().is_some_and(|path| path.query().is_some()) {
            return Err("a query belongs to a request".into());
        }
        let prefix = path.map_or_else(String::new, |path| {
            path.path().trim_end_matches('/').to_owned()
        });
        Ok(Self {
            scheme,
            authority,
            port,
            prefix,
        })
    }

    /// `http` or `https`.
    #[must_use]
    pub fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    /// The host and, if it was given, the port: the value of HTTP/1.1's `host` header.
    #[must_use]
    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// The host to look up: without the brackets of an IPv6 address.
    #[must_use]
    pub fn host(&self) -> &str {
        let host = self.authority.host();
        host.strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host)
    }

    /// The port, by default that of the scheme.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What stands before the path of every request. It does not end with a slash: none is empty.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for BaseUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use connect_proto::Code;

    use super::*;

    #[test]
    fn uris_are_read() {
        for (text, host, port, prefix, shown) in [
            ("http://127.0.0.1:80", "127.0.0.1", 80, "", None),
            ("http://example.com", "example.com", 80, "", None),
            ("http://a:", "a", 80, "", None),
            ("https://a/", "a", 443, "", Some("https://a")),
            ("https://[::1]", "::1", 443, "", None),
            (
                "https://[::1]:9/p/",
                "::1",
                9,
                "/p",
                Some("https://[::1]:9/p"),
            ),
        ] {
            let base = BaseUri::parse(text).unwrap();
            let read = (base.host(), base.port(), base.prefix());
            assert_eq!(read, (host, port, prefix), "{text}");
            assert_eq!(base.to_string(), shown.unwrap_or(text));
        }
    }

    #[test]
    fn what_cannot_be_called_is_refused_with_a_reason() {
        for (text, why) in [
            ("", "empty"),
            ("example.com", "the scheme is missing"),
            ("127.0.0.1:8080", "the scheme is missing"),
            ("/path", "the scheme is missing"),
            ("//example.com", "the scheme is missing"),
            ("*", "the scheme is missing"),
            ("ftp://example.com", "neither http nor https"),
            ("http://", "empty"),
            ("http://:80", "no host"),
            ("http://ada@example.com", "user names"),
            ("http://example.com/?q=1", "a query"),
            ("http://example.com/#top", "a fragment"),
            ("http://exa mple.com", "invalid"),
            ("http://example.com:99999", "the port"),
            ("http://[::1]:99999", "the port"),
        ] {
            let error = BaseUri::parse(text).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument, "{text}");
            assert!(error.message().contains(why), "{text}: {error}");
        }
    }
}
