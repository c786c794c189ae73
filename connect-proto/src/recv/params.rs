//! What a receiving half knows from the start, and the errors that it makes of that.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use crate::{Compression, CompressionError, Error, Limits, Side, Time, metadata, protocol::Wire};

/// What a half needs to know from the start.
#[derive(Debug)]
pub(crate) struct RecvParams {
    pub(crate) side: Side,
    pub(crate) wire: Wire,
    pub(crate) encoding: Option<Arc<dyn Compression>>,
    pub(crate) limits: Limits,
    /// Exactly one message is allowed.
    pub(crate) single: bool,
    /// A client's: those of the response.
    pub(crate) headers: HeaderMap,
    pub(crate) deadline: Option<Time>,
}

impl RecvParams {
    /// The peer broke the protocol.
    pub(super) fn malformed(&self, message: String) -> Error {
        Error::malformed(self.side, message)
    }

    /// A message over the limit. Only a client's error names the setter: a server's peers cannot change its limit.
    pub(super) fn too_large(&self, message: &str) -> Error {
        let limit = self.limits.recv_message_bytes();
        Error::resource_exhausted(match self.side {
            Side::Server => format!(
                "{message} in the request is larger than the {limit} bytes that the server takes"
            ),
            Side::Client => format!(
                "{message} in the response is larger than the {limit} bytes that this client takes; \
                 Limits::with_recv_message_bytes raises that"
            ),
        })
    }

    /// The most bytes that a message may have on the wire: compression may enlarge what cannot be compressed.
    pub(super) fn wire_limit(&self, compressed: bool) -> usize {
        let limit = self.limits.recv_message_bytes();
        if compressed {
            limit.saturating_add(limit / 4).saturating_add(1024)
        } else {
            limit
        }
    }

    /// The plain form of a message that is compressed if the head said so.
    pub(super) fn decompress_message(&self, payload: Bytes) -> Result<Bytes, Error> {
        let limit = self.limits.recv_message_bytes();
        self.decompress(payload, limit, "a message", |name| {
            self.too_large(&format!("after {name} decompression a message"))
        })
    }

    /// The plain form of what ends a call: an EndStreamResponse, a trailer frame, or the body of an error.
    pub(super) fn decompress_end(&self, payload: Bytes) -> Result<Bytes, Error> {
        let limit = self.limits.trailer_bytes();
        self.decompress(payload, limit, "the end of the stream", |name| {
            Error::resource_exhausted(format!(
                "after {name} decompression the end of the stream is larger than the limit of {limit} bytes"
            ))
        })
    }

    fn decompress(
        &self,
        payload: Bytes,
        limit: usize,
        what: &str,
        too_large: impl FnOnce(&str) -> Error,
    ) -> Result<Bytes, Error> {
        // "Servers must not attempt to decompress zero-length HTTP request content", and so everywhere.
        let Some(encoding) = self.encoding.as_ref().filter(|_| !payload.is_empty()) else {
            return Ok(payload);
        };
        let mut plain = BytesMut::new();
        match encoding.decompress(&payload, limit, &mut plain) {
            // One that does not keep its limit must not break that of the call.
            Ok(()) if plain.len() > limit => Err(too_large(encoding.name())),
            Ok(()) => Ok(plain.freeze()),
            Err(CompressionError::TooLarge { .. }) => Err(too_large(encoding.name())),
            Err(error) => Err(self
                .malformed(format!("cannot decompress {what}: {error}"))
                .with_source(error)),
        }
    }

    /// The peer's own error, with all metadata of its response.
    pub(super) fn with_peer_metadata(&self, error: Error, trailers: HeaderMap) -> Error {
        let mut received = self.headers.clone();
        metadata::append_all(&mut received, trailers);
        error.with_received(received)
    }
}
