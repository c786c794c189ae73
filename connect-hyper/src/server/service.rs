//! A user's service as hyper calls it: the peer made known, panics and errors turned into answers and resets.

use std::{
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use connect_tower::{Deadline, Peer, ReceiveLimits, rt::SharedTimer};
use h2::Reason;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    placement::ProgressSlot,
    request_body::{Reading, RequestBody, Unread},
    stall::{AnswerProgress, BodyPoll, CallEnd, latest_end},
};
use crate::{
    pieces::Pieces,
    reset::{self, BoxError},
    runtime::Runtime,
};

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
pub(super) struct ConnectionService<S, R> {
    pub(super) service: S,
    pub(super) peer: Peer,
    pub(super) timer: SharedTimer,
    pub(super) receive_limits: ReceiveLimits,
    pub(super) runtime: R,
    pub(super) read_timeout: Option<Duration>,
    pub(super) version: PerVersion,
}

/// What the calls of a connection share with the rest of it.
#[derive(Clone, Debug)]
pub(super) enum PerVersion {
    /// One call after the other.
    Http1 {
        /// The place for unread bodies.
        unread: Arc<Unread>,
        call_end: CallEnd,
    },
    Http2(ProgressSlot),
}

/// Where a call says how its answer is getting on.
#[derive(Debug)]
enum CallLink {
    Http1(CallEnd),
    Http2(Arc<AnswerProgress>),
}

impl<S: HttpService, R: Runtime> hyper::service::Service<Request<Incoming>>
    for ConnectionService<S, R>
{
    type Response = Response<ResponseBody<S::Body>>;
    type Error = Infallible;
    type Future = CallFuture<S, R>;

    fn call(&self, mut request: Request<Incoming>) -> CallFuture<S, R> {
        let extensions = request.extensions_mut();
        extensions.insert(self.peer.clone());
        extensions.insert(SharedTimer::clone(&self.timer));
        extensions.insert(self.receive_limits.clone());
        let (link, unread) = match &self.version {
            PerVersion::Http1 { unread, call_end } => {
                call_end.set(None);
                (CallLink::Http1(call_end.clone()), Some(unread))
            }
            PerVersion::Http2(slot) => (CallLink::Http2(slot.begin()), None),
        };
        let reading = self
            .read_timeout
            .map(|timeout| Reading::new(&self.runtime, timeout));
        CallFuture {
            state: State::Waiting {
                service: self.service.clone(),
                request: Some(RequestBody::wrap(request, unread, reading)),
            },
            runtime: self.runtime.clone(),
            link: Some(link),
        }
    }
}

pin_project! {
    /// One call: waits for the service to be ready, then for the response's head.
    pub(super) struct CallFuture<S, R>
    where
        S: HttpService,
    {
        #[pin]
        state: State<S>,
        runtime: R,
        // None once there is an answer.
        link: Option<CallLink>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: HttpService,
    {
        Waiting { service: S, request: Option<Request<RequestBody>> },
        Running { #[pin] future: S::Future },
        Done,
    }
}

impl<S: HttpService, R: Runtime> Future for CallFuture<S, R> {
    type Output = Result<Response<ResponseBody<S::Body>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        // A handler that panics must not take the other calls of its connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| this.state.as_mut().poll_call(cx)));
        let answer = match polled {
            Ok(polled) => Some(ready!(polled)),
            Err(_panic) => None,
        };
        let deadline = answer
            .as_ref()
            .and_then(|answer| answer.extensions().get::<Deadline>());
        let end = deadline.and_then(|deadline| latest_end(this.runtime, deadline));
        let progress = match this.link.take() {
            Some(CallLink::Http1(call_end)) => {
                call_end.set(end);
                None
            }
            Some(CallLink::Http2(progress)) => {
                progress.set_end(end);
                Some(progress)
            }
            None => None,
        };
        let response = match answer {
            Some(answer) => answer.map(|body| ResponseBody::new(Some(body), progress)),
            None => {
                let mut response = Response::new(ResponseBody::new(None, progress));
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            }
        };
        this.state.set(State::Done);
        Poll::Ready(Ok(response))
    }
}

impl<S: HttpService> State<S> {
    fn poll_call(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Response<S::Body>> {
        loop {
            let future = match self.as_mut().project() {
                StateProj::Waiting { service, request } => {
                    ready!(service.poll_ready(cx));
                    let Some(request) = request.take() else {
                        return polled_again();
                    };
                    service.call(request)
                }
                StateProj::Running { future } => {
                    return future.poll(cx).map(|response| match response {
                        Ok(response) => response,
                        Err(never) => match never {},
                    });
                }
                StateProj::Done => return polled_again(),
            };
            self.set(Self::Running { future });
        }
    }
}

/// hyper does not poll a future after its end.
fn polled_again<T>() -> Poll<T> {
    debug_assert!(false, "a call is not polled after its answer");
    Poll::Pending
}

pin_project! {
    /// The body of a response, whose errors reset the HTTP/2 stream with the right code.
    #[derive(Debug)]
    pub(super) struct ResponseBody<B> {
        // None after a panic.
        #[pin]
        body: Option<B>,
        pieces: Pieces,
        // On HTTP/2.
        progress: Option<Arc<AnswerProgress>>,
    }
}

impl<B> ResponseBody<B> {
    fn new(body: Option<B>, progress: Option<Arc<AnswerProgress>>) -> Self {
        Self {
            body,
            pieces: Pieces::default(),
            progress,
        }
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
        let mut this = self.as_mut().project();
        if let Some(piece) = this.pieces.take() {
            if let Some(progress) = this.progress {
                progress.set_body(BodyPoll::Ready);
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else {
            return Poll::Ready(None);
        };
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) else {
            this.body.set(None);
            return Poll::Ready(Some(Err(reset::reset(Reason::INTERNAL_ERROR))));
        };
        let Some(progress) = this.progress else {
            return polled.map(|frame| frame.map(|r| r.map_err(|e| reset::outgoing(e.into()))));
        };
        progress.set_body(match polled {
            Poll::Ready(_) => BodyPoll::Ready,
            Poll::Pending => BodyPoll::Pending,
        });
        polled.map(|frame| {
            frame.map(|result| match result {
                Ok(frame) => Ok(this.pieces.cut(frame)),
                Err(error) => Err(reset::outgoing(error.into())),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let size = self
            .body
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint);
        self.pieces.add_to(size)
    }
}
