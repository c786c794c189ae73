//! The trait of HTTP clients that carry calls, and how they report failures.
//!
//! A transport turns one `http::Request` into one `http::Response`. It knows nothing of messages,
//! codecs or error codes in trailers. It sends each request once: [`Client`](crate::Client) sends again what the server did
//! not begin, retries by code and hedges. Its types say what the layers above cannot find out themselves: whether the server
//! can have seen the request ([`Sent`]) and what stood in its way ([`FailureKind`]), how a response was cut off
//! ([`BodyError`]), and which timer there is ([`Transport::timer`]).
//!
//! The trait is not implemented for every [`tower_service::Service`]: a service has no clock, and a
//! client without one cannot keep a deadline. [`ServiceTransport`] makes a transport of a service.

mod base_uri;
mod failure;
mod stats;

pub use self::{
    base_uri::BaseUri,
    failure::{Answers, FailureKind, Progress, Sent, TransportError},
    stats::{ChannelState, ChannelStats, EndpointStats},
};
pub use crate::call::{
    body_error::BodyError,
    outcome::{Outcome, OutcomeListener},
};

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response, uri::Authority};
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
    /// where the protocol demands HTTP/2; any other version leaves the choice to the transport. The second and each further
    /// request of a call has its [`Attempts`](crate::Attempts) in its extensions, and one with a deadline its
    /// [`Deadline`](crate::Deadline): the call drops the future then. A body that fails, or that is dropped before its end, is
    /// a cancelled call: the transport resets the stream (HTTP/2: `CANCEL`) or closes the connection (HTTP/1.1), and never ends
    /// the request cleanly.
    ///
    /// A transport does not send a request twice. It says by the [`FailureKind`] what became of it.
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

    /// What requests call the server, `host` or `host:port`, for observers; `None` unless implemented.
    fn authority(&self) -> Option<&Authority> {
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
