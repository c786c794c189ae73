//! The body of a request, and the link that lets a request end with its response.
//!
//! hyper sends a request's body on its own; a dropped response alone would not stop it. So a response that is
//! dropped, or that is complete while the request is not, makes the request's body fail, and with it the
//! stream (HTTP/2) or the connection (HTTP/1.1).
//!
//! A body that waits for the server's window is not polled. Then the future of hyper's that sends it is dropped
//! instead, and HTTP/2 resets a stream whose sender is dropped: see [`RequestExecutor`].

use std::{
    cell::Cell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use connect_tower::CallBody;
use h2::Reason;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use pin_project_lite::pin_project;

use super::{
    large_trailers::{LargeTrailers, LiveStream},
    sent_streams::SentStreams,
};
use crate::{
    calls::CallExecutor,
    pieces::Pieces,
    reset::{self, BoxError},
};

/// The state of a call's request, seen from both its bodies.
#[derive(Debug, Default)]
pub(super) struct CallLink {
    /// A [`RequestState`].
    state: AtomicU8,
    /// Both are woken when the request is given up: who polls the body, and the future of hyper's that sends it.
    body_waker: AtomicWaker,
    sender_waker: AtomicWaker,
    /// On HTTP/2, once the request has begun.
    stream: OnceLock<LiveStream>,
}

/// What became of a request. Only the first two change any more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum RequestState {
    /// It is on its way.
    Open,
    /// hyper has all of it, though on HTTP/2 it may still wait for the server's window.
    Sent,
    /// It was given up: the response is complete.
    Answered,
    /// It was given up: the response was dropped.
    Cancelled,
    /// Its connection ended before it left.
    Unsent,
    /// Its connection ended when it had just left.
    Lost,
}

impl RequestState {
    /// In the order of their numbers.
    const ALL: [Self; 6] = [
        Self::Open,
        Self::Sent,
        Self::Answered,
        Self::Cancelled,
        Self::Unsent,
        Self::Lost,
    ];

    /// The reset that ends a request which was given up.
    fn reset(self) -> Option<Reason> {
        match self {
            // gRPC, PROTOCOL-HTTP2 "Early Server Closure": RST_STREAM with NO_ERROR.
            Self::Answered => Some(Reason::NO_ERROR),
            Self::Cancelled => Some(Reason::CANCEL),
            Self::Open | Self::Sent | Self::Unsent | Self::Lost => None,
        }
    }
}

impl CallLink {
    pub(super) fn state(&self) -> RequestState {
        RequestState::ALL[usize::from(self.state.load(Ordering::SeqCst))]
    }

    /// Changes the state, if it is one of these. Whether it was.
    fn change(&self, from: &[RequestState], to: RequestState) -> bool {
        from.iter().any(|from| {
            let (from, to) = (*from as u8, to as u8);
            let changed = self
                .state
                .compare_exchange(from, to, Ordering::SeqCst, Ordering::SeqCst);
            changed.is_ok()
        })
    }

    /// Its HTTP/2 stream, once the request has begun.
    pub(super) fn stream(&self) -> Option<&LiveStream> {
        self.stream.get()
    }

    pub(super) fn is_sent(&self) -> bool {
        self.state() == RequestState::Sent
    }

    fn set_sent(&self) {
        self.change(&[RequestState::Open], RequestState::Sent);
    }

    /// Ends what is left of the request, which is answered or cancelled.
    pub(super) fn give_up(&self, why: GivenUp) {
        let state = match why {
            GivenUp::Answered => RequestState::Answered,
            GivenUp::Cancelled => RequestState::Cancelled,
        };
        if self.change(&[RequestState::Open, RequestState::Sent], state) {
            self.body_waker.wake();
            self.sender_waker.wake();
        }
    }

    /// The reset that ends the request.
    fn given_up(&self) -> Option<Reason> {
        self.state().reset()
    }
}

/// Why the rest of a request is not wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum GivenUp {
    /// The response is complete.
    Answered,
    /// The response was dropped.
    Cancelled,
}

/// A request's body as hyper sends it.
pub(super) struct RequestBody {
    body: CallBody,
    pieces: Pieces,
    link: Arc<CallLink>,
    /// The connection's; none on HTTP/1.1.
    latest: Option<LatestRequest>,
    is_announced: Cell<bool>,
}

impl RequestBody {
    pub(super) fn http1(body: CallBody, link: Arc<CallLink>) -> Self {
        Self::new(body, link, None)
    }

    pub(super) fn http2(body: CallBody, link: Arc<CallLink>, latest: LatestRequest) -> Self {
        Self::new(body, link, Some(latest))
    }

    fn new(body: CallBody, link: Arc<CallLink>, latest: Option<LatestRequest>) -> Self {
        if body.is_end_stream() {
            link.set_sent();
        }
        Self {
            body,
            pieces: Pieces::default(),
            link,
            latest,
            is_announced: Cell::new(false),
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(piece) = self.pieces.take() {
            if self.has_ended() {
                self.link.set_sent();
            }
            return Poll::Ready(Some(Ok(piece)));
        }
        let body = Pin::new(&mut self.body);
        // A user's stream that panics must not take the other calls of its connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx)))
            .unwrap_or_else(|_panic| Poll::Ready(Some(Err(panicked()))));
        match polled {
            Poll::Ready(frame) => {
                let frame = match self.latest {
                    Some(_) => frame.map(|frame| frame.map(|frame| self.pieces.cut(frame))),
                    None => frame,
                };
                let last = match &frame {
                    None => true,
                    Some(Ok(frame)) => frame.is_trailers() || self.has_ended(),
                    Some(Err(_)) => false,
                };
                if last {
                    self.link.set_sent();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|e| reset::outgoing(e.into()))))
            }
            Poll::Pending => {
                self.link.body_waker.register(cx.waker());
                // It may have been given up before the waker was there.
                match self.link.given_up() {
                    Some(reason) => Poll::Ready(Some(Err(reset::reset(reason)))),
                    None => Poll::Pending,
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.pieces.is_empty() && self.body.is_end_stream()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(reason) = self.link.given_up() {
            return Poll::Ready(Some(Err(reset::reset(reason))));
        }
        self.poll_body(cx)
    }

    /// hyper asks before it sends the head, which says so.
    fn is_end_stream(&self) -> bool {
        let has_ended = self.has_ended();
        if let Some(latest) = &self.latest {
            if !self.is_announced.replace(true) {
                latest.set(&self.link, !has_ended);
            }
        }
        has_ended
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.add_to(self.body.size_hint())
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(latest) = self.latest.as_ref().filter(|_| self.is_announced.get()) {
            latest.clear(&self.link);
        }
    }
}

/// The request that an HTTP/2 connection began last, if its body is not all sent.
///
/// hyper begins one request after the other. It asks whether there is a body, sends the head, and then executes a future
/// for what it could not send at once of the body, or else one that waits for the response. The request's body says here
/// whose that future is. Between head and future hyper waits while the server allows no more streams.
#[derive(Clone, Debug, Default)]
pub(super) struct LatestRequest(Arc<Latests>);

#[derive(Debug, Default)]
struct Latests {
    state: Mutex<Requests>,
    sent: SentStreams,
    trailers: LargeTrailers,
}

#[derive(Debug, Default)]
struct Requests {
    /// How many were begun.
    begun: u32,
    latest: Option<Latest>,
}

#[derive(Debug)]
struct Latest {
    link: Arc<CallLink>,
    has_body: bool,
    stream: u32,
}

impl LatestRequest {
    /// Of a connection that opens these streams, and looks for these trailers.
    pub(super) fn new(sent: SentStreams, trailers: LargeTrailers) -> Self {
        Self(Arc::new(Latests {
            state: Mutex::default(),
            sent,
            trailers,
        }))
    }

    fn set(&self, link: &Arc<CallLink>, has_body: bool) {
        let mut requests = self.lock();
        // RFC 9113, section 5.1.1: a client's streams are 1, 3, 5 and so on.
        let stream = requests.begun.saturating_mul(2).saturating_add(1);
        requests.begun = requests.begun.saturating_add(1);
        let _ = link.stream.set(self.0.trailers.open(stream));
        requests.latest = Some(Latest {
            link: Arc::clone(link),
            has_body,
            stream,
        });
    }

    fn take(&self) -> Option<Latest> {
        self.lock().latest.take()
    }

    /// The body of this request is dropped: no future sends it.
    fn clear(&self, link: &Arc<CallLink>) {
        self.lock()
            .latest
            .take_if(|latest| Arc::ptr_eq(&latest.link, link));
    }

    /// The connection takes no more requests: one that still waits for its stream does not leave any more, or just has.
    pub(super) fn end(&self) {
        if let Some(Latest { link, stream, .. }) = self.take() {
            let state = match self.0.sent.withhold(stream) {
                true => RequestState::Unsent,
                false => RequestState::Lost,
            };
            link.change(&[RequestState::Open, RequestState::Sent], state);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Requests> {
        // Nothing that can panic runs under the lock.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The executor of an HTTP/2 connection. It ends the futures that send a request's body when the request is given up.
#[derive(Clone, Debug)]
pub(super) struct RequestExecutor {
    calls: CallExecutor,
    latest: LatestRequest,
}

impl RequestExecutor {
    pub(super) fn new(calls: CallExecutor, latest: LatestRequest) -> Self {
        Self { calls, latest }
    }
}

impl<F> Executor<F> for RequestExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        match self.latest.take() {
            Some(Latest {
                link,
                has_body: true,
                ..
            }) => self.calls.execute(BodySender { future, link }),
            Some(_) | None => self.calls.execute(future),
        }
    }
}

pin_project! {
    /// Sends a request's body until the request is given up.
    struct BodySender<F> {
        #[pin]
        future: F,
        link: Arc<CallLink>,
    }
}

impl<F: Future<Output = ()>> Future for BodySender<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Before the future, which resets the stream with the better code if it comes to ask the body.
        this.link.sender_waker.register(cx.waker());
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            // The response must not wake what is over.
            this.link.sender_waker.take();
        }
        match this.link.given_up() {
            Some(_) => Poll::Ready(()),
            None => polled,
        }
    }
}

fn panicked() -> connect_proto::Error {
    connect_proto::Error::internal("the stream of requests panicked")
}

#[cfg(test)]
mod tests {
    use std::{future::pending, task::Waker};

    use super::*;
    use crate::calls::Calls;

    /// A stream of requests that drives another connection itself.
    struct Driving(RequestExecutor);

    impl Body for Driving {
        type Data = Bytes;
        type Error = BoxError;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            self.0.execute(pending());
            Poll::Pending
        }
    }

    #[test]
    fn a_request_ends_its_own_future_and_no_other() {
        let (mut own, mut other) = (Calls::new(), Calls::new());
        let link = Arc::new(CallLink::default());
        let latest = LatestRequest::default();
        let executor = RequestExecutor::new(own.executor(), latest.clone());
        let driving = Driving(RequestExecutor::new(
            other.executor(),
            LatestRequest::default(),
        ));
        let body = CallBody::foreign(driving);
        let mut body = RequestBody::http2(body, Arc::clone(&link), latest);
        assert!(!body.is_end_stream());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        executor.execute(pending());
        link.give_up(GivenUp::Cancelled);
        assert!(own.poll_rest(&cx).is_ready());
        assert!(other.poll_rest(&cx).is_pending());
    }

    #[test]
    fn a_request_that_waits_for_its_stream_is_unsent_when_the_connection_ends() {
        for body in ["", "x"] {
            for has_stream in [false, true] {
                let calls = Calls::new();
                let link = Arc::new(CallLink::default());
                let latest = LatestRequest::default();
                let executor = RequestExecutor::new(calls.executor(), latest.clone());
                let body = CallBody::full(body);
                let body = RequestBody::http2(body, Arc::clone(&link), latest.clone());
                assert_eq!(body.is_end_stream(), body.has_ended());
                if has_stream {
                    executor.execute(pending());
                }
                latest.end();
                assert_eq!(link.state() == RequestState::Unsent, !has_stream);
            }
        }
    }

    /// The window may have no room for the body before the future is executed; then hyper has not asked for a frame.
    #[test]
    fn a_request_whose_body_was_not_polled_ends_its_future_and_not_the_next_ones() {
        let mut calls = Calls::new();
        let latest = LatestRequest::default();
        let executor = RequestExecutor::new(calls.executor(), latest.clone());
        let links = [(); 2].map(|()| Arc::new(CallLink::default()));
        let bodies = links.each_ref().map(|link| {
            let body = RequestBody::http2(CallBody::full("x"), Arc::clone(link), latest.clone());
            assert!(!body.is_end_stream());
            executor.execute(pending());
            body
        });
        links[0].give_up(GivenUp::Cancelled);
        let cx = Context::from_waker(Waker::noop());
        assert!(calls.poll_rest(&cx).is_pending());
        links[1].give_up(GivenUp::Cancelled);
        assert!(calls.poll_rest(&cx).is_ready());
        drop(bodies);
    }

    #[test]
    fn a_body_that_was_sent_at_once_leaves_the_next_future_alone() {
        let mut calls = Calls::new();
        let latest = LatestRequest::default();
        let executor = RequestExecutor::new(calls.executor(), latest.clone());
        let link = Arc::new(CallLink::default());
        let body = RequestBody::http2(CallBody::full("x"), Arc::clone(&link), latest);
        assert!(!body.is_end_stream());
        drop(body);
        executor.execute(pending());
        link.give_up(GivenUp::Cancelled);
        let cx = Context::from_waker(Waker::noop());
        assert!(calls.poll_rest(&cx).is_pending());
    }
}
