//! The bodies of a call, and the link that lets one end with the other.
//!
//! hyper sends a request's body on its own; a dropped response alone would not stop it. So a response that is
//! dropped, or that is complete while the request is not, makes the request's body fail, and with it the
//! stream (HTTP/2) or the connection (HTTP/1.1).
//!
//! A body that waits for the server's window is asked for nothing. Then hyper's future that sends it is dropped
//! instead, and HTTP/2 resets a stream whose sender is dropped: see [`PipeExecutor`].

use std::{
    cell::Cell,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
};

use atomic_waker::AtomicWaker;
use bytes::Bytes;
use connect_tower::{CallBody, transport::BodyError};
use h2::Reason;
use http_body::{Body, Frame, SizeHint};
use hyper::{body::Incoming, rt::Executor};
use pin_project_lite::pin_project;

use super::pool::Lease;
use crate::{
    calls::CallExecutor,
    pieces::Pieces,
    reset::{self, BoxError},
    runtime::Runtime,
};

/// The state of a call's request, seen from both its bodies.
#[derive(Debug, Default)]
pub(super) struct CallLink {
    state: AtomicU8,
    /// Woken when the request is given up: whoever polls the body, and hyper's future that sends it.
    sender: AtomicWaker,
    pipe: AtomicWaker,
}

/// The request is on its way.
const OPEN: u8 = 0;
/// hyper has all of the request. On HTTP/2 it may still wait for the server's window.
const SENT: u8 = 1;
/// The response is complete: the rest of the request is not wanted.
const ANSWERED: u8 = 2;
/// The response was dropped.
const CANCELLED: u8 = 3;

impl CallLink {
    fn is_sent(&self) -> bool {
        self.state.load(Ordering::SeqCst) == SENT
    }

    fn set_sent(&self) {
        let _ = self
            .state
            .compare_exchange(OPEN, SENT, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// Ends what is left of the request.
    fn give_up(&self, why: u8) {
        let given_up = self
            .state
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |state| {
                (state <= SENT).then_some(why)
            });
        if given_up.is_ok() {
            self.sender.wake();
            self.pipe.wake();
        }
    }

    /// The reset that ends the request.
    fn given_up(&self) -> Option<Reason> {
        match self.state.load(Ordering::SeqCst) {
            // gRPC, PROTOCOL-HTTP2 "Early Server Closure": RST_STREAM with NO_ERROR.
            ANSWERED => Some(Reason::NO_ERROR),
            CANCELLED => Some(Reason::CANCEL),
            _ => None,
        }
    }
}

/// A request's body as hyper sends it.
pub(super) struct RequestBody {
    body: CallBody,
    pieces: Pieces,
    link: Arc<CallLink>,
    polled: Option<Polled>,
    http2: bool,
}

impl RequestBody {
    pub(super) fn http1(body: CallBody, link: Arc<CallLink>) -> Self {
        Self::new(body, link, false)
    }

    pub(super) fn http2(body: CallBody, link: Arc<CallLink>) -> Self {
        Self::new(body, link, true)
    }

    fn new(body: CallBody, link: Arc<CallLink>, http2: bool) -> Self {
        if body.is_end_stream() {
            link.set_sent();
        }
        Self {
            body,
            pieces: Pieces::default(),
            link,
            polled: None,
            http2,
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(piece) = self.pieces.take() {
            if self.is_end_stream() {
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
                let http2 = self.http2;
                let frame = frame.map(|r| r.map(|f| if http2 { self.pieces.cut(f) } else { f }));
                let last = match &frame {
                    None => true,
                    Some(Ok(frame)) => frame.is_trailers() || self.is_end_stream(),
                    Some(Err(_)) => false,
                };
                if last {
                    self.link.set_sent();
                }
                Poll::Ready(frame.map(|frame| frame.map_err(|e| reset::outgoing(e.into()))))
            }
            Poll::Pending => {
                self.link.sender.register(cx.waker());
                // It may have been given up before the waker was there.
                match self.link.given_up() {
                    Some(reason) => Poll::Ready(Some(Err(reset::reset(reason)))),
                    None => Poll::Pending,
                }
            }
        }
    }

    /// The body again, if hyper gave it back unsent.
    pub(super) fn into_inner(self) -> CallBody {
        self.body
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
        // Not there while a user's stream is polled, which may drive other connections.
        let mut announced = POLLED.take();
        if self.http2 && self.polled.is_none() {
            self.polled = Some(Polled);
            announced = Some(Arc::clone(&self.link));
        }
        let polled = self.poll_body(cx);
        POLLED.set(announced);
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.pieces.add_to(self.body.size_hint())
    }
}

thread_local! {
    /// The link of the request whose body was polled first on this thread, until the body is dropped or handed to a
    /// [`PipeExecutor`]. hyper does one or the other right after that poll.
    static POLLED: Cell<Option<Arc<CallLink>>> = const { Cell::new(None) };
}

/// Forgets on drop what was announced.
struct Polled;

impl Drop for Polled {
    fn drop(&mut self) {
        // At the end of a thread there is nothing to forget.
        let _ = POLLED.try_with(Cell::take);
    }
}

/// The executor of an HTTP/2 connection. It ends the futures that send a request's body when the request is given up.
///
/// hyper polls a body once on its own; if that did not send it all, its future is executed next.
#[derive(Clone, Debug)]
pub(super) struct PipeExecutor<R>(pub(super) CallExecutor<R>);

impl<R, F> Executor<F> for PipeExecutor<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, future: F) {
        match POLLED.take() {
            Some(link) => self.0.execute(Pipe { future, link }),
            None => self.0.execute(future),
        }
    }
}

pin_project! {
    struct Pipe<F> {
        #[pin]
        future: F,
        link: Arc<CallLink>,
    }
}

impl<F: Future<Output = ()>> Future for Pipe<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        // Before the future, which resets the stream with the better code if it comes to ask the body.
        this.link.pipe.register(cx.waker());
        let polled = this.future.poll(cx);
        if polled.is_ready() {
            // The response must not wake what is over.
            this.link.pipe.take();
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

/// The body of a channel's response. Dropped before its end it cancels the call.
pub struct ChannelBody {
    /// None once it has ended: what is left of the request is reset when nobody holds the stream any more.
    incoming: Option<Incoming>,
    link: Arc<CallLink>,
    lease: Option<Box<dyn Lease>>,
}

impl ChannelBody {
    pub(super) fn new(
        incoming: Incoming,
        link: Arc<CallLink>,
        lease: Option<Box<dyn Lease>>,
    ) -> Self {
        let ended = incoming.is_end_stream();
        let mut body = Self {
            incoming: Some(incoming),
            link,
            lease,
        };
        if ended {
            body.end();
        }
        body
    }

    /// The response is complete.
    fn end(&mut self) {
        self.incoming = None;
        let sent = self.link.is_sent();
        self.link.give_up(ANSWERED);
        // Else the connection is still sending what nobody wants, and closes when the lease is dropped.
        if let Some(lease) = self.lease.take().filter(|_| sent) {
            lease.give_back();
        }
    }
}

impl Body for ChannelBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(incoming) = &mut self.incoming else {
            return Poll::Ready(None);
        };
        match ready!(Pin::new(&mut *incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if frame.is_trailers() || incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.incoming = None;
                self.link.give_up(CANCELLED);
                self.lease = None;
                Poll::Ready(Some(Err(reset::incoming_body(error))))
            }
            None => {
                self.end();
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for ChannelBody {
    fn drop(&mut self) {
        if self.incoming.is_some() {
            self.link.give_up(CANCELLED);
        }
    }
}

impl fmt::Debug for ChannelBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBody")
            .field("incoming", &self.incoming)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::pending, task::Waker};

    use super::*;
    use crate::{calls::Calls, test_runtime::NoRuntime};

    /// A stream of requests that drives another connection itself.
    struct Driving(PipeExecutor<NoRuntime>);

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
        let driving = Driving(PipeExecutor(other.executor()));
        let mut body = RequestBody::http2(CallBody::foreign(driving), Arc::clone(&link));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(Pin::new(&mut body).poll_frame(&mut cx).is_pending());
        PipeExecutor::<NoRuntime>(own.executor()).execute(pending());
        link.give_up(CANCELLED);
        assert!(own.poll_rest(&cx).is_ready());
        assert!(other.poll_rest(&cx).is_pending());
    }
}
