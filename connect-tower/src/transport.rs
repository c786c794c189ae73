//! What a generated client needs of an HTTP client, and how such a client reports failure.
//!
//! A transport turns one `http::Request` into one `http::Response`. It knows nothing of messages,
//! codecs or error codes in trailers: retries by code and hedging live above it. What the layers above
//! cannot find out themselves it says in its error's type: whether the server can have seen the request
//! ([`Sent`]), and how a response was cut off ([`BodyError`]). Nothing has to be downcast.

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use connect_proto::Error;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

/// An HTTP client that carries calls: a hyper channel, an in-process service, a browser's `fetch`.
///
/// Every cloneable [`tower_service::Service`] that takes a `Request<B>` and whose errors convert is one;
/// there is nothing to implement. A request's URI is path and query: the transport adds scheme and
/// authority. Its version is `HTTP_2` where the protocol demands HTTP/2; any other version leaves the
/// choice to the transport.
///
/// The trait asks for neither `Send` nor `Sync`: a call is `Send` when the transport's future and body are.
///
/// `B` is the body of requests.
pub trait Transport<B>: Clone {
    /// The body of responses.
    type Body: Body<Data = Bytes, Error = Self::BodyError>;
    /// How a response's body fails.
    type BodyError: Into<BodyError>;
    /// How a request fails before there is a response's head.
    type Error: Into<TransportError>;
    /// The call, up to the response's head. Dropping it cancels the call.
    type Future: Future<Output = Result<Response<Self::Body>, Self::Error>>;

    /// Waits until the transport can take a request, as [`Service::poll_ready`].
    ///
    /// # Errors
    ///
    /// When the transport will never be ready again.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Sends the request and answers with the response's head as soon as it is there, while the request's
    /// body may still be on its way.
    fn send(&mut self, request: Request<B>) -> Self::Future;
}

impl<S, B, R> Transport<B> for S
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<TransportError>,
    R: Body<Data = Bytes>,
    R::Error: Into<BodyError>,
{
    type Body = R;
    type BodyError = R::Error;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::poll_ready(self, cx)
    }

    fn send(&mut self, request: Request<B>) -> S::Future {
        self.call(request)
    }
}

/// Whether the server can have seen the request: what a retry must know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sent {
    /// No: the server surely did not process it, and any request may be sent again.
    No,
    /// Perhaps: some of it left this side, and no answer came.
    Maybe,
    /// Yes: the server answered or reset the request.
    Yes,
}

/// A request that failed before the response's head came.
///
/// It converts into the call's [`Error`], whose code says what kind of failure it is: `unavailable` when
/// no connection could be had or the one in use was lost.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportError {
    sent: Sent,
    error: Error,
}

impl TransportError {
    /// A failure, and whether the request was sent.
    #[must_use]
    pub const fn new(sent: Sent, error: Error) -> Self {
        Self { sent, error }
    }

    /// Whether the server can have seen the request.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// The error that the call ends with.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }

    /// The error that the call ends with.
    #[must_use]
    pub fn into_error(self) -> Error {
        self.error
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        error.error
    }
}

impl From<std::convert::Infallible> for TransportError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

/// A response whose body was cut off: by a reset of its HTTP/2 stream, or with the connection.
#[derive(Clone, Debug)]
pub struct BodyError {
    http2_code: Option<u32>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl BodyError {
    /// The server reset the HTTP/2 stream with this error code (RFC 9113, section 7).
    #[must_use]
    pub const fn http2(code: u32) -> Self {
        Self {
            http2_code: Some(code),
            source: None,
        }
    }

    /// The connection ended in the middle of the response.
    #[must_use]
    pub const fn connection_lost() -> Self {
        Self {
            http2_code: None,
            source: None,
        }
    }

    /// Keeps the cause, for logs.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(Arc::from(source.into()));
        self
    }

    /// The error code of the stream's reset; none if the connection was lost.
    #[must_use]
    pub const fn http2_code(&self) -> Option<u32> {
        self.http2_code
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.http2_code {
            Some(code) => write!(f, "the server reset the stream with HTTP/2 error {code}"),
            None => f.write_str("the connection was lost in the middle of the response"),
        }
    }
}

impl StdError for BodyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<std::convert::Infallible> for BodyError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_code_and_sent() {
        let error = TransportError::new(Sent::No, Error::unavailable("no server"));
        assert_eq!(error.sent(), Sent::No);
        assert_eq!(error.to_string(), "unavailable: no server");
        assert_eq!(Error::from(error), Error::unavailable("no server"));
    }

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
