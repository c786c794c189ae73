//! A body without envelopes: the one message of a Connect unary call, or what stands in its place when it failed.

use std::mem;

use bytes::Bytes;
use http::HeaderMap;

use super::{
    EndOfBody,
    not_rpc::{QUOTED_BYTES, quote_body},
    params::RecvParams,
};
use crate::{
    Error, MessageSize,
    chunks::{ChunkBuffer, Size},
    protocol::connect,
};

/// A body of bounded size that is gathered whole.
#[derive(Debug)]
pub(super) struct Bare {
    chunks: ChunkBuffer,
    content: Content,
    /// The body's `content-length`.
    announced: Option<usize>,
    /// What the message had on the wire, once it is whole.
    wire_bytes: usize,
    is_compressed: bool,
}

/// What the body is.
#[derive(Debug)]
enum Content {
    /// The message. The trailers came with the head.
    Message { trailers: HeaderMap },
    /// Connect's error in JSON. The trailers came with the head.
    Error {
        /// What the HTTP status says.
        fallback: Error,
        trailers: HeaderMap,
    },
    /// Text of a response that is not an RPC response: as much as the error shows, and one byte more.
    NotRpc { error: Error },
}

/// What follows from bytes that were pushed.
pub(super) enum Pushed {
    /// The body goes on.
    More,
    /// Enough was read: the rest of the body does not matter.
    Enough,
    /// The body is too large.
    Failed(Error),
}

impl Bare {
    /// Connect, "Unary-Request", "Unary-Response": the body is the message.
    pub(super) fn message(trailers: HeaderMap, announced: Option<usize>) -> Self {
        Self {
            announced,
            ..Self::new(Content::Message { trailers })
        }
    }

    /// Connect, "Unary-Response": the body is the error.
    pub(super) fn error(fallback: Error, trailers: HeaderMap) -> Self {
        Self::new(Content::Error { fallback, trailers })
    }

    /// A body of text that is only shown.
    pub(super) fn not_rpc(error: Error) -> Self {
        Self::new(Content::NotRpc { error })
    }

    fn new(content: Content) -> Self {
        Self {
            chunks: ChunkBuffer::default(),
            content,
            announced: None,
            wire_bytes: 0,
            is_compressed: false,
        }
    }

    /// Whether the call has failed in any case, and the body is only read to be shown.
    pub(super) fn is_not_rpc(&self) -> bool {
        matches!(self.content, Content::NotRpc { .. })
    }

    /// The size of the message, of which the codec makes this much.
    pub(super) fn message_size(&self, encoded: usize) -> MessageSize {
        MessageSize::new(encoded, self.wire_bytes, self.is_compressed)
    }

    /// Bytes that are held.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.chunks.len()
    }

    pub(super) fn push(&mut self, mut data: Bytes, params: &RecvParams) -> Pushed {
        let claimed = self.announced;
        let at_most = |max| Size { claimed, max };
        match &mut self.content {
            Content::Message { .. } => {
                let max = params.wire_limit(params.encoding.is_some());
                if self.chunks.push(data, at_most(max)) {
                    return Pushed::More;
                }
                Pushed::Failed(params.too_large("a message"))
            }
            Content::Error { fallback, trailers } => {
                if self
                    .chunks
                    .push(data, at_most(params.limits.trailer_bytes()))
                {
                    return Pushed::More;
                }
                let trailers = mem::take(trailers);
                Pushed::Failed(params.with_peer_metadata(fallback.clone(), trailers))
            }
            Content::NotRpc { .. } => {
                let room = QUOTED_BYTES + 1 - self.chunks.len();
                data.truncate(room);
                self.chunks.push(data, at_most(QUOTED_BYTES + 1));
                match self.chunks.len() > QUOTED_BYTES {
                    true => Pushed::Enough,
                    false => Pushed::More,
                }
            }
        }
    }

    /// The message and the trailers, or the call's error.
    pub(super) fn finish(
        &mut self,
        end: EndOfBody,
        params: &RecvParams,
    ) -> Result<(Bytes, HeaderMap), Error> {
        let payload = self.chunks.take();
        self.wire_bytes = payload.len();
        self.is_compressed = params.encoding.is_some() && !payload.is_empty();
        match &mut self.content {
            Content::Message { trailers } => match end {
                EndOfBody::Reset(reset) => Err(reset.to_error(params.side)),
                EndOfBody::Malformed(error) => Err(error),
                EndOfBody::Clean | EndOfBody::Trailers(_) => {
                    if params.encoding.is_none()
                        && payload.len() > params.limits.recv_message_bytes()
                    {
                        return Err(params.too_large("a message"));
                    }
                    Ok((params.decompress_message(payload)?, mem::take(trailers)))
                }
            },
            Content::Error { fallback, trailers } => {
                // A truncated error is a malformed one: the code is still known from the HTTP status.
                let payload = match end {
                    EndOfBody::Reset(_) | EndOfBody::Malformed(_) => Bytes::new(),
                    EndOfBody::Clean | EndOfBody::Trailers(_) => {
                        params.decompress_end(payload).unwrap_or_default()
                    }
                };
                let error = connect::json::decode_error(&payload, fallback.code())
                    .unwrap_or_else(|| quote_body(fallback.clone(), &payload));
                Err(params.with_peer_metadata(error, mem::take(trailers)))
            }
            Content::NotRpc { error } => Err(quote_body(error.clone(), &payload)),
        }
    }
}
