//! The bodies of a call, and the link that lets one end with the other.
//!
//! hyper sends a request's body on its own; a dropped response alone would not stop it. So a response that is
//! dropped, or that is complete while the request is not, makes the request's body fail, and with it the
//! stream (HTTP/2) or the connection (HTTP/1.1).

use std::{
    fmt,
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
use hyper::body::Incoming;

use super::pool::Lease;
use crate::reset::{self, BoxError};

/// The state of a call's request, seen from both its bodies.
#[derive(Debug, Default)]
pub(super) struct CallLink {
    state: AtomicU8,
    sender: AtomicWaker,
}

/// The request is on its way.
const OPEN: u8 = 0;
/// The request is complete.
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
        self.leave_open(SENT);
    }

    /// Ends the request, unless it is complete.
    fn give_up(&self, why: u8) {
        if self.leave_open(why) {
            self.sender.wake();
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

    fn leave_open(&self, to: u8) -> bool {
        self.state
            .compare_exchange(OPEN, to, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }
}

/// A request's body as hyper sends it.
pub(super) struct RequestBody {
    body: CallBody,
    link: Arc<CallLink>,
}

impl RequestBody {
    pub(super) fn new(body: CallBody, link: Arc<CallLink>) -> Self {
        if body.is_end_stream() {
            link.set_sent();
        }
        Self { body, link }
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
        let body = Pin::new(&mut self.body);
        // A user's stream that panics must not take the other calls of its connection with it.
        let polled = catch_unwind(AssertUnwindSafe(|| body.poll_frame(cx)))
            .unwrap_or_else(|_panic| Poll::Ready(Some(Err(panicked()))));
        match polled {
            Poll::Ready(frame) => {
                let last = match &frame {
                    None => true,
                    Some(Ok(frame)) => frame.is_trailers() || self.body.is_end_stream(),
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

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn panicked() -> connect_proto::Error {
    connect_proto::Error::internal("the stream of requests panicked")
}

/// The body of a channel's response. Dropped before its end it cancels the call.
pub struct ChannelBody {
    incoming: Incoming,
    link: Arc<CallLink>,
    lease: Option<Box<dyn Lease>>,
    ended: bool,
}

impl ChannelBody {
    pub(super) fn new(
        incoming: Incoming,
        link: Arc<CallLink>,
        lease: Option<Box<dyn Lease>>,
    ) -> Self {
        let mut body = Self {
            incoming,
            link,
            lease,
            ended: false,
        };
        if body.incoming.is_end_stream() {
            body.end();
        }
        body
    }

    /// The response is complete.
    fn end(&mut self) {
        self.ended = true;
        self.link.give_up(ANSWERED);
        // Else the connection is still sending what nobody wants, and closes when the lease is dropped.
        if let Some(lease) = self.lease.take().filter(|_| self.link.is_sent()) {
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
        if self.ended {
            return Poll::Ready(None);
        }
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                if frame.is_trailers() || self.incoming.is_end_stream() {
                    self.end();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.ended = true;
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
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

impl Drop for ChannelBody {
    fn drop(&mut self) {
        if !self.ended {
            self.link.give_up(CANCELLED);
        }
    }
}

impl fmt::Debug for ChannelBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBody")
            .field("incoming", &self.incoming)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}
