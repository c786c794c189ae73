//! The status of a gRPC call, as it stands in trailers: written and read.
//!
//! gRPC, ["Responses"](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md#responses).

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Code, Error, excerpt::excerpt, metadata, percent, status_details};

pub(crate) const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_STATUS_DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");

/// Writes the status into trailers, or into the head of a trailers-only response.
///
/// "Status must be sent in Trailers even if the status code is OK."
pub(crate) fn write_status(to: &mut HeaderMap, outcome: Result<(), &Error>) {
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
    let status = from.remove(GRPC_STATUS)?;
    let message = from.remove(GRPC_MESSAGE);
    let details = from.remove(GRPC_STATUS_DETAILS);
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
        error = error.with_detail(detail);
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
            .with_detail(ErrorDetail::new("google.rpc.RetryInfo", &b"\x0a\x00"[..]));
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
