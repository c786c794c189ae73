//! How a body that has come to its end ends the call.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::{Body, RecvHalf, Reset, Side};
use crate::{
    Code, Error, metadata,
    protocol::{Wire, grpc},
};

impl Reset {
    /// The error of a call whose stream was lost this way, on this side.
    ///
    /// A server sees any reset as the client's cancellation. On a client it is the map of gRPC, "Errors", from HTTP/2
    /// error codes, and `unavailable` for a lost connection.
    #[must_use]
    pub fn to_error(self, side: Side) -> Error {
        match (side, self) {
            (Side::Server, Self::Http2(code)) => Error::canceled(format!(
                "the client reset the stream with HTTP/2 error code {code}"
            )),
            (Side::Server, Self::ConnectionLost) => Error::canceled(
                "the connection to the client was lost before the request was complete",
            ),
            (Side::Client, Self::ConnectionLost) => Error::unavailable(
                "the connection to the server was lost before the response was complete",
            ),
            (Side::Client, Self::Http2(code)) => {
                let rpc_code = match code {
                    0x7 => Code::Unavailable,
                    0x8 => Code::Canceled,
                    0xb => Code::ResourceExhausted,
                    0xc => Code::PermissionDenied,
                    _ => Code::Internal,
                };
                Error::new(
                    rpc_code,
                    format!("the server reset the stream with HTTP/2 error code {code}"),
                )
            }
        }
    }
}

impl RecvHalf {
    /// The ending of an enveloped body that has come to its end without a terminal envelope.
    pub(super) fn end_of_body(&self, trailers: Option<HeaderMap>) -> Result<HeaderMap, Error> {
        let Body::Envelopes { deframer, started } = &self.body else {
            return Ok(HeaderMap::new());
        };
        if deframer.is_partial() || self.has_partial_text() {
            return Err(self.malformed(format!(
                "the body ended early, with {}",
                deframer.describe_partial()
            )));
        }
        match (self.side, self.wire, trailers) {
            (Side::Server, ..) => Ok(HeaderMap::new()),
            (Side::Client, Wire::Grpc, Some(trailers)) => self.grpc_ending(trailers),
            (Side::Client, Wire::Grpc | Wire::GrpcWeb | Wire::GrpcWebText, _)
                if !started && self.headers.contains_key(grpc::GRPC_STATUS) =>
            {
                self.trailers_only()
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

    /// gRPC, "Responses": the status is in the trailers.
    pub(super) fn grpc_ending(&self, mut trailers: HeaderMap) -> Result<HeaderMap, Error> {
        match grpc::take_status(&mut trailers) {
            Some(Ok(())) => Ok(trailers),
            Some(Err(error)) => Err(self.with_peer_metadata(error, trailers)),
            None => Err(self.with_peer_metadata(
                Error::unknown("the trailers of the response have no grpc-status"),
                trailers,
            )),
        }
    }

    /// gRPC, "Trailers-Only": the head of the response holds the status, and all metadata is trailing.
    fn trailers_only(&self) -> Result<HeaderMap, Error> {
        let mut trailers = self.headers.clone();
        match grpc::take_status(&mut trailers) {
            Some(Err(error)) => Err(error.with_received(trailers)),
            _ => Ok(trailers),
        }
    }

    pub(super) fn with_peer_metadata(&self, error: Error, trailers: HeaderMap) -> Error {
        let mut received = self.headers.clone();
        metadata::append_all(&mut received, trailers);
        error.with_received(received)
    }

    /// The conformance suite and gRPC's libraries agree on `unimplemented`: the peer has another stream type in mind.
    pub(super) fn wrong_count(&self, count: &str) -> Error {
        let body = match self.side {
            Side::Server => "request",
            Side::Client => "response",
        };
        Error::unimplemented(format!(
            "the {body} has {count} message, where the procedure takes exactly one"
        ))
    }
}

/// The error of a response that says nothing but its HTTP status.
pub(crate) fn http_status_error(procedure: &str, status: StatusCode) -> Error {
    Error::new(
        Code::from_http_status(status),
        format!(
            "the server answered {procedure} with HTTP status {status} and no RPC error: is it the right server, and is \
             a proxy between?"
        ),
    )
}

/// How much is shown of a body that is no RPC: enough for a sentence of a proxy's.
pub(super) const WORDS_BYTES: usize = 200;

/// Whether a body that is no RPC is meant to be read by people.
pub(crate) fn has_words(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let essence = content_type.and_then(|value| value.split(|byte| *byte == b';').next());
    let is_text = essence.is_some_and(|essence| {
        let known: [&[u8]; 3] = [
            b"text/plain",
            b"application/json",
            b"application/problem+json",
        ];
        let essence = essence.trim_ascii();
        known.iter().any(|name| essence.eq_ignore_ascii_case(name))
    });
    is_text && !headers.contains_key(CONTENT_ENCODING)
}

/// Adds to an error what the body said, made printable and cut.
pub(super) fn with_words(mut error: Error, body: &[u8]) -> Error {
    let (body, dots) = match body.get(..WORDS_BYTES) {
        Some(start) if start.len() < body.len() => (start, "…"),
        _ => (body, ""),
    };
    let text = String::from_utf8_lossy(body);
    // The cut may have gone through a character.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let words: Vec<_> = text.split_whitespace().collect();
    if !words.is_empty() {
        error.append_message(&format!("; it said {:?}{dots}", words.join(" ")));
    }
    error
}
