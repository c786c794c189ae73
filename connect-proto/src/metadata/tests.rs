//! Binary values, reserved names, and metadata on its way into and out of heads.

use proptest::{collection::vec, prelude::*};

use super::*;
use crate::{Code, Error};

fn map(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(*name, HeaderValue::from_static(value));
    }
    map
}

/// More values than `http` takes.
fn endless() -> HeaderMap {
    let mut map = HeaderMap::new();
    for i in 0_u32.. {
        let name = HeaderName::try_from(format!("n{i}")).unwrap();
        if map.try_append(name, HeaderValue::from_static("v")).is_err() {
            break;
        }
    }
    map
}

/// gRPC, "Requests": padded and unpadded values, and lists; Connect, "Unary-Request", the same.
#[test]
fn binary_values_are_read() {
    for (text, expected) in [
        ("", &[&b""[..]][..]),
        ("YQ", &[b"a"]),
        ("YQ==", &[b"a"]),
        // Half the padding is taken for none.
        ("YQ=", &[b"a"]),
        ("YWI=,YWI", &[b"ab", b"ab"]),
        ("YQ== , \tYg", &[b"a", b"b"]),
        ("YQ,,Yg", &[b"a", b"", b"b"]),
        (",", &[b"", b""]),
        ("//79", &[b"\xff\xfe\xfd"]),
        // The URL-safe alphabet is another encoding.
        ("__79", &[]),
        ("YQ=Yg", &[]),
        ("Y", &[]),
        ("====", &[]),
        ("a b", &[]),
    ] {
        let decoded = decode_binary(&HeaderValue::from_static(text));
        if expected.is_empty() {
            assert_eq!(
                Error::from(decoded.unwrap_err()).code(),
                Code::InvalidArgument,
                "{text}"
            );
        } else {
            assert_eq!(decoded.unwrap(), expected, "{text}");
        }
    }
    let not_ascii = HeaderValue::from_bytes(b"YQ\xff").unwrap();
    assert!(decode_binary(&not_ascii).is_err());
}

#[test]
fn binary_values_are_set_added_and_found() {
    let mut map = HeaderMap::new();
    assert_eq!(get_binary(&map, "a-bin"), Ok(None));
    insert_binary(&mut map, "a-bin", b"old").unwrap();
    insert_binary(&mut map, "A-Bin", b"1").unwrap();
    append_binary(&mut map, HeaderName::from_static("a-bin"), b"2").unwrap();
    map.append("a-bin", HeaderValue::from_static("Mw==,NA"));
    assert_eq!(get_binary(&map, "a-bin").unwrap().unwrap(), "1");
    let all = get_all_binary(&map, String::from("a-bin")).unwrap();
    assert_eq!(all, ["1", "2", "3", "4"]);

    map.append("a-bin", HeaderValue::from_static("?"));
    assert_eq!(get_binary(&map, "a-bin").unwrap().unwrap(), "1");
    let error = Error::from(get_all_binary(&map, "a-bin").unwrap_err());
    assert_eq!(error.code(), Code::InvalidArgument);
}

#[test]
fn binary_names_end_in_bin() {
    let mut map = map(&[("a", "YQ")]);
    for name in ["a", "a-bin ", "", "-b", "a-binary"] {
        for error in [
            insert_binary(&mut map, name, b"x").unwrap_err(),
            append_binary(&mut map, name, b"x").unwrap_err(),
            get_binary(&map, name).unwrap_err(),
            get_all_binary(&map, name).unwrap_err(),
        ] {
            let error = Error::from(error);
            assert_eq!(error.code(), Code::Internal);
            assert!(error.message().contains("\"-bin\""), "{error}");
        }
    }
    assert_eq!(map.len(), 1);
}

/// Connect, "Unary-Request": "keys beginning with "connect-" are reserved"; gRPC, "Requests": the
/// Call-Definition and "Header names starting with "grpc-"".
#[test]
fn reserved_names() {
    for name in [
        "accept-encoding",
        "connect-accept-encoding",
        "connect-anything",
        "connect-protocol-version",
        "connect-timeout-ms",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "expect",
        "grpc-accept-encoding",
        "grpc-anything",
        "grpc-encoding",
        "grpc-message",
        "grpc-message-type",
        "grpc-status",
        "grpc-status-details-bin",
        "grpc-timeout",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ] {
        assert!(is_reserved(&HeaderName::from_static(name)), "{name}");
    }
    for name in [
        "authorization",
        "connect",
        "connecting",
        "cookie",
        "grpc",
        "grpc-previous-rpc-attempts",
        "grpc-retry-pushback-ms",
        "grpc-tags-bin",
        "grpc-trace-bin",
        "grpcs",
        "origin",
        "trailers",
        "traceparent",
        "user-agent",
        "x-connect-y",
        "x-grpc-web",
    ] {
        assert!(!is_reserved(&HeaderName::from_static(name)), "{name}");
    }
}

#[test]
fn user_metadata_joins_a_head_without_reserved_names() {
    let mut head = map(&[("content-type", "application/grpc"), ("a", "0")]);
    let user = map(&[
        ("a", "1"),
        ("content-type", "text/plain"),
        ("content-type", "text/html"),
        ("b", "2"),
        ("b", "3"),
        ("grpc-status", "0"),
    ]);
    append_custom(&mut head, user);
    let expected = map(&[
        ("content-type", "application/grpc"),
        ("a", "0"),
        ("a", "1"),
        ("b", "2"),
        ("b", "3"),
    ]);
    assert_eq!(head, expected);
}

/// Connect, "Unary-Response": Prefixed-Trailing-Metadata.
#[test]
fn trailers_are_prefixed_and_split_off() {
    let mut head = map(&[("a", "1"), ("trailers", "no"), ("trailer", "no")]);
    let trailers = map(&[("a", "2"), ("a", "3"), ("b-bin", "YQ"), ("trailer-c", "4")]);
    let mut with_reserved = trailers.clone();
    with_reserved.append("connect-x", HeaderValue::from_static("5"));
    let leading = head.clone();
    append_trailers_prefixed(&mut head, with_reserved);
    let expected = [
        ("trailer-a", "2"),
        ("trailer-a", "3"),
        ("trailer-b-bin", "YQ"),
        ("trailer-trailer-c", "4"),
    ];
    for (name, value) in expected {
        assert!(
            head.get_all(name).iter().any(|found| found == value),
            "{name}"
        );
    }
    assert_eq!(head.len(), leading.len() + expected.len());
    assert_eq!(split_prefixed(head), (leading.clone(), trailers));

    assert_eq!(split_prefixed(leading.clone()), (leading, HeaderMap::new()));
    // A prefix alone is no name to strip.
    let bare = map(&[("trailer-", "x"), ("trailer-y", "z")]);
    assert_eq!(
        split_prefixed(bare),
        (map(&[("trailer-", "x")]), map(&[("y", "z")]))
    );
}

/// `HeaderMap` panics when it is full, unless it is asked not to.
#[test]
fn full_maps_take_no_more() {
    let full = endless();
    let size = full.len();

    let mut head = full.clone();
    append_custom(&mut head, map(&[("a", "1")]));
    append_all(&mut head, map(&[("b", "1")]));
    append_trailers_prefixed(&mut head, map(&[("c", "1")]));
    assert_eq!(head.len(), size);
    assert_eq!(
        Error::from(insert_binary(&mut head, "d-bin", b"").unwrap_err()).code(),
        Code::Internal
    );
    assert_eq!(
        Error::from(append_binary(&mut head, "d-bin", b"").unwrap_err()).code(),
        Code::Internal
    );

    assert_eq!(split_prefixed(full).0.len(), size);
}

#[test]
fn user_metadata_leaves_room_for_the_protocol() {
    let mut head = map(&[("content-type", "application/proto")]);
    append_custom(&mut head, endless());
    assert_eq!(head.keys_len(), MAX_FIELDS);
    let mut trailers = HeaderMap::new();
    append_custom(&mut trailers, endless());
    assert_eq!(trailers.keys_len(), MAX_FIELDS);

    // As trailers-only does: these would panic, or be lost, in a full map.
    trailers.insert("grpc-status", HeaderValue::from_static("5"));
    head.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    append_all(&mut head, trailers);
    assert_eq!(head["grpc-status"], "5");

    let mut head = map(&[("a", "1")]);
    append_trailers_prefixed(&mut head, endless());
    assert_eq!(head.keys_len(), MAX_FIELDS);
    let (leading, trailing) = split_prefixed(head);
    assert_eq!((leading.len(), trailing.len()), (1, MAX_FIELDS - 1));
}

#[test]
fn names_too_long_to_prefix_are_left_out() {
    let long = HeaderName::try_from("n".repeat(65_530)).unwrap();
    let mut trailers = map(&[("a", "1")]);
    trailers.append(long, HeaderValue::from_static("v"));
    let mut head = HeaderMap::new();
    append_trailers_prefixed(&mut head, trailers);
    assert_eq!(head, map(&[("trailer-a", "1")]));
}

proptest! {
    #[test]
    fn binary_values_round_trip(values in vec(vec(any::<u8>(), 0..100), 1..5)) {
        let mut map = HeaderMap::new();
        let mut joined = Vec::new();
        for value in &values {
            append_binary(&mut map, "x-bin", value).unwrap();
            let encoded = encode_binary(value);
            prop_assert!(!encoded.as_bytes().contains(&b'='));
            joined.push(encoded.to_str().unwrap().to_owned());
        }
        prop_assert_eq!(&get_all_binary(&map, "x-bin").unwrap(), &values);
        // gRPC, "Requests": values "joined with "," [...] semantically equivalent".
        let joined = HeaderValue::try_from(joined.join(",")).unwrap();
        prop_assert_eq!(&decode_binary(&joined).unwrap(), &values);
    }

    #[test]
    fn trailers_round_trip(pairs in vec(("[a-z0-9_.-]{1,12}", "[ -~]{0,20}"), 0..20)) {
        let mut trailers = HeaderMap::new();
        for (name, value) in &pairs {
            let name = HeaderName::try_from(name.as_str()).unwrap();
            if !is_reserved(&name) {
                trailers.append(name, value.parse().unwrap());
            }
        }
        let mut head = map(&[("content-type", "application/proto")]);
        append_trailers_prefixed(&mut head, trailers.clone());
        let (leading, trailing) = split_prefixed(head);
        prop_assert_eq!(leading.len(), 1);
        prop_assert_eq!(trailing, trailers);
    }
}

/// Every value of up to two bytes, padded or not.
#[test]
#[cfg_attr(miri, ignore = "too many cases for an interpreter")]
fn every_short_binary_value_round_trips() {
    for bytes in 0..=u16::MAX {
        let [first, second] = bytes.to_be_bytes();
        for data in [&[][..], &[first], &[first, second]] {
            let value = encode_binary(data);
            assert_eq!(decode_binary(&value).unwrap(), [data]);
            let unpadded = value.to_str().unwrap().trim_end_matches('=');
            let unpadded = HeaderValue::from_str(unpadded).unwrap();
            assert_eq!(decode_binary(&unpadded).unwrap(), [data]);
        }
    }
}
