//! The bytes of a message that are left to read, and what may be wrong with them.

use std::borrow::Cow;

use crate::{
    budget::{Budget, Exhausted},
    decode_error::DecodeError,
    json::JsonMessage as _,
    table::Table,
    wire::{Malformed, Reader, Tag, Wire},
};

use super::MessageView;

impl Tag {
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
    reader: Reader<'a>,
    budget: &'b Budget,
    /// How many messages may be nested in this one.
    depth_left: u32,
}

/// Messages are nested no deeper, which is prost's limit.
const MAX_DEPTH: u32 = 100;

impl<'a, 'b> Input<'a, 'b> {
    pub(super) fn new(bytes: &'a [u8], budget: &'b Budget) -> Self {
        Self {
            reader: Reader { bytes },
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
        let mut inner = self.nested(self.reader.bytes)?;
        while !inner.at_end_of(group)? {
            let tag = inner.tag()?;
            inner.field(view, tag)?;
        }
        self.reader = inner.reader;
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
                reader: Reader { bytes },
                budget: self.budget,
                depth_left,
            }),
            None => Err(Stop::malformed("messages are nested too deep")),
        }
    }

    /// The values of a packed field.
    #[inline]
    pub(super) fn packed(&mut self) -> Result<Self, Stop> {
        let bytes = self.delimited()?;
        Ok(Self {
            reader: Reader { bytes },
            ..*self
        })
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.reader.bytes.is_empty()
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
        Ok(self.reader.tag()?)
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64, Stop> {
        Ok(self.reader.varint()?)
    }

    /// What is written behind its length.
    #[inline]
    pub(super) fn delimited(&mut self) -> Result<&'a [u8], Stop> {
        Ok(self.reader.delimited()?)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        Ok(self.reader.array()?)
    }

    /// The bytes of a group between its tags.
    pub(super) fn group(&mut self, group: Tag) -> Result<&'a [u8], Stop> {
        let mut inner = self.nested(self.reader.bytes)?;
        loop {
            let left = inner.reader.bytes.len();
            if inner.at_end_of(group)? {
                let taken = &self.reader.bytes[..self.reader.bytes.len() - left];
                self.reader = inner.reader;
                return Ok(taken);
            }
            let tag = inner.tag()?;
            inner.skip(tag)?;
        }
    }

    /// Takes the tag that ends the group, if it is the next.
    fn at_end_of(&mut self, group: Tag) -> Result<bool, Stop> {
        let before = self.reader;
        let tag = self.tag()?;
        if tag.wire == Wire::EndGroup && tag.number == group.number {
            return Ok(true);
        }
        self.reader = before;
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

impl From<Malformed> for Stop {
    #[cold]
    fn from(Malformed(what): Malformed) -> Self {
        Self::malformed(what)
    }
}

impl From<Exhausted> for Stop {
    #[cold]
    fn from(_: Exhausted) -> Self {
        Self(Box::new(Reason::Exhausted))
    }
}
