//! A response that is not an RPC response: a proxy's, or another server's. The error quotes its text.

use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use crate::{Code, Error};

/// The error of a response that says nothing but its HTTP status.
pub(crate) fn http_status_error(procedure: &str, status: StatusCode) -> Error {
    Error::new(
        Code::from_http_status(status),
        format!(
            "the server answered {procedure} with HTTP status {status} and no RPC error: \
             the address may be wrong, or a proxy may have answered"
        ),
    )
}

/// How much is quoted of such a body: enough for one sentence.
pub(super) const QUOTED_BYTES: usize = 200;

/// Whether the body of such a response is text.
pub(crate) fn is_readable(headers: &HeaderMap) -> bool {
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
pub(super) fn quote_body(mut error: Error, body: &[u8]) -> Error {
    let (body, dots) = match body.get(..QUOTED_BYTES) {
        Some(start) if start.len() < body.len() => (start, "…"),
        _ => (body, ""),
    };
    let text = String::from_utf8_lossy(body);
    // The cut may have gone through a character.
    let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
    let words: Vec<_> = text.split_whitespace().collect();
    if !words.is_empty() {
        error.append_message(&format!("; the response says {:?}{dots}", words.join(" ")));
    }
    error
}
