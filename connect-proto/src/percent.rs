//! Percent-encoding of `grpc-message`.
//!
//! gRPC, "Responses": `Percent-Byte-Unencoded → 1*( %x20-%x24 / %x26-%x7E )`.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

/// What is escaped, besides all that is not ASCII.
const ESCAPED: &AsciiSet = &CONTROLS.add(b'%');

/// The same and spaces, for text whose outer spaces a header would lose.
const ESCAPED_AND_SPACE: &AsciiSet = &ESCAPED.add(b' ');

/// The value of `grpc-message`; borrowed when nothing needs an escape.
///
/// HTTP strips spaces at both ends of a header, so a message that has one there escapes its spaces.
pub(crate) fn encode(message: &str) -> Cow<'_, str> {
    let outer_space = message.starts_with(' ') || message.ends_with(' ');
    let set = if outer_space {
        ESCAPED_AND_SPACE
    } else {
        ESCAPED
    };
    utf8_percent_encode(message, set).into()
}

/// The message in a value of `grpc-message`.
///
/// gRPC, "Responses": "When decoding invalid values, implementations MUST NOT error or throw away
/// the message". A broken escape stays as it is; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(value: &[u8]) -> String {
    percent_decode(value).decode_utf8_lossy().into_owned()
}
