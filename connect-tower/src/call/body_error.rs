//! How a body was cut off.

use std::{error::Error as StdError, fmt, sync::Arc};

use connect_proto::{Error, RecvHalf, Reset};
use http::HeaderMap;

/// A body that was cut off: by a reset of its HTTP/2 stream, with the connection, or because its HTTP cannot be read.
#[derive(Clone, Debug)]
pub struct BodyError {
    cut: Cut,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

#[derive(Clone, Debug)]
enum Cut {
    Http2(u32),
    ConnectionLost,
    Malformed(Arc<str>),
    Trailers { kept: Arc<HeaderMap>, max: usize },
}

impl BodyError {
    /// The peer reset the HTTP/2 stream with this error code (RFC 9113, section 7).
    #[must_use]
    pub const fn http2(code: u32) -> Self {
        Self {
            cut: Cut::Http2(code),
            source: None,
        }
    }

    /// The connection ended in the middle of the body.
    #[must_use]
    pub const fn connection_lost() -> Self {
        Self {
            cut: Cut::ConnectionLost,
            source: None,
        }
    }

    /// The peer broke the rules of HTTP in the middle of the body, so that the rest cannot be read; `what` says how, for the
    /// peer to see.
    #[must_use]
    pub fn malformed(what: impl Into<Arc<str>>) -> Self {
        Self {
            cut: Cut::Malformed(what.into()),
            source: None,
        }
    }

    /// The trailers are larger than the `max` bytes that this side takes, so that some of them are missing in `kept`. An error
    /// of the call that can be read there stands, with a word about what is missing.
    #[must_use]
    pub fn trailers_too_large(kept: HeaderMap, max: usize) -> Self {
        Self {
            cut: Cut::Trailers {
                kept: Arc::new(kept),
                max,
            },
            source: None,
        }
    }

    /// Keeps the cause, for logs.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The error code of the stream's reset; none if there was none.
    #[must_use]
    pub const fn http2_code(&self) -> Option<u32> {
        match self.cut {
            Cut::Http2(code) => Some(code),
            Cut::ConnectionLost | Cut::Malformed(_) | Cut::Trailers { .. } => None,
        }
    }

    /// Ends the half that the body feeds.
    pub(crate) fn end(&self, recv: &mut RecvHalf) {
        match &self.cut {
            Cut::Http2(code) => recv.recv_reset(Reset::Http2(*code)),
            Cut::ConnectionLost => recv.recv_reset(Reset::ConnectionLost),
            Cut::Malformed(what) => recv.fail(Error::malformed(recv.side(), what.to_string())),
            Cut::Trailers { kept, .. } => {
                let error = Error::resource_exhausted(self.to_string());
                recv.recv_cut_trailers((**kept).clone(), error);
            }
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.cut {
            Cut::Http2(code) => write!(f, "the peer reset the stream with HTTP/2 error {code}"),
            Cut::ConnectionLost => f.write_str("the connection was lost in the middle of a body"),
            Cut::Malformed(what) => f.write_str(what),
            Cut::Trailers { max, .. } => write!(
                f,
                "the trailers are larger than the {max} bytes that are taken: some are missing"
            ),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// In process a [`CallBody`](crate::CallBody) is the peer's body: one that fails is a cancelled stream, `CANCEL`.
impl From<Error> for BodyError {
    fn from(error: Error) -> Self {
        Self::http2(HTTP2_CANCEL).with_source(error)
    }
}

impl From<std::convert::Infallible> for BodyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// RFC 9113, section 7: "the stream is no longer needed".
const HTTP2_CANCEL: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_error_tells_a_reset_from_a_lost_connection() {
        let reset = BodyError::http2(8).with_source("stream 5");
        assert_eq!(reset.http2_code(), Some(8));
        assert_eq!(
            reset.source().map(ToString::to_string).as_deref(),
            Some("stream 5")
        );
        assert_eq!(BodyError::connection_lost().http2_code(), None);
    }
}
