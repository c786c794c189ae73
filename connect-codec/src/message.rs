//! The seam between calls and message libraries: [`Encode`] and [`Decode`] on a type that stands
//! for the library.
//!
//! One blanket implementation "for every prost message" would shut out every other library
//! (coherence), and implementations per message type would shut out types of other crates (orphan
//! rule). So the library is `Self`: generated code says `Prost`, and another library is another
//! marker type, in any crate.

use std::any::Any;

use bytes::{Bytes, BytesMut};
use connect_proto::Error;
use serde_json::Value;

use crate::{
    budget::{self, Budget, Exhausted},
    codec::{Codec, DynMessage, ProtoOptions},
    decode_error::DecodeError,
    json::{self, JsonMessage, JsonOptions},
};

/// A message library, as generated code names it.
pub trait MessageLibrary: Send + Sync + 'static {
    /// Whether messages of this library can travel in the codec.
    ///
    /// A server answers a call in another codec with HTTP 415.
    fn supports(codec: &Codec) -> bool;
}

/// Writes messages of type `M`.
pub trait Encode<M: ?Sized>: MessageLibrary {
    /// Appends the message to `out`, in the codec of the call.
    ///
    /// # Errors
    /// `internal` if the message cannot be written, `unimplemented` if the library does not support
    /// the codec. What was appended before the error is garbage.
    fn encode(message: &M, codec: &Codec, out: &mut BytesMut) -> Result<(), Error>;
}

/// Reads messages of type `M`.
pub trait Decode<M>: MessageLibrary {
    /// Reads one message from the whole of `bytes`.
    ///
    /// # Errors
    /// What is wrong with the bytes, with the field or the place in the text as far as known; or that
    /// the library does not support the codec.
    fn decode(bytes: Bytes, codec: &Codec) -> Result<M, DecodeError>;
}

/// prost messages with our JSON, as connect-codegen makes them: every codec.
#[derive(Clone, Copy, Debug)]
pub struct Prost;

/// prost messages of other generators, which have no JSON: `proto` only.
#[derive(Clone, Copy, Debug)]
pub struct ProstBinary;

impl MessageLibrary for Prost {
    fn supports(_: &Codec) -> bool {
        true
    }
}

impl<M: prost::Message + JsonMessage> Encode<M> for Prost {
    fn encode(message: &M, codec: &Codec, out: &mut BytesMut) -> Result<(), Error> {
        match codec {
            Codec::Proto(_) => {
                encode_proto(message, out);
                Ok(())
            }
            Codec::Json(options) => json::encode(message, options, out),
            Codec::Custom(custom) => custom.encode(message, out),
        }
    }
}

impl<M: prost::Message + JsonMessage> Decode<M> for Prost {
    fn decode(bytes: Bytes, codec: &Codec) -> Result<M, DecodeError> {
        match codec {
            Codec::Proto(options) => decode_within(bytes, options),
            Codec::Json(options) => json::from_slice(&bytes, options),
            Codec::Custom(custom) => {
                let mut message = M::default();
                custom.decode(bytes, &mut message)?;
                Ok(message)
            }
        }
    }
}

impl MessageLibrary for ProstBinary {
    fn supports(codec: &Codec) -> bool {
        matches!(codec, Codec::Proto(_))
    }
}

impl<M: prost::Message> Encode<M> for ProstBinary {
    fn encode(message: &M, codec: &Codec, out: &mut BytesMut) -> Result<(), Error> {
        if !Self::supports(codec) {
            return Err(Error::unimplemented(binary_only(codec)));
        }
        encode_proto(message, out);
        Ok(())
    }
}

impl<M: prost::Message + Default> Decode<M> for ProstBinary {
    fn decode(bytes: Bytes, codec: &Codec) -> Result<M, DecodeError> {
        if !Self::supports(codec) {
            return Err(DecodeError::unsupported(binary_only(codec)));
        }
        decode_proto(bytes)
    }
}

/// Every message of ours can be handed to a custom codec.
impl<M: prost::Message + JsonMessage> DynMessage for M {
    fn type_name(&self) -> &'static str {
        M::FULL_NAME
    }

    fn encode_proto(&self, out: &mut BytesMut) -> Result<(), Error> {
        encode_proto(self, out);
        Ok(())
    }

    fn decode_proto(&mut self, bytes: Bytes) -> Result<(), DecodeError> {
        *self = decode_within(bytes, &ProtoOptions::default())?;
        Ok(())
    }

    fn to_value(&self, options: &JsonOptions) -> Result<Value, Error> {
        json::to_value(self, options)
    }

    fn set_value(&mut self, value: Value, options: &JsonOptions) -> Result<(), DecodeError> {
        *self = json::from_value(value, options)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }
}

/// One pass for the length, one reservation, one pass for the bytes.
pub(crate) fn encode_proto<M: prost::Message>(message: &M, out: &mut BytesMut) {
    out.reserve(message.encoded_len());
    // `Message::encode` would compute the length once more, only to compare it with the space.
    message.encode_raw(out);
}

/// As [`decode_proto`], within the budget of the options.
pub(crate) fn decode_within<M: prost::Message + JsonMessage>(
    bytes: Bytes,
    options: &ProtoOptions,
) -> Result<M, DecodeError> {
    let budget = Budget::new(options.decode_budget());
    let table = M::table();
    // In a field, it would take that too.
    let charged = budget
        .charge(table.size)
        .and_then(|()| budget::check(table, &bytes, &budget));
    match charged {
        Ok(()) => decode_proto(bytes),
        Err(Exhausted) => Err(budget.error(M::FULL_NAME)),
    }
}

/// `bytes` fields become slices of the input. prost refuses messages nested deeper than 100.
fn decode_proto<M: prost::Message + Default>(bytes: Bytes) -> Result<M, DecodeError> {
    M::decode(bytes).map_err(|error| DecodeError::new(error.to_string()))
}

fn binary_only(codec: &Codec) -> String {
    let name = codec.name();
    format!("this message type has no `{name}` form, only `proto`")
}

#[cfg(test)]
mod tests;
