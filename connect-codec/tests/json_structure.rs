//! ProtoJSON, the rules on objects: presence, null, names, duplicates, lists, maps, oneofs, depth.

mod common;

use std::collections::BTreeMap;

use common::{assert_refused, read, v3, write};
use connect_codec::json::{self, JsonOptions};
use connect_proto::Code;
use v3::{Choice, Lists, Maps, Names, Node, Nothing, Optionals, Scalars, Wide, choice};

/// "Null values: null is an accepted value for all field types and treated as the default value of
/// the corresponding field type."
#[test]
fn null_is_absence() {
    let scalars: Scalars = read(
        r#"{"doubleValue":null,"int64Value":null,"boolValue":null,"stringValue":null,"bytesValue":null,"color":null}"#,
    )
    .unwrap();
    assert_eq!(scalars, Scalars::default());
    let optionals: Optionals =
        read(r#"{"int32Value":null,"stringValue":null,"color":null}"#).unwrap();
    assert_eq!(optionals, Optionals::default());
    let lists: Lists = read(r#"{"ints":null,"messages":null}"#).unwrap();
    assert_eq!(lists, Lists::default());
    let maps: Maps = read(r#"{"stringString":null}"#).unwrap();
    assert_eq!(maps, Maps::default());
    let node: Node = read(r#"{"child":null}"#).unwrap();
    assert_eq!(node, Node::default());
    assert_refused::<Scalars>("null", "invalid type: null");
}

/// Fields with presence are written when they are set, to whatever; others unless they hold the default.
#[test]
fn presence() {
    let text = r#"{"doubleValue":0.0,"int32Value":0,"int64Value":"0","boolValue":false,"stringValue":"","bytesValue":"","color":"COLOR_UNSPECIFIED"}"#;
    let message: Optionals = read(text).unwrap();
    assert_eq!(message.int32_value, Some(0));
    assert_eq!(write(&message), text);
    assert_eq!(write(&Optionals::default()), "{}");
    assert_eq!(write(&Scalars::default()), "{}");
}

#[test]
fn defaults_are_written_on_request() {
    let emit = JsonOptions::default().with_emit_defaults(true);
    let scalars = json::to_string(&Scalars::default(), &emit).unwrap();
    assert_eq!(
        scalars,
        concat!(
            r#"{"doubleValue":0.0,"floatValue":0.0,"int32Value":0,"int64Value":"0","#,
            r#""uint32Value":0,"uint64Value":"0","sint32Value":0,"sint64Value":"0","#,
            r#""fixed32Value":0,"fixed64Value":"0","sfixed32Value":0,"sfixed64Value":"0","#,
            r#""boolValue":false,"stringValue":"","bytesValue":"","#,
            r#""color":"COLOR_UNSPECIFIED","nullValue":null}"#
        )
    );
    // What has presence, or is a member of a oneof, stays away.
    assert_eq!(json::to_string(&Optionals::default(), &emit).unwrap(), "{}");
    assert_eq!(
        json::to_string(&Node::default(), &emit).unwrap(),
        r#"{"children":[],"byName":{}}"#
    );
    assert_eq!(
        json::to_string(&Choice::default(), &emit).unwrap(),
        r#"{"before":"","after":""}"#
    );
}

/// "Message field names are mapped to lowerCamelCase. If the json_name field option is specified, the
/// specified value will be used as the key instead. Parsers accept both the lowerCamelCase name (or
/// the one specified by the json_name option) and the original proto field name."
#[test]
fn names() {
    let message = Names {
        snake_case_name: "a".into(),
        camel_case: "b".into(),
        leading: "c".into(),
        with_1_digit: "d".into(),
        renamed: "e".into(),
        r#type: "f".into(),
        self_: "g".into(),
        quoted: "h".into(),
    };
    let json_names = r#"{"snakeCaseName":"a","camelCase":"b","Leading":"c","with1Digit":"d","@id":"e","type":"f","self":"g","a\"b":"h"}"#;
    let proto_names = r#"{"snake_case_name":"a","camelCase":"b","_leading":"c","with_1_digit":"d","renamed":"e","type":"f","self":"g","quoted":"h"}"#;
    assert_eq!(write(&message), json_names);
    let options = JsonOptions::default().with_proto_names(true);
    assert_eq!(json::to_string(&message, &options).unwrap(), proto_names);
    for text in [json_names, proto_names] {
        assert_eq!(read::<Names>(text).unwrap(), message);
    }
    let escaped: Names = read(r#"{"snake\u0043aseName":"a"}"#).unwrap();
    assert_eq!(escaped.snake_case_name, "a");
}

#[test]
fn unknown_fields() {
    let text = r#"{"new":{"deep":[1,{"x":null}]},"int32Value":1,"other":"y"}"#;
    let message: Scalars = read(text).unwrap();
    assert_eq!(message.int32_value, 1);
    let strict = JsonOptions::default().with_reject_unknown(true);
    let error = json::from_slice::<Scalars>(text.as_bytes(), &strict).unwrap_err();
    assert!(error.message().contains("unknown field `new`"), "{error}");
    assert!(error.message().contains("line 1 column 6"), "{error}");
    // Names match exactly.
    assert!(json::from_slice::<Scalars>(br#"{"int32value":1}"#, &strict).is_err());
    assert!(json::from_slice::<Nothing>(b"{}", &strict).is_ok());
    assert!(json::from_slice::<Nothing>(br#"{"a":1}"#, &strict).is_err());
}

/// "If a JSON value for an enum is a string that is not recognized, it is handled like an unknown
/// field": the field is left alone, the element or entry left out.
#[test]
fn unknown_enum_names() {
    let scalars: Scalars = read(r#"{"color":"COLOR_NEW"}"#).unwrap();
    assert_eq!(scalars, Scalars::default());
    let lists: Lists = read(r#"{"colors":["COLOR_RED","COLOR_NEW","COLOR_GREEN"]}"#).unwrap();
    assert_eq!(lists.colors, [1, 2]);
    let maps: Maps = read(r#"{"int64Color":{"1":"COLOR_NEW","2":"COLOR_RED"}}"#).unwrap();
    assert_eq!(maps.int64_color, BTreeMap::from([(2, 1)]));
    let choice: Choice = read(r#"{"color":"COLOR_NEW"}"#).unwrap();
    assert_eq!(choice.kind, None);
    let strict = JsonOptions::default().with_reject_unknown(true);
    for text in [
        r#"{"color":"COLOR_NEW"}"#,
        r#"{"color":""}"#,
        r#"{"color":"1"}"#,
    ] {
        let error = json::from_slice::<Scalars>(text.as_bytes(), &strict).unwrap_err();
        assert!(
            error
                .message()
                .contains("a name or number of test.v3.Color"),
            "{error}"
        );
    }
}

#[test]
fn duplicates_are_refused() {
    for text in [
        r#"{"int32Value":1,"int32Value":1}"#,
        r#"{"int32Value":1,"int32_value":1}"#,
        r#"{"int32Value":1,"int32Value":null}"#,
    ] {
        assert_refused::<Scalars>(text, "int32Value: appears twice");
    }
    for (first, second) in [(1, 67), (64, 64), (65, 65), (67, 67)] {
        let text = format!(r#"{{"f{first}":1,"f{second}":2}}"#);
        assert_eq!(read::<Wide>(&text).is_err(), first == second, "{text}");
    }
    assert_refused::<Maps>(
        r#"{"int32Int64":{"1":1,"1":2}}"#,
        "int32Int64: a key appears twice",
    );
    // An ignored field may come as often as it likes.
    assert!(read::<Nothing>(r#"{"a":1,"a":2}"#).is_ok());
}

fn null() -> prost_types::Value {
    prost_types::Value {
        kind: Some(prost_types::value::Kind::NullValue(0)),
    }
}

/// "oneof": at most one member, and null does not count, unless it is a value.
#[test]
fn oneofs() {
    use choice::{Inner, Kind, inner::Shade};
    for (text, kind) in [
        (r#"{"text":""}"#, Kind::Text(String::new())),
        (r#"{"number":"5"}"#, Kind::Number(5)),
        (r#"{"color":"COLOR_RED"}"#, Kind::Color(1)),
        (
            r#"{"inner":{"name":"x"}}"#,
            Kind::Inner(Inner { name: "x".into() }),
        ),
        (r#"{"nothing":null}"#, Kind::Nothing(0)),
        (r#"{"anything":null}"#, Kind::Anything(null())),
        (r#"{"shade":"LIGHT"}"#, Kind::Shade(Shade::Light.into())),
        (r#"{"empty":{}}"#, Kind::Empty(())),
        (
            r#"{"choice":{"after":"z"}}"#,
            Kind::Choice(Box::new(Choice {
                after: "z".into(),
                ..Choice::default()
            })),
        ),
    ] {
        let message: Choice = read(text).unwrap();
        assert_eq!(message.kind, Some(kind), "{text}");
        assert_eq!(write(&message), text);
    }
    let null_first: Choice = read(r#"{"text":null,"number":1}"#).unwrap();
    let null_second: Choice = read(r#"{"number":1,"text":null}"#).unwrap();
    assert_eq!(null_first.kind, Some(Kind::Number(1)));
    assert_eq!(null_second, null_first);
    for text in [
        r#"{"text":"a","number":1}"#,
        r#"{"text":"a","nothing":null}"#,
        r#"{"number":0,"anything":null}"#,
    ] {
        assert_refused::<Choice>(text, "another member of the oneof");
    }
    let ordered = r#"{"before":"a","text":"b","after":"c"}"#;
    assert_eq!(write(&read::<Choice>(ordered).unwrap()), ordered);
}

/// "repeated V: null is accepted as the empty list []." Elements must not be null.
#[test]
fn lists() {
    let text = r#"{"doubles":[1.5,"NaN"],"floats":[0.1],"ints":[1,-1],"longs":["1"],"bools":[true,false],"strings":["a",""],"blobs":["AQ==",""],"colors":["COLOR_RED",77],"messages":[{},{"int32Value":1}],"values":[null,1.0,"a",true,[null],{"k":null}],"wrapped":["1"]}"#;
    let message: Lists = read(text).unwrap();
    assert_eq!(write(&message), text);
    assert_eq!(read::<Lists>(r#"{"ints":[]}"#).unwrap(), Lists::default());
    for field in [
        "doubles", "ints", "strings", "blobs", "colors", "messages", "wrapped",
    ] {
        let reason = format!("{field}: ");
        assert_refused::<Lists>(&format!(r#"{{"{field}":[null]}}"#), &reason);
        assert_refused::<Lists>(&format!(r#"{{"{field}":{{}}}}"#), &reason);
        assert_refused::<Lists>(&format!(r#"{{"{field}":[[]]}}"#), &reason);
    }
    assert_refused::<Lists>(r#"{"ints":[1,]}"#, "trailing comma");
    assert_refused::<Lists>(r#"{"ints":1}"#, "expected a list");
}

/// "map<K,V>: All keys are converted to strings."
#[test]
fn maps() {
    for text in [
        r#"{"stringString":{"a":"b"}}"#,
        r#"{"stringString":{"":""}}"#,
        r#"{"int32Int64":{"-1":"-2"}}"#,
        r#"{"int64Color":{"-9223372036854775808":"COLOR_RED"}}"#,
        r#"{"uint32Bytes":{"4294967295":"AQ=="}}"#,
        r#"{"uint64Double":{"18446744073709551615":0.0}}"#,
        r#"{"boolMessage":{"true":{}}}"#,
        r#"{"boolMessage":{"false":{"int32Value":1}}}"#,
        r#"{"stringValue":{"a":null}}"#,
    ] {
        assert_eq!(write(&read::<Maps>(text).unwrap()), text);
    }
    let escaped: Maps =
        read(r#"{"boolMessage":{"tr\u0075e":{}},"int32Int64":{"\u0031":1}}"#).unwrap();
    assert!(escaped.bool_message.contains_key(&true));
    assert_eq!(escaped.int32_int64, BTreeMap::from([(1, 1)]));
    for text in [
        r#"{"stringString":{"a":null}}"#,
        r#"{"stringString":[]}"#,
        r#"{"int32Int64":{"a":1}}"#,
        r#"{"int32Int64":{"":1}}"#,
        r#"{"int32Int64":{"1.5":1}}"#,
        r#"{"int32Int64":{"01":1}}"#,
        r#"{"int32Int64":{"2147483648":1}}"#,
        r#"{"uint32Bytes":{"-1":""}}"#,
        r#"{"boolMessage":{"True":{}}}"#,
        r#"{"boolMessage":{"true":null}}"#,
        r#"{null:1}"#,
        r#"{"int32Int64":{1:1}}"#,
    ] {
        assert!(read::<Maps>(text).is_err(), "{text}");
    }
}

/// "message: Generates JSON objects."
#[test]
fn only_objects_are_messages() {
    for text in [
        "", " ", "[]", "1", r#""{}""#, "true", "{", "{}{}", "{} x", "{\"a\"}", "nul",
    ] {
        assert!(read::<Nothing>(text).is_err(), "{text}");
    }
    assert!(read::<Nothing>(" \n{}\t").is_ok());
}

#[test]
fn errors_name_the_field_and_the_place() {
    let text = "{\n  \"child\": {\"children\": [{}, {\"byName\": {\"x\": 5}}]}\n}";
    let error = read::<Node>(text).unwrap_err();
    let message = error.message();
    for part in [
        "cannot read test.v3.Node from JSON",
        "child: children: byName: invalid type: integer `5`",
        "expected an object for test.v3.Node",
        "at line 2 column",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn error_messages_do_not_grow_with_the_input() {
    let long = "ü".repeat(100_000);
    let error = read::<Scalars>(&format!(r#"{{"int32Value":"{long}"}}"#)).unwrap_err();
    assert!(error.message().len() < 1_000);
    let strict = JsonOptions::default().with_reject_unknown(true);
    let text = format!(r#"{{"{long}":1}}"#);
    let error = json::from_slice::<Scalars>(text.as_bytes(), &strict).unwrap_err();
    assert!(error.message().len() < 1_000);
}

fn nested(depth: usize) -> String {
    format!("{}{{}}{}", r#"{"child":"#.repeat(depth), "}".repeat(depth))
}

/// The limit counts messages, the outermost included.
#[test]
fn depth_is_limited() {
    let options = JsonOptions::default().with_max_depth(5);
    for (depth, fits) in [(4, true), (5, false), (50, false)] {
        let text = nested(depth);
        let result = json::from_slice::<Node>(text.as_bytes(), &options);
        assert_eq!(result.is_ok(), fits, "{depth}");
        let tree: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            json::from_value::<Node>(tree, &options).is_ok(),
            fits,
            "{depth}"
        );
    }
    assert!(read::<Node>(&nested(99)).is_ok());
    assert_refused::<Node>(&nested(100), "nested deeper than 100");
    // What is not read does not count, however deep, and does not use the stack.
    let deep = format!(
        r#"{{"unknown":{}1{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    assert!(read::<Node>(&deep).is_ok());
}

#[test]
fn depth_is_limited_on_output() {
    let mut node = Node::default();
    for _ in 0..150 {
        node = Node {
            child: Some(Box::new(node)),
            ..Node::default()
        };
    }
    let error = json::to_string(&node, &JsonOptions::default()).unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(
        error.message().contains("nested deeper than 100"),
        "{error}"
    );
    let deeper = JsonOptions::default().with_max_depth(200);
    assert!(json::to_string(&node, &deeper).is_ok());
}

/// The generated serde implementations are the same with default options.
#[test]
fn serde_implementations() {
    let message: Scalars = serde_json::from_str(r#"{"int64Value":"5","new":1}"#).unwrap();
    assert_eq!(
        serde_json::to_string(&message).unwrap(),
        r#"{"int64Value":"5"}"#
    );
    let tree = serde_json::to_value(&message).unwrap();
    assert_eq!(serde_json::from_value::<Scalars>(tree).unwrap(), message);
}

/// Through serde, a message is what it is as text: the order of fields, numbers, escapes.
#[test]
fn serde_writes_the_same() {
    let message = Scalars {
        double_value: -0.0,
        float_value: 0.1,
        int64_value: i64::MIN,
        uint32_value: u32::MAX,
        bool_value: true,
        string_value: "a\"\\\u{1}\u{7f}é\n".into(),
        bytes_value: b"\xff"[..].into(),
        color: 1,
        ..Scalars::default()
    };
    let text = write(&message);
    assert_eq!(serde_json::to_string(&message).unwrap(), text);
    let options = JsonOptions::default();
    let wrapped = json::Json::new(&message, &options);
    assert_eq!(serde_json::to_string(&wrapped).unwrap(), text);
    let tree = json::to_value(&message, &options).unwrap();
    assert_eq!(
        tree,
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    );
    assert_eq!(
        json::from_value::<Scalars>(tree, &options).unwrap(),
        message
    );
    assert_eq!(serde_json::from_str::<Scalars>(&text).unwrap(), message);
}
