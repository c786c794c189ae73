//! The trait of HTTP clients that carry calls, and how they report failures.
//!
//! A transport turns one `http::Request` into one `http::Response`. It knows nothing of messages,
//! codecs or error codes in trailers: retries by code and hedging live above it. Its types say what the
//! layers above cannot find out themselves: whether the server can have seen the request ([`Sent`]), how a
//! response was cut off ([`BodyError`]), and which timer there is ([`Transport::timer`]).
//!
//! The trait is not implemented for every [`tower_service::Service`]: a service has no clock, and a
//! client without one cannot keep a deadline. [`ServiceTransport`] makes a transport of a service.

mod base_uri;

pub use self::base_uri::BaseUri;
pub use crate::call::{
    body_error::BodyError,
    outcome::{Outcome, OutcomeListener},
};

use std::{
    error::Error as StdError,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use connect_proto::Error;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::{
    CallBody,
    call::{oneshot::Oneshot, rt::SharedTimer},
};

/// An HTTP client that carries calls: a hyper channel, an in-process service, a browser's `fetch`.
///
/// The trait asks for neither `Send` nor `Sync`: a call is `Send` when the transport's future and body are.
pub trait Transport: Clone {
    /// The body of responses. A body that cannot be `Unpin` goes into a `Pin<Box<_>>`.
    type Body: Body<Data = Bytes, Error: Into<BodyError>> + Unpin;
    /// The call, up to the response's head. Dropping it cancels the call.
    type Future: Future<Output = Result<Response<Self::Body>, TransportError>>;

    /// Sends the request and answers with the response's head as soon as it is there, while the request's
    /// body may still be on its way.
    ///
    /// The request's URI is path and query: the transport adds scheme and authority. Its version is `HTTP_2`
    /// where the protocol demands HTTP/2; any other version leaves the choice to the transport. Its extensions hold the
    /// procedure's [`Idempotency`](connect_proto::Idempotency) if that is known. A body that
    /// fails, or that is dropped before its end, is a cancelled call: the transport resets the stream
    /// (HTTP/2: `CANCEL`) or closes the connection (HTTP/1.1), and never ends the request cleanly.
    ///
    /// A transport polls the body as soon as the request's head is on its way, whatever else it waits for: until then a
    /// [`BidiCall`](crate::BidiCall) or [`ClientStreamCall`](crate::ClientStreamCall) keeps its first message, and goes on
    /// polling the future. A [`Router`](crate::Router) in the same process says by the request's extensions that it has
    /// the request, so layers in between keep those. With a transport that does neither, the first message waits for the
    /// response.
    fn send(&self, request: Request<CallBody>) -> Self::Future;

    /// The timer of the runtime that the transport lives on, with which clients keep deadlines.
    ///
    /// `None` unless implemented. Then a call's timeout is sent to the server, but not kept on this side.
    fn timer(&self) -> Option<SharedTimer> {
        None
    }
}

/// A [`Transport`] made of a [`tower_service::Service`]: of a stack of layers, or of a client that you have written.
#[derive(Clone, Debug)]
pub struct ServiceTransport<S> {
    service: S,
    timer: Option<SharedTimer>,
}

impl<S> ServiceTransport<S> {
    /// A transport that sends each request to a clone of the service, once that is ready.
    #[must_use]
    pub const fn new(service: S) -> Self {
        Self {
            service,
            timer: None,
        }
    }

    /// Sets the timer with which clients keep deadlines; none by default.
    #[must_use]
    pub fn with_timer(mut self, timer: SharedTimer) -> Self {
        self.timer = Some(timer);
        self
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &S {
        &self.service
    }
}

impl<S, B> Transport for ServiceTransport<S>
where
    S: Service<Request<CallBody>, Response = Response<B>> + Clone,
    S::Error: Into<TransportError>,
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    type Body = B;
    type Future = ServiceFuture<S>;

    fn send(&self, request: Request<CallBody>) -> ServiceFuture<S> {
        ServiceFuture {
            future: Oneshot::new(self.service.clone(), request),
        }
    }

    fn timer(&self) -> Option<SharedTimer> {
        self.timer.clone()
    }
}

pin_project! {
    /// A request to a [`ServiceTransport`]: waits until the service is ready, then for its response.
    #[must_use = "futures do nothing unless polled"]
    pub struct ServiceFuture<S>
    where
        S: Service<Request<CallBody>>,
    {
        #[pin]
        future: Oneshot<S, Request<CallBody>>,
    }
}

impl<S> Future for ServiceFuture<S>
where
    S: Service<Request<CallBody>>,
    S::Error: Into<TransportError>,
{
    type Output = Result<S::Response, TransportError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().future.poll(cx).map_err(Into::into)
    }
}

impl<S> fmt::Debug for ServiceFuture<S>
where
    S: Service<Request<CallBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceFuture").finish_non_exhaustive()
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

impl Sent {
    /// What the [`TransportError`] among the sources of a call's error says, for interceptors that retry. `None` if there
    /// is none: the server answered, or the call failed before the transport was asked.
    ///
    /// ```
    /// use connect_tower::{Error, Sent, TransportError};
    ///
    /// let refused = TransportError::new(Sent::No, Error::unavailable("no connection"));
    /// assert_eq!(Sent::of(&Error::from(refused)), Some(Sent::No));
    /// assert_eq!(Sent::of(&Error::unavailable("said the server")), None);
    /// ```
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let mut next = error.source();
        while let Some(source) = next {
            if let Some(failure) = source.downcast_ref::<TransportError>() {
                return Some(failure.sent);
            }
            next = source.source();
        }
        None
    }
}

/// A request that failed before the response's head came.
///
/// It has two texts. The message of [`error`](Self::error) may travel: a handler that calls another server and returns
/// the error by `?` sends it to its own caller, so it names no address. The [`detail`](Self::with_detail) is for this
/// side alone, and is what `Display` shows.
///
/// It converts into the call's [`Error`], with itself as the source: code and message are those of
/// [`error`](Self::error), `{error:#}` shows the detail too, and [`Sent::of`] finds out whether the request was sent.
#[derive(Clone, Debug, PartialEq)]
pub struct TransportError {
    sent: Sent,
    error: Error,
    detail: Option<Arc<str>>,
}

impl TransportError {
    /// A failure, and whether the request was sent. The error's message may reach other programs.
    #[must_use]
    pub const fn new(sent: Sent, error: Error) -> Self {
        Self {
            sent,
            error,
            detail: None,
        }
    }

    /// Adds a text for this side alone, shown in place of the message: which server, and why the request failed.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Whether the server can have seen the request.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// The error that the call ends with, without this as its source.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            self.detail
                .as_deref()
                .unwrap_or_else(|| self.error.message()),
        )
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl From<TransportError> for Error {
    fn from(failure: TransportError) -> Self {
        failure.error.clone().with_source(failure)
    }
}

impl From<std::convert::Infallible> for TransportError {
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
        assert_eq!(error.to_string(), "no server");
        assert_eq!(Error::from(error), Error::unavailable("no server"));
    }

    #[test]
    fn the_detail_is_for_this_side_alone() {
        let cause = Error::unavailable("no connection").with_source("os error 111");
        let error = TransportError::new(Sent::No, cause)
            .with_detail("connect to 192.0.2.1:80: os error 111; is it running?");
        assert_eq!(error.error().message(), "no connection");
        let error = Error::from(error);
        assert_eq!(error.to_string(), "unavailable: no connection");
        assert_eq!(
            format!("{error:#}"),
            "unavailable: no connection: connect to 192.0.2.1:80: os error 111; is it running?"
        );
    }

    #[test]
    fn whether_it_was_sent_is_found_below_other_errors() {
        for sent in [Sent::No, Sent::Maybe, Sent::Yes] {
            let error = TransportError::new(sent, Error::unavailable("lost"));
            let late = Error::deadline_exceeded("late").with_source(Error::from(error));
            assert_eq!(Sent::of(&late), Some(sent));
        }
        assert_eq!(
            Sent::of(&Error::unavailable("busy").with_source("disk")),
            None
        );
    }
}
