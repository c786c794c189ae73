//! `FieldMask`: one string of paths in lowerCamelCase, separated by commas.

use std::fmt;

use prost_types::FieldMask;
use serde::{
    Deserializer,
    de::{self, Unexpected, Visitor},
};

use crate::{
    json::{JsonContext, JsonMessage, label::field, text::Writer},
    table::{Kind, Label, Table},
};

impl JsonMessage for FieldMask {
    const FULL_NAME: &'static str = "google.protobuf.FieldMask";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<FieldMask>(
            FieldMask::FULL_NAME,
            &[field(1, "paths", "paths", Label::Repeated, Kind::String)],
        );
        &TABLE
    }
}

pub(in crate::json) fn write(mask: &FieldMask, out: &mut Writer<'_>) {
    let mut text = String::new();
    for (index, path) in mask.paths.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        if push_camel(&mut text, path).is_none() {
            return out.fail(format!(
                "path `{path}` would not come back from lowerCamelCase"
            ));
        }
    }
    out.plain(&text);
}

pub(in crate::json) fn read<'de, D: Deserializer<'de>>(
    input: D,
    cx: JsonContext<'_>,
) -> Result<FieldMask, D::Error> {
    input.deserialize_str(MaskVisitor(cx))
}

struct MaskVisitor<'a>(JsonContext<'a>);

impl Visitor<'_> for MaskVisitor<'_> {
    type Value = FieldMask;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("paths of fields in lowerCamelCase, separated by commas")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FieldMask, E> {
        if text.is_empty() {
            return Ok(FieldMask::default());
        }
        // Before they are there: a comma takes a byte, and a path a string.
        let count = text.split(',').count();
        self.0.charge(text.len() + count * size_of::<String>())?;
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
