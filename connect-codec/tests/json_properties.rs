//! What holds for every message and every input.

mod common;

use std::collections::BTreeMap;

use bytes::Bytes;
use common::v3::{
    self, Choice, Lists, Maps, Names, Node, Optionals, Scalars, WellKnown,
    choice::{Inner, Kind},
};
use connect_codec::{
    Codec, Decode, Encode, Prost,
    json::{self, JsonMessage, JsonOptions, TypeRegistry},
};
use proptest::{collection, option, prelude::*};
use prost_types::{Any, Duration, ListValue, Struct, Timestamp, Value};

fn options() -> impl Strategy<Value = JsonOptions> {
    any::<[bool; 4]>().prop_map(|[reject, emit, numbers, proto]| {
        let mut types = TypeRegistry::default();
        v3::register_types(&mut types);
        JsonOptions::default()
            .with_types(types)
            .with_reject_unknown(reject)
            .with_emit_defaults(emit)
            .with_enums_as_numbers(numbers)
            .with_proto_names(proto)
    })
}

fn blob() -> impl Strategy<Value = Bytes> {
    collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)
}

/// NaN does not equal itself; a test of its own covers it. Zero loses its sign in binary.
fn double() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("not NaN", |v| {
        !v.is_nan() && v.to_bits() != (-0.0_f64).to_bits()
    })
}

fn float() -> impl Strategy<Value = f32> {
    any::<f32>().prop_filter("not NaN", |v| {
        !v.is_nan() && v.to_bits() != (-0.0_f32).to_bits()
    })
}

fn color() -> impl Strategy<Value = i32> {
    prop_oneof![-1..3_i32, any::<i32>()]
}

fn scalars() -> impl Strategy<Value = Scalars> {
    let integers = any::<(i32, i64, u32, u64, i32, i64, u32, u64, i32, i64)>();
    let rest = (
        double(),
        float(),
        any::<bool>(),
        any::<String>(),
        blob(),
        color(),
    );
    (integers, rest).prop_map(|(i, r)| Scalars {
        double_value: r.0,
        float_value: r.1,
        int32_value: i.0,
        int64_value: i.1,
        uint32_value: i.2,
        uint64_value: i.3,
        sint32_value: i.4,
        sint64_value: i.5,
        fixed32_value: i.6,
        fixed64_value: i.7,
        sfixed32_value: i.8,
        sfixed64_value: i.9,
        bool_value: r.2,
        string_value: r.3,
        bytes_value: r.4,
        color: r.5,
        null_value: 0,
    })
}

fn optionals() -> impl Strategy<Value = Optionals> {
    (
        option::of(double()),
        any::<(Option<i32>, Option<i64>, Option<bool>, Option<String>)>(),
        option::of(blob()),
        option::of(color()),
        option::of(Just(0)),
    )
        .prop_map(
            |(double_value, plain, bytes_value, color, null_value)| Optionals {
                double_value,
                int32_value: plain.0,
                int64_value: plain.1,
                bool_value: plain.2,
                string_value: plain.3,
                bytes_value,
                color,
                null_value,
            },
        )
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value {
            kind: Some(prost_types::value::Kind::NullValue(0))
        }),
        any::<bool>().prop_map(Value::from),
        double()
            .prop_filter("finite", |v| v.is_finite())
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 4, |inner| {
        prop_oneof![
            collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            collection::btree_map(any::<String>(), inner, 0..4).prop_map(Value::from),
        ]
    })
}

fn lists() -> impl Strategy<Value = Lists> {
    (
        collection::vec(double(), 0..4),
        collection::vec(float(), 0..4),
        any::<(Vec<i32>, Vec<i64>, Vec<bool>, Vec<String>)>(),
        collection::vec(blob(), 0..4),
        collection::vec(color(), 0..4),
        collection::vec(scalars(), 0..3),
        collection::vec(value(), 0..3),
        any::<Vec<i64>>(),
    )
        .prop_map(|l| Lists {
            doubles: l.0,
            floats: l.1,
            ints: l.2.0,
            longs: l.2.1,
            bools: l.2.2,
            strings: l.2.3,
            blobs: l.3,
            colors: l.4,
            messages: l.5,
            values: l.6,
            wrapped: l.7,
        })
}

fn maps() -> impl Strategy<Value = Maps> {
    (
        any::<BTreeMap<String, String>>(),
        any::<BTreeMap<i32, i64>>(),
        collection::btree_map(any::<i64>(), color(), 0..4),
        collection::btree_map(any::<u32>(), blob(), 0..4),
        collection::btree_map(any::<u64>(), double(), 0..4),
        collection::btree_map(any::<bool>(), scalars(), 0..3),
        collection::btree_map(any::<String>(), value(), 0..3),
    )
        .prop_map(|m| Maps {
            string_string: m.0,
            int32_int64: m.1,
            int64_color: m.2,
            uint32_bytes: m.3,
            uint64_double: m.4,
            bool_message: m.5,
            string_value: m.6,
        })
}

fn choice() -> impl Strategy<Value = Choice> {
    let kind = prop_oneof![
        any::<String>().prop_map(Kind::Text),
        any::<i64>().prop_map(Kind::Number),
        color().prop_map(Kind::Color),
        any::<String>().prop_map(|name| Kind::Inner(Inner { name })),
        Just(Kind::Nothing(0)),
        value().prop_map(Kind::Anything),
        (0..5_i32).prop_map(Kind::Shade),
        Just(Kind::Empty(())),
    ];
    (any::<[String; 2]>(), option::of(kind)).prop_map(|([before, after], kind)| Choice {
        before,
        after,
        kind: Some(Kind::Choice(Box::new(Choice {
            kind,
            ..Choice::default()
        }))),
    })
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-62_135_596_800..=253_402_300_799_i64, 0..1_000_000_000_i32)
        .prop_map(|(seconds, nanos)| Timestamp { seconds, nanos })
}

fn duration() -> impl Strategy<Value = Duration> {
    (0..=315_576_000_000_i64, 0..1_000_000_000_i32, any::<bool>()).prop_map(
        |(seconds, nanos, negative)| {
            let sign = if negative { -1 } else { 1 };
            Duration {
                seconds: i64::from(sign) * seconds,
                nanos: sign * nanos,
            }
        },
    )
}

/// An Any with a message inside; floats make sure that nothing is lost in the tree.
fn packed() -> impl Strategy<Value = Any> {
    let pack = |full_name: &str, value: Vec<u8>| Any {
        type_url: format!("type.googleapis.com/{full_name}"),
        value,
    };
    let message = prop_oneof![
        scalars().prop_map(move |m| pack("test.v3.Scalars", prost::Message::encode_to_vec(&m))),
        duration().prop_map(move |m| pack(
            "google.protobuf.Duration",
            prost::Message::encode_to_vec(&m)
        )),
        value().prop_map(move |m| pack(
            "google.protobuf.ListValue",
            prost::Message::encode_to_vec(&ListValue { values: vec![m] })
        )),
        Just(Any::default()),
    ];
    message.prop_recursive(3, 4, 1, move |inner| {
        inner.prop_map(move |m| pack("google.protobuf.Any", prost::Message::encode_to_vec(&m)))
    })
}

fn well_known() -> impl Strategy<Value = WellKnown> {
    (
        option::of(timestamp()),
        option::of(duration()),
        option::of("[a-z]{1,5}(_[a-z]{1,5}){0,2}"),
        option::of(collection::btree_map(any::<String>(), value(), 0..4)),
        option::of(value()),
        option::of(packed()),
        any::<(Option<bool>, Option<i32>, Option<u64>, Option<String>)>(),
    )
        .prop_map(|w| WellKnown {
            timestamp: w.0,
            duration: w.1,
            mask: w.2.map(|path| prost_types::FieldMask { paths: vec![path] }),
            r#struct: w.3.map(|fields| Struct { fields }),
            value: w.4,
            any: w.5,
            bool_value: w.6.0,
            int32_value: w.6.1,
            uint64_value: w.6.2,
            string_value: w.6.3,
            ..WellKnown::default()
        })
}

/// What is written is read back, as text and as tree, and the text is JSON for any other parser.
fn round_trip<M>(message: &M, options: &JsonOptions) -> Result<(), TestCaseError>
where
    M: prost::Message + JsonMessage + PartialEq + std::fmt::Debug,
{
    let text = json::to_string(message, options).unwrap();
    let back: M = json::from_slice(text.as_bytes(), options).unwrap();
    prop_assert_eq!(&back, message, "{}", text);
    let tree = json::to_value(message, options).unwrap();
    let parsed: serde_json::Value = serde_json::from_str(&text).unwrap();
    prop_assert_eq!(&tree, &parsed);
    let back: M = json::from_value(tree, options).unwrap();
    prop_assert_eq!(&back, message);
    Ok(())
}

proptest! {
    // Messages are large; PROPTEST_CASES asks for more.
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_come_back(
        (scalars, optionals) in (scalars(), optionals()),
        (lists, maps) in (lists(), maps()),
        (choice, well_known) in (choice(), well_known()),
        options in options(),
    ) {
        round_trip(&scalars, &options)?;
        round_trip(&optionals, &options)?;
        round_trip(&lists, &options)?;
        round_trip(&maps, &options)?;
        round_trip(&choice, &options)?;
        round_trip(&well_known, &options)?;
    }

    /// Binary to JSON to binary.
    #[test]
    fn codecs_agree(message in maps(), options in options()) {
        let json = Codec::Json(options);
        let mut bytes = bytes::BytesMut::new();
        Prost::encode(&message, &Codec::default(), &mut bytes).unwrap();
        let message: Maps = Prost::decode(bytes.freeze(), &Codec::default()).unwrap();
        let mut text = bytes::BytesMut::new();
        Prost::encode(&message, &json, &mut text).unwrap();
        let back: Maps = Prost::decode(text.freeze(), &json).unwrap();
        prop_assert_eq!(back, message);
    }

    /// Whatever the input, there is an answer.
    #[test]
    fn hostile_bytes(bytes in collection::vec(any::<u8>(), 0..200), options in options()) {
        let _ = json::from_slice::<WellKnown>(&bytes, &options);
        let _ = json::from_slice::<Choice>(&bytes, &options);
        let bytes = Bytes::from(bytes);
        let _ = <Prost as Decode<Maps>>::decode(bytes.clone(), &Codec::default());
        if let Ok(message) = <Prost as Decode<WellKnown>>::decode(bytes, &Codec::default()) {
            let _ = json::to_string(&message, &options);
        }
    }

    /// Text made of the pieces that mean something.
    #[test]
    fn hostile_text(
        pieces in collection::vec(
            prop_oneof![
                Just("{"), Just("}"), Just("["), Just("]"), Just(":"), Just(","), Just("null"),
                Just("\"@type\""), Just("\"type.googleapis.com/google.protobuf.Any\""),
                Just("\"value\""), Just("\"any\""), Just("\"struct\""), Just("\"timestamp\""),
                Just("\"1970-01-01T00:00:00Z\""), Just("\"-1s\""), Just("1e99"), Just("-0"), Just("\"\\u0000\""),
                Just("\"child\""), Just("\"byName\""), Just("{\"any\":{\"@type\":\"a/google.protobuf.Struct\",\"value\":"),
            ],
            0..40,
        ),
        options in options(),
    ) {
        let text = pieces.concat();
        let _ = json::from_slice::<WellKnown>(text.as_bytes(), &options);
        let _ = json::from_slice::<Node>(text.as_bytes(), &options);
        let _ = json::from_slice::<Names>(text.as_bytes(), &options);
    }

    /// Times are read and written without a calendar library; here is one rule of calendars.
    #[test]
    fn times_are_ordered_as_their_texts(a in timestamp(), b in timestamp()) {
        let options = JsonOptions::default();
        let text = |time: &Timestamp| json::to_string(time, &options).unwrap()[..20].to_owned();
        prop_assert_eq!(a.seconds.cmp(&b.seconds), text(&a).cmp(&text(&b)));
    }
}

fn cases() -> u32 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(48)
}

/// NaN comes back as NaN.
#[test]
fn not_a_number() {
    let message = Scalars {
        double_value: f64::NAN,
        float_value: f32::NAN,
        ..Scalars::default()
    };
    let text = common::write(&message);
    let back: Scalars = common::read(&text).unwrap();
    assert!(back.double_value.is_nan() && back.float_value.is_nan());
}
