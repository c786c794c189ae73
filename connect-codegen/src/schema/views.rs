//! Which messages have views: those that the configuration names, and what they hold.

use std::collections::{HashMap, HashSet};

use super::{Enum, Field, File, Kind, Message, Oneof, Scalar, Shape, TypePath, options::Options};

/// The views of messages and oneofs.
#[derive(Default)]
pub(crate) struct Views {
    /// By the full names of the messages.
    messages: HashMap<String, TypePath>,
    /// All types that are not views.
    taken: HashSet<TypePath>,
}

impl Views {
    pub(super) fn new(files: &[File], options: &Options) -> Self {
        let wanted = || files.iter().filter(|file| file.wanted);
        let mut all = HashMap::new();
        let mut views = Self::default();
        for file in wanted() {
            views.take(&file.messages, &file.enums, &mut all);
        }
        let methods = wanted().flat_map(|file| &file.services);
        let methods = methods.flat_map(|service| &service.methods);
        let inputs = methods.filter(|method| method.takes_view);
        let asked = all.keys().filter(|name| options.view(&format!(".{name}")));
        let mut stack: Vec<&str> = asked.copied().collect();
        stack.extend(inputs.map(|method| method.input.full_name.as_str()));
        let mut reached = HashMap::new();
        while let Some(name) = stack.pop() {
            let Some(message) = all.get(name) else {
                continue;
            };
            if reached.insert(name, *message).is_none() {
                stack.extend(message.fields.iter().filter_map(held_message));
            }
        }
        // A message has a view if it holds one that has.
        loop {
            let borrow = reached.values().filter(|message| {
                let known = views.messages.contains_key(&message.full_name);
                !known && message.fields.iter().any(|field| views.borrows(field))
            });
            let more: Vec<_> = borrow
                .map(|message| (message.full_name.clone(), views.beside(&message.path)))
                .collect();
            if more.is_empty() {
                return views;
            }
            views.messages.extend(more);
        }
    }

    fn take<'a>(
        &mut self,
        messages: &'a [Message],
        enums: &[Enum],
        all: &mut HashMap<&'a str, &'a Message>,
    ) {
        self.taken.extend(enums.iter().map(|e| e.path.clone()));
        for message in messages {
            self.taken.insert(message.path.clone());
            let oneofs = message.oneofs.iter().map(|oneof| oneof.path.clone());
            self.taken.extend(oneofs);
            if !message.path.is_extern() {
                all.insert(&message.full_name, message);
            }
            self.take(&message.messages, &message.enums, all);
        }
    }

    /// A free name beside that of a type.
    fn beside(&self, path: &TypePath) -> TypePath {
        let mut path = path.with_suffix("View");
        while self.taken.contains(&path) {
            path = path.with_suffix("_");
        }
        path
    }

    /// The view of a message, if it has one.
    pub(crate) fn message(&self, full_name: &str) -> Option<&TypePath> {
        self.messages.get(full_name)
    }

    /// The view of a oneof.
    pub(crate) fn oneof(&self, oneof: &Oneof) -> TypePath {
        self.beside(&oneof.path)
    }

    /// Whether what a field holds is a slice of the encoded message, or has one.
    pub(crate) fn borrows(&self, field: &Field) -> bool {
        let value = match &field.kind {
            Kind::Scalar(scalar) => *scalar == Scalar::String,
            Kind::Bytes { .. } => true,
            Kind::Message { to, .. } => self.messages.contains_key(&to.full_name),
            Kind::Enum(_) => false,
        };
        let key = matches!(field.shape, Shape::Map { key, .. } if key == Scalar::String);
        value || key
    }
}

fn held_message(field: &Field) -> Option<&str> {
    match &field.kind {
        Kind::Message { to, .. } => Some(&to.full_name),
        _ => None,
    }
}
