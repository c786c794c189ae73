//! The JSON form of each Protobuf field type (ProtoJSON, "JSON representation").

use std::{fmt, marker::PhantomData};

use base64::{
    Engine, alphabet,
    display::Base64Display,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serializer,
    de::{Error, Unexpected, Visitor},
};

use super::{JsonContext, JsonMessage, number, options::Target};

/// A Protobuf field type, whose values prost holds as `T`. Generated code names one per field.
pub trait JsonKind<T> {
    /// Whether `null` is a value, not the absence of one.
    const NULL_IS_VALUE: bool = false;

    /// Whether a field without presence that holds this is left out.
    fn is_default(value: &T) -> bool;

    /// Writes the value.
    ///
    /// # Errors
    /// What the format reports, or that the value has no JSON form.
    fn write<S: Serializer>(value: &T, out: S, cx: JsonContext<'_>) -> Result<S::Ok, S::Error>;

    /// Reads a value; `None` is an unknown enum name that the options tell to ignore.
    ///
    /// # Errors
    /// What the format reports, or that the input is not of this type.
    fn read<'de, D: Deserializer<'de>>(
        input: D,
        cx: JsonContext<'_>,
    ) -> Result<Option<T>, D::Error>;
}

/// A Protobuf enum, known by the names and numbers of its values. Generated code implements it.
pub trait JsonEnum: 'static {
    /// The full name, `package.Enum`.
    const FULL_NAME: &'static str;

    /// The first name of a number.
    fn name_of(number: i32) -> Option<&'static str>;

    /// The number of a name, aliases included.
    fn number_of(name: &str) -> Option<i32>;
}

/// `bool`: `true` and `false`.
#[derive(Clone, Copy, Debug)]
pub struct Bool;

/// `bytes`: base64, held as `Bytes` or `Vec<u8>`.
#[derive(Clone, Copy, Debug)]
pub struct BytesKind;

/// `double`: a number, or `"NaN"`, `"Infinity"`, `"-Infinity"`.
#[derive(Clone, Copy, Debug)]
pub struct Double;

/// An enum: the name of the value; its number where the name is not known.
#[derive(Clone, Copy, Debug)]
pub struct Enum<E>(PhantomData<E>);

/// `float`: as `double`.
#[derive(Clone, Copy, Debug)]
pub struct Float;

/// `int32`, `sint32`, `sfixed32`: a number.
#[derive(Clone, Copy, Debug)]
pub struct Int32;

/// `int64`, `sint64`, `sfixed64`: a decimal string.
#[derive(Clone, Copy, Debug)]
pub struct Int64;

/// A message, or a group.
#[derive(Clone, Copy, Debug)]
pub struct Message;

/// The enum `google.protobuf.NullValue`: `null`.
#[derive(Clone, Copy, Debug)]
pub struct Null;

/// `string`.
#[derive(Clone, Copy, Debug)]
pub struct Str;

/// `uint32`, `fixed32`: a number.
#[derive(Clone, Copy, Debug)]
pub struct UInt32;

/// `uint64`, `fixed64`: a decimal string.
#[derive(Clone, Copy, Debug)]
pub struct UInt64;

impl JsonKind<bool> for Bool {
    fn is_default(value: &bool) -> bool {
        !*value
    }

    fn write<S: Serializer>(value: &bool, out: S, _: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        out.serialize_bool(*value)
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<bool>, D::Error> {
        bool::deserialize(input).map(Some)
    }
}

impl JsonKind<String> for Str {
    fn is_default(value: &String) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(value: &String, out: S, _: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        out.serialize_str(value)
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<String>, D::Error> {
        String::deserialize(input).map(Some)
    }
}

/// Integers that fit an `f64`, as JSON numbers.
macro_rules! short_integer {
    ($kind:ident, $int:ty, $serialize:ident) => {
        impl JsonKind<$int> for $kind {
            fn is_default(value: &$int) -> bool {
                *value == 0
            }

            fn write<S: Serializer>(
                value: &$int,
                out: S,
                _: JsonContext<'_>,
            ) -> Result<S::Ok, S::Error> {
                out.$serialize(*value)
            }

            fn read<'de, D: Deserializer<'de>>(
                input: D,
                _: JsonContext<'_>,
            ) -> Result<Option<$int>, D::Error> {
                number::read_integer(input).map(Some)
            }
        }
    };
}

short_integer!(Int32, i32, serialize_i32);
short_integer!(UInt32, u32, serialize_u32);

/// Integers that do not fit an `f64`, as strings.
macro_rules! long_integer {
    ($kind:ident, $int:ty) => {
        impl JsonKind<$int> for $kind {
            fn is_default(value: &$int) -> bool {
                *value == 0
            }

            fn write<S: Serializer>(
                value: &$int,
                out: S,
                _: JsonContext<'_>,
            ) -> Result<S::Ok, S::Error> {
                out.serialize_str(itoa::Buffer::new().format(*value))
            }

            fn read<'de, D: Deserializer<'de>>(
                input: D,
                _: JsonContext<'_>,
            ) -> Result<Option<$int>, D::Error> {
                number::read_integer(input).map(Some)
            }
        }
    };
}

long_integer!(Int64, i64);
long_integer!(UInt64, u64);

impl JsonKind<f64> for Double {
    /// Negative zero is not the default: it would come back as zero.
    fn is_default(value: &f64) -> bool {
        value.to_bits() == 0
    }

    fn write<S: Serializer>(value: &f64, out: S, _: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        match number::special_name(*value) {
            Some(name) => out.serialize_str(name),
            None => out.serialize_f64(*value),
        }
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<f64>, D::Error> {
        number::read_double(input).map(Some)
    }
}

impl JsonKind<f32> for Float {
    fn is_default(value: &f32) -> bool {
        value.to_bits() == 0
    }

    fn write<S: Serializer>(value: &f32, out: S, cx: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        match number::special_name(f64::from(*value)) {
            Some(name) => out.serialize_str(name),
            None if cx.target() == Target::Tree => out.serialize_f64(number::shortest(*value)),
            None => out.serialize_f32(*value),
        }
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<f32>, D::Error> {
        number::read_float(input).map(Some)
    }
}

impl JsonKind<Vec<u8>> for BytesKind {
    fn is_default(value: &Vec<u8>) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(
        value: &Vec<u8>,
        out: S,
        _: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        write_base64(value, out)
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<Vec<u8>>, D::Error> {
        input.deserialize_str(Base64Visitor).map(Some)
    }
}

impl JsonKind<Bytes> for BytesKind {
    fn is_default(value: &Bytes) -> bool {
        value.is_empty()
    }

    fn write<S: Serializer>(value: &Bytes, out: S, _: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        write_base64(value, out)
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        _: JsonContext<'_>,
    ) -> Result<Option<Bytes>, D::Error> {
        let bytes = input.deserialize_str(Base64Visitor)?;
        Ok(Some(Bytes::from(bytes)))
    }
}

impl<M: JsonMessage> JsonKind<M> for Message {
    const NULL_IS_VALUE: bool = M::NULL_IS_VALUE;

    /// Messages have presence.
    fn is_default(_: &M) -> bool {
        false
    }

    fn write<S: Serializer>(value: &M, out: S, cx: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        value.write_json(out, cx)
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        cx: JsonContext<'_>,
    ) -> Result<Option<M>, D::Error> {
        M::read_json(input, cx).map(Some)
    }
}

impl<E: JsonEnum> JsonKind<i32> for Enum<E> {
    fn is_default(value: &i32) -> bool {
        *value == 0
    }

    fn write<S: Serializer>(value: &i32, out: S, cx: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        match E::name_of(*value) {
            Some(name) if !cx.writes_enum_numbers() => out.serialize_str(name),
            _ => out.serialize_i32(*value),
        }
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        cx: JsonContext<'_>,
    ) -> Result<Option<i32>, D::Error> {
        input.deserialize_any(EnumVisitor::<E>(cx, PhantomData))
    }
}

impl JsonKind<i32> for Null {
    const NULL_IS_VALUE: bool = true;

    fn is_default(value: &i32) -> bool {
        *value == 0
    }

    fn write<S: Serializer>(value: &i32, out: S, cx: JsonContext<'_>) -> Result<S::Ok, S::Error> {
        match value {
            0 if cx.writes_enum_numbers() => out.serialize_i32(0),
            0 => out.serialize_unit(),
            unknown => out.serialize_i32(*unknown),
        }
    }

    fn read<'de, D: Deserializer<'de>>(
        input: D,
        cx: JsonContext<'_>,
    ) -> Result<Option<i32>, D::Error> {
        input.deserialize_any(NullVisitor(EnumVisitor(cx, PhantomData)))
    }
}

impl JsonEnum for Null {
    const FULL_NAME: &'static str = "google.protobuf.NullValue";

    fn name_of(number: i32) -> Option<&'static str> {
        (number == 0).then_some("NULL_VALUE")
    }

    fn number_of(name: &str) -> Option<i32> {
        (name == "NULL_VALUE").then_some(0)
    }
}

struct EnumVisitor<'a, E>(JsonContext<'a>, PhantomData<E>);

impl<E: JsonEnum> Visitor<'_> for EnumVisitor<'_, E> {
    type Value = Option<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name or number of {}", E::FULL_NAME)
    }

    fn visit_str<X: Error>(self, name: &str) -> Result<Option<i32>, X> {
        match E::number_of(name) {
            None if self.0.rejects_unknown() => Err(X::invalid_value(Unexpected::Str(name), &self)),
            known_or_ignored => Ok(known_or_ignored),
        }
    }

    fn visit_i64<X: Error>(self, number: i64) -> Result<Option<i32>, X> {
        let value = i32::try_from(number);
        value
            .map(Some)
            .map_err(|_| X::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<X: Error>(self, number: u64) -> Result<Option<i32>, X> {
        let value = i32::try_from(number);
        value
            .map(Some)
            .map_err(|_| X::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<X: Error>(self, number: f64) -> Result<Option<i32>, X> {
        let value = number::exact_integer(number).and_then(|value| i32::try_from(value).ok());
        value
            .map(Some)
            .ok_or_else(|| X::invalid_value(Unexpected::Float(number), &self))
    }
}

/// As for any enum, and `null` too.
struct NullVisitor<'a>(EnumVisitor<'a, Null>);

impl Visitor<'_> for NullVisitor<'_> {
    type Value = Option<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null")
    }

    fn visit_unit<X: Error>(self) -> Result<Option<i32>, X> {
        Ok(Some(0))
    }

    fn visit_str<X: Error>(self, name: &str) -> Result<Option<i32>, X> {
        self.0.visit_str(name)
    }

    fn visit_i64<X: Error>(self, number: i64) -> Result<Option<i32>, X> {
        self.0.visit_i64(number)
    }

    fn visit_u64<X: Error>(self, number: u64) -> Result<Option<i32>, X> {
        self.0.visit_u64(number)
    }

    fn visit_f64<X: Error>(self, number: f64) -> Result<Option<i32>, X> {
        self.0.visit_f64(number)
    }
}

fn write_base64<S: Serializer>(bytes: &[u8], out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&Base64Display::new(bytes, &STANDARD))
}

struct Base64Visitor;

impl Visitor<'_> for Base64Visitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes in base64")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
        let engine = if url_safe { &LENIENT_URL } else { &LENIENT };
        engine
            .decode(text)
            .map_err(|error| E::custom(format_args!("invalid base64: {error}")))
    }
}

/// "Either standard or URL-safe base64 encoding with/without paddings are accepted"; bits of the
/// last character that no byte needs are not looked at, as in the other implementations.
const LENIENT_CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT_CONFIG);
const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT_CONFIG);
