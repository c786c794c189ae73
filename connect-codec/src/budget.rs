//! How much memory a message may take once it is decoded: a few bytes of Protobuf can stand for a structure of many.
//!
//! JSON is charged while it is read. Protobuf is looked through before: prost decodes in one go, and cannot be stopped.
//! Nothing is looked through that is too short to take more, whatever is in it: of most messages, no byte is read twice.

use std::{cell::Cell, collections::HashSet};

use crate::{
    decode_error::DecodeError,
    table::{Field, Key, Kind, Label, Table},
    wire::{Malformed, Reader, Tag, Wire},
};

/// What is left of the memory that one message may take.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    left: Cell<usize>,
    is_exhausted: Cell<bool>,
}

/// The budget is exhausted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exhausted;

impl Budget {
    /// 64 MiB.
    pub(crate) const DEFAULT: usize = 64 << 20;

    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            left: Cell::new(limit),
            is_exhausted: Cell::new(false),
        }
    }

    /// Takes this many bytes.
    pub(crate) fn charge(&self, bytes: usize) -> Result<(), Exhausted> {
        if let Some(left) = self.left.get().checked_sub(bytes) {
            self.left.set(left);
            Ok(())
        } else {
            self.is_exhausted.set(true);
            Err(Exhausted)
        }
    }

    /// Whether more was to be charged than there was.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.is_exhausted.get()
    }

    /// The error of a message that takes more.
    pub(crate) fn error(&self, full_name: &str) -> DecodeError {
        let limit = self.limit;
        DecodeError::exhausted(format!(
            "{full_name} takes more memory than the {limit} bytes of the decode budget"
        ))
    }
}

/// Whether the budget has left what prost would make of the bytes of a message. Those too short to take it are not
/// looked through, and not charged: no other message may share the budget.
pub(crate) fn check(table: &'static Table, bytes: &[u8], budget: &Budget) -> Result<(), Exhausted> {
    let at_most = bytes.len().saturating_mul(table.amplification());
    if at_most <= budget.left.get() {
        return Ok(());
    }
    charge(table, bytes, budget)
}

/// Charges what prost would make of the bytes of a message. Of malformed bytes, what stands before the fault.
pub(crate) fn charge(
    table: &'static Table,
    bytes: &[u8],
    budget: &Budget,
) -> Result<(), Exhausted> {
    let mut scan = Scan {
        reader: Reader { bytes },
        budget,
    };
    match scan.message(table, None, MAX_DEPTH) {
        Err(Stop::Exhausted) => Err(Exhausted),
        // prost says what is wrong.
        Ok(()) | Err(Stop::Malformed) => Ok(()),
    }
}

enum Stop {
    Exhausted,
    Malformed,
}

impl From<Malformed> for Stop {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}

impl From<Exhausted> for Stop {
    fn from(_: Exhausted) -> Self {
        Self::Exhausted
    }
}

/// The bytes that are left of a message.
struct Scan<'a> {
    reader: Reader<'a>,
    budget: &'a Budget,
}

impl Scan<'_> {
    /// Goes through a message to its end, or through a group to the tag that ends it.
    fn message(
        &mut self,
        table: &'static Table,
        group: Option<u32>,
        depth_left: u32,
    ) -> Result<(), Stop> {
        let depth_left = depth_left.checked_sub(1).ok_or(Stop::Malformed)?;
        let mut expected = 0;
        while group.is_some() || !self.reader.bytes.is_empty() {
            let before = self.reader.bytes.len();
            let Tag { number, wire } = self.reader.tag()?;
            let field = table.by_number(number, &mut expected);
            let repeated = field.filter(|field| matches!(field.label, Label::Repeated));
            let element = repeated.map_or(0, |field| field.kind.size());
            let held = match wire {
                Wire::Varint => self.reader.varint().map(|_| element)?,
                Wire::I64 => self.reader.array::<8>().map(|_| element)?,
                Wire::I32 => self.reader.array::<4>().map(|_| element)?,
                Wire::Len => {
                    let data = self.reader.delimited()?;
                    if let Some(field) = field {
                        self.field(field, data, depth_left)?;
                    }
                    0
                }
                Wire::Group => {
                    let inner = match field.map(|field| field.kind) {
                        Some(Kind::Group(table)) => table(),
                        _ => &UNKNOWN,
                    };
                    self.budget.charge(inner.size)?;
                    self.message(inner, Some(number), depth_left)?;
                    0
                }
                Wire::EndGroup if group == Some(number) => return Ok(()),
                Wire::EndGroup => return Err(Stop::Malformed),
            };
            let kept = if table.keeps(field) {
                before - self.reader.bytes.len()
            } else {
                0
            };
            self.budget.charge(held + kept)?;
        }
        Ok(())
    }

    /// Charges a field that came with a length.
    fn field(&self, field: &Field, data: &[u8], depth_left: u32) -> Result<(), Stop> {
        let size = match field.label {
            Label::Map(key) => return self.entry(key, field.kind, data, depth_left),
            Label::Repeated => field.kind.size() * field.kind.packed(data),
            // It may lie in a box.
            _ if matches!(field.kind, Kind::Message(_)) => field.kind.size(),
            _ => 0,
        };
        self.budget.charge(size)?;
        self.content(field.kind, data, depth_left)
    }

    fn entry(&self, key: Key, kind: Kind, data: &[u8], depth_left: u32) -> Result<(), Stop> {
        self.budget.charge(key.size() + kind.size() + ENTRY)?;
        let mut entry = Reader { bytes: data };
        while !entry.bytes.is_empty() {
            let Tag { number, wire } = entry.tag()?;
            match (number, wire) {
                (KEY, Wire::Len) => self.budget.charge(entry.delimited()?.len())?,
                (VALUE, Wire::Len) => self.content(kind, entry.delimited()?, depth_left)?,
                (_, Wire::Varint) => entry.varint().map(drop)?,
                (_, Wire::I64) => entry.array::<8>().map(drop)?,
                (_, Wire::I32) => entry.array::<4>().map(drop)?,
                (_, Wire::Len) => entry.delimited().map(drop)?,
                (_, Wire::Group | Wire::EndGroup) => return Err(Stop::Malformed),
            }
        }
        Ok(())
    }

    /// Charges what a value points to.
    fn content(&self, kind: Kind, data: &[u8], depth_left: u32) -> Result<(), Stop> {
        match kind {
            Kind::Bytes | Kind::String => Ok(self.budget.charge(data.len())?),
            Kind::Message(table) => {
                let mut inner = Scan {
                    reader: Reader { bytes: data },
                    budget: self.budget,
                };
                inner.message(table(), None, depth_left)
            }
            _ => Ok(()),
        }
    }
}

impl Table {
    /// What a byte of the encoding of such a message can be charged with at most.
    fn amplification(&'static self) -> usize {
        let worst = || self.worst(&mut HashSet::new());
        *self.amplification.get_or_init(worst)
    }

    fn worst(&'static self, seen: &mut HashSet<*const Self>) -> usize {
        // A byte of a string, or of what is kept as it came.
        let mut worst = 2;
        if !seen.insert(self) {
            return worst;
        }
        for field in self.fields {
            // At least a tag and a length, or two tags; in packed lists, one byte an element.
            let charged = match (field.label, field.kind) {
                (Label::Map(key), kind) => (key.size() + kind.size() + ENTRY).div_ceil(2),
                (_, kind @ (Kind::Message(_) | Kind::Group(_))) => kind.size().div_ceil(2),
                (Label::Repeated, kind) => kind.size(),
                _ => 0,
            };
            let within = match field.kind {
                Kind::Message(table) | Kind::Group(table) => table().worst(seen),
                _ => 0,
            };
            worst = worst.max(charged + 1).max(within);
        }
        worst
    }

    /// Whether a field of the encoding may be kept as an unknown one: the enum may be a closed one.
    fn keeps(&self, field: Option<&Field>) -> bool {
        self.keeps_unknown && field.is_none_or(|field| matches!(field.kind, Kind::Enum(_)))
    }

    /// The field of a number; `expected` is the index where it is looked for first, and then stands at it.
    fn by_number(&self, number: u32, expected: &mut usize) -> Option<&'static Field> {
        let is_it = |index: usize| self.fields.get(index).filter(|f| f.number == number);
        // The same again, or the next one.
        let near = [*expected, *expected + 1];
        let index = match near.into_iter().find(|index| is_it(*index).is_some()) {
            Some(index) => index,
            None if self.is_sorted() => {
                let found = self.fields.binary_search_by_key(&number, |f| f.number);
                found.ok()?
            }
            None => self.fields.iter().position(|f| f.number == number)?,
        };
        *expected = index;
        self.fields.get(index)
    }
}

impl Kind {
    /// What a value takes in a field, without what it points to; in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::Bytes => size_of::<bytes::Bytes>(),
            Self::Double
            | Self::Fixed64
            | Self::Int64
            | Self::Sfixed64
            | Self::Sint64
            | Self::Uint64 => 8,
            Self::Enum(_)
            | Self::Fixed32
            | Self::Float
            | Self::Int32
            | Self::Null
            | Self::Sfixed32
            | Self::Sint32
            | Self::Uint32 => 4,
            Self::Group(table) | Self::Message(table) => table().size,
            Self::String => size_of::<String>(),
        }
    }

    /// How many elements of a list a value with a length is.
    fn packed(self, data: &[u8]) -> usize {
        match self {
            Self::Bytes | Self::Group(_) | Self::Message(_) | Self::String => 1,
            Self::Fixed32 | Self::Float | Self::Sfixed32 => data.len() / 4,
            Self::Double | Self::Fixed64 | Self::Sfixed64 => data.len() / 8,
            _ => data.iter().filter(|byte| **byte < 0x80).count(),
        }
    }
}

impl Key {
    /// What a key takes in a map, without what it points to; in bytes.
    pub(crate) fn size(self) -> usize {
        match self {
            Self::Bool => 1,
            Self::String => size_of::<String>(),
            Self::Fixed32 | Self::Int32 | Self::Sfixed32 | Self::Sint32 | Self::Uint32 => 4,
            Self::Fixed64 | Self::Int64 | Self::Sfixed64 | Self::Sint64 | Self::Uint64 => 8,
        }
    }
}

/// What prost skips.
static UNKNOWN: Table = Table::new::<()>("", &[]);

/// prost decodes no deeper.
const MAX_DEPTH: u32 = 101;
/// What a map takes for an entry, besides key and value: hash maps and B-trees are filled to two thirds or so.
pub(crate) const ENTRY: usize = 16;

// The fields of a map's entries.
const KEY: u32 = 1;
const VALUE: u32 = 2;
