//! Reading the wire format of Protobuf.

use std::borrow::Cow;

/// The bytes that are left to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    pub(crate) bytes: &'a [u8],
}

/// The number of a field, and how its value is written.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    pub(crate) number: u32,
    pub(crate) wire: Wire,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Wire {
    /// As many bytes as it needs, seven bits in each.
    Varint,
    /// Eight bytes.
    I64,
    /// Behind its length.
    Len,
    /// Fields, up to the tag that ends them.
    Group,
    /// The end of those.
    EndGroup,
    /// Four bytes.
    I32,
}

/// What is wrong with the bytes.
#[derive(Debug)]
pub(crate) struct Malformed(pub(crate) Cow<'static, str>);

const MAX_VARINT: usize = 10;

impl<'a> Reader<'a> {
    #[inline]
    pub(crate) fn tag(&mut self) -> Result<Tag, Malformed> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::I64,
            2 => Wire::Len,
            3 => Wire::Group,
            4 => Wire::EndGroup,
            5 => Wire::I32,
            other => return Err(Malformed::new(format!("there is no wire type {other}"))),
        };
        match u32::try_from(tag) {
            Ok(tag) if tag >= 8 => Ok(Tag {
                number: tag >> 3,
                wire,
            }),
            _ => Err(Malformed::new(format!("{} is no field number", tag >> 3))),
        }
    }

    #[inline]
    pub(crate) fn varint(&mut self) -> Result<u64, Malformed> {
        match self.bytes.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Malformed> {
        let mut value = 0;
        for (index, byte) in self.bytes.iter().enumerate().take(MAX_VARINT) {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if *byte < 0x80 {
                if index + 1 == MAX_VARINT && *byte > 1 {
                    break;
                }
                self.bytes = &self.bytes[index + 1..];
                return Ok(value);
            }
        }
        Err(Malformed::new("a varint does not end, or is too large"))
    }

    /// What is written behind its length.
    #[inline]
    pub(crate) fn delimited(&mut self) -> Result<&'a [u8], Malformed> {
        let len = self.varint()?;
        match usize::try_from(len).map(|len| self.bytes.split_at_checked(len)) {
            Ok(Some((taken, rest))) => {
                self.bytes = rest;
                Ok(taken)
            }
            _ => Err(self.too_short(len)),
        }
    }

    #[inline]
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(self.too_short(N as u64)),
        }
    }

    #[cold]
    fn too_short(&self, len: u64) -> Malformed {
        let left = self.bytes.len();
        Malformed::new(format!(
            "the value has {len} bytes, of which {left} are there"
        ))
    }
}

impl Tag {
    /// The number of the field.
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }
}

impl Malformed {
    #[cold]
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self(what.into())
    }
}
