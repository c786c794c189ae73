//! gRPC: the headers of a request, and the status of a call as it stands in trailers, each written and read. gRPC-Web has
//! the same.
//!
//! gRPC, ["Requests"](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#requests) and
//! ["Responses"](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses).

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::ResponseBody;
use crate::{
    Code, Error,
    excerpt::excerpt,
    metadata, percent, status_details,
    timeout::{ascii_value, invalid, parse_digits},
};

pub(crate) const ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// "User-Agent": "grpc-" Language "-" Variant "/" Version.
const USER_AGENT: &str = concat!("grpc-rust-connect-rs/", env!("CARGO_PKG_VERSION"));

/// Writes what a request's head has beside content type, compressions and metadata.
pub(crate) fn write_request(headers: &mut HeaderMap, timeout: Option<Duration>) {
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    write_shared(headers, timeout);
}

/// What gRPC and gRPC-Web both write.
pub(super) fn write_shared(headers: &mut HeaderMap, timeout: Option<Duration>) {
    if let Some(timeout) = timeout {
        headers.insert(TIMEOUT, format_timeout(timeout));
    }
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
}

/// The timeout that a request asks for.
pub(crate) fn read_timeout(headers: &HeaderMap) -> Result<Option<Duration>, Error> {
    let value = metadata::single(headers, &TIMEOUT);
    value.map(|value| parse_timeout(&value)).transpose()
}

/// Reads `grpc-timeout`.
///
/// gRPC, "Requests": `TimeoutValue` is a "positive integer as ASCII string of at most 8 digits",
/// followed by a unit. Zero is taken as well, as peers do: that call has no time left. The largest value,
/// 99999999 hours, fits a [`Duration`].
pub(super) fn parse_timeout(value: &HeaderValue) -> Result<Duration, Error> {
    let duration = value.as_bytes().split_last().and_then(|(unit, digits)| {
        let amount = parse_digits(digits, 8)?;
        Some(match unit {
            b'H' => Duration::from_secs(amount * 3600),
            b'M' => Duration::from_secs(amount * 60),
            b'S' => Duration::from_secs(amount),
            b'm' => Duration::from_millis(amount),
            b'u' => Duration::from_micros(amount),
            b'n' => Duration::from_nanos(amount),
            _ => return None,
        })
    });
    duration.ok_or_else(|| {
        invalid(
            "grpc-timeout",
            value,
            "expected 1 to 8 digits and a unit out of H, M, S, m, u, n",
        )
    })
}

/// Writes `grpc-timeout` in the finest unit that 8 digits allow.
///
/// It rounds up, so that the peer never gives up before this side does: by less than one part in 100,000,
/// and the largest value is 99999999 hours. Only zero is written as zero.
pub(super) fn format_timeout(timeout: Duration) -> HeaderValue {
    const UNITS: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    const MAX: u128 = 99_999_999;

    let nanos = timeout.as_nanos();
    let (amount, unit) = UNITS
        .into_iter()
        .map(|(size, unit)| (nanos.div_ceil(size), unit))
        .find(|(amount, _)| *amount <= MAX)
        .unwrap_or((MAX, 'H'));
    ascii_value(&format!("{amount}{unit}"))
}

/// gRPC, "HTTP to gRPC Status Code Mapping": a status in the head of a gRPC response wins over HTTP's.
pub(crate) fn response_body(status: StatusCode, headers: &HeaderMap) -> ResponseBody {
    if status == StatusCode::OK || headers.contains_key(GRPC_STATUS) {
        ResponseBody::Messages
    } else {
        ResponseBody::NotRpc
    }
}

/// The trailers of a response: the status, and then custom metadata.
pub(crate) fn trailers(error: Option<&Error>, custom: HeaderMap) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    write_status(&mut trailers, error.map_or(Ok(()), Err));
    metadata::append_custom(&mut trailers, custom);
    trailers
}

/// "Status must be sent in Trailers even if the status code is OK."
fn write_status(to: &mut HeaderMap, outcome: Result<(), &Error>) {
    let Err(error) = outcome else {
        to.insert(GRPC_STATUS, HeaderValue::from_static("0"));
        return;
    };
    to.insert(
        GRPC_STATUS,
        HeaderValue::from(u16::from(error.code().number())),
    );
    if !error.message().is_empty() {
        // Percent-encoding leaves visible ASCII only.
        if let Ok(value) = HeaderValue::from_str(&percent::encode(error.message())) {
            to.insert(GRPC_MESSAGE, value);
        }
    }
    if !error.details().is_empty() {
        let status = status_details::encode(error);
        to.insert(GRPC_STATUS_DETAILS, metadata::encode_binary(&status));
    }
}

/// Takes the status out of trailers: `None` if there is none, else the call's error, if it failed.
pub(crate) fn take_status(from: &mut HeaderMap) -> Option<Result<(), Error>> {
    let status = metadata::take_single(from, &GRPC_STATUS)?;
    let message = metadata::take_single(from, &GRPC_MESSAGE);
    let details = metadata::take_single(from, &GRPC_STATUS_DETAILS);
    let number = status.to_str().ok().and_then(parse_number);
    if number == Some(0) {
        return Some(Ok(()));
    }
    let mut text = message.map(|value| percent::decode(value.as_bytes()));
    let (code, number_is_known) = match number.and_then(Code::from_number) {
        Some(code) => (code, true),
        None => (Code::Unknown, false),
    };
    let details = details
        .and_then(|value| metadata::decode_binary(&value).ok()?.into_iter().next())
        .and_then(|bytes| status_details::decode(bytes).ok());
    if text.is_none() {
        text = details.as_ref().map(|status| status.message.clone());
    }
    let mut text = text.unwrap_or_default();
    if !number_is_known {
        let status = excerpt(status);
        text = format!("the server sent the unknown grpc-status {status}: {text}");
    }
    let mut error = Error::new(code, text);
    for detail in details.map(|status| status.details).unwrap_or_default() {
        error = error.add_detail(detail);
    }
    Some(Err(error))
}

/// "decimal-encoded integer as an ASCII string, without any leading zeros", read without that last demand.
fn parse_number(text: &str) -> Option<u32> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorDetail;

    #[test]
    fn status_round_trips() {
        let error = Error::aborted("ünsafe 100%\n")
            .add_detail(ErrorDetail::new("google.rpc.RetryInfo", &b"\x0a\x00"[..]));
        let mut trailers = HeaderMap::new();
        write_status(&mut trailers, Err(&error));
        assert_eq!(trailers[GRPC_STATUS], "10");
        assert_eq!(trailers[GRPC_MESSAGE], "%C3%BCnsafe 100%25%0A");
        trailers.insert("x-custom", HeaderValue::from_static("kept"));
        assert_eq!(take_status(&mut trailers), Some(Err(error)));
        assert_eq!(trailers.len(), 1);

        write_status(&mut trailers, Ok(()));
        assert_eq!(trailers[GRPC_STATUS], "0");
        assert_eq!(take_status(&mut trailers), Some(Ok(())));
        assert_eq!(take_status(&mut trailers), None);
    }

    /// gRPC, "Responses": what a status may look like, and what a client makes of the rest.
    #[test]
    fn statuses_from_the_peer() {
        for (status, expected) in [
            ("0", None),
            ("5", Some(Code::NotFound)),
            ("16", Some(Code::Unauthenticated)),
            ("17", Some(Code::Unknown)),
            ("", Some(Code::Unknown)),
            ("+5", Some(Code::Unknown)),
            ("99999999999999999999", Some(Code::Unknown)),
            ("ok", Some(Code::Unknown)),
        ] {
            let mut trailers = HeaderMap::new();
            trailers.insert(GRPC_STATUS, HeaderValue::from_static(status));
            let code = take_status(&mut trailers).unwrap().err().map(|e| e.code());
            assert_eq!(code, expected, "{status:?}");
        }
    }

    #[test]
    fn broken_details_do_not_hide_the_status() {
        let mut trailers = HeaderMap::new();
        trailers.insert(GRPC_STATUS, HeaderValue::from_static("5"));
        trailers.insert(GRPC_MESSAGE, HeaderValue::from_static("100%"));
        trailers.insert(GRPC_STATUS_DETAILS, HeaderValue::from_static("////"));
        assert_eq!(
            take_status(&mut trailers),
            Some(Err(Error::not_found("100%")))
        );
    }
}
