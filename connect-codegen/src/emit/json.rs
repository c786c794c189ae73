//! The JSON of messages and enums: macros of connect-codec, one line per field.

use super::Scope;
use crate::{
    code::Code,
    names::{ROOT, UNKNOWN_FIELDS},
    schema::{Enum, Field, File, Kind, Message, Shape, TypePath, Value},
};

/// What stands beside a message.
pub(super) fn message(message: &Message, scope: &Scope, code: &mut Code) {
    fields("message", message, scope, code);
}

/// What stands beside an enum: only names for a number that has one already; prost knows the others.
pub(super) fn enumeration(enumeration: &Enum, scope: &Scope, code: &mut Code) {
    named(enumeration, scope, code, |value| value.alias);
}

/// An enum with those of its names that prost may not know.
fn named(enumeration: &Enum, scope: &Scope, code: &mut Code, unknown: impl Fn(&Value) -> bool) {
    let (name, path) = (&enumeration.full_name, scope.path(&enumeration.path));
    let names: Vec<_> = enumeration.values.iter().filter(|v| unknown(v)).collect();
    if names.is_empty() {
        code.line(format_args!(
            "{ROOT}::json::enumeration! {{ {path} = {name:?}; }}"
        ));
        return;
    }
    code.block(format_args!("{ROOT}::json::enumeration!"), |code| {
        code.line(format_args!("{path} = {name:?};"));
        for value in names {
            code.line(format_args!("{:?} = {},", value.name, value.number));
        }
    });
}

/// The function that registers these messages.
pub(super) fn register_types(messages: &[&TypePath], scope: &Scope, code: &mut Code) {
    code.line("/// Registers the messages of this package, so that a `google.protobuf.Any` that holds one has");
    code.line("/// a JSON form.");
    scope.allow_lints(code);
    let head = format!("pub fn register_types(types: &mut {ROOT}::json::TypeRegistry)");
    code.block(head, |code| {
        for path in messages {
            code.line(format_args!("types.register::<{}>();", scope.path(path)));
        }
    });
}

/// JSON for the types of `google.protobuf` that prost-types owns: connect-codec checks it in.
pub(super) fn well_known(file: &File, scope: &Scope, code: &mut Code) {
    fn add(message: &Message, scope: &Scope, code: &mut Code) {
        fields("fields", message, scope, code);
        message
            .messages
            .iter()
            .for_each(|nested| add(nested, scope, code));
        message
            .enums
            .iter()
            .for_each(|e| named(e, scope, code, |_| true));
    }
    file.messages
        .iter()
        .for_each(|message| add(message, scope, code));
    // Those of prost-types are of an older schema: `SYNTAX_EDITIONS` is not among them.
    file.enums
        .iter()
        .for_each(|e| named(e, scope, code, |_| true));
}

/// A message with its fields.
fn fields(macro_name: &str, message: &Message, scope: &Scope, code: &mut Code) {
    code.block(format_args!("{ROOT}::json::{macro_name}!"), |code| {
        let (path, name) = (scope.path(&message.path), &message.full_name);
        if message.keeps_unknown {
            code.line(format_args!("{path} = {name:?} + {UNKNOWN_FIELDS};"));
        } else {
            code.line(format_args!("{path} = {name:?};"));
        }
        let oneof = |at: usize| scope.path(&message.oneofs[at].path);
        by_field(message, |field| entry(field, scope), oneof, code);
    });
}

/// A line for each field, with its shape and what `entry` says of it; and for each oneof, where its first
/// member is, the type that `oneof` says and a line for each member.
pub(super) fn by_field(
    message: &Message,
    entry: impl Fn(&Field) -> String,
    oneof: impl Fn(usize) -> String,
    code: &mut Code,
) {
    let mut oneofs_done = Vec::new();
    for field in &message.fields {
        let (name, of) = (&field.rust_name, entry(field));
        match field.shape {
            Shape::Implicit => code.line(format_args!("{name}: Implicit({of}),")),
            Shape::Optional => code.line(format_args!("{name}: Optional({of}),")),
            Shape::Required => code.line(format_args!("{name}: Required({of}),")),
            Shape::Repeated { .. } => code.line(format_args!("{name}: Repeated({of}),")),
            Shape::Map { key, .. } => code.line(format_args!("{name}: Map<{key:?}>({of}),")),
            Shape::Oneof(at) if oneofs_done.contains(&at) => {}
            Shape::Oneof(at) => {
                oneofs_done.push(at);
                let name = &message.oneofs[at].rust_name;
                code.line(format_args!("{name} = {} {{", oneof(at)));
                for member in message.members(at) {
                    code.line(format_args!("    {}({}),", member.rust_name, entry(member)));
                }
                code.line("},");
            }
        }
    }
}

/// Number, names and kind of a field.
fn entry(field: &Field, scope: &Scope) -> String {
    format!(
        "{}, {:?}, {:?}, {}",
        field.number,
        field.name,
        field.json_name,
        kind(field, scope)
    )
}

/// What connect-codec calls the type of a field's values.
pub(super) fn kind(field: &Field, scope: &Scope) -> String {
    match &field.kind {
        Kind::Scalar(scalar) => format!("{scalar:?}"),
        Kind::Bytes { .. } => String::from("Bytes"),
        Kind::Message { to, delimited } => {
            let kind = if *delimited { "Group" } else { "Message" };
            format!("{kind}({})", scope.path(&to.path))
        }
        Kind::Enum(to) if to.full_name == "google.protobuf.NullValue" => String::from("Null"),
        Kind::Enum(to) => format!("Enum({})", scope.path(&to.path)),
    }
}
