//! Everything in a schema that has a name.

use crate::schema::{Enum, Field, File, Message, Method, Oneof, Schema, Service, Source, Value};

/// Something that has a name.
#[derive(Clone, Copy)]
pub(super) enum Element<'a> {
    Message(&'a Message),
    Field(&'a Message, &'a Field),
    Oneof(&'a Message, usize, &'a Oneof),
    Enum(&'a Enum),
    Value(&'a Enum, &'a Value),
    Service(&'a Service),
    Method(&'a Service, &'a Method),
}

impl<'a> Element<'a> {
    pub(super) fn what(self) -> &'static str {
        match self {
            Self::Message(_) => "message",
            Self::Field(..) => "field",
            Self::Oneof(..) => "oneof",
            Self::Enum(_) => "enum",
            Self::Value(..) => "enum value",
            Self::Service(_) => "service",
            Self::Method(..) => "method",
        }
    }

    pub(super) fn source(self) -> &'a Source {
        match self {
            Self::Message(message) => &message.source,
            Self::Field(_, field) => &field.source,
            Self::Oneof(.., oneof) => &oneof.source,
            Self::Enum(enumeration) => &enumeration.source,
            Self::Value(_, value) => &value.source,
            Self::Service(service) => &service.source,
            Self::Method(_, method) => &method.source,
        }
    }
}

/// Everything that has a name, by its full name.
pub(super) fn elements(schema: &Schema) -> Vec<(String, &File, Element<'_>)> {
    let mut out = Vec::new();
    for file in &schema.files {
        let mut add = |name: String, element| out.push((name, file, element));
        file.messages.iter().for_each(|m| add_message(m, &mut add));
        file.enums.iter().for_each(|e| add_enum(e, &mut add));
        for service in &file.services {
            add(service.full_name.clone(), Element::Service(service));
            for method in &service.methods {
                let name = format!("{}.{}", service.full_name, method.name);
                add(name, Element::Method(service, method));
            }
        }
    }
    out
}

fn add_message<'a>(message: &'a Message, add: &mut impl FnMut(String, Element<'a>)) {
    let within = |name: &str| format!("{}.{name}", message.full_name);
    add(message.full_name.clone(), Element::Message(message));
    for field in &message.fields {
        add(within(&field.name), Element::Field(message, field));
    }
    for (index, oneof) in message.oneofs.iter().enumerate() {
        add(within(&oneof.name), Element::Oneof(message, index, oneof));
    }
    message.messages.iter().for_each(|m| add_message(m, add));
    message.enums.iter().for_each(|e| add_enum(e, add));
}

fn add_enum<'a>(enumeration: &'a Enum, add: &mut impl FnMut(String, Element<'a>)) {
    add(enumeration.full_name.clone(), Element::Enum(enumeration));
    for value in &enumeration.values {
        let name = format!("{}.{}", enumeration.full_name, value.name);
        add(name, Element::Value(enumeration, value));
    }
}
