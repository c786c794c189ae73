//! Where the features of an element come from: the edition, or what the element or one around it says.

use std::fmt::Debug;

use heck::ToShoutySnakeCase as _;
use prost::bytes::Bytes;

use super::features::Features;
use crate::{
    Error,
    descriptor::{DescriptorProto, FieldDescriptorProto, FileDescriptor},
};

/// A feature of an element.
pub(crate) struct Feature {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// What says so.
    pub(crate) from: String,
}

/// The features of a message, oneof or field by its full name without a leading dot; of other elements
/// none has an effect.
///
/// # Errors
/// If the file is of an edition that is not known here.
pub(crate) fn origins(file: &FileDescriptor, name: &str) -> Result<Vec<Feature>, Error> {
    let features = Features::of_edition(file)?;
    let edition = match file.file.syntax() {
        "" => String::from("proto2"),
        "editions" => String::from("the edition"),
        syntax => syntax.to_owned(),
    };
    let mut trail = Trail {
        features,
        from: [(); 3].map(|()| edition.clone()),
    };
    let options = file.file.options.as_ref();
    trail.add("the file", options.and_then(|o| o.features.as_ref()));
    let within = match file.file.package() {
        "" => Some(name),
        package => name
            .strip_prefix(package)
            .and_then(|rest| rest.strip_prefix('.')),
    };
    let mut messages = &file.file.message_type;
    let mut around: Option<&DescriptorProto> = None;
    for part in within.unwrap_or_default().split('.') {
        if let Some(message) = messages.iter().find(|message| message.name() == part) {
            let options = message.options.as_ref();
            let own = options.and_then(|options| options.features.as_ref());
            trail.add(&format!("the message {part}"), own);
            (messages, around) = (&message.nested_type, Some(message));
            continue;
        }
        let Some(message) = around else {
            return Ok(Vec::new());
        };
        let oneof = |index: i32| message.oneof_decl.get(usize::try_from(index).ok()?);
        if let Some(field) = message.field.iter().find(|field| field.name() == part) {
            if let Some(oneof) = field.oneof_index.and_then(oneof) {
                let options = oneof.options.as_ref();
                trail.add("the oneof", options.and_then(|o| o.features.as_ref()));
            }
            trail.add_field(field);
        } else if let Some(oneof) = message.oneof_decl.iter().find(|oneof| oneof.name() == part) {
            let options = oneof.options.as_ref();
            trail.add("the oneof", options.and_then(|o| o.features.as_ref()));
        } else {
            return Ok(Vec::new());
        }
    }
    Ok(trail.features())
}

/// The features so far, each with what said it last.
struct Trail {
    features: Features,
    from: [String; 3],
}

impl Trail {
    fn add(&mut self, who: &str, own: Option<&Bytes>) {
        let own_values = Features::NONE.with(own).values();
        self.features = self.features.with(own);
        for (from, value) in self.from.iter_mut().zip(own_values) {
            if value != 0 {
                who.clone_into(from);
            }
        }
    }

    fn add_field(&mut self, field: &FieldDescriptorProto) {
        let options = field.options.as_ref();
        let before = self.features;
        self.add("the field", options.and_then(|o| o.features.as_ref()));
        let by_features = self.features.values();
        // With the words that came before features: `optional`, `required`, `group`, `packed`.
        self.features = before.of_field(field);
        for (from, (a, b)) in self
            .from
            .iter_mut()
            .zip(by_features.iter().zip(self.features.values()))
        {
            if *a != b {
                "the field".clone_into(from);
            }
        }
    }

    fn features(self) -> Vec<Feature> {
        let features = self.features;
        let values = [
            ("field_presence", shout(features.field_presence())),
            (
                "repeated_field_encoding",
                shout(features.repeated_field_encoding()),
            ),
            ("message_encoding", shout(features.message_encoding())),
        ];
        let features = values.into_iter().zip(self.from);
        features
            .map(|((name, value), from)| Feature { name, value, from })
            .collect()
    }
}

/// A value as `.proto` files have it.
fn shout(value: impl Debug) -> String {
    format!("{value:?}").to_shouty_snake_case()
}
