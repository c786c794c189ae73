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
    utf8_percent_encode(message, escaped_in(message)).into()
}

fn escaped_in(message: &str) -> &'static AsciiSet {
    if message.starts_with(' ') || message.ends_with(' ') {
        ESCAPED_AND_SPACE
    } else {
        ESCAPED
    }
}

/// How many bytes [`encode`] makes of the message.
pub(crate) fn encoded_len(message: &str) -> usize {
    utf8_percent_encode(message, escaped_in(message))
        .map(str::len)
        .sum()
}

/// The message in a value of `grpc-message`.
///
/// gRPC, "Responses": "When decoding invalid values, implementations MUST NOT error or throw away
/// the message". A broken escape stays as it is; bytes that are not UTF-8 become U+FFFD.
pub(crate) fn decode(value: &[u8]) -> String {
    percent_decode(value).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    /// gRPC, "Responses": Percent-Encoded.
    #[test]
    fn escapes_what_the_grammar_says() {
        for (message, value) in [
            ("", ""),
            ("plain text, no escape", "plain text, no escape"),
            ("100%", "100%25"),
            ("a\r\nb\t\u{0}\u{7f}", "a%0D%0Ab%09%00%7F"),
            ("~!$&", "~!$&"),
            ("\u{fc}\u{1f600}", "%C3%BC%F0%9F%98%80"),
            // Spaces at the ends would not survive HTTP/1.1.
            (" a b", "%20a%20b"),
            ("a b ", "a%20b%20"),
        ] {
            assert_eq!(encode(message), value);
            assert_eq!(decode(value.as_bytes()), message);
        }
        assert!(matches!(encode("plain"), Cow::Borrowed("plain")));
    }

    /// gRPC, "Responses": "When decoding invalid values, implementations MUST NOT error".
    #[test]
    fn broken_values_are_kept_as_far_as_possible() {
        for (value, message) in [
            (&b"%"[..], "%"),
            (b"%4", "%4"),
            (b"%zz%41", "%zzA"),
            (b"%c3%bc", "\u{fc}"),
            (b"100%!", "100%!"),
            (b"%ff", "\u{fffd}"),
            (b"%C3x", "\u{fffd}x"),
            (b"\xff\xc3\xbc", "\u{fffd}\u{fc}"),
            (b"%2541", "%41"),
        ] {
            assert_eq!(decode(value), message, "{}", value.escape_ascii());
        }
    }

    /// Every message of one or two characters out of these, and every value of one or two bytes, or of an escape.
    #[test]
    #[cfg_attr(miri, ignore = "too many cases for an interpreter")]
    fn every_short_message_and_value_is_decoded() {
        let others = [
            '\u{7ff}',
            '\u{800}',
            '\u{fffd}',
            '\u{ffff}',
            '\u{10000}',
            '\u{10ffff}',
        ];
        let characters: Vec<_> = ('\0'..='\u{ff}').chain(others).collect();
        for first in &characters {
            for second in characters.iter().map(Some).chain([None]) {
                let message: String = [Some(first), second].into_iter().flatten().collect();
                let value = encode(&message);
                assert_eq!(value.len(), encoded_len(&message));
                assert!(value.bytes().all(|byte| matches!(byte, b' '..=b'~')));
                assert_eq!(value.trim_ascii(), value);
                assert_eq!(decode(value.as_bytes()), message);
            }
        }
        for bytes in 0..=u16::MAX {
            let [first, second] = bytes.to_be_bytes();
            for value in [&[first][..], &[first, second], &[b'%', first, second]] {
                assert!(decode(value).len() <= 3 * value.len());
            }
        }
    }

    proptest! {
        #[test]
        fn any_message_round_trips_through_a_header(message in any::<String>()) {
            let value = HeaderValue::from_str(&encode(&message)).unwrap();
            prop_assert!(value.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(value.as_bytes().trim_ascii(), value.as_bytes());
            prop_assert_eq!(decode(value.as_bytes()), message);
        }

        #[test]
        fn any_value_decodes(value in proptest::collection::vec(any::<u8>(), 0..100)) {
            let message = decode(&value);
            prop_assert!(message.len() <= 3 * value.len());
        }
    }
}
