//! A body of envelopes: streams of Connect, and all calls of gRPC and gRPC-Web.

use bytes::Bytes;
use http::HeaderMap;

use super::{EndOfBody, params::RecvParams};
use crate::{
    Error, MessageSize, Side, base64_text,
    envelope::{Deframer, Envelope, FLAG_COMPRESSED, FLAG_END_STREAM, FLAG_TRAILERS, Prefix},
    excerpt::shorten,
    protocol::{Wire, connect, grpc, grpc_web},
};

/// A body that is cut into envelopes.
#[derive(Debug)]
pub(super) struct Enveloped {
    deframer: Deframer,
    /// gRPC-Web's text mode.
    text: Option<base64_text::Decoder>,
    /// The flag of the envelope that ends the stream; 0 where there is none.
    terminal: u8,
    /// Whether the body had any bytes.
    started: bool,
    /// What the terminal envelope said; nothing may follow it but the end of the body.
    ending: Option<Result<HeaderMap, Error>>,
    /// What the last message had on the wire.
    wire_bytes: usize,
    is_compressed: bool,
}

impl Enveloped {
    pub(super) fn new(wire: Wire, side: Side) -> Self {
        Self {
            deframer: Deframer::new(),
            text: (wire == Wire::GrpcWebText).then(base64_text::Decoder::default),
            terminal: match (wire, side) {
                (Wire::ConnectStream, Side::Client) => FLAG_END_STREAM,
                (Wire::GrpcWeb | Wire::GrpcWebText, Side::Client) => FLAG_TRAILERS,
                _ => 0,
            },
            started: false,
            ending: None,
            wire_bytes: 0,
            is_compressed: false,
        }
    }

    /// Whether the peer has said how the call ends.
    pub(super) fn is_closing(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether there are bytes that were not looked at yet.
    pub(super) fn has_unread(&self) -> bool {
        self.deframer.has_unread()
    }

    /// The size of the last message, of which the codec makes this much.
    pub(super) fn message_size(&self, encoded: usize) -> MessageSize {
        MessageSize::new(encoded, self.wire_bytes, self.is_compressed)
    }

    /// Bytes that are held.
    pub(super) fn buffered_bytes(&self) -> usize {
        self.deframer.buffered_bytes()
    }

    /// Takes bytes of the body; fails at text that is not base64, after what stands before it.
    pub(super) fn push(&mut self, data: Bytes, params: &RecvParams) -> Result<(), Error> {
        self.started = true;
        let Some(text) = &mut self.text else {
            self.deframer.push(data);
            return Ok(());
        };
        let (decoded, outcome) = text.decode(data);
        self.deframer.push(decoded);
        outcome.map_err(|reason| {
            params.malformed(format!(
                "the body of a gRPC-Web text message is not base64: {reason}"
            ))
        })
    }

    /// The next message; `None` when there is none yet, or when the stream is closing.
    pub(super) fn next_message(&mut self, params: &RecvParams) -> Result<Option<Bytes>, Error> {
        if self.ending.is_none() {
            let terminal = self.terminal;
            let envelope = self
                .deframer
                .next_envelope(|prefix| admit(prefix, terminal, params))?;
            let Some(Envelope { flags, payload }) = envelope else {
                return Ok(None);
            };
            let compressed = flags & FLAG_COMPRESSED != 0;
            if flags & terminal == 0 {
                self.wire_bytes = payload.len();
                self.is_compressed = compressed;
                return match compressed {
                    true => params.decompress_message(payload).map(Some),
                    false => Ok(Some(payload)),
                };
            }
            let payload = match compressed {
                true => params.decompress_end(payload)?,
                false => payload,
            };
            self.ending = Some(read_ending(&payload, params)?);
        }
        if self.deframer.is_partial() {
            return Err(after_the_end(params));
        }
        Ok(None)
    }

    /// The trailers of a body that has ended, or the call's error.
    pub(super) fn finish(
        &mut self,
        end: EndOfBody,
        params: &RecvParams,
    ) -> Result<HeaderMap, Error> {
        match (self.ending.take(), end) {
            (_, EndOfBody::Malformed(error)) => Err(error),
            (Some(_), EndOfBody::Clean | EndOfBody::Trailers(_)) if self.has_partial_text() => {
                Err(after_the_end(params))
            }
            (Some(ending), _) => ending,
            (None, EndOfBody::Reset(reset)) => Err(reset.to_error(params.side)),
            (None, EndOfBody::Trailers(trailers)) => self.end_of_body(Some(trailers), params),
            (None, EndOfBody::Clean) => self.end_of_body(None, params),
        }
    }

    /// The end of a body without a terminal envelope.
    fn end_of_body(
        &self,
        trailers: Option<HeaderMap>,
        params: &RecvParams,
    ) -> Result<HeaderMap, Error> {
        if self.deframer.is_partial() || self.has_partial_text() {
            return Err(params.malformed(format!(
                "the body ended early, with {}",
                self.deframer.describe_partial()
            )));
        }
        match (params.side, params.wire, trailers) {
            (Side::Server, ..) => Ok(HeaderMap::new()),
            (Side::Client, Wire::Grpc, Some(trailers)) => grpc_ending(trailers, params),
            (Side::Client, Wire::Grpc | Wire::GrpcWeb | Wire::GrpcWebText, _)
                if !self.started && params.headers.contains_key(grpc::GRPC_STATUS) =>
            {
                trailers_only(params)
            }
            (Side::Client, Wire::Grpc, None) => Err(Error::internal(
                "the response ended without trailers: it is truncated, or a proxy removed them",
            )),
            (Side::Client, Wire::GrpcWeb | Wire::GrpcWebText, _) => Err(Error::internal(
                "the response ended without a trailer frame: it is truncated",
            )),
            (Side::Client, ..) => Err(Error::internal(
                "the response ended without an EndStreamResponse: it is truncated",
            )),
        }
    }

    /// Whether base64 text ended inside a group.
    fn has_partial_text(&self) -> bool {
        self.text
            .as_ref()
            .is_some_and(|text| text.finish().is_err())
    }
}

fn after_the_end(params: &RecvParams) -> Error {
    params.malformed("there are bytes after the end of the stream".into())
}

/// What a terminal envelope says: Connect's EndStreamResponse, or gRPC-Web's trailer frame.
fn read_ending(payload: &[u8], params: &RecvParams) -> Result<Result<HeaderMap, Error>, Error> {
    if params.wire == Wire::ConnectStream {
        let (metadata, error) = connect::json::decode_end_stream(payload).map_err(|error| {
            let reason = shorten(error.to_string());
            Error::internal(format!("the EndStreamResponse is not valid JSON: {reason}"))
        })?;
        return Ok(match error {
            None => Ok(metadata),
            Some(error) => Err(params.with_peer_metadata(error, metadata)),
        });
    }
    let trailers = grpc_web::decode_trailers(payload)
        .map_err(|reason| Error::internal(format!("in the trailer frame, {reason}")))?;
    Ok(grpc_ending(trailers, params))
}

/// gRPC, "Responses": the status is in the trailers.
fn grpc_ending(mut trailers: HeaderMap, params: &RecvParams) -> Result<HeaderMap, Error> {
    match grpc::take_status(&mut trailers) {
        Some(Ok(())) => Ok(trailers),
        Some(Err(error)) => Err(params.with_peer_metadata(error, trailers)),
        None => Err(params.with_peer_metadata(
            Error::unknown("the trailers of the response have no grpc-status"),
            trailers,
        )),
    }
}

/// gRPC, "Trailers-Only": the head of the response holds the status, and all metadata is trailing.
fn trailers_only(params: &RecvParams) -> Result<HeaderMap, Error> {
    let mut trailers = params.headers.clone();
    match grpc::take_status(&mut trailers) {
        Some(Err(error)) => Err(error.with_received(trailers)),
        _ => Ok(trailers),
    }
}

/// Judges an envelope by its prefix, before a byte of the payload is kept.
fn admit(prefix: Prefix, terminal: u8, params: &RecvParams) -> Result<(), Error> {
    if prefix.flags & !(FLAG_COMPRESSED | terminal) != 0 {
        return Err(params.malformed(format!(
            "a message prefix has the flags {:#010b}, which mean nothing here",
            prefix.flags
        )));
    }
    let compressed = prefix.flags & FLAG_COMPRESSED != 0;
    if compressed && params.encoding.is_none() {
        // gRPC, "Compression", test case 6, and the same in Connect, "Streaming-Request".
        return Err(Error::internal(format!(
            "a message is flagged as compressed, but the header {:?} names no compression",
            params.wire.encoding_header().as_str()
        )));
    }
    let len = prefix.len as usize;
    if prefix.flags & terminal != 0 {
        let limit = params.limits.trailer_bytes();
        if len > limit {
            return Err(Error::resource_exhausted(format!(
                "the end of the stream has {len} bytes, the limit is {limit} bytes"
            )));
        }
    } else if len > params.wire_limit(compressed) {
        return Err(params.too_large(&format!("a message of {len} bytes")));
    }
    Ok(())
}
