//! Features of editions, resolved from descriptors. These are put together here by the byte, as neither
//! prost-types nor protox knows editions; `tests/frontends.rs` has protoc and buf make some.

use connect_codegen::{Config, Error, generate};

/// A field of an encoded message that holds bytes.
fn bytes(number: u32, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::bytes::encode(number, &content.as_ref().to_vec(), &mut out);
    out
}

/// A field that holds a number.
fn int(number: u32, value: i32) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::int32::encode(number, &value, &mut out);
    out
}

/// A `FieldDescriptorProto` of the message `A`, with a `FeatureSet`.
fn field(number: i32, label: i32, kind: i32, features: &[u8]) -> Vec<u8> {
    let name = format!("f{number}");
    let type_name = match kind {
        MESSAGE if label == REPEATED => bytes(6, ".p.A.MapEntry"),
        MESSAGE => bytes(6, ".p.A"),
        _ => Vec::new(),
    };
    let options = bytes(8, bytes(21, features));
    let parts = [
        int(3, number),
        int(4, label),
        int(5, kind),
        type_name,
        options,
    ];
    bytes(2, [bytes(1, name), parts.concat()].concat())
}

/// An entry of a map of integers to the message `A`.
fn map_entry() -> Vec<u8> {
    let key = [bytes(1, "key"), int(3, 1), int(4, OPTIONAL), int(5, INT32)];
    let value = [
        bytes(1, "value"),
        int(3, 2),
        int(4, OPTIONAL),
        int(5, MESSAGE),
    ];
    let value = [value.concat(), bytes(6, ".p.A")].concat();
    let fields = [bytes(2, key.concat()), bytes(2, value)].concat();
    bytes(
        3,
        [bytes(1, "MapEntry"), fields, bytes(7, int(7, 1))].concat(),
    )
}

/// The code of a message `A` of a file with a `FeatureSet`.
fn code(edition: i32, features: &[u8], fields: &[Vec<u8>]) -> Result<String, Error> {
    let message = [bytes(1, "A"), fields.concat(), map_entry()].concat();
    let file = [
        bytes(1, "a.proto"),
        bytes(2, "p"),
        bytes(4, message),
        bytes(8, bytes(50, features)),
        bytes(12, "editions"),
        int(14, edition),
    ];
    let config = Config::new().with_json(false).with_descriptor_set(false);
    let files = generate(&bytes(1, file.concat()), &["a.proto"], &config)?;
    let code = files.into_iter().find(|file| file.name == "p.rs");
    Ok(code.unwrap().content)
}

#[track_caller]
fn assert_contains(code: &str, parts: &[&str]) {
    for part in parts {
        assert!(code.contains(part), "{part}: {code}");
    }
}

#[test]
fn an_edition_has_defaults_and_a_field_has_the_last_word() {
    let fields = [
        field(1, OPTIONAL, INT32, &[]),
        field(2, OPTIONAL, INT32, &PRESENCE_IMPLICIT),
        field(3, OPTIONAL, INT32, &PRESENCE_REQUIRED),
        field(4, REPEATED, INT32, &[]),
        field(5, REPEATED, INT32, &EXPANDED),
        field(6, OPTIONAL, MESSAGE, &[]),
        field(7, OPTIONAL, MESSAGE, &DELIMITED),
    ];
    // 2023 and 2024.
    for edition in [1000, 1001] {
        let code = code(edition, &[], &fields).unwrap();
        assert_contains(
            &code,
            &[
                "#[prost(int32, optional, tag = \"1\")]\n    pub f1: ::core::option::Option<i32>",
                "#[prost(int32, tag = \"2\")]\n    pub f2: i32",
                "#[prost(int32, required, tag = \"3\")]\n    pub f3: i32",
                "#[prost(int32, repeated, tag = \"4\")]",
                "#[prost(int32, repeated, packed = \"false\", tag = \"5\")]",
                "#[prost(message, optional, boxed, tag = \"6\")]",
                "#[prost(group, optional, boxed, tag = \"7\")]",
            ],
        );
    }
}

#[test]
fn what_a_file_says_holds_but_for_maps_and_messages() {
    let features = [PRESENCE_IMPLICIT, EXPANDED, DELIMITED].concat();
    let fields = [
        field(1, OPTIONAL, INT32, &[]),
        field(2, OPTIONAL, INT32, &PRESENCE_EXPLICIT),
        field(3, REPEATED, INT32, &[]),
        field(4, OPTIONAL, MESSAGE, &[]),
        field(5, REPEATED, MESSAGE, &[]),
    ];
    let code = code(1000, &features, &fields).unwrap();
    assert_contains(
        &code,
        &[
            "pub f1: i32",
            "pub f2: ::core::option::Option<i32>",
            "#[prost(int32, repeated, packed = \"false\", tag = \"3\")]",
            "#[prost(group, optional, boxed, tag = \"4\")]",
            "#[prost(btree_map = \"int32, message\", tag = \"5\")]",
        ],
    );
}

#[test]
fn later_editions_are_refused() {
    let error = code(1002, &[], &[]).unwrap_err().to_string();
    let says = "edition 1002 is not known: there are proto2, proto3, 2023 and 2024\n --> a.proto\n  = help: a later version of connect-codegen may know it";
    assert_eq!(error, says);
}

/// What protoc 33 says of each.
#[test]
fn fields_of_one_json_name_are_refused_as_protoc_does() {
    let (custom, none) = ([("a", "x"), ("b", "x")], &[][..]);
    let default = [("a_1", ""), ("a1", "")];
    let mixed = [("a", "x"), ("x", "")];
    let hidden = [("a_b", "x"), ("aB", "")];
    let legacy_conflicts = int(11, 1);
    let legacy = bytes(12, BEST_EFFORT);
    for (syntax, fields, options, says) in [
        (
            "proto3",
            &default,
            none,
            "the default JSON name of field a1, \"a1\", is the default JSON name of field a_1 too",
        ),
        (
            "editions",
            &mixed,
            none,
            "the default JSON name of field x, \"x\", is the custom JSON name of field a too",
        ),
        (
            "proto3",
            &hidden,
            none,
            "the default JSON name of field aB, \"aB\", is the default JSON name of field a_b too",
        ),
        (
            "proto2",
            &custom,
            none,
            "the custom JSON name of field b, \"x\", is the custom JSON name of field a too",
        ),
        (
            "editions",
            &custom,
            &legacy,
            "the custom JSON name of field b, \"x\", is the custom JSON name of field a too",
        ),
        ("proto2", &default, none, ""),
        ("proto2", &mixed, none, ""),
        ("editions", &default, &legacy, ""),
        ("editions", &mixed, &legacy, ""),
        ("proto3", &default, &legacy_conflicts, ""),
        ("proto2", &custom, &legacy_conflicts, ""),
        ("proto3", &[("a", "b_"), ("b", "")], none, ""),
    ] {
        let error = json_names(syntax, fields, options).err();
        let expected = format!("{says}\n --> a.proto:3:5\n  = help: rename one of them");
        match error {
            Some(error) => assert_eq!(error.to_string(), expected),
            None => assert_eq!(says, "", "{syntax} {fields:?}"),
        }
    }
}

/// Generates a message of two fields, each with its name and a `json_name`, the second in line 3.
fn json_names(syntax: &str, fields: &[(&str, &str); 2], options: &[u8]) -> Result<(), Error> {
    let mut message = [bytes(1, "A"), bytes(7, options)].concat();
    for (number, (name, json_name)) in (1..).zip(fields) {
        let mut field = [
            bytes(1, name),
            int(3, number),
            int(4, OPTIONAL),
            int(5, INT32),
        ]
        .concat();
        if !json_name.is_empty() {
            field.extend(bytes(10, json_name));
        }
        message.extend(bytes(2, field));
    }
    let place = [bytes(1, [4, 0, 2, 1]), bytes(2, [2, 4, 9])];
    let file = [
        bytes(1, "a.proto"),
        bytes(2, "p"),
        bytes(4, message),
        bytes(9, bytes(1, place.concat())),
        bytes(12, syntax),
        int(14, if syntax == "editions" { 1000 } else { 0 }),
    ];
    let config = Config::new().with_descriptor_set(false);
    generate(&bytes(1, file.concat()), &["a.proto"], &config).map(drop)
}

// `FeatureSet`s.
const PRESENCE_EXPLICIT: [u8; 2] = [0x08, 1];
const PRESENCE_IMPLICIT: [u8; 2] = [0x08, 2];
const PRESENCE_REQUIRED: [u8; 2] = [0x08, 3];
const EXPANDED: [u8; 2] = [0x18, 2];
const DELIMITED: [u8; 2] = [0x28, 2];
const BEST_EFFORT: [u8; 2] = [0x30, 2];

// Labels and types.
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 3;
const INT32: i32 = 5;
const MESSAGE: i32 = 11;
