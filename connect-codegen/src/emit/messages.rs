//! Messages, oneofs and enums: what prost-build would write, with documentation everywhere.

use super::{Scope, docs};
use crate::{
    code::Code,
    names::{ROOT, UNKNOWN_FIELDS},
    schema::{Derives, Enum, Field, Kind, Message, Oneof, Scalar, Shape, Source, Value},
};

/// The struct of a message.
pub(crate) fn message(message: &Message, scope: &Scope, code: &mut Code) {
    let fallback = || format!("`{}`.", message.full_name);
    head(&message.source, fallback, scope, code);
    add_attributes(&message.attributes, code);
    derive(message.derives, "Message", code);
    prost_path(
        match message.keeps_unknown {
            true => "unknown_fields::prost",
            false => "prost",
        },
        code,
    );
    // prost's `Debug` of a `BTreeMap` names the crate `prost` as if the user had it, whatever
    // `prost_path` says (prost-derive 0.14.6). Rust's own does without.
    let mut fields = message.fields.iter();
    if fields.any(|f| matches!(f.shape, Shape::Map { ordered: true, .. })) {
        code.line("#[derive(::core::fmt::Debug)]");
        code.line("#[prost(skip_debug)]");
    }
    code.block(format_args!("pub struct {}", message.path.name()), |code| {
        let is_member = |field: &&Field| matches!(field.shape, Shape::Oneof(_));
        for field in message.fields.iter().filter(|field| !is_member(field)) {
            struct_field(field, scope, code);
        }
        for (index, oneof) in message.oneofs.iter().enumerate() {
            oneof_field(message, index, oneof, scope, code);
        }
        if message.keeps_unknown {
            // To prost it is a group of a number that no field has.
            code.line("/// The fields that are not in the schema, as they came.");
            code.line("#[prost(group, required, tag = \"536870912\")]");
            code.line(format_args!("pub {UNKNOWN_FIELDS}: {ROOT}::UnknownFields,"));
        }
    });
}

/// What makes it keep the fields that are not in the schema, and the numbers that are not in a closed enum.
pub(super) fn keep(message: &Message, scope: &Scope, code: &mut Code) {
    code.block(format_args!("{ROOT}::unknown_fields::keep!"), |code| {
        code.line(format_args!("{};", scope.path(&message.path)));
        for field in message.fields.iter().filter(|field| field.closed) {
            let Kind::Enum(to) = &field.kind else {
                continue;
            };
            let (name, holds) = match field.shape {
                Shape::Oneof(at) => (&message.oneofs[at].rust_name, "One"),
                Shape::Repeated { .. } => (&field.rust_name, "List"),
                Shape::Map { .. } => (&field.rust_name, "Map"),
                _ => (&field.rust_name, "One"),
            };
            let (number, of) = (field.number, scope.path(&to.path));
            code.line(format_args!("{name}: {holds}({number}, {of}),"));
        }
    });
}

/// Its names.
pub(super) fn name(message: &Message, package: &str, code: &mut Code) {
    let (path, name, full_name) = (message.path.name(), &message.name, &message.full_name);
    code.line(format_args!(
        "{ROOT}::name! {{ {path} = {full_name:?}, {package:?}, {name:?} }}"
    ));
}

/// The enum of a oneof, for the module of its message.
pub(super) fn oneof(
    message: &Message,
    index: usize,
    oneof: &Oneof,
    scope: &Scope,
    code: &mut Code,
) {
    let fallback = || String::from("At most one of several fields.");
    head(&oneof.source, fallback, scope, code);
    add_attributes(&oneof.attributes, code);
    derive(oneof.derives, "Oneof", code);
    prost_path("prost", code);
    code.block(format_args!("pub enum {}", oneof.path.name()), |code| {
        for field in message.members(index) {
            variant(field, scope, code);
        }
    });
}

/// A member of a oneof.
pub(crate) fn variant(field: &Field, scope: &Scope, code: &mut Code) {
    field_head(field, scope, code);
    let (name, of) = (&field.rust_name, value_type(field, scope));
    code.line(format_args!("{name}({of}),"));
}

/// An enum.
pub(crate) fn enumeration(enumeration: &Enum, scope: &Scope, code: &mut Code) {
    let fallback = || format!("`{}`.", enumeration.full_name);
    head(&enumeration.source, fallback, scope, code);
    add_attributes(&enumeration.attributes, code);
    derive_enumeration(code);
    prost_path("prost", code);
    code.line("#[repr(i32)]");
    let values = enumeration.values.iter().filter(|value| !value.alias);
    code.block(
        format_args!("pub enum {}", enumeration.path.name()),
        |code| values.for_each(|v| value(v, code)),
    );
}

/// A value of an enum.
pub(crate) fn value(value: &Value, code: &mut Code) {
    let fallback = || format!("`{}`, value {}.", value.name, value.number);
    docs::write(&value.source.comments, fallback, code);
    add_attributes(&value.attributes, code);
    if value.deprecated {
        code.line("#[deprecated]");
    }
    code.line(format_args!("{} = {},", value.variant, value.number));
}

/// The functions of an enum's names.
pub(super) fn names(enumeration: &Enum, scope: &Scope, code: &mut Code) {
    let values = || enumeration.values.iter().filter(|value| !value.alias);
    scope.allow_lints(code);
    code.block(format_args!("impl {}", enumeration.path.name()), |code| {
        code.lines(
            "/// String value of the enum field names used in the ProtoBuf definition.\n\
             ///\n\
             /// The values are not transformed in any way and thus are considered stable\n\
             /// (if the ProtoBuf definition does not change) and safe for programmatic use.",
        );
        code.block("pub fn as_str_name(&self) -> &'static str", |code| {
            code.block("match self", |code| {
                for value in values() {
                    if value.deprecated {
                        code.line("#[allow(deprecated)]");
                    }
                    code.arm(
                        &format!("Self::{}", value.variant),
                        &format!("{:?}", value.name),
                    );
                }
            });
        });
        code.line("/// Creates an enum from field names used in the ProtoBuf definition.");
        let head = "pub fn from_str_name(value: &str) -> ::core::option::Option<Self>";
        code.block(head, |code| {
            code.block("match value", |code| {
                for value in values() {
                    let (name, variant) = (format!("{:?}", value.name), &value.variant);
                    if value.deprecated {
                        code.lines(format!(
                            "{name} => Some(
    #[allow(deprecated)]
    Self::{variant},
),"
                        ));
                    } else {
                        code.arm(&name, &format!("Some(Self::{variant})"));
                    }
                }
                code.line("_ => None,");
            });
        });
    });
}

/// What stands before a type: its documentation, and which lints do not matter.
fn head(source: &Source, fallback: impl FnOnce() -> String, scope: &Scope, code: &mut Code) {
    docs::write(&source.comments, fallback, code);
    scope.allow_lints(code);
}

/// A field of a message, but for the members of oneofs.
pub(crate) fn struct_field(field: &Field, scope: &Scope, code: &mut Code) {
    field_head(field, scope, code);
    let value = value_type(field, scope);
    let ty = match field.shape {
        Shape::Implicit | Shape::Required | Shape::Oneof(_) => value,
        Shape::Optional => format!("::core::option::Option<{value}>"),
        Shape::Repeated { .. } => format!("{ROOT}::prost::alloc::vec::Vec<{value}>"),
        Shape::Map { key, ordered } => {
            let key = scalar_type(key);
            match ordered {
                true => {
                    format!("{ROOT}::prost::alloc::collections::BTreeMap<{key}, {value}>")
                }
                false => format!("::std::collections::HashMap<{key}, {value}>"),
            }
        }
    };
    code.field(&field.rust_name, &ty);
}

/// Documentation and attributes of a field of a message or a member of a oneof.
fn field_head(field: &Field, scope: &Scope, code: &mut Code) {
    docs::field(field, code);
    // prost-build says nothing of maps.
    if field.deprecated && !matches!(field.shape, Shape::Map { .. }) {
        code.line("#[deprecated]");
    }
    prost_attribute(field, scope, code);
    add_attributes(&field.attributes, code);
}

/// What prost's derive is told of a field.
fn prost_attribute(field: &Field, scope: &Scope, code: &mut Code) {
    let in_map = matches!(field.shape, Shape::Map { .. });
    let kind = match &field.kind {
        Kind::Scalar(scalar) => scalar_word(*scalar),
        Kind::Bytes { .. } if in_map || matches!(field.shape, Shape::Oneof(_)) => {
            String::from("bytes")
        }
        Kind::Bytes { shared: true } => String::from("bytes = \"bytes\""),
        Kind::Bytes { shared: false } => String::from("bytes = \"vec\""),
        Kind::Message { delimited, .. } => {
            String::from(if *delimited { "group" } else { "message" })
        }
        Kind::Enum(to) if in_map => format!("enumeration({})", scope.path(&to.path)),
        Kind::Enum(to) => format!("enumeration = {:?}", scope.path(&to.path)),
    };
    let mut parts = match field.shape {
        Shape::Map { key, ordered } => {
            let map = if ordered { "btree_map" } else { "map" };
            vec![format!("{map} = \"{}, {kind}\"", scalar_word(key))]
        }
        _ => vec![kind],
    };
    let mut add = |part: &str| parts.push(part.to_owned());
    match field.shape {
        Shape::Optional => add("optional"),
        Shape::Required => add("required"),
        Shape::Repeated { packed } => {
            add("repeated");
            if !packed && can_pack(&field.kind) {
                add("packed = \"false\"");
            }
        }
        Shape::Implicit | Shape::Map { .. } | Shape::Oneof(_) => {}
    }
    let in_struct = !in_map && !matches!(field.shape, Shape::Oneof(_));
    if field.boxed && in_struct {
        add("boxed");
    }
    add(&format!("tag = \"{}\"", field.number));
    if let Some(default) = field.default.as_ref().filter(|_| in_struct) {
        add(&format!("default = {default:?}"));
    }
    code.attribute("prost", &parts);
}

/// The field of a message that holds a oneof.
pub(crate) fn oneof_field(
    message: &Message,
    index: usize,
    oneof: &Oneof,
    scope: &Scope,
    code: &mut Code,
) {
    docs::oneof(oneof, code);
    let tags = message.members(index).map(|f| f.number.to_string());
    let (path, tags) = (scope.path(&oneof.path), tags.collect::<Vec<_>>().join(", "));
    code.attribute(
        "prost",
        &[format!("oneof = {path:?}"), format!("tags = {tags:?}")],
    );
    add_attributes(&oneof.field_attributes, code);
    let name = &oneof.rust_name;
    code.field(name, &format!("::core::option::Option<{path}>"));
}

/// The type of a field's value, or of one of its values.
pub(super) fn value_type(field: &Field, scope: &Scope) -> String {
    let value = match &field.kind {
        Kind::Scalar(scalar) => scalar_type(*scalar),
        Kind::Bytes { shared: true } => format!("{ROOT}::prost::bytes::Bytes"),
        Kind::Bytes { shared: false } => format!("{ROOT}::prost::alloc::vec::Vec<u8>"),
        Kind::Message { to, .. } => scope.path(&to.path),
        Kind::Enum(_) => String::from("i32"),
    };
    match field.boxed {
        true => format!("{ROOT}::prost::alloc::boxed::Box<{value}>"),
        false => value,
    }
}

pub(crate) fn can_pack(kind: &Kind) -> bool {
    match kind {
        Kind::Scalar(scalar) => *scalar != Scalar::String,
        Kind::Enum(_) => true,
        Kind::Bytes { .. } | Kind::Message { .. } => false,
    }
}

fn derive(derives: Derives, of_prost: &str, code: &mut Code) {
    let copy = if derives.copy { "Copy, " } else { "" };
    let eq = if derives.eq { "Eq, Hash, " } else { "" };
    code.line(format_args!(
        "#[derive(Clone, {copy}PartialEq, {eq}{ROOT}::prost::{of_prost})]"
    ));
}

fn derive_enumeration(code: &mut Code) {
    let of_prost = format!("{ROOT}::prost::Enumeration");
    let traits = [
        "Clone",
        "Copy",
        "Debug",
        "PartialEq",
        "Eq",
        "Hash",
        "PartialOrd",
        "Ord",
        &of_prost,
    ];
    let line = traits.join(", ") + ",";
    code.line("#[derive(");
    code.indented(|code| {
        // rustfmt does not count the last comma.
        if code.fits(line.len() - 1) {
            code.line(line);
        } else {
            let names = traits.iter();
            names.for_each(|name| code.line(format_args!("{name},")));
        }
    });
    code.line(")]");
}

/// Where prost's derive finds prost.
fn prost_path(path: &str, code: &mut Code) {
    code.line(format_args!("#[prost(prost_path = \"{ROOT}::{path}\")]"));
}

/// Those of the configuration.
pub(super) fn add_attributes(attributes: &[String], code: &mut Code) {
    attributes.iter().for_each(|attribute| code.line(attribute));
}

/// Of a field in Rust.
pub(super) fn scalar_type(scalar: Scalar) -> String {
    String::from(match scalar {
        Scalar::Bool => "bool",
        Scalar::Double => "f64",
        Scalar::Float => "f32",
        Scalar::Int32 | Scalar::Sfixed32 | Scalar::Sint32 => "i32",
        Scalar::Int64 | Scalar::Sfixed64 | Scalar::Sint64 => "i64",
        Scalar::Uint32 | Scalar::Fixed32 => "u32",
        Scalar::Uint64 | Scalar::Fixed64 => "u64",
        Scalar::String => return format!("{ROOT}::prost::alloc::string::String"),
    })
}

/// What prost calls it: the variant's name in lower case.
fn scalar_word(scalar: Scalar) -> String {
    format!("{scalar:?}").to_lowercase()
}
