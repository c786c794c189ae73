//! Calls inside one process: a client wired to a router, without a socket.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Request, Response, Version};
use tower_service::Service;

use crate::{
    call::body::CallBody,
    call::connection::Connection,
    call::peer::Peer,
    call::rt::SharedTimer,
    server::router::Router,
    server::service::RouterFuture,
    transport::{Transport, TransportError},
};

/// A [`Transport`] that hands each request to a [`Router`] in the same process.
///
/// It needs no runtime: the server's side of a call is polled by whoever awaits the client's. All stream types work,
/// full duplex, in all protocols; messages are encoded and decoded as on a wire, so it suits tests of handlers as well
/// as services that may be local or remote. The peer that handlers see has no address.
///
/// ```
/// use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
///
/// use connect_tower::{Client, InProcess, Prost, Request, Response, Router, Spec, StreamType};
///
/// let upper = Spec::new("/text.v1.Text/Upper", StreamType::Unary);
/// let router = Router::new().unary(upper.clone(), |request: Request<String>| async move {
///     Ok(Response::new(request.message().to_uppercase()))
/// });
/// let client = Client::new(InProcess::new(router));
///
/// // This handler waits for nothing, so one poll is all that its call needs.
/// let call = client.unary::<Prost, String, String>(&upper, Request::new("hi".into()));
/// let polled = pin!(call).poll(&mut Context::from_waker(Waker::noop()));
/// let Poll::Ready(Ok(response)) = polled else { panic!("not yet, or not at all") };
/// assert_eq!(response.message(), "HI");
/// ```
#[derive(Clone, Debug)]
pub struct InProcess {
    router: Router,
    connection: Connection,
}

impl InProcess {
    /// A transport to this router.
    #[must_use]
    pub fn new(router: Router) -> Self {
        Self {
            router,
            connection: Connection::new(Peer::without_addr()),
        }
    }

    /// Sets the timer that the client keeps deadlines with, and the router if it has none of its own. Default: the router's,
    /// for both.
    #[must_use]
    pub fn with_timer(mut self, timer: SharedTimer) -> Self {
        self.connection = self.connection.with_timer(timer);
        self
    }

    /// The router that answers.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.router
    }
}

impl Transport for InProcess {
    type Body = CallBody;
    type Future = InProcessFuture;

    fn send(&self, mut request: Request<CallBody>) -> InProcessFuture {
        // Without a socket every call is full duplex and has trailers.
        *request.version_mut() = Version::HTTP_2;
        request.extensions_mut().insert(self.connection.clone());
        InProcessFuture {
            call: Box::pin(self.router.clone().call(request)),
        }
    }

    fn timer(&self) -> Option<SharedTimer> {
        let own = self.connection.timer();
        own.or_else(|| self.router.timer()).cloned()
    }
}

/// A call of [`InProcess`], up to the head of its response.
#[must_use = "futures do nothing unless polled"]
pub struct InProcessFuture {
    call: Pin<Box<RouterFuture<CallBody>>>,
}

impl Future for InProcessFuture {
    type Output = Result<Response<CallBody>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let response = self.call.as_mut().poll(cx);
        response.map_err(|never: Infallible| match never {})
    }
}

impl fmt::Debug for InProcessFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcessFuture").finish_non_exhaustive()
    }
}
