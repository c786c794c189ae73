//! Extensions: fields of a message that are declared elsewhere.

use std::{fmt, marker::PhantomData};

use prost::encoding::{DecodeContext, WireType, decode_key};

use super::{KeepUnknownFields, UnknownFields};
use crate::decode_error::DecodeError;

/// An extension of the message `M` whose value is a `T`: as the type of a field would be, a `Vec` if it is repeated.
///
/// Generated code has a constant for each extension of a message that [keeps unknown fields](KeepUnknownFields), named
/// as it is in the `.proto` file, in upper case. The value stays encoded among the message's unknown fields: each
/// call here goes through them.
pub struct Extension<M, T> {
    number: u32,
    full_name: &'static str,
    encode: Encode<T>,
    merge: Merge<T>,
    default: fn() -> T,
    message: PhantomData<fn(&M)>,
}

type Encode<T> = fn(u32, &T, &mut Vec<u8>);
type Merge<T> =
    fn(u32, WireType, &mut T, &mut &[u8], DecodeContext) -> Result<(), prost::DecodeError>;

impl<M, T: Default> Extension<M, T> {
    /// For generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn new(
        (number, full_name): (u32, &'static str),
        encode: Encode<T>,
        merge: Merge<T>,
    ) -> Self {
        Self {
            number,
            full_name,
            encode,
            merge,
            default: T::default,
            message: PhantomData,
        }
    }
}

impl<M, T> Extension<M, T> {
    /// For generated code.
    #[doc(hidden)]
    #[must_use]
    pub const fn with_default(mut self, default: fn() -> T) -> Self {
        self.default = default;
        self
    }

    /// The number of the field.
    #[must_use]
    pub const fn number(&self) -> u32 {
        self.number
    }

    /// The full name, `package.extension` or `package.Message.extension`.
    #[must_use]
    pub const fn full_name(&self) -> &'static str {
        self.full_name
    }

    /// The value that stands for none: the one of the `.proto` file, or that of the type; nothing, if it is repeated.
    #[must_use]
    pub fn default(&self) -> T {
        (self.default)()
    }
}

impl<M: KeepUnknownFields, T> Extension<M, T> {
    /// The value in a message, if it is set. Several of them are one by the rules for fields.
    ///
    /// # Errors
    /// If it is not of the type that the schema says.
    pub fn get(&self, message: &M) -> Result<Option<T>, DecodeError> {
        self.read(message.unknown_fields())
    }

    /// The value in a message, or the [default](Self::default).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_or_default(&self, message: &M) -> Result<T, DecodeError> {
        let value = self.get(message)?;
        Ok(value.unwrap_or_else(self.default))
    }

    /// Whether the value is set in a message. A list is if it is not empty.
    #[must_use]
    pub fn is_set(&self, message: &M) -> bool {
        let mut fields = message.unknown_fields().iter();
        fields.any(|(number, _)| number == self.number)
    }

    /// Sets the value in a message.
    pub fn set(&self, message: &mut M, value: &T) {
        self.write(message.unknown_fields_mut(), value);
    }

    /// Removes the value from a message.
    pub fn clear(&self, message: &mut M) {
        message.unknown_fields_mut().remove(self.number);
    }
}

impl<M, T> Extension<M, T> {
    fn read(&self, fields: &UnknownFields) -> Result<Option<T>, DecodeError> {
        let (mut value, mut fields) = (None, fields.iter());
        while let Some((number, _, mut field)) = fields.next_encoded() {
            if number != self.number {
                continue;
            }
            let value = value.get_or_insert_with(self.default);
            decode_key(&mut field)
                .and_then(|(_, wire_type)| {
                    let ctx = DecodeContext::default();
                    (self.merge)(number, wire_type, value, &mut field, ctx)
                })
                .map_err(|error| DecodeError::new(format!("{}: {error}", self.full_name)))?;
        }
        Ok(value)
    }

    fn write(&self, fields: &mut UnknownFields, value: &T) {
        fields.remove(self.number);
        (self.encode)(self.number, value, &mut fields.encoded);
    }
}

impl<M, T> fmt::Debug for Extension<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension")
            .field("number", &self.number)
            .field("full_name", &self.full_name)
            .finish_non_exhaustive()
    }
}

/// prost's functions for the kinds of values.
#[doc(hidden)]
#[allow(non_snake_case, missing_docs)]
pub mod wire {
    pub use prost::encoding::{
        bool as Bool, bytes as Bytes, double as Double, fixed32 as Fixed32, fixed64 as Fixed64,
        float as Float, group as Group, int32 as Enum, int32 as Int32, int32 as Null,
        int64 as Int64, message as Message, sfixed32 as Sfixed32, sfixed64 as Sfixed64,
        sint32 as Sint32, sint64 as Sint64, string as String, uint32 as Uint32, uint64 as Uint64,
    };
}

/// An extension: the number, the name, what it holds, and the default of the `.proto` file.
#[doc(hidden)]
#[macro_export]
macro_rules! __extension {
    // Groups are asked for their number.
    ($number:literal, $name:literal, Optional(Group($of:ty))) => {
        $crate::Extension::new(
            ($number, $name),
            |number, value, out| $crate::__codegen::unknown_fields::wire::Group::encode(number, value, out),
            |number, wire, value, buf, ctx| $crate::__codegen::unknown_fields::wire::Group::merge(number, wire, value, buf, ctx),
        )
    };
    ($number:literal, $name:literal, Repeated(Group($of:ty))) => {
        $crate::Extension::new(
            ($number, $name),
            |number, values, out| $crate::__codegen::unknown_fields::wire::Group::encode_repeated(number, values, out),
            |number, wire, values, buf, ctx| {
                $crate::__codegen::unknown_fields::wire::Group::merge_repeated(number, wire, values, buf, ctx)
            },
        )
    };
    ($number:literal, $name:literal, Optional($kind:ident $(($of:ty))?) $(= $default:expr)?) => {
        $crate::Extension::new(
            ($number, $name),
            |number, value, out| $crate::__codegen::unknown_fields::wire::$kind::encode(number, value, out),
            |_, wire, value, buf, ctx| $crate::__codegen::unknown_fields::wire::$kind::merge(wire, value, buf, ctx),
        )
        $(.with_default(|| $default))?
    };
    ($number:literal, $name:literal, Repeated($kind:ident $(($of:ty))?)) => {
        $crate::Extension::new(
            ($number, $name),
            |number, values, out| $crate::__codegen::unknown_fields::wire::$kind::encode_repeated(number, values, out),
            |_, wire, values, buf, ctx| $crate::__codegen::unknown_fields::wire::$kind::merge_repeated(wire, values, buf, ctx),
        )
    };
    ($number:literal, $name:literal, Packed($kind:ident $(($of:ty))?)) => {
        $crate::Extension::new(
            ($number, $name),
            |number, values, out| $crate::__codegen::unknown_fields::wire::$kind::encode_packed(number, values, out),
            |_, wire, values, buf, ctx| $crate::__codegen::unknown_fields::wire::$kind::merge_repeated(wire, values, buf, ctx),
        )
    };
}
