//! What a request's body is.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::messages::{PIECE, SMALL};

/// A request's body.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// Bytes that are there; none when they are sent.
    Whole(Bytes),
    /// So many more pieces of small messages.
    Pieces(usize),
    /// A small message whenever one is asked for.
    Fed(UnboundedReceiver<()>),
}

/// Sends messages of [`Outgoing::Fed`]; the body ends when this is dropped.
#[derive(Debug)]
pub(super) struct Feed(UnboundedSender<()>);

impl Feed {
    pub(super) fn send(&self) {
        // A call that is over says why elsewhere.
        let _ = self.0.send(());
    }
}

impl Outgoing {
    pub(super) fn whole(bytes: &Bytes) -> Self {
        Self::Whole(bytes.clone())
    }

    pub(super) fn fed() -> (Self, Feed) {
        let (feed, fed) = unbounded_channel();
        (Self::Fed(fed), Feed(feed))
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let data = match &mut *self {
            Self::Whole(bytes) => Some(std::mem::take(bytes)).filter(|bytes| !bytes.is_empty()),
            Self::Pieces(0) => None,
            Self::Pieces(left) => {
                *left -= 1;
                Some(PIECE.clone())
            }
            Self::Fed(fed) => ready!(fed.poll_recv(cx)).map(|()| SMALL.clone()),
        };
        Poll::Ready(data.map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_empty(),
            Self::Pieces(left) => *left == 0,
            Self::Fed(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Pieces(_) | Self::Fed(_) => SizeHint::default(),
        }
    }
}
