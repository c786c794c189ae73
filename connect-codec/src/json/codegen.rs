//! What generated code names of this module: `__codegen::json` has all of it.

use serde::{Deserializer, Serializer};

pub use super::{JsonMessage, TypeRegistry, field::*, kind::*, options::JsonContext};
use super::{JsonOptions, options::Target};

/// Writes a message in any serde format, with default options: the body of generated
/// `impl serde::Serialize`.
///
/// # Errors
/// What the format reports, or that the message has no JSON form.
pub fn serialize<M: JsonMessage, S: Serializer>(
    message: &M,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    message.write_json(
        serializer,
        JsonContext::new(JsonOptions::shared_default(), Target::Format),
    )
}

/// Reads a message from any self-describing serde format, with default options: the body of
/// generated `impl serde::Deserialize`.
///
/// # Errors
/// What the format reports, or that the input does not fit the message.
pub fn deserialize<'de, M: JsonMessage, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<M, D::Error> {
    M::read_json(
        deserializer,
        JsonContext::new(JsonOptions::shared_default(), Target::Format),
    )
}
