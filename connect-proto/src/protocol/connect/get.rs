//! Connect's unary request as an HTTP GET: the query, built and read.
//!
//! Connect, ["Unary-Get-Request"](https://connectrpc.com/docs/protocol#unary-get-request).

use std::borrow::Cow;

use base64::{
    Engine,
    alphabet::URL_SAFE,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;
use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::Error;

/// RFC 4648 section 5, without padding when written; read with or without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// All but RFC 3986's unreserved characters.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a query of a GET request says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query<'a> {
    /// `encoding`: the codec's name.
    pub(crate) codec: Option<Cow<'a, str>>,
    /// `message`, percent-decoded and taken out of base64; still compressed.
    pub(crate) message: Option<Result<Bytes, Error>>,
    /// `compression`: the content-coding of the message.
    pub(crate) compression: Option<Cow<'a, str>>,
    /// `connect`: `v1` in this version of the protocol.
    pub(crate) version: Option<Cow<'a, str>>,
}

impl<'a> Query<'a> {
    /// Reads a query. "Servers must accept query parameters in any order and allow unknown query parameters";
    /// of a parameter given twice the first counts.
    pub(crate) fn parse(query: &'a str) -> Self {
        // "Other values for the base64 parameter will simply be ignored."
        let base64 = find(query, "base64").is_some_and(|value| decode(value) == "1");
        Self {
            codec: find(query, "encoding").map(decode),
            message: find(query, "message").map(|value| decode_message(value, base64)),
            compression: find(query, "compression").map(decode),
            version: find(query, "connect").map(decode),
        }
    }

    /// Only the codec: all that detection needs.
    pub(crate) fn codec_of(query: &'a str) -> Option<Cow<'a, str>> {
        find(query, "encoding").map(decode)
    }
}

/// The value of the first parameter of this name, still encoded.
fn find<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (key == name || decode(key) == name).then_some(value)
    })
}

/// Form encoders write a space as "+".
fn plus_to_space(text: &str) -> Cow<'_, str> {
    if text.contains('+') {
        Cow::Owned(text.replace('+', " "))
    } else {
        Cow::Borrowed(text)
    }
}

fn decode(text: &str) -> Cow<'_, str> {
    match plus_to_space(text) {
        Cow::Borrowed(text) => percent_decode_str(text).decode_utf8_lossy(),
        Cow::Owned(text) => Cow::Owned(percent_decode_str(&text).decode_utf8_lossy().into_owned()),
    }
}

/// Builds the query, its parameters in the order that the specification sets, for shared caches.
///
/// Text that is UTF-8 and not compressed goes in as it is, percent-encoded; all else as base64.
fn build_query(codec: &str, compression: Option<&str>, message: &[u8]) -> String {
    let text = match compression {
        // Only codecs known to be text: binary that happens to be UTF-8 stays base64, so that
        // one procedure's URLs have one form.
        None if codec == "json" => std::str::from_utf8(message).ok(),
        _ => None,
    };
    let mut query = String::with_capacity(64 + message.len() * 2);
    query.push_str("connect=v1");
    if text.is_none() {
        query.push_str("&base64=1");
    }
    if let Some(name) = compression {
        query.push_str("&compression=");
        query.extend(utf8_percent_encode(name, ESCAPED));
    }
    query.push_str("&encoding=");
    query.extend(utf8_percent_encode(codec, ESCAPED));
    query.push_str("&message=");
    match text {
        Some(text) => query.extend(utf8_percent_encode(text, ESCAPED)),
        None => BASE64.encode_string(message, &mut query),
    }
    query
}

fn decode_message(value: &str, base64: bool) -> Result<Bytes, Error> {
    let value = plus_to_space(value);
    if !has_valid_escapes(&value) {
        return Err(Error::invalid_argument(
            "query parameter \"message\" has an invalid percent-encoding",
        ));
    }
    let bytes: Cow<'_, [u8]> = percent_decode_str(&value).into();
    if base64 {
        BASE64.decode(&bytes).map(Bytes::from).map_err(|error| {
            Error::invalid_argument(format!(
                "query parameter \"message\" is not URL-safe base64: {error}"
            ))
        })
    } else {
        Ok(Bytes::from(bytes.into_owned()))
    }
}

/// The decoder leaves a broken escape as it is; a message must not change silently.
fn has_valid_escapes(value: &str) -> bool {
    value.split('%').skip(1).all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[0].is_ascii_hexdigit() && digits[1].is_ascii_hexdigit()
    })
}

/// The URI of a GET with this message, or `None` if it would be longer than `max_url_bytes`.
///
/// Connect, "Unary-Get-Request": "Servers may respond with an error if the query parameter is too long".
pub(crate) fn uri_with_query(
    uri: &Uri,
    max_url_bytes: usize,
    codec: &str,
    compression: Option<&str>,
    message: &[u8],
) -> Option<Uri> {
    // Percent-encoding and base64 only add to a message.
    if uri.path().len() + message.len() > max_url_bytes {
        return None;
    }
    let query = build_query(codec, compression, message);
    let path_and_query = format!("{}?{query}", uri.path());
    if path_and_query.len() > max_url_bytes {
        return None;
    }
    path_and_query.parse().ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Connect, "Query-Get".
    #[test]
    fn queries_are_built_in_the_specified_order() {
        for (codec, compression, message, expected) in [
            (
                "json",
                None,
                &br#"{"name":"Buf"}"#[..],
                "connect=v1&encoding=json&message=%7B%22name%22%3A%22Buf%22%7D",
            ),
            (
                "proto",
                None,
                b"\xff\xfe",
                "connect=v1&base64=1&encoding=proto&message=__4",
            ),
            (
                "json",
                Some("gzip"),
                b"\x1f\x8b",
                "connect=v1&base64=1&compression=gzip&encoding=json&message=H4s",
            ),
            (
                "proto",
                None,
                b"",
                "connect=v1&base64=1&encoding=proto&message=",
            ),
        ] {
            assert_eq!(build_query(codec, compression, message), expected);
        }
    }

    /// Connect, "Unary-Get-Request": any order, unknown parameters, padding, other values of `base64`.
    #[test]
    fn queries_are_read_in_any_order() {
        let query = Query::parse("x=1&message=aGk%3D&base64=1&connect=v1&encoding=proto");
        assert_eq!(query.message, Some(Ok(Bytes::from_static(b"hi"))));
        assert_eq!(query.codec.as_deref(), Some("proto"));
        assert_eq!(query.version.as_deref(), Some("v1"));
        assert_eq!(query.compression, None);
        assert_eq!(
            Query::codec_of("message=x&%65ncoding=js%6Fn"),
            Some("json".into())
        );

        let query = Query::parse("encoding=json&message=a+b%20c&base64=true");
        assert_eq!(query.message, Some(Ok(Bytes::from_static(b"a b c"))));
        assert_eq!(Query::parse("").message, None);
        assert_eq!(Query::parse("message").message, Some(Ok(Bytes::new())));
    }

    #[test]
    fn bad_messages_are_refused() {
        for (query, reason) in [
            ("message=%7", "percent-encoding"),
            ("message=%zz", "percent-encoding"),
            ("message=!!&base64=1", "base64"),
            ("message=a&base64=1", "base64"),
        ] {
            let error = Query::parse(query).message.unwrap().unwrap_err();
            assert!(error.message().contains(reason), "{query}: {error}");
        }
    }

    proptest! {
        #[test]
        fn any_message_round_trips(message: Vec<u8>, json: bool, compressed: bool) {
            let codec = if json { "json" } else { "proto" };
            let query = build_query(codec, compressed.then_some("gzip"), &message);
            let uri = format!("/a.B/C?{query}").parse::<Uri>();
            prop_assert!(uri.is_ok());
            let parsed = Query::parse(&query);
            prop_assert_eq!(parsed.message, Some(Ok(Bytes::from(message))));
            prop_assert_eq!(parsed.compression.as_deref(), compressed.then_some("gzip"));
        }
    }
}
