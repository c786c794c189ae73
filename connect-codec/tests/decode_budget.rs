//! The decode budget: what a message takes in memory is charged before or while it is decoded, in both codecs.

mod common;

use bytes::{Bytes, BytesMut};
use common::{v2, v3};
use connect_codec::{
    Codec, Codecs, Decode, DecodeError, Encode, Prost, ProtoOptions,
    json::{JsonMessage, JsonOptions},
};
use connect_proto::{Code, Side};
use prost_types::{Duration, FieldMask, ListValue, Struct, Timestamp, Value};
use v3::{Lists, Maps, Node, Scalars, WellKnown};

/// Reads with this budget.
fn proto<M>(bytes: &[u8], budget: usize) -> Result<M, DecodeError>
where
    Prost: Decode<M>,
{
    let options = ProtoOptions::default().with_decode_budget(budget);
    assert_eq!(options.decode_budget(), budget);
    Prost::decode(Bytes::copy_from_slice(bytes), &Codec::Proto(options))
}

fn json<M>(text: &str, budget: usize) -> Result<M, DecodeError>
where
    Prost: Decode<M>,
{
    let options = JsonOptions::default().with_decode_budget(budget);
    Prost::decode(
        Bytes::copy_from_slice(text.as_bytes()),
        &Codec::Json(options),
    )
}

/// The message fits a budget that is this large, in bytes, and none that is smaller, in both codecs.
#[track_caller]
fn assert_takes<M>(message: &M, proto_bytes: usize, json_bytes: usize)
where
    M: prost::Message + JsonMessage + PartialEq,
{
    let mut bytes = BytesMut::new();
    Prost::encode(message, &Codec::default(), &mut bytes).unwrap();
    assert!(proto::<M>(&bytes, proto_bytes).unwrap() == *message);
    assert_exhausted(proto::<M>(&bytes, proto_bytes - 1));
    let text = common::write(message);
    assert!(json::<M>(&text, json_bytes).unwrap() == *message);
    assert_exhausted(json::<M>(&text, json_bytes - 1));
}

#[track_caller]
fn assert_exhausted<M>(read: Result<M, DecodeError>) {
    let error = read.map(drop).unwrap_err().into_error(Side::Server);
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert!(error.message().contains("decode budget"), "{error}");
}

#[test]
fn lists_take_their_elements() {
    let ints = Lists {
        ints: vec![1; 1000],
        ..Lists::default()
    };
    assert_takes(&ints, size_of::<Lists>() + 4000, size_of::<Lists>() + 4000);
    let blobs = Lists {
        blobs: vec![Bytes::new(); 1000],
        ..Lists::default()
    };
    let takes = size_of::<Lists>() + 1000 * size_of::<Bytes>();
    assert_takes(&blobs, takes, takes);
    let strings = Lists {
        strings: vec!["abc".into(); 1000],
        ..Lists::default()
    };
    let takes = size_of::<Lists>() + 1000 * (size_of::<String>() + 3);
    assert_takes(&strings, takes, takes);
}

/// Two bytes on the wire, three in JSON.
#[test]
fn empty_messages_take_as_much_as_any() {
    let messages = Lists {
        messages: vec![Scalars::default(); 1000],
        ..Lists::default()
    };
    let takes = size_of::<Lists>() + 1000 * size_of::<Scalars>();
    assert_takes(&messages, takes, takes);
}

#[test]
fn boxed_messages_count() {
    let mut node = Node::default();
    for _ in 0..50 {
        node = Node {
            child: Some(Box::new(node)),
            ..Node::default()
        };
    }
    let takes = 51 * size_of::<Node>();
    assert_takes(&node, takes, takes);
}

#[test]
fn maps_take_keys_values_and_room() {
    let maps = Maps {
        string_string: [("key".to_owned(), "value".to_owned())].into(),
        ..Maps::default()
    };
    let entry = 2 * size_of::<String>() + 16 + "keyvalue".len();
    assert_takes(&maps, size_of::<Maps>() + entry, size_of::<Maps>() + entry);
    // An entry of which nothing is said is one all the same.
    let entries = b"\x0a\x00".repeat(100);
    assert_exhausted(proto::<Maps>(&entries, size_of::<Maps>() + 100 * 64 - 1));
    proto::<Maps>(&entries, size_of::<Maps>() + 100 * 64).unwrap();
}

#[test]
fn trees_take_their_values() {
    let text = format!(r#"{{"value":[{}[]]}}"#, "[],".repeat(999));
    let value = size_of::<Value>();
    let takes = size_of::<WellKnown>() + 1000 * value;
    json::<WellKnown>(&text, takes).unwrap();
    assert_exhausted(json::<WellKnown>(&text, takes - 1));
    let message: WellKnown = json(&text, takes).unwrap();
    let mut bytes = BytesMut::new();
    Prost::encode(&message, &Codec::default(), &mut bytes).unwrap();
    assert_exhausted(proto::<WellKnown>(&bytes, 1000 * value));
    proto::<WellKnown>(&bytes, 10_000 * value).unwrap();
}

/// By itself and in a field, text and keys included, as read from Protobuf.
#[test]
fn well_known_messages_take_what_they_hold() {
    let text = r#"{"code":"","l":[1,"x",null,{"b":true}],"n":1e3}"#;
    let value = size_of::<Value>();
    let key = size_of::<String>() + 16;
    let takes = size_of::<Struct>() + 8 * value + 4 * key + "codelnb".len() + "x".len();
    // Protobuf has a message where JSON has a bracket.
    let inside = size_of::<Struct>() + size_of::<ListValue>();
    assert_budget::<Struct>(text, takes);
    let message: Struct = json(text, takes).unwrap();
    let mut bytes = BytesMut::new();
    Prost::encode(&message, &Codec::default(), &mut bytes).unwrap();
    proto::<Struct>(&bytes, takes + inside).unwrap();
    assert_exhausted(proto::<Struct>(&bytes, takes - 1));

    let mask = r#""a,bC""#;
    let takes = size_of::<FieldMask>() + 2 * size_of::<String>() + "a,bC".len();
    assert_budget::<FieldMask>(mask, takes);
    assert_budget::<Duration>(r#""1s""#, size_of::<Duration>());
    assert_budget::<Timestamp>(r#""1970-01-01T00:00:01Z""#, size_of::<Timestamp>());
}

/// The text fits a budget that is this large, in bytes, and none that is smaller.
#[track_caller]
fn assert_budget<M>(text: &str, bytes: usize)
where
    Prost: Decode<M>,
{
    assert!(json::<M>(text, bytes).is_ok());
    assert_exhausted(json::<M>(text, bytes - 1));
}

#[test]
fn packed_groups_and_unknown_fields() {
    // Packed numbers: a byte each becomes eight.
    let longs = [&b"\x22\xe8\x07"[..], &[1; 1000]].concat();
    let takes = size_of::<Lists>() + 8000;
    assert_eq!(proto::<Lists>(&longs, takes).unwrap().longs.len(), 1000);
    assert_exhausted(proto::<Lists>(&longs, takes - 1));
    // Groups of a list, after what proto2 requires.
    let rows = b"\x4b\x4c".repeat(100);
    let takes = size_of::<v2::Legacy>() + 100 * size_of::<v2::legacy::Row>();
    assert_eq!(proto::<v2::Legacy>(&rows, takes).unwrap().row.len(), 100);
    assert_exhausted(proto::<v2::Legacy>(&rows, takes - 1));
    // What is not kept costs nothing: a string, a group with a varint.
    let unknown = b"\xfa\x07\x03abc\xfb\x07\x08\x01\xfc\x07".repeat(100);
    proto::<Lists>(&unknown, size_of::<Lists>()).unwrap();
}

#[test]
fn malformed_bytes_are_for_the_decoder_to_refuse() {
    for bytes in [
        &b"\x0a"[..],
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x0b\x0b\x0b",
        b"\x0c",
        b"\x0f",
        b"\x9a\x01\x05\x0a\xff",
    ] {
        let error = proto::<Lists>(bytes, 1 << 20).unwrap_err();
        let error = error.into_error(Side::Server);
        assert_eq!(error.code(), Code::InvalidArgument, "{bytes:?}: {error}");
    }
    let deep = (0..200).fold(Vec::new(), |inner, _| {
        let mut bytes = BytesMut::new();
        prost::encoding::bytes::encode(1, &inner, &mut bytes);
        bytes.to_vec()
    });
    let error = proto::<Node>(&deep, 1 << 20).unwrap_err();
    assert!(error.message().contains("recursion"), "{error}");
}

#[test]
fn the_default_is_finite_and_codecs_set_both() {
    // 64 MiB.
    let count = (64 << 20) / size_of::<Scalars>() + 1;
    let messages = b"\x92\x01\x00".repeat(count);
    assert_exhausted(<Prost as Decode<Lists>>::decode(
        messages.into(),
        &Codec::default(),
    ));
    let codecs = Codecs::default().with_decode_budget(size_of::<Lists>());
    for (name, bytes) in [
        ("proto", &b"\x1a\x01\x01"[..]),
        ("json", br#"{"ints":[1]}"#),
    ] {
        let codec = codecs.get(name).unwrap();
        assert_exhausted(<Prost as Decode<Lists>>::decode(bytes.into(), codec));
    }
}
