//! Messages that are read where they lie: a view's strings and bytes are those of the encoded message.

pub(crate) mod codegen;
mod input;
mod kind;
mod label;
mod macros;
mod map;

pub use map::Map;

use std::{fmt, marker::PhantomData};

use bytes::{Bytes, BytesMut};
use connect_proto::{Error, Side};

use crate::{
    budget::Budget,
    codec::{Codec, ProtoOptions},
    decode_error::DecodeError,
    json::{self, JsonMessage},
    message::{Decode, Prost, decode_within, encode_proto},
    wire::Tag,
};

/// A message type that has views. Implemented by generated code, see `Config::add_view` of connect-codegen.
pub trait Viewed: prost::Message + JsonMessage {
    /// The view of a message that is encoded in bytes of this lifetime.
    type View<'a>: MessageView<'a, Message = Self>;
}

/// A struct like that of the message, whose `string` fields are `&str` and whose `bytes` fields are `&[u8]`, slices of
/// the encoded message. Lists are `Vec`, maps are [`Map`]; messages that hold neither strings nor bytes, and those of
/// other crates, are owned. Implemented by generated code.
pub trait MessageView<'a>: Default {
    /// The message that it is a view of.
    type Message: JsonMessage;

    /// Takes what comes for a field.
    #[doc(hidden)]
    fn read_field(&mut self, tag: Tag, input: &mut input::Input<'a, '_>)
    -> Result<(), input::Stop>;

    /// Reads the whole of `bytes`, in one pass.
    ///
    /// A required field that is missing has the default of its type, as in the message; of an enum that is 0.
    ///
    /// # Errors
    /// What is wrong with the bytes, with the field; the same as when the message is decoded. Or that the lists and
    /// maps take more memory than the [budget](ProtoOptions::with_decode_budget).
    fn decode(bytes: &'a [u8], options: &ProtoOptions) -> Result<Self, DecodeError> {
        let budget = Budget::new(options.decode_budget());
        let mut view = Self::default();
        let read = budget
            .charge(size_of::<Self>())
            .map_err(input::Stop::from)
            .and_then(|()| input::Input::new(bytes, &budget).read_into(&mut view));
        match read {
            Ok(()) => Ok(view),
            Err(stop) => Err(stop.into_error(|| budget.error(Self::Message::FULL_NAME))),
        }
    }
}

/// A received message that is not decoded yet: what a handler gets in place of the message, if the schema's code was
/// generated with views for its method.
///
/// ```text
/// async fn export(&self, request: Request<View<LogBatch>>) -> Result<Response<ExportResponse>, Error> {
///     let batch = request.message().get()?;
///     for record in &batch.records {
///         println!("{}: {}", record.service_name, record.message);
///     }
///     # ...
/// }
/// ```
///
/// It holds the bytes of the message, and nothing has looked at them. A message that came in another codec than `proto`
/// was decoded and encoded again, which costs more than taking the message itself.
pub struct View<M> {
    encoded: Bytes,
    options: ProtoOptions,
    message: PhantomData<fn() -> M>,
}

impl<M: Viewed> View<M> {
    /// A message by its binary encoding, which is not looked at yet.
    #[must_use]
    pub fn new(encoded: Bytes) -> Self {
        Self::with_options(encoded, ProtoOptions::default())
    }

    fn with_options(encoded: Bytes, options: ProtoOptions) -> Self {
        Self {
            encoded,
            options,
            message: PhantomData,
        }
    }

    /// Reads the message, in one pass; each call does so again.
    ///
    /// # Errors
    /// `invalid_argument` if the bytes are not such a message, with the field; `resource_exhausted` if it takes more
    /// memory than the [decode budget](ProtoOptions::with_decode_budget).
    pub fn get(&self) -> Result<M::View<'_>, Error> {
        let view = M::View::decode(&self.encoded, &self.options);
        view.map_err(|error| error.into_error(Side::Server))
    }

    /// The message itself, with strings of its own.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn to_message(&self) -> Result<M, Error> {
        let message = decode_within(self.encoded.clone(), &self.options);
        message.map_err(|error| error.into_error(Side::Server))
    }

    /// The binary encoding.
    #[must_use]
    pub fn encoded(&self) -> &Bytes {
        &self.encoded
    }
}

impl<M> Clone for View<M> {
    fn clone(&self) -> Self {
        Self {
            encoded: self.encoded.clone(),
            ..*self
        }
    }
}

impl<M: JsonMessage> fmt::Debug for View<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("message", &M::FULL_NAME)
            .field("len", &self.encoded.len())
            .finish_non_exhaustive()
    }
}

impl<M: Viewed> Decode<View<M>> for Prost {
    fn decode(bytes: Bytes, codec: &Codec) -> Result<View<M>, DecodeError> {
        let message: M = match codec {
            Codec::Proto(options) => return Ok(View::with_options(bytes, *options)),
            Codec::Json(options) => json::from_slice(&bytes, options)?,
            Codec::Custom(_) => Self::decode(bytes, codec)?,
        };
        // What it takes was charged when it was decoded.
        let options = ProtoOptions::default().with_decode_budget(usize::MAX);
        let mut encoded = BytesMut::new();
        encode_proto(&message, &mut encoded);
        Ok(View::with_options(encoded.freeze(), options))
    }
}

#[cfg(test)]
mod tests;
