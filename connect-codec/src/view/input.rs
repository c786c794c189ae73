//! The bytes of a message that are left to read, and what may be wrong with them.

use std::borrow::Cow;

use crate::{
    budget::{Budget, Exhausted},
    decode_error::DecodeError,
    json::JsonMessage as _,
    table::Table,
};

use super::MessageView;

/// The number of a field, and how its value is written.
#[derive(Clone, Copy, Debug)]
pub struct Tag {
    pub(super) number: u32,
    pub(super) wire: Wire,
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

impl Tag {
    /// The number of the field.
    #[inline]
    #[must_use]
    pub fn number(self) -> u32 {
        self.number
    }

    /// Whether the value is written as the field's type is.
    #[inline]
    pub(super) fn expect(self, wire: Wire) -> Result<(), Stop> {
        if self.wire == wire {
            return Ok(());
        }
        let is = self.wire;
        Err(Stop::malformed(format!(
            "the wire type is {is:?}, not {wire:?}"
        )))
    }
}

/// What is left of a message.
#[derive(Debug)]
pub struct Input<'a, 'b> {
    bytes: &'a [u8],
    budget: &'b Budget,
    /// How many messages may be nested in this one.
    depth_left: u32,
}

/// Messages are nested no deeper, which is prost's limit.
const MAX_DEPTH: u32 = 100;
const MAX_VARINT: usize = 10;

impl<'a, 'b> Input<'a, 'b> {
    pub(super) fn new(bytes: &'a [u8], budget: &'b Budget) -> Self {
        Self {
            bytes,
            budget,
            depth_left: MAX_DEPTH,
        }
    }

    /// Reads what is left into a view.
    pub(super) fn read_into<V: MessageView<'a>>(mut self, view: &mut V) -> Result<(), Stop> {
        while !self.is_empty() {
            let tag = self.tag()?;
            self.field(view, tag)?;
        }
        Ok(())
    }

    /// Reads up to the end of the group that this tag began.
    pub(super) fn read_group<V: MessageView<'a>>(
        &mut self,
        view: &mut V,
        group: Tag,
    ) -> Result<(), Stop> {
        let mut inner = self.nested(self.bytes)?;
        while !inner.at_end_of(group)? {
            let tag = inner.tag()?;
            inner.field(view, tag)?;
        }
        self.bytes = inner.bytes;
        Ok(())
    }

    #[inline]
    fn field<V: MessageView<'a>>(&mut self, view: &mut V, tag: Tag) -> Result<(), Stop> {
        let read = view.read_field(tag, self);
        read.map_err(|stop| stop.inside(V::Message::table(), tag.number))
    }

    /// A message that begins here and is written behind its length.
    #[inline]
    pub(super) fn message(&mut self) -> Result<Self, Stop> {
        let bytes = self.delimited()?;
        self.nested(bytes)
    }

    fn nested(&self, bytes: &'a [u8]) -> Result<Self, Stop> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self {
                bytes,
                budget: self.budget,
                depth_left,
            }),
            None => Err(Stop::malformed("messages are nested too deep")),
        }
    }

    /// The values of a packed field.
    #[inline]
    pub(super) fn packed(&mut self) -> Result<Self, Stop> {
        Ok(Self {
            bytes: self.delimited()?,
            ..*self
        })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(super) fn budget(&self) -> &'b Budget {
        self.budget
    }

    #[inline]
    pub(super) fn charge(&self, bytes: usize) -> Result<(), Stop> {
        Ok(self.budget.charge(bytes)?)
    }

    #[inline]
    pub(super) fn tag(&mut self) -> Result<Tag, Stop> {
        let tag = self.varint()?;
        let wire = match tag & 7 {
            0 => Wire::Varint,
            1 => Wire::I64,
            2 => Wire::Len,
            3 => Wire::Group,
            4 => Wire::EndGroup,
            5 => Wire::I32,
            other => return Err(Stop::malformed(format!("there is no wire type {other}"))),
        };
        match u32::try_from(tag) {
            Ok(tag) if tag >= 8 => Ok(Tag {
                number: tag >> 3,
                wire,
            }),
            _ => Err(Stop::malformed(format!("{} is no field number", tag >> 3))),
        }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Stop> {
        match self.bytes.split_first() {
            Some((byte, rest)) if *byte < 0x80 => {
                self.bytes = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, Stop> {
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
        Err(Stop::malformed("a varint does not end, or is too large"))
    }

    /// What is written behind its length.
    #[inline]
    pub(super) fn delimited(&mut self) -> Result<&'a [u8], Stop> {
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
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        match self.bytes.split_first_chunk() {
            Some((taken, rest)) => {
                self.bytes = rest;
                Ok(*taken)
            }
            None => Err(self.too_short(N as u64)),
        }
    }

    #[cold]
    fn too_short(&self, len: u64) -> Stop {
        let left = self.bytes.len();
        Stop::malformed(format!(
            "the value has {len} bytes, of which {left} are there"
        ))
    }

    /// The bytes of a group between its tags.
    pub(super) fn group(&mut self, group: Tag) -> Result<&'a [u8], Stop> {
        let mut inner = self.nested(self.bytes)?;
        loop {
            let left = inner.bytes.len();
            if inner.at_end_of(group)? {
                let taken = &self.bytes[..self.bytes.len() - left];
                self.bytes = inner.bytes;
                return Ok(taken);
            }
            let tag = inner.tag()?;
            inner.skip(tag)?;
        }
    }

    /// Takes the tag that ends the group, if it is the next.
    fn at_end_of(&mut self, group: Tag) -> Result<bool, Stop> {
        let before = self.bytes;
        let tag = self.tag()?;
        if tag.wire == Wire::EndGroup && tag.number == group.number {
            return Ok(true);
        }
        self.bytes = before;
        Ok(false)
    }

    /// Passes over a field that the message does not have.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn skip(&mut self, tag: Tag) -> Result<(), Stop> {
        match tag.wire {
            Wire::Varint => self.varint().map(drop),
            Wire::I64 => self.array::<8>().map(drop),
            Wire::Len => self.delimited().map(drop),
            Wire::Group => self.group(tag).map(drop),
            Wire::EndGroup => Err(Stop::malformed("a group ends that did not begin")),
            Wire::I32 => self.array::<4>().map(drop),
        }
    }
}

/// Why a message cannot be read.
#[derive(Debug)]
pub struct Stop(Box<Reason>);

#[derive(Debug)]
enum Reason {
    Exhausted,
    /// What is wrong, and the fields that it is in, the innermost first.
    Malformed(Cow<'static, str>, Vec<String>),
}

impl Stop {
    #[cold]
    pub(super) fn malformed(what: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Reason::Malformed(what.into(), Vec::new())))
    }

    #[cold]
    fn inside(mut self, table: &Table, number: u32) -> Self {
        if let Reason::Malformed(_, fields) = &mut *self.0 {
            let field = table.fields.iter().find(|field| field.number == number);
            let field = field.map_or_else(|| number.to_string(), |field| field.proto.to_owned());
            let message = table.name.rsplit('.').next().unwrap_or(table.name);
            fields.push(format!("{message}.{field}: "));
        }
        self
    }

    /// What the reader gets to know.
    #[cold]
    pub(super) fn into_error(self, exhausted: impl FnOnce() -> DecodeError) -> DecodeError {
        match *self.0 {
            Reason::Exhausted => exhausted(),
            Reason::Malformed(what, fields) => {
                let fields: String = fields.into_iter().rev().collect();
                DecodeError::new(format!(
                    "the bytes are no such Protobuf message: {fields}{what}"
                ))
            }
        }
    }
}

impl From<Exhausted> for Stop {
    #[cold]
    fn from(_: Exhausted) -> Self {
        Self(Box::new(Reason::Exhausted))
    }
}
