//! The shapes of fields, as generated code names them: what stands in the table, how the field is written and read.

use super::reflect::{Entries, Input, MapField, MapKey, Ref, Sink, Stop, Value};
use crate::table::{Field, Kind, Label};

/// What the table says of a field: its names in the `.proto` file and in JSON.
#[must_use]
pub const fn field(
    number: u32,
    proto: &'static str,
    json: &'static str,
    label: Label,
    kind: Kind,
) -> Field {
    Field {
        number,
        proto,
        json,
        label,
        kind,
    }
}

/// A field that always holds a value. Whether its default is written, the table says.
#[derive(Clone, Copy, Debug)]
pub struct Required;

/// A field without presence.
pub type Implicit = Required;

/// A field with presence.
#[derive(Clone, Copy, Debug)]
pub struct Optional;

/// A list.
#[derive(Clone, Copy, Debug)]
pub struct Repeated;

/// A map.
#[derive(Clone, Copy, Debug)]
pub struct Map;

/// A member of a `oneof`.
#[derive(Clone, Copy, Debug)]
pub struct Member;

impl Required {
    /// Writes the field.
    #[inline]
    pub fn write<V: Value>(value: &V, number: u32, out: &mut dyn Sink) {
        out.field(number, value.get());
    }

    /// Reads the field.
    ///
    /// # Errors
    /// The input knows.
    #[inline]
    pub fn read<V: Value>(value: &mut V, input: &mut dyn Input) -> Result<(), Stop> {
        value.read(input).map(drop)
    }
}

impl Optional {
    /// Writes the field.
    #[inline]
    pub fn write<V: Value>(value: &Option<V>, number: u32, out: &mut dyn Sink) {
        if let Some(value) = value {
            out.field(number, value.get());
        }
    }

    /// Reads the field.
    ///
    /// # Errors
    /// The input knows.
    pub fn read<V: Value>(value: &mut Option<V>, input: &mut dyn Input) -> Result<(), Stop> {
        if !value.insert(V::default()).read(input)? {
            *value = None;
        }
        Ok(())
    }
}

impl Repeated {
    /// Writes the field.
    #[inline]
    pub fn write<V: Value>(values: &Vec<V>, number: u32, out: &mut dyn Sink) {
        out.field(number, Ref::List(values));
    }

    /// Reads the field.
    ///
    /// # Errors
    /// The input knows.
    pub fn read<V: Value>(values: &mut Vec<V>, input: &mut dyn Input) -> Result<(), Stop> {
        input.list(&mut |input| {
            let mut value = V::default();
            if value.read(input)? {
                values.push(value);
            }
            Ok(())
        })
    }
}

impl Map {
    /// Writes the field.
    #[inline]
    pub fn write<M: MapField>(entries: &M, number: u32, out: &mut dyn Sink) {
        out.field(number, Ref::Map(entries));
    }

    /// Reads the field.
    ///
    /// # Errors
    /// The input knows; or a key comes twice.
    pub fn read<M: MapField>(entries: &mut M, input: &mut dyn Input) -> Result<(), Stop> {
        input.map(&mut ReadEntries { entries, key: None })
    }
}

impl Member {
    /// Reads the member; it is an error if another one was set before.
    ///
    /// # Errors
    /// The input knows.
    pub fn read<V: Value, O>(
        oneof: &mut Option<O>,
        member: fn(V) -> O,
        input: &mut dyn Input,
    ) -> Result<(), Stop> {
        let mut value = V::default();
        if !value.read(input)? {
            return Ok(());
        }
        if oneof.is_some() {
            return Err(input.refuse("another member of the oneof is set too"));
        }
        *oneof = Some(member(value));
        Ok(())
    }
}

struct ReadEntries<'a, M: MapField> {
    entries: &'a mut M,
    /// Of the entry whose value comes next.
    key: Option<M::Key>,
}

impl<M: MapField> Entries for ReadEntries<'_, M> {
    fn key(&mut self, text: &str) -> bool {
        self.key = MapKey::read(text);
        self.key.is_some()
    }

    fn value(&mut self, input: &mut dyn Input) -> Result<(), Stop> {
        let mut value = M::Value::default();
        let set = value.read(input)?;
        let Some(key) = self.key.take().filter(|_| set) else {
            return Ok(());
        };
        if self.entries.add(key, value) {
            Ok(())
        } else {
            Err(input.refuse("a key appears twice"))
        }
    }
}
