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

use super::{
    endpoint::Lease,
    request_body::{CallLink, GivenUp},
};
use crate::reset;

/// The body of a channel's response. Dropped before its end it cancels the call.
pub struct ChannelBody {
    /// None once it has ended: what is left of the request is reset when nobody holds the stream any more.
    incoming: Option<Incoming>,
    link: Arc<CallLink>,
    /// None once it has ended: others may use the connection.
    lease: Option<Lease>,
}

impl ChannelBody {
    pub(super) fn new(incoming: Incoming, link: Arc<CallLink>, lease: Lease) -> Self {
        let ended = incoming.is_end_stream();
        let mut body = Self {
            incoming: Some(incoming),
            link,
            lease: Some(lease),
        };
        if ended {
            body.end();
        }
        body
    }

    /// Trailers are an error if they are too large, as then some may be missing.
    fn check_trailers(&self, frame: Frame<Bytes>) -> Result<Frame<Bytes>, BodyError> {
        let (Some(stream), Some(trailers)) = (self.link.stream(), frame.trailers_ref()) else {
            return Ok(frame);
        };
        let Some(max) = stream.exceeded(trailers) else {
            return Ok(frame);
        };
        let kept = frame.into_trailers().unwrap_or_default();
        Err(BodyError::trailers_too_large(kept, max))
    }

    /// The response is complete.
    fn end(&mut self) {
        self.incoming = None;
        let sent = self.link.is_sent();
        self.link.give_up(GivenUp::Answered);
        if let (Some(Lease::Http1(lease)), true) = (&mut self.lease, sent) {
            lease.set_complete();
        }
        // An HTTP/1.1 connection that is still sending what nobody wants is closed.
        self.lease = None;
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
                let is_over = frame.is_trailers() || incoming.is_end_stream();
                let frame = self.check_trailers(frame);
                if is_over {
                    self.end();
                }
                Poll::Ready(Some(frame))
            }
            Some(Err(error)) => {
                self.incoming = None;
                self.link.give_up(GivenUp::Cancelled);
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
