//! The shapes of fields: where in a view goes what comes for one.

use super::{
    Map as Entries,
    input::{Input, Stop},
    kind::Kind,
};
use crate::wire::{Tag, Wire};

/// A field that always holds a value.
#[derive(Debug)]
pub struct Required;

/// A field without presence.
pub type Implicit = Required;

/// A field with presence.
#[derive(Debug)]
pub struct Optional;

/// A list.
#[derive(Debug)]
pub struct Repeated;

/// A map.
#[derive(Debug)]
pub struct Map;

impl Required {
    /// Reads the field.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    pub fn read<'a, K: Kind<'a>>(
        value: &mut K::Value,
        tag: Tag,
        input: &mut Input<'a, '_>,
    ) -> Result<(), Stop> {
        tag.expect(K::WIRE)?;
        K::read(value, tag, input)
    }
}

impl Optional {
    /// Reads the field.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    #[inline]
    pub fn read<'a, K: Kind<'a>>(
        value: &mut Option<K::Value>,
        tag: Tag,
        input: &mut Input<'a, '_>,
    ) -> Result<(), Stop> {
        tag.expect(K::WIRE)?;
        K::read(value.get_or_insert_default(), tag, input)
    }
}

impl Repeated {
    /// Reads one more value, or several that are packed.
    ///
    /// # Errors
    /// What is wrong with the bytes, or that the list takes too much.
    #[inline]
    pub fn read<'a, K: Kind<'a>>(
        values: &mut Vec<K::Value>,
        tag: Tag,
        input: &mut Input<'a, '_>,
    ) -> Result<(), Stop> {
        let can_pack = matches!(K::WIRE, Wire::Varint | Wire::I64 | Wire::I32);
        if can_pack && tag.wire == Wire::Len {
            let mut packed = input.packed()?;
            while !packed.is_empty() {
                K::read(one_more(values, &packed)?, tag, &mut packed)?;
            }
            return Ok(());
        }
        tag.expect(K::WIRE)?;
        K::read(one_more(values, input)?, tag, input)
    }
}

impl Map {
    /// Reads one more entry.
    ///
    /// # Errors
    /// What is wrong with the bytes, or that the map takes too much.
    #[inline]
    pub fn read<'a, Key: Kind<'a>, K: Kind<'a>>(
        map: &mut Entries<Key::Value, K::Value>,
        tag: Tag,
        input: &mut Input<'a, '_>,
    ) -> Result<(), Stop> {
        tag.expect(Wire::Len)?;
        let (key, value) = one_more(map.entries_mut(), input)?;
        let mut entry = input.message()?;
        while !entry.is_empty() {
            let tag = entry.tag()?;
            match tag.number {
                1 => Required::read::<Key>(key, tag, &mut entry)?,
                2 => Required::read::<K>(value, tag, &mut entry)?,
                _ => entry.skip(tag)?,
            }
        }
        Ok(())
    }
}

#[inline]
fn one_more<'v, T: Default>(
    values: &'v mut Vec<T>,
    input: &Input<'_, '_>,
) -> Result<&'v mut T, Stop> {
    input.charge(size_of::<T>())?;
    let at = values.len();
    values.push(T::default());
    Ok(&mut values[at])
}
