//! How generated messages keep unknown fields: prost's derive writes all of their code but [`Message`](::prost::Message) itself,
//! which calls it.
//!
//! The derive is told that prost is [`prost`](self::prost) of this module. There, `Message` is [`KnownFields`], what skips a field skips
//! nothing, and the field `unknown_fields`, declared as a group of a number that no field can have, is written without
//! the keys of one.

use ::prost::{
    DecodeError, Message as _,
    encoding::{self, DecodeContext, WireType},
};
use bytes::{Buf, BufMut, Bytes};

pub use super::extension::wire;
use super::{KeepUnknownFields, UnknownFieldsIter, UnknownValue};
pub use crate::{__extension as extension, __keep_unknown_fields as keep};

/// prost, as the derive of a message that keeps unknown fields sees it.
#[expect(missing_docs, reason = "the names are prost's")]
pub mod prost {
    pub use super::KnownFields as Message;
    pub use ::prost::*;

    pub mod encoding {
        use ::bytes::Buf;
        pub use ::prost::encoding::*;

        /// Leaves a field that the derive does not know to [`merge_field`](super::super::merge_field).
        ///
        /// # Errors
        /// None.
        #[inline]
        pub fn skip_field(
            _: WireType,
            _: u32,
            _: &mut impl Buf,
            _: DecodeContext,
        ) -> Result<(), ::prost::DecodeError> {
            Ok(())
        }

        pub mod group {
            use ::bytes::BufMut;
            pub use ::prost::encoding::group::*;

            #[inline]
            pub fn encode<M: ::prost::Message>(number: u32, message: &M, buf: &mut impl BufMut) {
                match number {
                    UNKNOWN => message.encode_raw(buf),
                    _ => ::prost::encoding::group::encode(number, message, buf),
                }
            }

            #[inline]
            pub fn encoded_len<M: ::prost::Message>(number: u32, message: &M) -> usize {
                match number {
                    UNKNOWN => message.encoded_len(),
                    _ => ::prost::encoding::group::encoded_len(number, message),
                }
            }

            /// One more than the greatest number of a field, so it comes last.
            const UNKNOWN: u32 = ::prost::encoding::MAX_TAG + 1;
        }
    }
}

/// What prost's derive writes of a message that keeps unknown fields: [`Message`](::prost::Message) of the fields that are known.
#[expect(missing_docs, reason = "the names are prost's")]
pub trait KnownFields {
    fn encode_raw(&self, buf: &mut impl BufMut);

    /// Reads nothing of a field that is not known.
    ///
    /// # Errors
    /// As prost's.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError>;

    fn encoded_len(&self) -> usize;

    fn clear(&mut self);
}

/// Reads a field into a message; `closed` is what is to be known of it, if it is of a closed enum.
///
/// # Errors
/// As prost's.
#[inline]
pub fn merge_field<M: KnownFields + KeepUnknownFields + Default>(
    message: &mut M,
    closed: Option<ClosedEnum>,
    (number, wire_type): (u32, WireType),
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    if let Some(closed) = closed {
        match (wire_type, closed.holds) {
            (WireType::Varint, Holds::One | Holds::List) => {
                return merge_one(message, closed, number, buf, ctx);
            }
            (WireType::LengthDelimited, Holds::List) => {
                return merge_list(message, closed, number, buf, ctx);
            }
            (WireType::LengthDelimited, Holds::Map) => {
                return merge_entry(message, closed, number, buf, ctx);
            }
            // prost says what is wrong.
            _ => {}
        }
    }
    let before = buf.remaining();
    message.merge_field(number, wire_type, buf, ctx.clone())?;
    // There is no value without a byte, so nobody knew the field.
    if buf.remaining() == before {
        let unknown = message.unknown_fields_mut();
        unknown.merge_field(number, wire_type, buf, ctx)?;
    }
    Ok(())
}

/// One value of a closed enum: the message gets those of the enum.
fn merge_one<M: KnownFields + KeepUnknownFields>(
    message: &mut M,
    closed: ClosedEnum,
    number: u32,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let value = encoding::decode_varint(buf).map_err(|error| closed.named(error))?;
    if closed.is_valid(value) {
        let mut known = Vec::with_capacity(10);
        encoding::encode_varint(value, &mut known);
        return message.merge_field(number, WireType::Varint, &mut known.as_slice(), ctx);
    }
    let unknown = message.unknown_fields_mut().encoded_mut();
    encoding::uint64::encode(number, &value, unknown);
    Ok(())
}

/// A packed list of them.
fn merge_list<M: KnownFields + KeepUnknownFields>(
    message: &mut M,
    closed: ClosedEnum,
    number: u32,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let list = closed.delimited(buf, ctx.clone())?;
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    let mut rest = &*list;
    while !rest.is_empty() {
        let Ok(value) = encoding::decode_varint(&mut rest) else {
            // prost says what is wrong.
            return merge_known(message, number, &list, ctx);
        };
        let is_known = closed.is_valid(value);
        encoding::encode_varint(value, if is_known { &mut known } else { &mut unknown });
    }
    if !unknown.is_empty() {
        let out = message.unknown_fields_mut().encoded_mut();
        encoding::bytes::encode(number, &unknown, out);
    }
    merge_known(message, number, &known, ctx)
}

/// An entry of a map with such values.
fn merge_entry<M: KnownFields + KeepUnknownFields + Default>(
    message: &mut M,
    closed: ClosedEnum,
    number: u32,
    buf: &mut impl Buf,
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let entry = closed.delimited(buf, ctx.clone())?;
    let values = UnknownFieldsIter(&entry).filter_map(|field| match field {
        (VALUE, UnknownValue::Varint(value)) => Some(value),
        _ => None,
    });
    if values.last().is_none_or(|value| closed.is_valid(value)) {
        return merge_known(message, number, &entry, ctx);
    }
    // prost says whether something is wrong.
    merge_known(&mut M::default(), number, &entry, ctx)?;
    let unknown = message.unknown_fields_mut().encoded_mut();
    encoding::bytes::encode(number, &entry, unknown);
    Ok(())
}

fn merge_known(
    message: &mut impl KnownFields,
    number: u32,
    value: &[u8],
    ctx: DecodeContext,
) -> Result<(), DecodeError> {
    let mut field = Vec::with_capacity(value.len() + 10);
    encoding::encode_varint(value.len() as u64, &mut field);
    field.extend_from_slice(value);
    message.merge_field(
        number,
        WireType::LengthDelimited,
        &mut field.as_slice(),
        ctx,
    )
}

/// A field of a closed enum: "unrecognized values are stored as unknown fields".
#[derive(Clone, Copy, Debug)]
pub struct ClosedEnum {
    /// How many values it holds.
    pub holds: Holds,
    /// Whether the enum has a value of this number.
    pub is_valid: fn(i32) -> bool,
    /// The message and the field, as prost's errors have them.
    pub place: [&'static str; 2],
}

/// How many values a field holds.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Holds {
    One,
    List,
    Map,
}

impl ClosedEnum {
    #[expect(clippy::cast_possible_truncation, reason = "as prost reads an enum")]
    fn is_valid(self, varint: u64) -> bool {
        (self.is_valid)(varint as i32)
    }

    fn delimited(self, buf: &mut impl Buf, ctx: DecodeContext) -> Result<Bytes, DecodeError> {
        let mut value = Bytes::new();
        let merged = encoding::bytes::merge(WireType::LengthDelimited, &mut value, buf, ctx);
        merged.map_err(|error| self.named(error))?;
        Ok(value)
    }

    fn named(self, mut error: DecodeError) -> DecodeError {
        let [message, field] = self.place;
        error.push(message, field);
        error
    }
}

/// The field of a map's entries that holds the value.
const VALUE: u32 = 2;

/// [`Message`](::prost::Message) of a message that keeps unknown fields, with a line for each field of a closed enum.
#[doc(hidden)]
#[macro_export]
macro_rules! __keep_unknown_fields {
    ($message:ty; $($field:ident: $holds:ident($number:literal, $enum:ty),)*) => {
        const _: () = {
            #[allow(unused_imports)]
            use $crate::__codegen::{
                prost::{DecodeError, Message, bytes::{Buf, BufMut}, encoding::{DecodeContext, wire_type::WireType}},
                unknown_fields::{ClosedEnum, Holds, KnownFields, merge_field},
            };

            #[allow(unused_qualifications)]
            impl Message for $message {
                fn encode_raw(&self, buf: &mut impl BufMut) {
                    KnownFields::encode_raw(self, buf);
                }

                fn merge_field(
                    &mut self,
                    number: u32,
                    wire_type: WireType,
                    buf: &mut impl Buf,
                    ctx: DecodeContext,
                ) -> ::core::result::Result<(), DecodeError> {
                    let closed = match number {
                        $($number => {
                            ::core::option::Option::Some(ClosedEnum {
                                holds: Holds::$holds,
                                is_valid: <$enum>::is_valid,
                                place: [stringify!($message), stringify!($field)],
                            })
                        })*
                        _ => ::core::option::Option::None,
                    };
                    merge_field(self, closed, (number, wire_type), buf, ctx)
                }

                fn encoded_len(&self) -> usize {
                    KnownFields::encoded_len(self)
                }

                fn clear(&mut self) {
                    KnownFields::clear(self);
                }
            }

            impl $crate::KeepUnknownFields for $message {
                fn unknown_fields(&self) -> &$crate::UnknownFields {
                    &self.unknown_fields
                }

                fn unknown_fields_mut(&mut self) -> &mut $crate::UnknownFields {
                    &mut self.unknown_fields
                }
            }
        };
    };
}
