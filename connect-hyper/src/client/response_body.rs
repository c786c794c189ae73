//! The body of a channel's response.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_tower::transport::BodyError;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::request_body::{CallLink, GivenUp};
use crate::reset;

/// An HTTP/1.1 connection that a response still uses. Dropped, it is closed.
pub(super) trait Reusable: Send {
    /// Request and response are complete: other calls may use the connection.
    fn reuse(self: Box<Self>);
}

/// The body of a channel's response. Dropped before its end it cancels the call.
pub struct ChannelBody {
    /// None once it has ended: what is left of the request is reset when nobody holds the stream any more.
    incoming: Option<Incoming>,
    link: Arc<CallLink>,
    connection: Option<Box<dyn Reusable>>,
}

impl ChannelBody {
    pub(super) fn new(
        incoming: Incoming,
        link: Arc<CallLink>,
        connection: Option<Box<dyn Reusable>>,
    ) -> Self {
        let ended = incoming.is_end_stream();
        let mut body = Self {
            incoming: Some(incoming),
            link,
            connection,
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
        self.link.give_up(GivenUp::Answered);
        // Otherwise the connection is still sending what nobody wants; dropped, it closes.
        if let Some(connection) = self.connection.take().filter(|_| sent) {
            connection.reuse();
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
                self.link.give_up(GivenUp::Cancelled);
                self.connection = None;
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
            self.link.give_up(GivenUp::Cancelled);
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
