//! ProtoJSON, "JSON representation", second half: the types of `google.protobuf`.

mod common;

use bytes::Bytes;
use common::{assert_refused, read, v3, write};
use connect_codec::{
    json::{self, JsonOptions, TypeRegistry},
    rpc,
};
use connect_proto::Code;
use prost::Message;
use prost_types::{Any, Duration, FieldMask, ListValue, Struct, Timestamp, Value, value::Kind};
use v3::{Scalars, WellKnown};

fn assert_unwritable<M: json::JsonMessage>(message: &M, reason: &str) {
    let error = json::to_string(message, &JsonOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(error.message().contains(reason), "{error}");
}

fn timestamp(seconds: i64, nanos: i32) -> Timestamp {
    Timestamp { seconds, nanos }
}

/// "Timestamp: Uses RFC 3339, where generated output will always be Z-normalized and use 0, 3, 6 or 9
/// fractional digits. Offsets other than "Z" are also accepted."
#[test]
fn timestamps() {
    for (text, time) in [
        ("1970-01-01T00:00:00Z", timestamp(0, 0)),
        (
            "1972-01-01T10:00:20.021Z",
            timestamp(63_108_020, 21_000_000),
        ),
        ("0001-01-01T00:00:00Z", timestamp(-62_135_596_800, 0)),
        (
            "9999-12-31T23:59:59.999999999Z",
            timestamp(253_402_300_799, 999_999_999),
        ),
        ("1969-12-31T23:59:59.999Z", timestamp(-1, 999_000_000)),
        ("2000-02-29T12:00:00.000001Z", timestamp(951_825_600, 1_000)),
        ("2024-02-29T00:00:00Z", timestamp(1_709_164_800, 0)),
        (
            "1900-03-01T00:00:00.000000001Z",
            timestamp(-2_203_891_200, 1),
        ),
    ] {
        assert_eq!(
            read::<Timestamp>(&format!("{text:?}")).unwrap(),
            time,
            "{text}"
        );
        assert_eq!(write(&time), format!("{text:?}"));
    }
    for (text, normal) in [
        ("1970-01-01T01:00:00+01:00", "1970-01-01T00:00:00Z"),
        ("1969-12-31T16:00:00-08:00", "1970-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00.1Z", "1970-01-01T00:00:00.100Z"),
        ("1970-01-01T00:00:00.0000000Z", "1970-01-01T00:00:00Z"),
        ("1970-01-01T00:00:00.1234Z", "1970-01-01T00:00:00.123400Z"),
    ] {
        let time: Timestamp = read(&format!("{text:?}")).unwrap();
        assert_eq!(write(&time), format!("{normal:?}"));
    }
    for text in [
        "",
        "1970-01-01",
        "1970-01-01T00:00:00",
        "1970-01-01 00:00:00Z",
        "1970-01-01t00:00:00z",
        "1970-01-01T00:00:00z",
        "1970-1-1T00:00:00Z",
        "1970-13-01T00:00:00Z",
        "1970-00-01T00:00:00Z",
        "1970-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "1970-01-32T00:00:00Z",
        "1970-01-00T00:00:00Z",
        "1970-01-01T24:00:00Z",
        "1970-01-01T00:60:00Z",
        "1970-01-01T00:00:60Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "1970-01-01T00:00:00.Z",
        "1970-01-01T00:00:00.0123456789Z",
        "1970-01-01T00:00:00+0100",
        "1970-01-01T00:00:00+24:00",
        "1970-01-01T00:00:00+01:60",
        "1970-01-01T00:00:00ZZ",
        "-970-01-01T00:00:00Z",
        "+1970-01-01T00:00:00Z",
        "1970-01-01T00:00:00Zé",
    ] {
        assert_refused::<Timestamp>(&format!("{text:?}"), "expected a time");
    }
    assert_refused::<Timestamp>("5", "expected a time");
    for bad in [
        timestamp(-62_135_596_801, 0),
        timestamp(253_402_300_800, 0),
        timestamp(i64::MIN, 0),
        timestamp(0, -1),
        timestamp(0, 1_000_000_000),
    ] {
        assert_unwritable(&bad, "years 1 to 9999");
    }
}

fn duration(seconds: i64, nanos: i32) -> Duration {
    Duration { seconds, nanos }
}

/// "Duration: Generated output always contains 0, 3, 6, or 9 fractional digits, depending on required
/// precision, followed by the suffix "s". Accepted are any fractional digits (also none) as long as
/// they fit into nanoseconds precision and the suffix "s" is required."
#[test]
fn durations() {
    for (text, value) in [
        ("0s", duration(0, 0)),
        ("1s", duration(1, 0)),
        ("1.500s", duration(1, 500_000_000)),
        ("-1.500s", duration(-1, -500_000_000)),
        ("-0.000001s", duration(0, -1_000)),
        ("0.000000001s", duration(0, 1)),
        ("315576000000s", duration(315_576_000_000, 0)),
        (
            "-315576000000.999999999s",
            duration(-315_576_000_000, -999_999_999),
        ),
    ] {
        assert_eq!(
            read::<Duration>(&format!("{text:?}")).unwrap(),
            value,
            "{text}"
        );
        assert_eq!(write(&value), format!("{text:?}"));
    }
    for (text, value) in [
        ("1.5s", duration(1, 500_000_000)),
        ("1.0s", duration(1, 0)),
        ("-0s", duration(0, 0)),
    ] {
        assert_eq!(read::<Duration>(&format!("{text:?}")).unwrap(), value);
    }
    for text in [
        "",
        "s",
        "1",
        "-s",
        "1.s",
        ".5s",
        "+1s",
        "1S",
        " 1s",
        "1 s",
        "--1s",
        "1.-5s",
        "1.0123456789s",
        "315576000001s",
        "-315576000001s",
        "99999999999999999999s",
        "0x1s",
        "1es",
        "1..5s",
        "1s ",
    ] {
        assert_refused::<Duration>(&format!("{text:?}"), "expected a duration");
    }
    assert_refused::<Duration>("1", "expected a duration");
    for bad in [
        duration(1, -1),
        duration(-1, 1),
        duration(0, 1_000_000_000),
        duration(0, i32::MIN),
        duration(315_576_000_001, 0),
        duration(i64::MIN, 0),
    ] {
        assert_unwritable(&bad, "duration");
    }
}

/// "FieldMask: "f.fooBar,h""
#[test]
fn field_masks() {
    for (text, paths) in [
        ("", &[][..]),
        ("fooBar", &["foo_bar"]),
        ("f.fooBar,h", &["f.foo_bar", "h"]),
        ("a1.b2C", &["a1.b2_c"]),
    ] {
        let mask: FieldMask = read(&format!("{text:?}")).unwrap();
        assert_eq!(mask.paths, paths);
        assert_eq!(write(&mask), format!("{text:?}"));
    }
    for text in ["foo_bar", "a,,b", ",", "a b", "a-b", "é"] {
        assert_refused::<FieldMask>(&format!("{text:?}"), "lowerCamelCase");
    }
    for path in [
        "fooBar",
        "foo__bar",
        "foo_3_bar",
        "foo_",
        "_",
        "",
        "a,b",
        "Foo",
    ] {
        let mask = FieldMask {
            paths: vec![path.into()],
        };
        assert_unwritable(&mask, "would not come back");
    }
}

/// "Struct: Any JSON object", "Value: Any JSON value", "ListValue".
#[test]
fn any_json() {
    for text in [
        "{}",
        r#"{"a":null,"b":true,"c":1.5,"d":"x","e":[1.0,[],{}],"f":{"g":{}}}"#,
    ] {
        assert_eq!(write(&read::<Struct>(text).unwrap()), text);
        assert_eq!(write(&read::<Value>(text).unwrap()), text);
    }
    for text in ["null", "true", "-1.5", r#""x""#, "[]", "[null,[null]]"] {
        assert_eq!(write(&read::<Value>(text).unwrap()), text);
    }
    assert_eq!(write(&read::<ListValue>("[1,null]").unwrap()), "[1.0,null]");
    assert_eq!(
        read::<Value>("9007199254740993").unwrap(),
        Value::from(9_007_199_254_740_992.0)
    );
    assert_refused::<Struct>("[]", "expected an object");
    assert_refused::<Struct>(r#"{"a":1,"a":2}"#, "a key appears twice");
    assert_refused::<ListValue>("{}", "expected a list");
    assert_refused::<ListValue>("null", "expected a list");
}

/// "Value": a number must not be NaN or infinite, and a Value must be something.
#[test]
fn values_without_json() {
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_unwritable(&Value::from(number), "cannot hold");
    }
    assert_unwritable(&Value { kind: None }, "without a kind");
}

fn null() -> Value {
    Value {
        kind: Some(Kind::NullValue(0)),
    }
}

/// null is a Value wherever a Value is, and the absence of everything else.
#[test]
fn null_of_well_known_fields() {
    let message: WellKnown = read(r#"{"value":null,"struct":null,"list":null,"timestamp":null,"stringValue":null,"any":null,"empty":null}"#).unwrap();
    let expected = WellKnown {
        value: Some(null()),
        ..WellKnown::default()
    };
    assert_eq!(message, expected);
    assert_eq!(write(&message), r#"{"value":null}"#);
}

#[test]
fn values_are_limited_in_depth() {
    let lists = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
    assert!(read::<Value>(&lists(100)).is_ok());
    assert_refused::<Value>(&lists(101), "nested deeper than 100");
    assert_refused::<Value>(&lists(100_000), "");
    let objects = format!("{}1{}", r#"{"a":"#.repeat(101), "}".repeat(101));
    assert_refused::<Struct>(&objects, "nested deeper than 100");
    let mut value = Value::from(1.0);
    for _ in 0..101 {
        value = Value::from(vec![value]);
    }
    assert_unwritable(&value, "nested deeper than 100");
}

/// "Wrapper types: Wrappers use the same representation in JSON as the wrapped primitive type, except
/// that null is allowed and preserved during data conversion and transfer."
#[test]
fn wrappers() {
    let text = r#"{"empty":{},"boolValue":false,"bytesValue":"","doubleValue":0.0,"floatValue":0.0,"int32Value":0,"int64Value":"0","stringValue":"","uint32Value":0,"uint64Value":"0"}"#;
    let message: WellKnown = read(text).unwrap();
    assert_eq!(message.int64_value, Some(0));
    assert_eq!(write(&message), text);
    for text in [
        r#"{"int32Value":{"value":1}}"#,
        r#"{"boolValue":1}"#,
        r#"{"empty":1}"#,
    ] {
        assert!(read::<WellKnown>(text).is_err(), "{text}");
    }
    assert_eq!(write(&Bytes::from_static(b"\x01")), r#""AQ==""#);
    assert_eq!(write(&vec![1_u8]), r#""AQ==""#);
}

fn types() -> TypeRegistry {
    let mut types = TypeRegistry::default();
    v3::register_types(&mut types);
    types
}

fn options() -> JsonOptions {
    JsonOptions::default().with_types(types())
}

fn any<M: Message + json::JsonMessage>(message: &M) -> Any {
    Any {
        type_url: format!("type.googleapis.com/{}", M::FULL_NAME),
        value: message.encode_to_vec(),
    }
}

/// "Any: If the Any contains a value that has a special JSON mapping, it will be converted as
/// {"@type": xxx, "value": yyy}. Otherwise, the value will be converted into a JSON object, and the
/// "@type" field will be inserted to indicate the actual data type."
#[test]
fn any_of_everything() {
    let scalars = Scalars {
        float_value: 0.1,
        int64_value: i64::MIN,
        ..Scalars::default()
    };
    for (message, text) in [
        (
            any(&scalars),
            r#"{"@type":"type.googleapis.com/test.v3.Scalars","floatValue":0.1,"int64Value":"-9223372036854775808"}"#,
        ),
        (
            any(&v3::Nothing {}),
            r#"{"@type":"type.googleapis.com/test.v3.Nothing"}"#,
        ),
        (
            any(&v3::choice::Inner { name: "x".into() }),
            r#"{"@type":"type.googleapis.com/test.v3.Choice.Inner","name":"x"}"#,
        ),
        (
            any(&timestamp(0, 0)),
            r#"{"@type":"type.googleapis.com/google.protobuf.Timestamp","value":"1970-01-01T00:00:00Z"}"#,
        ),
        (
            any(&null()),
            r#"{"@type":"type.googleapis.com/google.protobuf.Value","value":null}"#,
        ),
        (
            any(&Struct::default()),
            r#"{"@type":"type.googleapis.com/google.protobuf.Struct","value":{}}"#,
        ),
        (
            any(&5_u64),
            r#"{"@type":"type.googleapis.com/google.protobuf.UInt64Value","value":"5"}"#,
        ),
        (
            any(&()),
            r#"{"@type":"type.googleapis.com/google.protobuf.Empty","value":{}}"#,
        ),
        (
            any(&any(&duration(1, 0))),
            r#"{"@type":"type.googleapis.com/google.protobuf.Any","value":{"@type":"type.googleapis.com/google.protobuf.Duration","value":"1s"}}"#,
        ),
        (
            any(&rpc::RetryInfo {
                retry_delay: Some(duration(1, 0)),
            }),
            r#"{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"1s"}"#,
        ),
        (Any::default(), "{}"),
    ] {
        assert_eq!(json::to_string(&message, &options()).unwrap(), text);
        let back: Any = json::from_slice(text.as_bytes(), &options()).unwrap();
        assert_eq!(back, message, "{text}");
    }
}

#[test]
fn any_with_its_type_anywhere() {
    for text in [
        r#"{"int32Value":1,"@type":"example.com/x/test.v3.Scalars"}"#,
        r#"{"int32Value":1,"@\u0074ype":"example.com/x/test.v3.Scalars"}"#,
    ] {
        let message: Any = json::from_slice(text.as_bytes(), &options()).unwrap();
        assert_eq!(message.type_url, "example.com/x/test.v3.Scalars");
        assert_eq!(Scalars::decode(&message.value[..]).unwrap().int32_value, 1);
    }
    // Other implementations write `Empty` as a message like any other.
    for empty in [
        &br#"{"@type":"a/google.protobuf.Empty"}"#[..],
        br#"{"value":{},"@type":"a/google.protobuf.Empty"}"#,
    ] {
        let message: Any = json::from_slice(empty, &options().with_reject_unknown(true)).unwrap();
        assert_eq!(message.type_url, "a/google.protobuf.Empty");
        assert!(message.value.is_empty());
    }
    let unknown = br#"{"value":"1s","new":1,"@type":"a/google.protobuf.Duration"}"#;
    assert!(json::from_slice::<Any>(unknown, &options()).is_ok());
    assert!(json::from_slice::<Any>(unknown, &options().with_reject_unknown(true)).is_err());
}

/// prost-types has the enum of an older schema.
#[test]
fn names_that_prost_types_lacks() {
    for (text, number) in [
        (r#"{"syntax":"SYNTAX_PROTO3"}"#, 1),
        (r#"{"syntax":"SYNTAX_EDITIONS"}"#, 2),
    ] {
        let read: prost_types::Enum = json::from_slice(text.as_bytes(), &options()).unwrap();
        assert_eq!(read.syntax, number);
        assert_eq!(json::to_string(&read, &options()).unwrap(), text);
    }
}

#[test]
fn any_that_is_none() {
    for (text, reason) in [
        (r#"{"int32Value":1}"#, "without `@type`"),
        (r#"{"@type":1}"#, "`@type` is not a string"),
        (r#"{"@type":""}"#, "has no slash"),
        (r#"{"@type":"test.v3.Scalars"}"#, "has no slash"),
        (r#"{"@type":"a/unknown.Type"}"#, "not in the registry"),
        (r#"{"@type":"a/"}"#, "not in the registry"),
        (r#"{"@type":"a/google.protobuf.Duration"}"#, "no `value`"),
        (
            r#"{"@type":"a/google.protobuf.Duration","value":1}"#,
            "expected a duration",
        ),
        (
            r#"{"@type":"a/test.v3.Scalars","int32Value":"x"}"#,
            "test.v3.Scalars: int32Value: ",
        ),
        (
            r#"{"@type":"a/test.v3.Scalars","boolValue":1,"boolValue":1}"#,
            "appears twice",
        ),
        (
            r#"{"@type":"a/test.v3.Scalars","@type":"a/test.v3.Scalars"}"#,
            "appears twice",
        ),
        ("[]", "expected an object with `@type`"),
        (r#""x""#, "expected an object with `@type`"),
    ] {
        let error = json::from_slice::<Any>(text.as_bytes(), &options()).unwrap_err();
        assert!(error.message().contains(reason), "{text}: {error}");
    }
    let unwritable = |type_url: &str, value: &[u8]| Any {
        type_url: type_url.into(),
        value: value.into(),
    };
    assert_unwritable(&unwritable("a/unknown.Type", b""), "not in the registry");
    assert_unwritable(&unwritable("", b"x"), "has no slash");
    assert_unwritable(
        &unwritable("a/google.protobuf.Duration", b"\xff"),
        "Duration",
    );
    assert_unwritable(&any(&timestamp(i64::MAX, 0)), "Timestamp");
}

/// Any in Any, and messages in Any, count against the same limit as all others.
#[test]
fn any_is_limited_in_depth() {
    let wrapped = |depth: usize| {
        let start = r#"{"@type":"a/google.protobuf.Any","value":"#.repeat(depth);
        format!("{start}{{}}{}", "}".repeat(depth))
    };
    assert!(json::from_slice::<Any>(wrapped(20).as_bytes(), &options()).is_ok());
    for depth in [101, 126, 1_000] {
        let result = json::from_slice::<Any>(wrapped(depth).as_bytes(), &options());
        assert!(result.is_err(), "{depth}");
    }
    let mut message = Any::default();
    for _ in 0..200 {
        message = any(&message);
    }
    assert_unwritable(&message, "nested deeper than 100");
}

#[test]
fn registries() {
    let types = types();
    assert!(types.contains("test.v3.Choice.Inner"));
    assert!(types.contains("google.rpc.BadRequest.FieldViolation"));
    assert!(!types.contains("test.v2.Legacy"));
    assert!(TypeRegistry::none().names().is_empty());
    let none = JsonOptions::default().with_types(TypeRegistry::none());
    assert!(json::to_string(&any(&()), &none).is_err());
    let one = TypeRegistry::none().with::<()>();
    assert_eq!(one.names(), ["google.protobuf.Empty"]);
    let debug = format!("{one:?}");
    assert!(debug.contains("google.protobuf.Empty"), "{debug}");
}

/// Descriptors are messages like others.
#[test]
fn descriptors() {
    use prost_types::{
        DescriptorProto, FieldDescriptorProto, FileDescriptorProto,
        field_descriptor_proto::{Label, Type},
    };
    let file = FileDescriptorProto {
        name: Some("a.proto".into()),
        message_type: vec![DescriptorProto {
            name: Some("A".into()),
            field: vec![FieldDescriptorProto {
                number: Some(1),
                r#type: Some(Type::Sint64.into()),
                label: Some(Label::Repeated.into()),
                ..FieldDescriptorProto::default()
            }],
            ..DescriptorProto::default()
        }],
        ..FileDescriptorProto::default()
    };
    let text = concat!(
        r#"{"name":"a.proto","messageType":[{"name":"A","field":"#,
        r#"[{"number":1,"label":"LABEL_REPEATED","type":"TYPE_SINT64"}]}]}"#
    );
    assert_eq!(write(&file), text);
    assert_eq!(read::<FileDescriptorProto>(text).unwrap(), file);
}
