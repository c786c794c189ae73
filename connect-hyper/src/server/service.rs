//! A user's service as hyper calls it: the peer made known, panics and errors turned into answers and resets.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_tower::{Peer, rt::SharedTimer};
use h2::Reason;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::request_body::{RequestBody, Unread};
use crate::reset::{self, BoxError};

/// What a server can serve: a [`tower_service::Service`] of HTTP requests with a [`RequestBody`] that never
/// fails and can be cloned, such as connect-tower's router or an axum one. There is nothing to implement.
pub trait HttpService: Clone + Send + 'static {
    /// The body of responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// The call, up to the response's head.
    type Future: Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static;

    /// Waits until a request can be taken, as [`Service::poll_ready`].
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()>;

    /// Answers a request.
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future;
}

impl<S, B> HttpService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Service::poll_ready(self, cx).map(|ready| match ready {
            Ok(()) => (),
            Err(never) => match never {},
        })
    }

    fn call(&mut self, request: Request<RequestBody>) -> S::Future {
        Service::call(self, request)
    }
}

/// A service on one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionService<S> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) timer: SharedTimer,
    /// HTTP/1.1: the place for unread bodies.
    pub(super) unread: Option<Arc<Unread>>,
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for ConnectionService<S> {
    type Response = Response<ResponseBody<S::Body>>;
    type Error = Infallible;
    type Future = CallFuture<S>;

    fn call(&self, mut request: Request<Incoming>) -> CallFuture<S> {
        let extensions = request.extensions_mut();
        extensions.insert(self.peer.clone());
        extensions.insert(SharedTimer::clone(&self.timer));
        CallFuture::Waiting {
            service: self.service.clone(),
            request: Some(RequestBody::wrap(request, self.unread.as_ref())),
        }
    }
}

pin_project! {
    /// One call: waits for the service to be ready, then for the response's head.
    #[project = CallFutureProj]
    pub(super) enum CallFuture<S>
    where
        S: HttpService,
    {
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: S::Future },
        Done,
    }
}

impl<S: HttpService> Future for CallFuture<S> {
    type Output = Result<Response<ResponseBody<S::Body>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // A handler that panics must not take the other calls of its connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| self.as_mut().poll_call(cx)));
        let response = match polled {
            Ok(polled) => ready!(polled).map(|body| ResponseBody { body: Some(body) }),
            Err(_panic) => {
                let mut response = Response::new(ResponseBody { body: None });
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        self.set(Self::Done);
        Poll::Ready(Ok(response))
    }
}

impl<S: HttpService> CallFuture<S> {
    fn poll_call(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<S::Body>> {
        loop {
            let future = match self.as_mut().project() {
                CallFutureProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx));
                    let Some(request) = request.take() else {
                        return Poll::Pending;
                    };
                    service.call(request)
                }
                CallFutureProj::Running { future } => {
                    return future.poll(cx).map(|response| match response {
                        Ok(response) => response,
                        Err(never) => match never {},
                    });
                }
                CallFutureProj::Done => return Poll::Pending,
            };
            self.set(Self::Running { future });
        }
    }
}

pin_project! {
    /// The body of a response, whose errors reset the HTTP/2 stream with the right code.
    #[derive(Debug)]
    pub(super) struct ResponseBody<B> {
        // None after a panic.
        #[pin]
        body: Option<B>,
    }
}

impl<B> Body for ResponseBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(body) = self.as_mut().project().body.as_pin_mut() else {
            return Poll::Ready(None);
        };
        match catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) {
            Ok(polled) => {
                polled.map(|frame| frame.map(|r| r.map_err(|e| reset::outgoing(e.into()))))
            }
            Err(_panic) => {
                self.project().body.set(None);
                Poll::Ready(Some(Err(reset::reset(Reason::INTERNAL_ERROR))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
