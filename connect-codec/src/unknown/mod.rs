//! The fields of a message that its schema does not have.

pub(crate) mod codegen;

mod extension;

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{self, DecodeContext, WireType},
};

pub use extension::Extension;

/// The fields that a message came with and its schema does not have, in the order of arrival.
///
/// A message has them in its field `unknown_fields` if connect-codegen was told to keep them; others lose them. They
/// are written behind the message's own fields, as they came, so nothing is lost where a message passes through a
/// program with an older schema. An unknown number of a closed enum is among them too. JSON has no form for them.
///
/// As a message of its own, it takes any Protobuf bytes:
///
/// ```
/// use connect_codec::{UnknownFields, UnknownValue};
/// use prost::Message as _;
///
/// let fields = UnknownFields::decode([0x08, 0x96, 0x01, 0x12, 0x01, b'a'].as_slice())?;
/// let mut each = fields.iter();
/// assert!(matches!(each.next(), Some((1, UnknownValue::Varint(150)))));
/// assert!(matches!(each.next(), Some((2, UnknownValue::Bytes(b"a")))));
/// # Ok::<(), prost::DecodeError>(())
/// ```
///
/// Two are equal if they hold the same fields in the same order. The decode budget counts their bytes.
#[derive(Clone, Default, Eq, Hash, PartialEq)]
pub struct UnknownFields {
    /// Well-formed fields, one behind the other.
    encoded: Vec<u8>,
}

impl UnknownFields {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// All fields in the order of arrival, each with its number.
    #[must_use]
    pub fn iter(&self) -> UnknownFieldsIter<'_> {
        UnknownFieldsIter(&self.encoded)
    }

    /// Removes all fields of this number.
    pub fn remove(&mut self, number: u32) {
        let mut kept = Vec::new();
        let mut fields = self.iter();
        while let Some((found, _, field)) = fields.next_encoded() {
            if found != number {
                kept.extend_from_slice(field);
            }
        }
        self.encoded = kept;
    }

    /// Removes all fields.
    pub fn clear(&mut self) {
        self.encoded.clear();
    }

    /// Where fields are appended that are well-formed.
    pub(crate) fn encoded_mut(&mut self) -> &mut Vec<u8> {
        &mut self.encoded
    }

    fn push(
        &mut self,
        number: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let out = &mut self.encoded;
        match wire_type {
            WireType::Varint => {
                let value = encoding::decode_varint(buf)?;
                encoding::uint64::encode(number, &value, out);
            }
            WireType::SixtyFourBit => {
                let mut value = 0;
                encoding::fixed64::merge(wire_type, &mut value, buf, ctx)?;
                encoding::fixed64::encode(number, &value, out);
            }
            WireType::ThirtyTwoBit => {
                let mut value = 0;
                encoding::fixed32::merge(wire_type, &mut value, buf, ctx)?;
                encoding::fixed32::encode(number, &value, out);
            }
            WireType::LengthDelimited => {
                let mut value = Bytes::new();
                encoding::bytes::merge(wire_type, &mut value, buf, ctx)?;
                encoding::bytes::encode(number, &value, out);
            }
            WireType::StartGroup => {
                encoding::encode_key(number, wire_type, out);
                encoding::group::merge(number, wire_type, self, buf, ctx)?;
                encoding::encode_key(number, WireType::EndGroup, &mut self.encoded);
            }
            // An error, which prost has the words for.
            WireType::EndGroup => encoding::skip_field(wire_type, number, buf, ctx)?,
        }
        Ok(())
    }
}

/// A message that keeps the fields that its schema does not have. Generated code implements it.
pub trait KeepUnknownFields {
    /// The field that holds them.
    fn unknown_fields(&self) -> &UnknownFields;

    /// The field that holds them.
    fn unknown_fields_mut(&mut self) -> &mut UnknownFields;
}

impl Message for UnknownFields {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        buf.put_slice(&self.encoded);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        ctx: DecodeContext,
    ) -> Result<(), DecodeError> {
        let before = self.encoded.len();
        let pushed = self.push(tag, wire_type, buf, ctx);
        if pushed.is_err() {
            self.encoded.truncate(before);
        }
        pushed
    }

    fn encoded_len(&self) -> usize {
        self.encoded.len()
    }

    fn clear(&mut self) {
        self.encoded.clear();
    }
}

impl fmt::Debug for UnknownFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().fmt(f)
    }
}

impl<'a> IntoIterator for &'a UnknownFields {
    type Item = (u32, UnknownValue<'a>);
    type IntoIter = UnknownFieldsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The value of an unknown field, as it is in the encoding: what type it has, only the schema says.
#[derive(Clone, Debug)]
pub enum UnknownValue<'a> {
    /// An integer, a `bool` or an enum.
    Varint(u64),
    /// A `fixed64`, `sfixed64` or `double`.
    Fixed64(u64),
    /// A `fixed32`, `sfixed32` or `float`.
    Fixed32(u32),
    /// A string, bytes, a message, or a packed list.
    Bytes(&'a [u8]),
    /// A message in the older encoding, between two tags.
    Group(UnknownFieldsIter<'a>),
}

/// An iterator over [`UnknownFields`].
#[derive(Clone)]
pub struct UnknownFieldsIter<'a>(&'a [u8]);

impl<'a> UnknownFieldsIter<'a> {
    /// The next field with its key: the number, the value, all bytes.
    pub(crate) fn next_encoded(&mut self) -> Option<(u32, UnknownValue<'a>, &'a [u8])> {
        let mut rest = self.0;
        let (number, wire_type) = encoding::decode_key(&mut rest).ok()?;
        let value = match wire_type {
            WireType::Varint => UnknownValue::Varint(encoding::decode_varint(&mut rest).ok()?),
            WireType::SixtyFourBit => UnknownValue::Fixed64(rest.try_get_u64_le().ok()?),
            WireType::ThirtyTwoBit => UnknownValue::Fixed32(rest.try_get_u32_le().ok()?),
            WireType::LengthDelimited => {
                let len = usize::try_from(encoding::decode_varint(&mut rest).ok()?).ok()?;
                let (value, behind) = rest.split_at_checked(len)?;
                rest = behind;
                UnknownValue::Bytes(value)
            }
            WireType::StartGroup => {
                let (inside, behind) = group(rest)?;
                rest = behind;
                UnknownValue::Group(Self(inside))
            }
            WireType::EndGroup => return None,
        };
        let field = &self.0[..self.0.len() - rest.len()];
        self.0 = rest;
        Some((number, value, field))
    }
}

impl<'a> Iterator for UnknownFieldsIter<'a> {
    type Item = (u32, UnknownValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        self.next_encoded()
            .map(|(number, value, _)| (number, value))
    }
}

impl fmt::Debug for UnknownFieldsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// What is in a group whose first key has been read, and what comes behind it.
fn group(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut rest = bytes;
    let mut depth = 1;
    loop {
        let at = bytes.len() - rest.len();
        let (_, wire_type) = encoding::decode_key(&mut rest).ok()?;
        let len = match wire_type {
            WireType::Varint => encoding::decode_varint(&mut rest).ok().map(|_| 0)?,
            WireType::SixtyFourBit => 8,
            WireType::ThirtyTwoBit => 4,
            WireType::LengthDelimited => {
                usize::try_from(encoding::decode_varint(&mut rest).ok()?).ok()?
            }
            WireType::StartGroup => {
                depth += 1;
                0
            }
            WireType::EndGroup => {
                depth -= 1;
                if depth == 0 {
                    return Some((&bytes[..at], rest));
                }
                0
            }
        };
        rest = rest.get(len..)?;
    }
}
