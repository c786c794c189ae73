//! Messages that keep the fields that their schema does not have, beside the same messages that do not, and beside
//! an earlier version of their schema.

use bytes::{Bytes, BytesMut};
use connect_codegen_check::{built, dropping, older};
use connect_tower::{Code, Codec, Decode, Encode, Prost, ProtoOptions, Side, json::JsonOptions};
use proptest::{collection::vec, prelude::*};
use prost::{DecodeError, Message, encoding};

use built::kept::{
    Order,
    order::{By, State},
};

/// A field on the wire: of the schema with a value that is allowed, or with a number that it does not have.
fn field(valid_only: bool) -> impl Strategy<Value = Vec<u8>> {
    let state = prop::sample::select(vec![1, 2, -3]);
    let wild = prop_oneof![state.clone(), any::<i32>()];
    let state = if valid_only {
        state.boxed()
    } else {
        wild.boxed()
    };
    let order = (any::<i32>(), "[a-z]{0,3}").prop_map(|(count, id)| dropping::kept::Order {
        id,
        count: Some(count),
        ..Default::default()
    });
    let unknown = if valid_only { 20..21_u32 } else { 20..1000 };
    prop_oneof![
        "[a-z]{0,9}".prop_map(|id| write(|out| encoding::string::encode(1, &id, out))),
        any::<i32>().prop_map(|count| write(|out| encoding::int32::encode(2, &count, out))),
        vec(any::<i64>(), 0..4)
            .prop_map(|list| write(|out| encoding::sint64::encode_packed(3, &list, out))),
        any::<i64>().prop_map(|value| write(|out| encoding::sint64::encode(3, &value, out))),
        vec(any::<u32>(), 0..4)
            .prop_map(|list| write(|out| encoding::fixed32::encode_repeated(4, &list, out))),
        vec(any::<u8>(), 0..4).prop_map(|blob| {
            let data = dropping::kept::order::Data {
                blob: Some(blob.into()),
            };
            write(|out| encoding::group::encode(5, &data, out))
        }),
        ("[a-z]?", order.clone()).prop_map(|(key, order)| {
            let parts = [(key, order)].into();
            dropping::kept::Order {
                parts,
                ..Default::default()
            }
            .encode_to_vec()[2..]
                .to_vec()
        }),
        (any::<i32>(), state.clone()).prop_map(|(key, state)| {
            let states = [(key, state)].into();
            dropping::kept::Order {
                states,
                ..Default::default()
            }
            .encode_to_vec()[2..]
                .to_vec()
        }),
        (prop::sample::select(vec![9, 10, 11, 13_u32]), state.clone())
            .prop_map(|(number, state)| write(|out| encoding::int32::encode(number, &state, out))),
        (prop::sample::select(vec![10, 11_u32]), vec(state, 0..4)).prop_map(
            |(number, list)| write(|out| encoding::int32::encode_packed(number, &list, out))
        ),
        (prop::sample::select(vec![12, 15_u32]), order).prop_map(|(number, order)| write(|out| {
            encoding::message::encode(number, &order, out);
        })),
        vec(any::<u8>(), 0..4)
            .prop_map(|token| write(|out| encoding::bytes::encode(14, &token, out))),
        any::<bool>().prop_map(|open| write(|out| encoding::bool::encode(16, &open, out))),
        vec(any::<f64>(), 0..4)
            .prop_map(|list| write(|out| encoding::double::encode_packed(17, &list, out))),
        (unknown, any::<u64>()).prop_map(move |(number, value)| {
            // `valid_only` leaves unknown ones out.
            write(|out| {
                if !valid_only {
                    encoding::uint64::encode(number, &value, out);
                }
            })
        }),
    ]
}

fn write(write: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    write(&mut out);
    out
}

proptest! {
    /// What the schema has is read and written as prost does it.
    #[test]
    fn known_fields_are_prosts(fields in vec(field(true), 0..20)) {
        let bytes = fields.concat();
        let keeping = Order::decode(bytes.as_slice()).unwrap();
        let dropping = dropping::kept::Order::decode(bytes.as_slice()).unwrap();
        prop_assert!(keeping.unknown_fields.is_empty());
        prop_assert_eq!(keeping.encode_to_vec(), dropping.encode_to_vec());
        prop_assert_eq!(keeping.encoded_len(), dropping.encoded_len());
        prop_assert_eq!(keeping.state(), State::try_from(i32::from(dropping.state())).unwrap());
    }

    /// Bytes are malformed for both or for none, at the same place.
    #[test]
    fn errors_are_prosts(fields in vec(field(false), 0..5), cut in any::<prop::sample::Index>(), noise in vec(any::<u8>(), 0..5)) {
        let mut bytes = fields.concat();
        if !bytes.is_empty() {
            bytes.truncate(cut.index(bytes.len()));
        }
        bytes.extend(noise);
        let keeping = Order::decode(bytes.as_slice()).map(drop).map_err(|error| place(&error));
        let dropping = dropping::kept::Order::decode(bytes.as_slice()).map(drop).map_err(|error| place(&error));
        prop_assert_eq!(keeping, dropping);
    }

    /// Through a program with an earlier schema, nothing is lost.
    #[test]
    fn an_earlier_schema_loses_nothing(fields in vec(field(true), 0..20)) {
        let mut sent = Order::decode(fields.concat().as_slice()).unwrap();
        let relayed = older::kept::Order::decode(sent.encode_to_vec().as_slice()).unwrap();
        let relayed = relayed.encode_to_vec();
        prop_assert_eq!(relayed.len(), relayed_len(&sent));
        let mut received = Order::decode(relayed.as_slice()).unwrap();
        // The known elements of a list come before those that were not.
        for order in [&mut sent, &mut received] {
            order.history.sort_unstable();
            order.packed_history.sort_unstable();
        }
        // NaNs and all.
        prop_assert_eq!(received.encode_to_vec(), sent.encode_to_vec());
    }

    /// All bytes that are well-formed Protobuf are kept, and written as they came.
    #[test]
    fn a_message_without_fields_keeps_all(fields in vec(field(false), 0..20)) {
        let bytes = fields.concat();
        let message = built::kept::Empty::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(message.encode_to_vec(), bytes);
    }
}

/// The fields that an error names.
fn place(error: &DecodeError) -> Vec<String> {
    let text = error.to_string();
    let parts = text.split(": ").filter(|part| part.contains('.'));
    parts.map(str::to_owned).collect()
}

/// A packed list of which a part is unknown becomes two.
fn relayed_len(order: &Order) -> usize {
    let is_new = |state: &&i32| **state == 1;
    let new = order.packed_history.iter().filter(is_new).count();
    let split = new > 0 && new < order.packed_history.len();
    order.encoded_len() + if split { 2 } else { 0 }
}

/// "Unrecognized values of a closed enum are stored as unknown fields."
#[test]
fn numbers_that_a_closed_enum_lacks_are_unknown() {
    let bytes = write(|out| {
        encoding::int32::encode(9, &2, out);
        encoding::int32::encode(9, &7, out);
        encoding::int32::encode_packed(11, &[1, 7, 2, 8], out);
        encoding::int32::encode_packed(10, &[7], out);
        encoding::int32::encode(13, &7, out);
        encoding::bytes::encode(8, &[0x08, 5, 0x10, 7].to_vec(), out);
        encoding::bytes::encode(8, &[0x08, 6].to_vec(), out);
    });
    let order = Order::decode(bytes.as_slice()).unwrap();
    assert_eq!(order.state, Some(State::Paid.into()));
    assert_eq!(order.packed_history, [1, 2]);
    assert_eq!(order.history, [0; 0]);
    assert_eq!(order.states, [(6, State::New.into())].into());
    assert_eq!(order.by, None);
    let unknown = format!("{:?}", order.unknown_fields);
    let expected = "[(9, Varint(7)), (11, Bytes([7, 8])), (10, Bytes([7])), (13, Varint(7)), (8, Bytes([8, 5, 16, 7]))]";
    assert_eq!(unknown, expected);

    // Open to those who drop what they do not know: they would lose it.
    let dropping = dropping::kept::Order::decode(bytes.as_slice()).unwrap();
    assert_eq!(dropping.state, Some(7));
}

/// Those of a message inside are its own.
#[test]
fn each_message_keeps_its_own() {
    let inner = write(|out| encoding::uint64::encode(99, &1, out));
    let bytes = write(|out| {
        encoding::bytes::encode(12, &inner, out);
        encoding::uint64::encode(98, &2, out);
    });
    let order = Order::decode(bytes.as_slice()).unwrap();
    let Some(By::Gift(gift)) = &order.by else {
        panic!("{order:?}");
    };
    assert_eq!(format!("{:?}", gift.unknown_fields), "[(99, Varint(1))]");
    assert_eq!(format!("{:?}", order.unknown_fields), "[(98, Varint(2))]");
    assert_ne!(order, Order::default());
}

/// The budget counts what is kept, and nothing of what is dropped.
#[test]
fn the_decode_budget_counts_them() {
    const LEN: usize = 10_000;
    let bytes = Bytes::from(write(|out| {
        let data = vec![0; LEN / 2];
        encoding::bytes::encode(99, &data, out);
        encoding::bytes::encode(98, &data, out);
    }));
    let codec = |budget| Codec::Proto(ProtoOptions::default().with_decode_budget(budget));
    let decode = |budget| <Prost as Decode<Order>>::decode(bytes.clone(), &codec(budget));
    let enough = LEN + 2 * size_of::<Order>();
    assert_eq!(decode(enough).unwrap().unknown_fields.iter().count(), 2);
    let error = decode(LEN).unwrap_err().into_error(Side::Server);
    assert_eq!(error.code(), Code::ResourceExhausted);
    <Prost as Decode<dropping::kept::Order>>::decode(bytes, &codec(LEN)).unwrap();
}

/// JSON has no form for them, and keeps none.
#[test]
fn json_is_as_without_them() {
    let mut order = Order::decode([0x0a, 1, b'a', 0x98, 0x06, 1].as_slice()).unwrap();
    assert!(!order.unknown_fields.is_empty());
    let json = Codec::Json(JsonOptions::default());
    let mut text = BytesMut::new();
    Prost::encode(&order, &json, &mut text).unwrap();
    assert_eq!(&text[..], br#"{"id":"a"}"#);
    let read = <Prost as Decode<Order>>::decode(r#"{"id":"a","more":1}"#.into(), &json).unwrap();
    order.unknown_fields.clear();
    assert_eq!(read, order);
    let strict = Codec::Json(JsonOptions::default().with_reject_unknown(true));
    <Prost as Decode<Order>>::decode(r#"{"more":1}"#.into(), &strict).unwrap_err();
}
