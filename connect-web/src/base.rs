//! Where requests go: an origin, or the page's own, and a path that stands before every request's.

use std::fmt;

use connect_tower::Error;
use http::Uri;

/// What stands before the path of every request; it does not end with a slash.
#[derive(Clone, Debug)]
pub(crate) struct Base(String);

impl Base {
    /// Reads `http://host[:port][/prefix]`, the same with `https`, or `/[prefix]`, which the browser completes.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let invalid = |why: &str| {
            Error::invalid_argument(format!(
                "{text:?} cannot be called: {why}; give a URI such as https://api.example.com, or / for the page's own origin"
            ))
        };
        if text.contains('#') {
            return Err(invalid("a fragment is never sent"));
        }
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| invalid(&error.to_string()))?;
        match (uri.scheme_str(), uri.authority()) {
            (Some("http" | "https"), Some(authority)) => {
                if authority.host().is_empty() {
                    return Err(invalid("there is no host"));
                }
                if authority.as_str().contains('@') {
                    return Err(invalid("fetch takes no user names"));
                }
            }
            (Some(_), _) => return Err(invalid("the scheme is neither http nor https")),
            (None, None) if text.starts_with('/') && !text.starts_with("//") => {}
            (None, _) => return Err(invalid("the scheme is missing")),
        }
        if uri.query().is_some() {
            return Err(invalid("a query belongs to a request"));
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }

    /// The URL of a request, whose own URI is path and query.
    pub(crate) fn url(&self, uri: &Uri) -> String {
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        format!("{}{target}", self.0)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() {
            "the page's own origin"
        } else {
            &self.0
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_goes_behind_the_prefix() {
        let uri = Uri::from_static("/pkg.Service/Method?connect=v1");
        for (base, url) in [
            (
                "https://api.example.com",
                "https://api.example.com/pkg.Service/Method?connect=v1",
            ),
            (
                "http://[::1]:8080/",
                "http://[::1]:8080/pkg.Service/Method?connect=v1",
            ),
            (
                "https://example.com/rpc/",
                "https://example.com/rpc/pkg.Service/Method?connect=v1",
            ),
            ("/", "/pkg.Service/Method?connect=v1"),
            ("/rpc", "/rpc/pkg.Service/Method?connect=v1"),
        ] {
            assert_eq!(Base::parse(base).unwrap().url(&uri), url);
        }
    }

    #[test]
    fn what_fetch_cannot_call_is_refused_at_once() {
        for (base, why) in [
            ("", "empty"),
            ("example.com", "the scheme is missing"),
            ("//example.com", "the scheme is missing"),
            ("ftp://example.com", "neither http nor https"),
            ("https://ada@example.com", "user names"),
            ("https://example.com/?tenant=a", "a query"),
            ("https://example.com/#top", "a fragment"),
            ("/rpc?tenant=a", "a query"),
            ("https://exa mple.com", "invalid"),
            ("*", "the scheme is missing"),
        ] {
            let error = Base::parse(base).unwrap_err();
            assert!(
                error.message().contains(why),
                "{base:?}: {}",
                error.message()
            );
        }
    }
}
