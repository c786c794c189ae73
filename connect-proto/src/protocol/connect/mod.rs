//! Connect: the headers of a request, written and read, and what a response's head says. `json.rs` has its errors and ends
//! of streams, `get.rs` the query of a GET.
//!
//! Connect, ["Unary-Request"](https://connectrpc.com/docs/protocol#unary-request) and
//! ["Streaming-Request"](https://connectrpc.com/docs/protocol#streaming-request).

pub(crate) mod get;
pub(crate) mod json;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use self::get::Query;
use super::{ContentType, ResponseBody, Wire};
use crate::{
    Error,
    excerpt::excerpt,
    metadata,
    timeout::{ascii_value, invalid, parse_digits},
};

/// The encoding of enveloped messages; unary calls use plain `content-encoding`.
pub(crate) const STREAM_ENCODING: HeaderName = HeaderName::from_static("connect-content-encoding");
pub(crate) const STREAM_ACCEPT_ENCODING: HeaderName =
    HeaderName::from_static("connect-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("connect-timeout-ms");
const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("connect-protocol-version");

const USER_AGENT: &str = concat!("connect-rs/", env!("CARGO_PKG_VERSION"));

/// Writes what a request's head has beside content type, compressions and metadata.
pub(crate) fn write_request(headers: &mut HeaderMap, timeout: Option<Duration>) {
    headers.insert(PROTOCOL_VERSION, HeaderValue::from_static("1"));
    if let Some(timeout) = timeout {
        headers.insert(TIMEOUT, format_timeout(timeout));
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
}

/// Takes out of a request's head what its query says instead, for a GET.
pub(crate) fn strip_for_get(headers: &mut HeaderMap) {
    for name in [
        header::CONTENT_ENCODING,
        header::CONTENT_TYPE,
        PROTOCOL_VERSION,
    ] {
        headers.remove(name);
    }
}

/// Checks the version that a request names, in its head or in its query.
///
/// Connect, "Connect-Protocol-Version" and "Connect-Version-Query".
pub(crate) fn check_version(
    headers: &HeaderMap,
    query: Option<&Query<'_>>,
    required: bool,
) -> Result<(), Error> {
    let header;
    let (name, expected, found) = match query {
        Some(query) => (
            "query parameter \"connect\"",
            "v1",
            query.version.as_deref().map(str::as_bytes),
        ),
        None => {
            header = metadata::single(headers, &PROTOCOL_VERSION);
            let found = header.as_ref().map(|value| value.as_bytes());
            ("header \"connect-protocol-version\"", "1", found)
        }
    };
    match found {
        None if required => Err(Error::invalid_argument(format!(
            "{name} is required, with the value {expected:?}"
        ))),
        Some(found) if found != expected.as_bytes() => Err(Error::invalid_argument(format!(
            "{name} must be {expected:?}, not {}",
            excerpt(found)
        ))),
        _ => Ok(()),
    }
}

/// The timeout that a request asks for.
pub(crate) fn read_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let value = metadata::single(headers, &TIMEOUT);
    value.map(|value| parse_timeout(&value)).transpose()
}

/// How much more time a client may have than its `connect-timeout-ms` says: it counts whole milliseconds, and clients may
/// leave out the rest. Zero is no rest of anything: that call has no time left.
pub(crate) const fn timeout_rounding(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        Duration::ZERO
    } else {
        Duration::from_millis(1)
    }
}

/// Reads `connect-timeout-ms`.
///
/// Connect, "Unary-Request": `Timeout-Milliseconds` is a "positive integer as ASCII string of at most 10
/// digits". Zero is taken as well: that call has no time left.
pub(super) fn parse_timeout(value: &HeaderValue) -> Result<Duration, Error> {
    parse_digits(value.as_bytes(), 10)
        .map(Duration::from_millis)
        .ok_or_else(|| invalid("connect-timeout-ms", value, "expected 1 to 10 digits"))
}

/// Writes `connect-timeout-ms`, rounded up to whole milliseconds and at most 9999999999 of them.
pub(super) fn format_timeout(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(9_999_999_999);
    ascii_value(&millis.to_string())
}

/// Turns the head of a unary response into that of an error; returns the body. The HTTP status is the code's own.
///
/// Connect, "Unary-Response".
pub(crate) fn write_unary_error(headers: &mut HeaderMap, mut error: Error) -> Bytes {
    headers.remove(header::CONTENT_ENCODING);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    metadata::append_unary_leading(headers, error.take_metadata());
    json::encode_error(&error)
}

/// The last envelope of a stream: the error, if there is one, and trailing metadata.
pub(crate) fn end_stream(error: Option<&Error>, custom: HeaderMap) -> Bytes {
    let mut metadata = HeaderMap::new();
    metadata::append_custom(&mut metadata, custom);
    json::encode_end_stream(error, &metadata)
}

/// Connect, "Unary-Response": an error is JSON, with an HTTP status of its own.
pub(crate) fn unary_response_body(
    status: StatusCode,
    content_type: Option<&ContentType>,
) -> ResponseBody {
    let is_json =
        content_type.is_some_and(|found| found.wire == Wire::ConnectUnary && found.codec == "json");
    match status {
        StatusCode::OK => ResponseBody::Messages,
        _ if is_json => ResponseBody::ErrorJson,
        _ => ResponseBody::NotRpc,
    }
}

/// Connect, "Streaming-Response": the HTTP status is 200 whatever comes, errors stand in the body.
pub(crate) fn stream_response_body(status: StatusCode) -> ResponseBody {
    match status {
        StatusCode::OK => ResponseBody::Messages,
        _ => ResponseBody::NotRpc,
    }
}
