//! `FieldMask`: one string of paths in lowerCamelCase, separated by commas.

use std::fmt;

use prost_types::FieldMask;
use serde::{
    Deserializer, Serializer,
    de::{self, Unexpected, Visitor},
    ser,
};

use crate::json::{JsonContext, JsonMessage};

impl JsonMessage for FieldMask {
    const FULL_NAME: &'static str = "google.protobuf.FieldMask";
    const WELL_KNOWN: bool = true;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        _: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        let mut text = String::new();
        for (index, path) in self.paths.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_camel(&mut text, path).ok_or_else(|| {
                ser::Error::custom(format_args!(
                    "path `{path}` would not come back from lowerCamelCase"
                ))
            })?;
        }
        serializer.serialize_str(&text)
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        _: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_str(MaskVisitor)
    }
}

struct MaskVisitor;

impl Visitor<'_> for MaskVisitor {
    type Value = FieldMask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths of fields in lowerCamelCase, separated by commas")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FieldMask, E> {
        if text.is_empty() {
            return Ok(FieldMask::default());
        }
        let paths: Option<Vec<_>> = text.split(',').map(to_snake).collect();
        match paths {
            Some(paths) => Ok(FieldMask { paths }),
            None => Err(E::invalid_value(Unexpected::Str(text), &self)),
        }
    }
}

/// Appends the path in lowerCamelCase; `None` if [`to_snake`] would not bring it back.
fn push_camel(text: &mut String, path: &str) -> Option<()> {
    let mut after_underscore = false;
    for c in path.chars() {
        match c {
            '_' if !after_underscore => after_underscore = true,
            'a'..='z' if after_underscore => {
                text.push(c.to_ascii_uppercase());
                after_underscore = false;
            }
            'a'..='z' | '0'..='9' | '.' if !after_underscore => text.push(c),
            _ => return None,
        }
    }
    (!path.is_empty() && !after_underscore).then_some(())
}

/// The path in snake_case; `None` if it is not in lowerCamelCase.
fn to_snake(path: &str) -> Option<String> {
    let mut snake = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        match c {
            'A'..='Z' => {
                snake.push('_');
                snake.push(c.to_ascii_lowercase());
            }
            'a'..='z' | '0'..='9' | '.' => snake.push(c),
            _ => return None,
        }
    }
    (!snake.is_empty()).then_some(snake)
}
