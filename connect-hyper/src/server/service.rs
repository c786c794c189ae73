//! A user's service as hyper calls it: the peer made known, panics and errors turned into answers and resets.

use std::{
    any::TypeId,
    convert::Infallible,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_tower::{CallBody, Connection, Deadline, Error, error_response};
use h2::Reason;
use http::{
    HeaderValue, Request, Response, StatusCode, Version,
    header::{CONNECTION, CONTENT_TYPE, EXPECT, HOST},
    request::Parts,
};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    context::ServerContext,
    lifetime::{ActiveCall, Activity},
    placement::BegunSlot,
    request_body::{Reading, RequestBody, Unread},
    stall::{AnswerProgress, BodyPoll, CallEnd},
};
use crate::{
    pieces::Pieces,
    reset::{self, BoxError},
    runtime::Runtime,
};

/// What a server can serve: a [`tower_service::Service`] of HTTP requests with a [`RequestBody`] that can be cloned,
/// such as connect-tower's router, an axum one, or either behind tower layers. There is nothing to implement.
///
/// A service that fails answers the call all the same, in the protocol of its caller: with the [`Error`] that is the
/// service's error or among its sources; any other error is `internal`, and the caller sees nothing of it. So a layer
/// that turns calls away says why by mapping its error, as `tower::ServiceBuilder::map_err` does, to
/// `Error::unavailable("busy")`.
pub trait HttpService: Clone + Send + 'static {
    /// The body of responses.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
    /// Why it fails: `Infallible` if it never does.
    type Error: Into<BoxError> + 'static;
    /// The call, up to the response's head.
    type Future: Future<Output = Result<Response<Self::Body>, Self::Error>> + Send + 'static;

    /// Waits until a request can be taken, as [`Service::poll_ready`].
    ///
    /// # Errors
    ///
    /// Those of the service, which cannot take a request any more.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>>;

    /// Answers a request.
    fn call(&mut self, request: Request<RequestBody>) -> Self::Future;
}

impl<S, B> HttpService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>>,
    S: Clone + Send + 'static,
    S::Error: Into<BoxError> + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Body = B;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::poll_ready(self, cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> S::Future {
        Service::call(self, request)
    }
}

/// A service on one connection.
#[derive(Clone, Debug)]
pub(super) struct ConnectionService<S, R> {
    pub(super) service: S,
    pub(super) connection: Connection,
    pub(super) activity: Arc<Activity<R>>,
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
    Http2(BegunSlot),
}

/// Where a call says how its answer is getting on.
#[derive(Debug)]
enum CallLink<R> {
    Http1(CallEnd, ActiveCall<R>),
    Http2(Arc<AnswerProgress>),
}

impl<S, R: Runtime> ConnectionService<S, R> {
    /// How long the reads of this request's body may wait.
    fn reading<B>(&self, request: &Request<B>) -> Option<Box<Reading>> {
        let ServerContext {
            runtime, config, ..
        } = &*self.activity.server;
        if let Some(timeout) = config.read_timeout {
            return Some(Reading::new(runtime, timeout));
        }
        match self.version {
            PerVersion::Http2(_) if request.headers().contains_key(EXPECT) => config
                .message_timeout
                .map(|timeout| Reading::unasked(runtime, timeout)),
            PerVersion::Http1 { .. } | PerVersion::Http2(_) => None,
        }
    }
}

impl<S: HttpService, R: Runtime> hyper::service::Service<Request<Incoming>>
    for ConnectionService<S, R>
{
    type Response = Response<ResponseBody<S::Body, R>>;
    type Error = Infallible;
    type Future = CallFuture<S, R>;

    fn call(&self, mut request: Request<Incoming>) -> CallFuture<S, R> {
        request.extensions_mut().insert(self.connection.clone());
        let broken_host = match self.version {
            PerVersion::Http1 { .. } => check_host(&request),
            PerVersion::Http2(_) => None,
        };
        let (link, unread) = match &self.version {
            PerVersion::Http1 { unread, call_end } => {
                call_end.set(None);
                let active = ActiveCall::new(Arc::clone(&self.activity));
                (CallLink::Http1(call_end.clone(), active), Some(unread))
            }
            PerVersion::Http2(slot) => {
                let paces = self.activity.server.paces.as_ref();
                let procedure = paces.map(|paces| paces.procedure(request.uri().path()));
                (CallLink::Http2(slot.begin(procedure)), None)
            }
        };
        let reading = self.reading(&request);
        let request = RequestBody::wrap(request, unread, reading);
        CallFuture {
            state: Some(Box::pin(match broken_host {
                None => State::Waiting {
                    service: self.service.clone(),
                    request: Some(request),
                },
                Some(why) => State::Refused { why },
            })),
            activity: Arc::clone(&self.activity),
            link: Some(link),
        }
    }
}

/// One call: waits for the service to be ready, then for the response's head.
pub(super) struct CallFuture<S, R>
where
    S: HttpService,
{
    /// In a box: hyper has one future for the call and for its answer's body, and a stream that stays open would hold the room of
    /// both. None once there is an answer.
    state: Option<Pin<Box<State<S>>>>,
    activity: Arc<Activity<R>>,
    link: Option<CallLink<R>>,
}

pin_project! {
    #[project = StateProj]
    enum State<S>
    where
        S: HttpService,
    {
        Waiting { service: S, request: Option<Request<RequestBody>> },
        // Never reaches the service.
        Refused { why: &'static str },
        Running {
            #[pin]
            future: S::Future,
            // What the answer to a failure depends on. None for services that cannot fail.
            head: Option<Box<Parts>>,
        },
    }
}

impl<S: HttpService, R: Runtime> Future for CallFuture<S, R> {
    type Output = Result<Response<ResponseBody<S::Body, R>>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let Some(state) = &mut this.state else {
            return polled_again();
        };
        // A handler that panics must not take the other calls of its connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| state.as_mut().poll_call(cx)));
        let answer = match polled {
            Ok(polled) => Some(ready!(polled)),
            Err(_panic) => None,
        };
        let deadline = answer
            .as_ref()
            .and_then(|answer| answer.extensions().get::<Deadline>());
        let end = deadline.map(|deadline| this.activity.server.latest_end(deadline));
        let (progress, active) = match this.link.take() {
            Some(CallLink::Http1(call_end, active)) => {
                call_end.set(end);
                (None, Some(active))
            }
            Some(CallLink::Http2(progress)) => {
                progress.set_answered(end);
                (Some(progress), None)
            }
            None => (None, None),
        };
        let mut response = answer.unwrap_or_else(|| {
            let mut response = Response::new(AnswerBody::None);
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            response
        });
        if active.as_ref().is_some_and(ActiveCall::is_last) {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        let response = response.map(|body| ResponseBody {
            body,
            pieces: Pieces::default(),
            progress,
            _active: active,
        });
        this.state = None;
        Poll::Ready(Ok(response))
    }
}

impl<S: HttpService> State<S> {
    fn poll_call(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Response<AnswerBody<S::Body>>> {
        loop {
            let running = match self.as_mut().project() {
                StateProj::Waiting { service, request } => {
                    let is_ready = ready!(service.poll_ready(cx));
                    let Some(request) = request.take() else {
                        return polled_again();
                    };
                    if let Err(error) = is_ready {
                        let (head, _) = request.into_parts();
                        return Poll::Ready(failed(&head, error.into()));
                    }
                    Self::Running {
                        head: can_fail::<S::Error>().then(|| Box::new(copy_head(&request))),
                        future: service.call(request),
                    }
                }
                StateProj::Running { future, head } => {
                    return Poll::Ready(match (ready!(future.poll(cx)), head) {
                        (Ok(response), _) => response.map(|body| AnswerBody::Service { body }),
                        (Err(error), Some(head)) => failed(head, error.into()),
                        // A service that cannot fail.
                        (Err(_), None) => return polled_again(),
                    });
                }
                StateProj::Refused { why } => return Poll::Ready(bad_request(why)),
            };
            self.set(running);
        }
    }
}

/// What is wrong with the `host` of an HTTP/1 request, which says what server the client means (RFC 9112, section 3.2). Only
/// HTTP/1.0 may do without.
fn check_host<B>(request: &Request<B>) -> Option<&'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(_), None) => None,
        (None, _) if request.version() < Version::HTTP_11 => None,
        (None, _) => Some("a request of HTTP/1.1 needs a host header"),
        (Some(_), Some(_)) => Some("a request has one host header, this one has several"),
    }
}

/// In plain HTTP, whatever the protocol: the request does not even reach one.
fn bad_request<B>(why: &'static str) -> Response<AnswerBody<B>> {
    let body = CallBody::from(Bytes::from(format!("{why}\n")));
    let mut response = Response::new(AnswerBody::Error { body });
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let text = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Whether a service with such errors can fail. The head of a call is copied only for one that can.
fn can_fail<E: 'static>() -> bool {
    TypeId::of::<E>() != TypeId::of::<Infallible>()
}

/// What tells the protocol of a call.
fn copy_head(request: &Request<RequestBody>) -> Parts {
    let (mut head, ()) = Request::new(()).into_parts();
    head.method = request.method().clone();
    head.uri = request.uri().clone();
    head.version = request.version();
    head.headers = request.headers().clone();
    head
}

/// The answer of a service that failed.
fn failed<B>(head: &Parts, error: BoxError) -> Response<AnswerBody<B>> {
    let found = reset::find::<Error>(&*error).cloned();
    let error = found.unwrap_or_else(|| Error::internal("the service failed").with_source(error));
    error_response(head, &error).map(|body| AnswerBody::Error { body })
}

/// hyper does not poll a future after its end.
fn polled_again<T>() -> Poll<T> {
    debug_assert!(false, "a call is not polled after its answer");
    Poll::Pending
}

pin_project! {
    /// What a call is answered with.
    #[derive(Debug)]
    #[project = AnswerBodyProj]
    enum AnswerBody<B> {
        Service { #[pin] body: B },
        // The service failed, or was not asked.
        Error { body: CallBody },
        // The service panicked.
        None,
    }
}

impl<B> Body for AnswerBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match self.project() {
            AnswerBodyProj::Service { body } => body
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(Into::into))),
            AnswerBodyProj::Error { body } => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(Into::into))),
            AnswerBodyProj::None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service { body } => body.is_end_stream(),
            Self::Error { body } => body.is_end_stream(),
            Self::None => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Service { body } => body.size_hint(),
            Self::Error { body } => body.size_hint(),
            Self::None => SizeHint::with_exact(0),
        }
    }
}

pin_project! {
    /// The body of a response, whose errors reset the HTTP/2 stream with the right code.
    #[derive(Debug)]
    pub(super) struct ResponseBody<B, R> {
        #[pin]
        body: AnswerBody<B>,
        pieces: Pieces,
        // On HTTP/2.
        progress: Option<Arc<AnswerProgress>>,
        // On HTTP/1.1: the call lasts until its body is sent.
        _active: Option<ActiveCall<R>>,
    }
}

impl<B, R> Body for ResponseBody<B, R>
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
        let body = this.body.as_mut();
        let Ok(polled) = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx))) else {
            this.body.set(AnswerBody::None);
            return Poll::Ready(Some(Err(reset::reset(Reason::INTERNAL_ERROR))));
        };
        let Some(progress) = this.progress else {
            return polled.map(|frame| frame.map(|r| r.map_err(reset::outgoing)));
        };
        progress.set_body(match polled {
            Poll::Ready(_) => BodyPoll::Ready,
            Poll::Pending => BodyPoll::Pending,
        });
        polled.map(|frame| {
            frame.map(|result| match result {
                Ok(frame) => Ok(this.pieces.cut(frame)),
                Err(error) => Err(reset::outgoing(error)),
            })
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.add_to(self.body.size_hint())
    }
}
