//! Views: messages whose strings and bytes are slices of the encoded message.

use super::{Scope, docs, json, messages};
use crate::{
    code::Code,
    names::ROOT,
    schema::{Field, Kind, Message, Scalar, Shape, TypePath, Views},
};

/// The view of a message, if it has one.
pub(super) fn message(message: &Message, views: &Views, scope: &Scope, code: &mut Code) {
    let Some(view) = views.message(&message.full_name) else {
        return;
    };
    let fallback = || format!("`{}`, borrowed from its encoding.", message.full_name);
    docs::write(&message.source.comments, fallback, code);
    scope.allow_lints(code);
    code.line("#[derive(Clone, Debug, Default, PartialEq)]");
    let name = view.name();
    let emitter = Emitter { views, scope };
    code.block(format_args!("pub struct {name}<'a>"), |code| {
        let is_member = |field: &&Field| matches!(field.shape, Shape::Oneof(_));
        for field in message.fields.iter().filter(|field| !is_member(field)) {
            docs::field(field, code);
            code.field(&field.rust_name, &emitter.field_type(field));
        }
        for (at, oneof) in message.oneofs.iter().enumerate() {
            docs::oneof(oneof, code);
            let ty = emitter.oneof(message, at);
            code.field(&oneof.rust_name, &format!("::core::option::Option<{ty}>"));
        }
    });
    code.block(format_args!("{ROOT}::view::message!"), |code| {
        let path = scope.path(&message.path);
        code.line(format_args!("{path} = {name}<'a>;"));
        let oneof = |at| emitter.oneof(message, at);
        json::by_field(message, |field| emitter.entry(field), oneof, code);
    });
}

/// The view of a oneof, if its message has one, for the module of the message.
pub(super) fn oneof(message: &Message, at: usize, views: &Views, scope: &Scope, code: &mut Code) {
    if views.message(&message.full_name).is_none() {
        return;
    }
    let oneof = &message.oneofs[at];
    let emitter = Emitter { views, scope };
    docs::oneof(oneof, code);
    scope.allow_lints(code);
    code.line("#[derive(Clone, Debug, PartialEq)]");
    code.block(
        format_args!("pub enum {}", emitter.oneof(message, at)),
        |code| {
            for field in message.members(at) {
                docs::field(field, code);
                let (name, ty) = (&field.rust_name, emitter.value_type(field));
                code.line(format_args!("{name}({ty}),"));
            }
        },
    );
}

/// What the types of views depend on.
struct Emitter<'a> {
    views: &'a Views,
    scope: &'a Scope,
}

impl Emitter<'_> {
    fn field_type(&self, field: &Field) -> String {
        let value = self.value_type(field);
        match field.shape {
            Shape::Implicit | Shape::Required | Shape::Oneof(_) => value,
            Shape::Optional => format!("::core::option::Option<{value}>"),
            Shape::Repeated { .. } => format!("{ROOT}::prost::alloc::vec::Vec<{value}>"),
            Shape::Map { key, .. } => {
                format!("{ROOT}::view::Entries<{}, {value}>", scalar_type(key))
            }
        }
    }

    fn value_type(&self, field: &Field) -> String {
        let value = match &field.kind {
            Kind::Scalar(scalar) => scalar_type(*scalar),
            Kind::Bytes { .. } => String::from("&'a [u8]"),
            Kind::Enum(_) => String::from("i32"),
            Kind::Message { to, .. } => self.message_type(&to.full_name, &to.path),
        };
        match field.boxed {
            true => format!("{ROOT}::prost::alloc::boxed::Box<{value}>"),
            false => value,
        }
    }

    fn message_type(&self, full_name: &str, path: &TypePath) -> String {
        match self.views.message(full_name) {
            Some(view) => format!("{}<'a>", self.scope.path(view)),
            None => self.scope.path(path),
        }
    }

    /// The type of a oneof.
    fn oneof(&self, message: &Message, at: usize) -> String {
        let mut members = message.members(at);
        let lifetime = match members.any(|field| self.views.borrows(field)) {
            true => "<'a>",
            false => "",
        };
        let path = self.views.oneof(&message.oneofs[at]);
        self.scope.path(&path) + lifetime
    }

    /// How a field is read: its number, and what connect-codec calls the type.
    fn entry(&self, field: &Field) -> String {
        let (name, of) = self.kind(field);
        let kind = match (field.boxed, of) {
            (true, of) => format!("Boxed({ROOT}::view::{name}<{}>)", of.unwrap_or_default()),
            (false, Some(of)) => format!("{name}({of})"),
            (false, None) => name,
        };
        format!("{}, {kind}", field.number)
    }

    /// What connect-codec calls the type, and what it is of.
    fn kind(&self, field: &Field) -> (String, Option<String>) {
        let name = match &field.kind {
            Kind::Scalar(scalar) => format!("{scalar:?}"),
            Kind::Bytes { .. } => String::from("Bytes"),
            Kind::Enum(_) => String::from("Enum"),
            Kind::Message { to, delimited } => {
                let viewed = self.views.message(&to.full_name).is_some();
                let name = match (viewed, delimited) {
                    (true, false) => "Message",
                    (true, true) => "Group",
                    (false, false) => "Owned",
                    (false, true) => "OwnedGroup",
                };
                let of = self.message_type(&to.full_name, &to.path);
                return (String::from(name), Some(of));
            }
        };
        (name, None)
    }
}

fn scalar_type(scalar: Scalar) -> String {
    match scalar {
        Scalar::String => String::from("&'a str"),
        scalar => messages::scalar_type(scalar),
    }
}
