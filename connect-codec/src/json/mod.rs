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
mod field;
mod kind;
mod number;
mod object;
mod options;
mod well_known;

use std::io;

use bytes::BytesMut;
use connect_proto::Error;
use serde::{
    Deserializer, Serialize, Serializer,
    de::{IgnoredAny, MapAccess},
    ser::SerializeMap,
};
use serde_json::Value;

pub use options::{JsonOptions, TypeRegistry};

use self::{
    field::FieldName,
    object::{read_object, write_object},
    options::{JsonContext, Target},
};
use crate::decode_error::DecodeError;

/// A message that has a JSON form. Generated code and the well-known types implement it.
///
/// It is a bound for functions over any message. To implement it, generate the message by
/// connect-codegen: the hidden items are for generated code, and may change in any version.
// A message that is a JSON object of its fields implements `FIELDS`, `field_index`, `read_field` and
// `write_fields`. One with a JSON form of its own implements `write_json` and `read_json`.
pub trait JsonMessage: Default + 'static {
    /// The full name, `package.Message`.
    const FULL_NAME: &'static str;

    /// Whether the JSON form is something else than the object of its fields, so that in an `Any` it
    /// lies under the key `value`.
    #[doc(hidden)]
    const WELL_KNOWN: bool = false;

    /// Whether `null` is a value of this message, not its absence.
    #[doc(hidden)]
    const NULL_IS_VALUE: bool = false;

    /// The names of the fields, to be used by index.
    #[doc(hidden)]
    const FIELDS: &'static [FieldName] = &[];

    /// The index of a field in [`FIELDS`](Self::FIELDS), by its JSON name or its name in the `.proto` file.
    #[doc(hidden)]
    #[must_use]
    fn field_index(key: &str) -> Option<usize> {
        let _ = key;
        None
    }

    /// Reads the value of the field whose key was just read.
    ///
    /// # Errors
    /// What the format reports, or that the value does not fit the field.
    #[doc(hidden)]
    fn read_field<'de, A: MapAccess<'de>>(
        &mut self,
        index: usize,
        map: &mut A,
        cx: JsonContext<'_>,
    ) -> Result<(), A::Error> {
        let _ = (index, cx);
        map.next_value::<IgnoredAny>().map(drop)
    }

    /// Writes all fields into the JSON object of the message.
    ///
    /// # Errors
    /// What the format reports, or that a value has no JSON form.
    #[doc(hidden)]
    fn write_fields<M: SerializeMap>(
        &self,
        map: &mut M,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error> {
        let _ = (map, cx);
        Ok(())
    }

    /// Writes the message.
    ///
    /// # Errors
    /// What the format reports, or that the message has no JSON form.
    #[doc(hidden)]
    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        write_object(self, serializer, cx)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// What the format reports, or that the input does not fit the message.
    #[doc(hidden)]
    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        read_object(deserializer, cx)
    }
}

/// Recursive messages are boxed by prost.
impl<M: JsonMessage> JsonMessage for Box<M> {
    const FULL_NAME: &'static str = M::FULL_NAME;
    const WELL_KNOWN: bool = M::WELL_KNOWN;
    const NULL_IS_VALUE: bool = M::NULL_IS_VALUE;
    const FIELDS: &'static [FieldName] = M::FIELDS;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        (**self).write_json(serializer, cx)
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        M::read_json(deserializer, cx).map(Self::new)
    }
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
    let mut serializer = serde_json::Serializer::new(Appender(out));
    message
        .write_json(&mut serializer, JsonContext::new(options, Target::Format))
        .map_err(|error| write_error(M::FULL_NAME, &error))
}

/// A message as JSON text.
///
/// # Errors
/// As [`encode`].
pub fn to_string<M: JsonMessage>(message: &M, options: &JsonOptions) -> Result<String, Error> {
    let mut text = Vec::with_capacity(128);
    let mut serializer = serde_json::Serializer::new(&mut text);
    message
        .write_json(&mut serializer, JsonContext::new(options, Target::Format))
        .map_err(|error| write_error(M::FULL_NAME, &error))?;
    String::from_utf8(text).map_err(|error| write_error(M::FULL_NAME, &error))
}

/// Reads a message from the whole of a JSON text.
///
/// # Errors
/// What is wrong with the text, with the path of fields, the line and the column.
pub fn from_slice<M: JsonMessage>(text: &[u8], options: &JsonOptions) -> Result<M, DecodeError> {
    // JSON is UTF-8 (RFC 8259, section 8.1): checked once, not string by string.
    let read = match std::str::from_utf8(text) {
        Ok(text) => read_all(serde_json::Deserializer::from_str(text), options),
        // The parser says where.
        Err(_) => read_all(serde_json::Deserializer::from_slice(text), options),
    };
    read.map_err(|error| read_error(M::FULL_NAME, &error))
}

fn read_all<'de, M: JsonMessage, R: serde_json::de::Read<'de>>(
    mut text: serde_json::Deserializer<R>,
    options: &JsonOptions,
) -> Result<M, serde_json::Error> {
    let message = M::read_json(&mut text, JsonContext::new(options, Target::Format))?;
    text.end()?;
    Ok(message)
}

/// A message as a JSON tree.
///
/// # Errors
/// As [`encode`].
pub fn to_value<M: JsonMessage>(message: &M, options: &JsonOptions) -> Result<Value, Error> {
    let cx = JsonContext::new(options, Target::Tree);
    message
        .write_json(serde_json::value::Serializer, cx)
        .map_err(|error| write_error(M::FULL_NAME, &error))
}

/// Reads a message from a JSON tree.
///
/// # Errors
/// Where the tree does not fit the message type, with the path of fields.
pub fn from_value<M: JsonMessage>(tree: Value, options: &JsonOptions) -> Result<M, DecodeError> {
    M::read_json(tree, JsonContext::new(options, Target::Tree))
        .map_err(|error| read_error(M::FULL_NAME, &error))
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
        let cx = JsonContext::new(self.options, Target::Format);
        self.message.write_json(serializer, cx)
    }
}

/// Text goes out in many small pieces: this spares each of them the loop of [`io::Write::write_all`].
struct Appender<'a>(&'a mut BytesMut);

impl io::Write for Appender<'_> {
    #[inline]
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(text);
        Ok(text.len())
    }

    #[inline]
    fn write_all(&mut self, text: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(text);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_error(full_name: &str, error: &dyn std::fmt::Display) -> Error {
    let message = clip(format!("cannot write {full_name} as JSON: {error}"));
    Error::internal(message)
}

fn read_error(full_name: &str, error: &serde_json::Error) -> DecodeError {
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
