//! What generated code names of this module: `__codegen::json` has all of it.

use serde::{Deserializer, Serializer};

use super::{JsonMessage, JsonOptions, options::JsonContext, read_message, write_message};
pub use super::{TypeRegistry, label::*, reflect::*};
pub use crate::{
    __json_enum as enumeration, __json_fields as fields, __json_message as message, table::*,
};

/// What the table of a message says of the type of its field.
pub trait Described {
    /// How it is described.
    type Description: 'static;
    /// The description.
    const DESCRIPTION: Self::Description;
}

impl<M: JsonMessage> Described for M {
    type Description = fn() -> &'static Table;
    const DESCRIPTION: Self::Description = M::table;
}

/// Writes a message in any serde format, with default options: the body of generated
/// `impl serde::Serialize`.
///
/// # Errors
/// What the format reports, or that the message has no JSON form.
pub fn serialize<M: JsonMessage, S: Serializer>(
    message: &M,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    write_message(message, JsonOptions::shared_default(), serializer)
}

/// Reads a message from any self-describing serde format, with default options: the body of
/// generated `impl serde::Deserialize`.
///
/// # Errors
/// What the format reports, or that the input does not fit the message.
pub fn deserialize<'de, M: JsonMessage, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<M, D::Error> {
    let options = JsonOptions::shared_default();
    read_message(
        deserializer,
        JsonContext::reading(options, &options.budget()),
    )
}
