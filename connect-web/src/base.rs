//! Where requests go: an origin, or the page's own, and a path that stands before every request's.

use std::fmt;

use connect_tower::{Error, transport::BaseUri};
use http::{Uri, uri::PathAndQuery};

/// What stands before the path of every request; it does not end with a slash.
#[derive(Clone, Debug)]
pub(crate) struct Base(String);

impl Base {
    /// Reads `http://host[:port][/prefix]`, the same with `https`, or `/[prefix]`, which the browser completes.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        if text.starts_with('/') && !text.starts_with("//") {
            let is_path = !text.contains(['?', '#']) && text.parse::<PathAndQuery>().is_ok();
            if !is_path {
                return Err(Error::invalid_argument(format!(
                    "{text:?} cannot be called: it is not a path alone; leave out queries and fragments"
                )));
            }
        } else {
            BaseUri::parse(text).map_err(|error| {
                let hint = "or / for the page's own origin";
                Error::invalid_argument(format!("{}, {hint}", error.message()))
            })?;
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
            ("//example.com", "the scheme is missing"),
            ("https://ada@example.com", "user names"),
            ("/rpc?tenant=a", "a path alone"),
            ("/rpc#top", "a path alone"),
            ("/r pc", "a path alone"),
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
