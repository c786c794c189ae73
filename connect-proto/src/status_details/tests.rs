//! The wire format of `google.rpc.Status` against bytes written out by hand.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::Code;

fn decode_ok(bytes: &[u8]) -> DecodedStatus {
    decode(Bytes::copy_from_slice(bytes)).unwrap()
}

fn decode_err(bytes: &[u8]) -> &'static str {
    decode(Bytes::copy_from_slice(bytes)).unwrap_err().0
}

#[test]
fn fields_are_as_the_schema_says() {
    let error = Error::not_found("no \u{fc}")
        .add_detail(ErrorDetail::new("a.B", &b"\x01\x02"[..]))
        .add_detail(ErrorDetail::new("c.D", &b""[..]));
    let expected = [
        &b"\x08\x05\x12\x05no \xc3\xbc"[..],
        b"\x1a\x1d\x0a\x17type.googleapis.com/a.B\x12\x02\x01\x02",
        b"\x1a\x19\x0a\x17type.googleapis.com/c.D",
    ]
    .concat();
    assert_eq!(encode(&error), expected);
    let status = decode_ok(&expected);
    assert_eq!(status.code, 5);
    assert_eq!(status.message, "no \u{fc}");
    assert_eq!(status.details, error.details());
}

/// A message without fields has all defaults.
#[test]
fn empty_is_a_status() {
    assert_eq!(decode_ok(b""), DecodedStatus::default());
    assert_eq!(
        encode(&Error::new(Code::Unauthenticated, "")),
        b"\x08\x10".as_slice()
    );
}

#[test]
fn type_names_follow_the_last_slash() {
    for (url, name) in [
        ("type.googleapis.com/a.B", "a.B"),
        ("https://example.com/x/y/a.B", "a.B"),
        ("a.B", "a.B"),
        ("/a.B", "a.B"),
        ("a/", ""),
        ("", ""),
    ] {
        let mut bytes = BytesMut::new();
        put_len(&mut bytes, 3, url.len() + 2);
        put_len(&mut bytes, 1, url.len());
        bytes.put_slice(url.as_bytes());
        assert_eq!(decode_ok(&bytes).details[0].type_name(), name, "{url}");
    }
}

/// Negative codes are sign-extended to ten bytes; the last value of a field counts.
#[test]
fn scalars_are_read_as_protobuf_does() {
    let minus_one = b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01";
    assert_eq!(decode_ok(minus_one).code, u32::MAX);
    assert_eq!(decode_ok(b"\x08\x01\x12\x01a\x08\x02\x12\x01b").code, 2);
    assert_eq!(
        decode_ok(b"\x08\x01\x12\x01a\x08\x02\x12\x01b").message,
        "b"
    );
    // A varint need not be the shortest, nor a tag.
    assert_eq!(decode_ok(b"\x88\x80\x00\x85\x00").code, 5);
}

#[test]
fn unknown_fields_are_skipped() {
    for unknown in [
        &b"\x20\x96\x01"[..],                         // 4: varint
        b"\x21\x01\x02\x03\x04\x05\x06\x07\x08",      // 4: fixed64
        b"\x22\x03abc",                               // 4: bytes
        b"\x25\x01\x02\x03\x04",                      // 4: fixed32
        b"\x23\x24",                                  // 4: empty group
        b"\x23\x20\x01\x2b\x22\x01x\x2c\x25abcd\x24", // 4: group with a group 5
        b"\xf8\xff\xff\xff\x0f\x01",                  // the highest number: varint
        b"\x0a\x01x",                                 // 1 as bytes
        b"\x10\x01",                                  // 2 as varint
        b"\x1d\x01\x02\x03\x04",                      // 3 as fixed32
    ] {
        let bytes = [b"\x08\x05", unknown, b"\x12\x01m"].concat();
        let status = decode_ok(&bytes);
        assert_eq!(
            (status.code, &*status.message),
            (5, "m"),
            "{}",
            unknown.escape_ascii()
        );
        assert!(status.details.is_empty());
        // The same inside a detail.
        if unknown[0] >> 3 > 3 {
            let mut detail = BytesMut::new();
            put_len(&mut detail, 3, unknown.len() + 3);
            detail.put_slice(unknown);
            detail.put_slice(b"\x12\x01v");
            assert_eq!(
                decode_ok(&detail).details,
                [ErrorDetail::new("", &b"v"[..])]
            );
        }
    }
}

#[test]
fn hostile_bytes_are_refused() {
    const END: &str = "unexpected end of data";
    const LONG: &str = "varint is too long";
    const NUMBER: &str = "field number out of range";
    for (bytes, reason) in [
        (&b"\x08"[..], END),
        (b"\x08\x80", END),
        (b"\x80", END),
        (b"\x12\x05abcd", END),
        (b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", END),
        (b"\x21\x01\x02\x03", END),
        (b"\x25\x01", END),
        (b"\x23", END),
        (b"\x23\x20", END),
        (b"\x1a\x02\x0a\x05hello", END),
        (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", LONG),
        (b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", LONG),
        (b"\x00\x01", NUMBER),
        (b"\x07", NUMBER),
        (b"\x88\x80\x80\x80\x10\x01", NUMBER),
        (b"\x0e\x01", "unknown wire type"),
        (b"\x0f\x01", "unknown wire type"),
        (b"\x24", "end of a group that was not begun"),
        (b"\x23\x2c", "end of another group"),
        (b"\x12\x01\xff", "text is not UTF-8"),
        (b"\x1a\x03\x0a\x01\xff", "text is not UTF-8"),
    ] {
        assert_eq!(decode_err(bytes), reason, "{}", bytes.escape_ascii());
    }
}

#[test]
fn groups_nest_to_a_limit() {
    let nested = |depth| [b"\x23".repeat(depth), b"\x24".repeat(depth)].concat();
    assert_eq!(
        decode_ok(&nested(MAX_GROUP_DEPTH)),
        DecodedStatus::default()
    );
    assert_eq!(
        decode_err(&nested(MAX_GROUP_DEPTH + 1)),
        "groups nested too deep"
    );
    assert_eq!(
        decode_err(&b"\x23".repeat(1_000_000)),
        "groups nested too deep"
    );
}

#[test]
fn values_are_slices_of_the_input() {
    let error = Error::internal("").add_detail(ErrorDetail::new("a.B", vec![7; 1_000]));
    let bytes = encode(&error);
    let status = decode(bytes.clone()).unwrap();
    assert!(
        bytes
            .as_ptr_range()
            .contains(&status.details[0].value().as_ptr())
    );
}

proptest! {
    #[test]
    fn errors_round_trip(
        code in 1_u32..=16,
        message in any::<String>(),
        details in vec(("[a-zA-Z._]{0,200}", vec(any::<u8>(), 0..300)), 0..4),
    ) {
        let mut error = Error::new(Code::from_number(code).unwrap(), message.clone());
        for (name, value) in details {
            error = error.add_detail(ErrorDetail::new(name, value));
        }
        let status = decode(encode(&error)).unwrap();
        prop_assert_eq!(status.code, code);
        prop_assert_eq!(&status.message, &message);
        prop_assert_eq!(&status.details[..], error.details());
    }

    #[test]
    fn cut_and_flipped_bytes_are_survived(
        value in vec(any::<u8>(), 0..50),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let error = Error::internal("message").add_detail(ErrorDetail::new("a.B", value));
        let mut bytes = encode(&error).to_vec();
        let at = at.index(bytes.len());
        let _ = decode(Bytes::copy_from_slice(&bytes[..at]));
        bytes[at] = byte;
        let _ = decode(bytes.into());
    }

    #[test]
    fn any_bytes_are_survived(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(status) = decode(bytes.clone().into()) {
            prop_assert!(status.message.len() <= bytes.len());
            prop_assert!(status.details.len() <= bytes.len());
        }
    }
}
