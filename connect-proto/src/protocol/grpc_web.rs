//! What gRPC-Web has of its own: a request's headers, and trailers as a block of header lines in the last envelope of the
//! body. All else is as in gRPC.
//!
//! gRPC-Web, ["Protocol differences vs gRPC over HTTP2"](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::{ContentType, Wire, grpc};
use crate::{excerpt::excerpt, metadata::MAX_FIELDS};

const X_GRPC_WEB: HeaderName = HeaderName::from_static("x-grpc-web");

/// Writes what a request's head has beside content type, compressions and metadata. With `text`, the response is asked for
/// in base64 too.
pub(crate) fn write_request(headers: &mut HeaderMap, timeout: Option<Duration>, text: bool) {
    headers.insert(X_GRPC_WEB, HeaderValue::from_static("1"));
    if text {
        // "The client library should indicate to the server via the Accept header".
        if let Some(content_type) = headers.get(header::CONTENT_TYPE).cloned() {
            headers.insert(header::ACCEPT, content_type);
        }
    }
    grpc::write_shared(headers, timeout);
}

/// Whether a request asks for a response in base64.
///
/// gRPC-Web, "Text-encoded (response) streams": the client may ask for it by its Accept header.
pub(crate) fn accepts_text(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).into_iter();
    accepted
        .filter_map(ContentType::from_header)
        .any(|accepted| accepted.wire == Wire::GrpcWebText)
}

/// The payload of a trailer frame: `name: value\r\n` for each, names in lower case.
pub(crate) fn encode_trailers(trailers: &HeaderMap) -> Bytes {
    let mut block = BytesMut::with_capacity(trailers.len() * 32);
    for (name, value) in trailers {
        block.put_slice(name.as_str().as_bytes());
        block.put_slice(b": ");
        block.put_slice(value.as_bytes());
        block.put_slice(b"\r\n");
    }
    block.freeze()
}

/// Reads the payload of a trailer frame. Names may come in any case, lines may end with a bare line feed.
///
/// # Errors
///
/// The first line that is no header line, in words.
pub(crate) fn decode_trailers(block: &[u8]) -> Result<HeaderMap, String> {
    let mut trailers = HeaderMap::new();
    for line in block.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let parsed = line.iter().position(|&b| b == b':').and_then(|colon| {
            let name = HeaderName::from_bytes(&line[..colon]).ok()?;
            let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
            Some((name, value))
        });
        let Some((name, value)) = parsed else {
            return Err(format!("{} is not a header line", excerpt(line)));
        };
        if trailers.len() >= MAX_FIELDS || trailers.try_append(name, value).is_err() {
            return Err(String::from("there are too many trailers"));
        }
    }
    Ok(trailers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// gRPC-Web, "Message framing": a header block without the final empty line.
    #[test]
    fn trailers_round_trip() {
        let mut trailers = HeaderMap::new();
        trailers.append("grpc-status", HeaderValue::from_static("0"));
        trailers.append("x-multi", HeaderValue::from_static("a"));
        trailers.append("x-multi", HeaderValue::from_static("b: c"));
        let block = encode_trailers(&trailers);
        assert_eq!(block, "grpc-status: 0\r\nx-multi: a\r\nx-multi: b: c\r\n");
        assert_eq!(decode_trailers(&block), Ok(trailers));
    }

    #[test]
    fn trailers_from_the_peer() {
        let trailers = decode_trailers(b"Grpc-Status:9\nX-A:  b \r\n\r\n").unwrap();
        assert_eq!(trailers["grpc-status"], "9");
        assert_eq!(trailers["x-a"], "b");
        assert_eq!(decode_trailers(b"").unwrap().len(), 0);
        for bad in [&b"no colon"[..], b"bad name: x", b": x", b"a: b\x00"] {
            assert!(decode_trailers(bad).is_err());
        }
        let many: String = (0..40_000).map(|i| format!("k{i}: v\r\n")).collect();
        assert!(decode_trailers(many.as_bytes()).is_err());
    }
}
