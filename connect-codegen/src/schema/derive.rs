//! What can only be said when all messages are known: which fields are boxed, and what types derive.

use std::{
    cell::RefCell,
    collections::{HashMap, HashSet},
};

use super::{Derives, Field, File, Kind, Message, Scalar, Shape};

/// Boxes the fields of recursive messages, and finds which messages and oneofs are `Copy`, `Eq` and
/// `Hash`.
pub(super) fn resolve(files: &mut [File]) {
    let mut graph = Graph::default();
    for message in files.iter().flat_map(|file| &file.messages) {
        graph.add(message);
    }
    let found: HashMap<String, Found> = graph.messages.values().map(|m| graph.find(m)).collect();
    for message in files.iter_mut().flat_map(|file| &mut file.messages) {
        set(message, &found);
    }
}

/// What is found of a message.
struct Found {
    boxed: Vec<bool>,
    derives: Derives,
    oneofs: Vec<Derives>,
}

fn set(message: &mut Message, found: &HashMap<String, Found>) {
    if let Some(found) = found.get(&message.full_name) {
        for (field, boxed) in message.fields.iter_mut().zip(&found.boxed) {
            field.boxed = *boxed;
        }
        for (oneof, derives) in message.oneofs.iter_mut().zip(&found.oneofs) {
            oneof.derives = *derives;
        }
        message.derives = found.derives;
    }
    for nested in &mut message.messages {
        set(nested, found);
    }
}

/// All messages by their full names.
#[derive(Default)]
struct Graph<'a> {
    messages: HashMap<&'a str, &'a Message>,
    derives: RefCell<HashMap<&'a str, Derives>>,
}

impl<'a> Graph<'a> {
    fn add(&mut self, message: &'a Message) {
        self.messages.insert(&message.full_name, message);
        for nested in &message.messages {
            self.add(nested);
        }
    }

    fn find(&self, message: &'a Message) -> (String, Found) {
        let fields = message.fields.iter();
        let boxed = fields.map(|field| self.is_boxed(message, field));
        let oneofs = 0..message.oneofs.len();
        let oneofs = oneofs.map(|index| self.all(message, message.members(index)));
        let found = Found {
            boxed: boxed.collect(),
            oneofs: oneofs.collect(),
            derives: self.message(message),
        };
        (message.full_name.clone(), found)
    }

    fn is_boxed(&self, message: &Message, field: &Field) -> bool {
        let singular = held_message(field).is_some();
        singular && (field.boxed || self.is_recursive(message, field))
    }

    /// Whether a message holds itself by this field.
    fn is_recursive(&self, message: &Message, field: &Field) -> bool {
        let mut seen = HashSet::new();
        let mut stack: Vec<_> = held_message(field).into_iter().collect();
        while let Some(name) = stack.pop() {
            if name == message.full_name {
                return true;
            }
            if let (true, Some(next)) = (seen.insert(name), self.messages.get(name)) {
                stack.extend(next.fields.iter().filter_map(held_message));
            }
        }
        false
    }

    fn message(&self, message: &'a Message) -> Derives {
        if let Some(known) = self.derives.borrow().get(message.full_name.as_str()) {
            return *known;
        }
        let mut derives = self.all(message, message.fields.iter());
        derives.copy &= !message.keeps_unknown;
        self.derives
            .borrow_mut()
            .insert(&message.full_name, derives);
        derives
    }

    fn all(&self, message: &Message, fields: impl Iterator<Item = &'a Field>) -> Derives {
        let of_fields = fields.map(|field| self.field(message, field));
        of_fields.fold(NOTHING_AGAINST, |a, b| Derives {
            copy: a.copy && b.copy,
            eq: a.eq && b.eq,
        })
    }

    /// Boxes and collections are not `Copy`. `Eq` goes through no collection of messages, by prost's rule.
    fn field(&self, message: &Message, field: &'a Field) -> Derives {
        let mut derives = match &field.kind {
            Kind::Scalar(scalar) => Derives {
                copy: *scalar != Scalar::String,
                eq: !matches!(scalar, Scalar::Double | Scalar::Float),
            },
            Kind::Bytes { .. } => Derives {
                copy: false,
                eq: true,
            },
            Kind::Enum(_) => NOTHING_AGAINST,
            Kind::Message { to, delimited } => {
                let target = self.messages.get(to.full_name.as_str());
                let target = target.filter(|_| {
                    let held = !delimited && held_message(field).is_some();
                    held && !self.is_recursive(message, field)
                });
                target.map_or(NOTHING, |target| self.message(target))
            }
        };
        match field.shape {
            Shape::Map { .. } => derives = NOTHING,
            Shape::Repeated { .. } => derives.copy = false,
            _ => derives.copy &= !field.boxed,
        }
        derives
    }
}

/// The message that a field holds without a collection around it.
fn held_message(field: &Field) -> Option<&str> {
    match (&field.kind, field.shape) {
        (_, Shape::Repeated { .. } | Shape::Map { .. }) => None,
        (Kind::Message { to, .. }, _) => Some(&to.full_name),
        _ => None,
    }
}

const NOTHING_AGAINST: Derives = Derives {
    copy: true,
    eq: true,
};
const NOTHING: Derives = Derives {
    copy: false,
    eq: false,
};
