//! Canonical Protobuf JSON ("ProtoJSON") for generated messages and the well-known types.
//!
//! The rules are those of the [ProtoJSON specification](https://protobuf.dev/programming-guides/json/).
//! Generated code implements [`JsonMessage`]; the functions here write and read such messages. All of
//! it runs over serde, so nothing is tied to one JSON parser, and options are arguments, not
//! thread-locals or globals.
//!
//! Where the specification leaves room:
//! - Unknown fields and unknown enum names are ignored unless
//!   [`JsonOptions::with_reject_unknown`] says otherwise.
//! - A field that appears twice is an error, under either of its names, and so are two members of
//!   one `oneof` that are not `null`, and equal keys of a map.
//! - An integer may be written as `1e5` or `1.0`. Such a number beyond 2⁵³ is refused, as the parser
//!   has rounded it already; as a string it is read exactly.
//! - `bytes` are read in both base64 alphabets, with padding or without.
//!
//! ```
//! use connect_codec::json::{self, JsonOptions};
//!
//! let options = JsonOptions::default();
//! let time = prost_types::Timestamp { seconds: 1, nanos: 500_000_000 };
//! assert_eq!(json::to_string(&time, &options)?, r#""1970-01-01T00:00:01.500Z""#);
//! let read: prost_types::Timestamp = json::from_slice(br#""1970-01-01T00:00:01.5Z""#, &options)?;
//! assert_eq!(read, time);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub(crate) mod codegen;

mod any;
mod label;
mod macros;
mod number;
mod options;
mod read;
mod reflect;
mod text;
mod transcode;
mod well_known;
mod write;

use bytes::BytesMut;
use connect_proto::Error;
use serde::{Deserializer, Serialize, Serializer};
use serde_json::Value;

pub use options::{JsonOptions, TypeRegistry};

use self::{options::JsonContext, transcode::Transcode};
use crate::{
    budget::Budget,
    decode_error::DecodeError,
    table::{Kind, Table},
};

/// A message that has a JSON form. Generated code and the well-known types implement it.
///
/// It is a bound for functions over any message. To implement it, generate the message by
/// connect-codegen: the hidden items are for generated code, and may change in any version.
pub trait JsonMessage: Default + reflect::Value + 'static {
    /// The full name, `package.Message`.
    const FULL_NAME: &'static str;

    /// What the schema says.
    #[doc(hidden)]
    fn table() -> &'static Table;
}

/// Appends a message as JSON text.
///
/// # Errors
/// `internal` if the message has no JSON form: a timestamp out of range, an `Any` of unknown type, a
/// NaN in a `google.protobuf.Value`. What was appended before the error is garbage.
pub fn encode<M: JsonMessage>(
    message: &M,
    options: &JsonOptions,
    out: &mut BytesMut,
) -> Result<(), Error> {
    write_text(message, options, out).map_err(|error| write_error(M::FULL_NAME, &error))
}

/// A message as JSON text.
///
/// # Errors
/// As [`encode`].
pub fn to_string<M: JsonMessage>(message: &M, options: &JsonOptions) -> Result<String, Error> {
    let mut text = BytesMut::with_capacity(128);
    encode(message, options, &mut text)?;
    String::from_utf8(text.into()).map_err(|error| write_error(M::FULL_NAME, &error))
}

/// Reads a message from the whole of a JSON text.
///
/// # Errors
/// What is wrong with the text, with the path of fields, the line and the column.
pub fn from_slice<M: JsonMessage>(text: &[u8], options: &JsonOptions) -> Result<M, DecodeError> {
    let budget = options.budget();
    let read = || {
        let text = as_utf8(text)?;
        let mut input = serde_json::Deserializer::from_str(text);
        let message = read_message(&mut input, JsonContext::reading(options, &budget))?;
        input.end()?;
        Ok(message)
    };
    read().map_err(|error| read_error(M::FULL_NAME, &error, &budget))
}

/// JSON is UTF-8 (RFC 8259, section 8.1): checked once, not string by string.
fn as_utf8(text: &[u8]) -> Result<&str, serde_json::Error> {
    std::str::from_utf8(text).map_err(|error| {
        let (valid, _) = text.split_at(error.valid_up_to());
        let line = 1 + valid.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + valid
            .iter()
            .rev()
            .take_while(|byte| **byte != b'\n')
            .count();
        serde::de::Error::custom(format_args!("no UTF-8 at line {line} column {column}"))
    })
}

/// A message as a JSON tree.
///
/// # Errors
/// As [`encode`].
pub fn to_value<M: JsonMessage>(message: &M, options: &JsonOptions) -> Result<Value, Error> {
    write_message(message, options, serde_json::value::Serializer)
        .map_err(|error| write_error(M::FULL_NAME, &error))
}

/// Reads a message from a JSON tree.
///
/// # Errors
/// Where the tree does not fit the message type, with the path of fields.
pub fn from_value<M: JsonMessage>(tree: Value, options: &JsonOptions) -> Result<M, DecodeError> {
    let budget = options.budget();
    read_message(tree, JsonContext::reading(options, &budget))
        .map_err(|error| read_error(M::FULL_NAME, &error, &budget))
}

/// A message with options, to write it by `serde_json`'s own functions: pretty-printed, into a file.
///
/// ```
/// use connect_codec::json::{Json, JsonOptions};
///
/// let options = JsonOptions::default();
/// let text = serde_json::to_string_pretty(&Json::new(&true, &options)).unwrap();
/// assert_eq!(text, "true");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Json<'a, M> {
    message: &'a M,
    options: &'a JsonOptions,
}

impl<'a, M> Json<'a, M> {
    /// Binds the options to the message.
    #[must_use]
    pub fn new(message: &'a M, options: &'a JsonOptions) -> Self {
        Self { message, options }
    }
}

impl<M: JsonMessage> Serialize for Json<'_, M> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_message(self.message, self.options, serializer)
    }
}

/// Appends a message as text.
fn write_text<M: JsonMessage>(
    message: &M,
    options: &JsonOptions,
    out: &mut BytesMut,
) -> Result<(), String> {
    let (value, kind) = (message.get(), Kind::Message(M::table));
    write::write(value, kind, JsonContext::writing(options), out)
}

/// Appends what an `Any` holds, behind its type.
fn write_content<M: JsonMessage>(
    message: &M,
    cx: JsonContext<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    write::write_content(message.get(), M::table(), cx, out)
}

/// Writes a message in any format, by way of its text.
fn write_message<M: JsonMessage, S: Serializer>(
    message: &M,
    options: &JsonOptions,
    out: S,
) -> Result<S::Ok, S::Error> {
    let mut text = BytesMut::new();
    write_text(message, options, &mut text).map_err(serde::ser::Error::custom)?;
    let mut text = serde_json::Deserializer::from_slice(&text);
    Transcode::new(&mut text).serialize(out)
}

/// Reads a message from any format.
fn read_message<'de, M: JsonMessage, D: Deserializer<'de>>(
    input: D,
    cx: JsonContext<'_>,
) -> Result<M, D::Error> {
    let mut message = M::default();
    let table = M::table();
    if table.well_known {
        // Others are charged where their object is entered.
        cx.charge(table.size)?;
    }
    // It is always there: only an enum's value can be one to ignore.
    read::read(&mut message, Kind::Message(M::table), input, cx)?;
    Ok(message)
}

fn write_error(full_name: &str, error: &dyn std::fmt::Display) -> Error {
    let message = clip(format!("cannot write {full_name} as JSON: {error}"));
    Error::internal(message)
}

fn read_error(full_name: &str, error: &serde_json::Error, budget: &Budget) -> DecodeError {
    if budget.is_exhausted() {
        return budget.error(full_name);
    }
    DecodeError::new(clip(format!("cannot read {full_name} from JSON: {error}")))
}

/// Errors quote their input, which may be megabytes, and travel in headers. What went wrong stands at
/// the start, and where at the end.
fn clip(message: String) -> String {
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let mut head = MAX_MESSAGE / 2;
    while !message.is_char_boundary(head) {
        head -= 1;
    }
    let mut tail = message.len() - MAX_MESSAGE / 2;
    while !message.is_char_boundary(tail) {
        tail += 1;
    }
    format!("{} … {}", &message[..head], &message[tail..])
}

const MAX_MESSAGE: usize = 512;
