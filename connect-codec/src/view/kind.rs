//! The types of fields: how a value is written, and what it is in a view.

use std::marker::PhantomData;

use super::{
    MessageView,
    input::{Input, Stop},
};
use crate::{
    budget,
    json::JsonMessage,
    wire::{Tag, Wire},
};

/// The type of a field's value.
pub trait Kind<'a> {
    /// What the value is in a view.
    type Value: Default;
    /// How it is written.
    const WIRE: Wire;

    /// Reads a value; one that is a message is merged into what there is.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn read(value: &mut Self::Value, tag: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop>;
}

/// Kinds that are one number, by how it comes out of its wire type.
macro_rules! numbers {
    ($($kind:ident: $value:ty = $wire:ident, $read:expr;)*) => {
        $(
            #[doc = concat!("`", stringify!($value), "`")]
            #[derive(Debug)]
            pub struct $kind;

            impl<'a> Kind<'a> for $kind {
                type Value = $value;
                const WIRE: Wire = Wire::$wire;

                #[inline]
                fn read(value: &mut $value, _: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
                    let read: fn(&mut Input<'a, '_>) -> Result<$value, Stop> = $read;
                    *value = read(input)?;
                    Ok(())
                }
            }
        )*
    };
}

// "If a 64-bit number is sent and it is parsed as an int32, it will be truncated to 32 bits."
numbers! {
    Bool: bool = Varint, |input| Ok(input.varint()? != 0);
    Double: f64 = I64, |input| Ok(f64::from_le_bytes(input.array()?));
    Enum: i32 = Varint, |input| Ok(input.varint()? as i32);
    Fixed32: u32 = I32, |input| Ok(u32::from_le_bytes(input.array()?));
    Fixed64: u64 = I64, |input| Ok(u64::from_le_bytes(input.array()?));
    Float: f32 = I32, |input| Ok(f32::from_le_bytes(input.array()?));
    Int32: i32 = Varint, |input| Ok(input.varint()? as i32);
    Int64: i64 = Varint, |input| Ok(input.varint()? as i64);
    Sfixed32: i32 = I32, |input| Ok(i32::from_le_bytes(input.array()?));
    Sfixed64: i64 = I64, |input| Ok(i64::from_le_bytes(input.array()?));
    Sint32: i32 = Varint, |input| Ok(zigzag(u64::from(input.varint()? as u32)) as i32);
    Sint64: i64 = Varint, |input| Ok(zigzag(input.varint()?));
    Uint32: u32 = Varint, |input| Ok(input.varint()? as u32);
    Uint64: u64 = Varint, |input| input.varint();
}

const fn zigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// `&str`
#[derive(Debug)]
pub struct String;

impl<'a> Kind<'a> for String {
    type Value = &'a str;
    const WIRE: Wire = Wire::Len;

    #[inline]
    fn read(value: &mut &'a str, _: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        match std::str::from_utf8(input.delimited()?) {
            Ok(text) => {
                *value = text;
                Ok(())
            }
            Err(error) => Err(Stop::malformed(format!("the string is not UTF-8: {error}"))),
        }
    }
}

/// `&[u8]`
#[derive(Debug)]
pub struct Bytes;

impl<'a> Kind<'a> for Bytes {
    type Value = &'a [u8];
    const WIRE: Wire = Wire::Len;

    #[inline]
    fn read(value: &mut &'a [u8], _: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        *value = input.delimited()?;
        Ok(())
    }
}

/// The view of a message.
#[derive(Debug)]
pub struct Message<V>(PhantomData<V>);

impl<'a, V: MessageView<'a>> Kind<'a> for Message<V> {
    type Value = V;
    const WIRE: Wire = Wire::Len;

    fn read(value: &mut V, _: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        input.message()?.read_into(value)
    }
}

/// The view of a message in the older encoding, between two tags.
#[derive(Debug)]
pub struct Group<V>(PhantomData<V>);

impl<'a, V: MessageView<'a>> Kind<'a> for Group<V> {
    type Value = V;
    const WIRE: Wire = Wire::Group;

    fn read(value: &mut V, tag: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        input.read_group(value, tag)
    }
}

/// A message without views.
#[derive(Debug)]
pub struct Owned<M>(PhantomData<M>);

impl<'a, M: prost::Message + JsonMessage> Kind<'a> for Owned<M> {
    type Value = M;
    const WIRE: Wire = Wire::Len;

    fn read(value: &mut M, _: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        merge(value, input.delimited()?, input)
    }
}

/// The same in the older encoding.
#[derive(Debug)]
pub struct OwnedGroup<M>(PhantomData<M>);

impl<'a, M: prost::Message + JsonMessage> Kind<'a> for OwnedGroup<M> {
    type Value = M;
    const WIRE: Wire = Wire::Group;

    fn read(value: &mut M, tag: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        merge(value, input.group(tag)?, input)
    }
}

fn merge<M: prost::Message + JsonMessage>(
    value: &mut M,
    bytes: &[u8],
    input: &Input<'_, '_>,
) -> Result<(), Stop> {
    budget::charge(M::table(), bytes, input.budget())?;
    let merged = value.merge(bytes);
    merged.map_err(|error| Stop::malformed(error.to_string()))
}

/// A message that lies in a box, as it may hold one of its own type.
#[derive(Debug)]
pub struct Boxed<K>(PhantomData<K>);

impl<'a, K: Kind<'a>> Kind<'a> for Boxed<K> {
    type Value = Box<K::Value>;
    const WIRE: Wire = K::WIRE;

    fn read(value: &mut Self::Value, tag: Tag, input: &mut Input<'a, '_>) -> Result<(), Stop> {
        input.charge(size_of::<K::Value>())?;
        K::read(value, tag, input)
    }
}
