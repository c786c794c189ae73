//! Messages seen through pointers: what generated code offers of its fields, so that one writer and one reader do for
//! all messages.
//!
//! Writing: a message hands each field as a [`Ref`] to a [`Sink`]. Reading: it is handed an [`Input`] for one field.

use std::{
    collections::{BTreeMap, HashMap},
    hash::{BuildHasher, Hash},
};

use bytes::Bytes;
use prost_types::{Any, Duration, FieldMask, ListValue, Struct, Timestamp};

use super::number;
use crate::table::Table;

/// A message that is the JSON object of its fields.
pub trait Fields {
    /// What the schema says.
    fn table(&self) -> &'static Table;

    /// Hands out all fields that hold a value, in the order of the table.
    fn write_fields(&self, out: &mut dyn Sink);

    /// Reads the value of the field of this number, which is neither null nor was read before.
    ///
    /// # Errors
    /// The input knows.
    fn read_field(&mut self, number: u32, input: &mut dyn Input) -> Result<(), Stop>;
}

/// Recursive messages are boxed by prost.
impl<M: Fields> Fields for Box<M> {
    fn table(&self) -> &'static Table {
        (**self).table()
    }

    fn write_fields(&self, out: &mut dyn Sink) {
        (**self).write_fields(out);
    }

    fn read_field(&mut self, number: u32, input: &mut dyn Input) -> Result<(), Stop> {
        (**self).read_field(number, input)
    }
}

/// A type of single values: what lies in a field, in a list, in a map.
pub trait Value: Default {
    /// The value, to write it.
    fn get(&self) -> Ref<'_>;

    /// Reads a value over the default; `false` if there is none, as of an unknown enum name that is to be ignored.
    ///
    /// # Errors
    /// The input knows.
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop>;
}

/// A value to write.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the names say it")]
#[expect(missing_debug_implementations, reason = "messages need not have it")]
pub enum Ref<'a> {
    Bool(bool),
    Bytes(&'a [u8]),
    F32(f32),
    F64(f64),
    I32(i32),
    I64(i64),
    List(&'a dyn AnyList),
    Map(&'a dyn AnyMap),
    Message(&'a dyn Fields),
    String(&'a str),
    U32(u32),
    U64(u64),
    Any(&'a Any),
    Duration(&'a Duration),
    FieldMask(&'a FieldMask),
    ListValue(&'a ListValue),
    Struct(&'a Struct),
    Timestamp(&'a Timestamp),
    Value(&'a prost_types::Value),
}

impl Ref<'_> {
    /// Whether a field without presence that holds this is left out.
    pub(super) fn is_default(self) -> bool {
        match self {
            Self::Bool(value) => !value,
            Self::Bytes(value) => value.is_empty(),
            // Negative zero is not the default: it would come back as zero.
            Self::F32(value) => value.to_bits() == 0,
            Self::F64(value) => value.to_bits() == 0,
            Self::I32(value) => value == 0,
            Self::I64(value) => value == 0,
            Self::List(values) => values.len() == 0,
            Self::Map(entries) => entries.len() == 0,
            Self::String(value) => value.is_empty(),
            Self::U32(value) => value == 0,
            Self::U64(value) => value == 0,
            // Messages have presence.
            _ => false,
        }
    }
}

/// Where a message hands its fields to.
pub trait Sink {
    /// Takes the value of the field of this number; fields come in the order of the table.
    fn field(&mut self, number: u32, value: Ref<'_>);
}

/// A list to write.
#[expect(
    clippy::len_without_is_empty,
    reason = "for one caller, who asks for the length"
)]
pub trait AnyList {
    /// How many elements there are.
    fn len(&self) -> usize;

    /// Hands out all elements, in their order.
    fn each(&self, visit: &mut dyn FnMut(Ref<'_>));
}

impl<V: Value> AnyList for Vec<V> {
    fn len(&self) -> usize {
        self.len()
    }

    fn each(&self, visit: &mut dyn FnMut(Ref<'_>)) {
        for value in self {
            visit(value.get());
        }
    }
}

/// A map to write.
#[expect(
    clippy::len_without_is_empty,
    reason = "for one caller, who asks for the length"
)]
pub trait AnyMap {
    /// How many entries there are.
    fn len(&self) -> usize;

    /// Hands out all entries, in the map's order, the key as the text that JSON demands.
    fn each(&self, visit: &mut dyn FnMut(&str, Ref<'_>));
}

impl<K: MapKey, V: Value, S> AnyMap for HashMap<K, V, S> {
    fn len(&self) -> usize {
        self.len()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, Ref<'_>)) {
        for (key, value) in self {
            key.with_text(&mut |key| visit(key, value.get()));
        }
    }
}

impl<K: MapKey, V: Value> AnyMap for BTreeMap<K, V> {
    fn len(&self) -> usize {
        self.len()
    }

    fn each(&self, visit: &mut dyn FnMut(&str, Ref<'_>)) {
        for (key, value) in self {
            key.with_text(&mut |key| visit(key, value.get()));
        }
    }
}

/// Reading has failed; the [`Input`] keeps the reason.
#[derive(Clone, Copy, Debug)]
pub struct Stop;

/// One value to read, once. Of what type the schema says it is, the input knows.
#[expect(
    clippy::missing_errors_doc,
    reason = "the input keeps what went wrong: the format's report, or that the value is not of the type"
)]
pub trait Input {
    /// Reads a `bool`.
    fn bool(&mut self) -> Result<bool, Stop>;
    /// Reads `bytes`.
    fn bytes(&mut self) -> Result<Vec<u8>, Stop>;
    /// Reads a `float`.
    fn f32(&mut self) -> Result<f32, Stop>;
    /// Reads a `double`.
    fn f64(&mut self) -> Result<f64, Stop>;
    /// Reads an integer or an enum; `None` is an unknown name that is to be ignored.
    fn i32(&mut self) -> Result<Option<i32>, Stop>;
    /// Reads an integer.
    fn i64(&mut self) -> Result<i64, Stop>;
    /// Reads a `string`.
    fn string(&mut self) -> Result<String, Stop>;
    /// Reads an integer.
    fn u32(&mut self) -> Result<u32, Stop>;
    /// Reads an integer.
    fn u64(&mut self) -> Result<u64, Stop>;
    /// Reads a message over its defaults.
    fn message(&mut self, message: &mut dyn Fields) -> Result<(), Stop>;
    /// Reads a message that has a form of its own.
    fn well_known(&mut self, message: WellKnown<'_>) -> Result<(), Stop>;
    /// Reads a list: each element is handed to `add`.
    fn list(&mut self, add: &mut dyn FnMut(&mut dyn Input) -> Result<(), Stop>)
    -> Result<(), Stop>;
    /// Reads the entries of a map.
    fn map(&mut self, entries: &mut dyn Entries) -> Result<(), Stop>;
    /// The value has been read, but cannot stand here.
    fn refuse(&mut self, reason: &'static str) -> Stop;
}

/// Where the entries of a map are read into.
pub trait Entries {
    /// Takes the key of the next entry; `false` if it is no key of the map's type.
    fn key(&mut self, text: &str) -> bool;

    /// Reads the value of the entry.
    ///
    /// # Errors
    /// The input knows.
    fn value(&mut self, input: &mut dyn Input) -> Result<(), Stop>;
}

/// A message with a JSON form of its own, to be read.
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say it")]
pub enum WellKnown<'a> {
    Any(&'a mut Any),
    Duration(&'a mut Duration),
    FieldMask(&'a mut FieldMask),
    ListValue(&'a mut ListValue),
    Struct(&'a mut Struct),
    Timestamp(&'a mut Timestamp),
    Value(&'a mut prost_types::Value),
}

impl<M: Fields + Default> Value for M {
    #[inline]
    fn get(&self) -> Ref<'_> {
        Ref::Message(self)
    }

    #[inline]
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
        input.message(self).map(|()| true)
    }
}

macro_rules! scalar {
    ($($rust:ty, $variant:ident, $read:ident;)*) => {$(
        impl Value for $rust {
            #[inline]
            fn get(&self) -> Ref<'_> {
                Ref::$variant(*self)
            }

            #[inline]
            fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
                *self = input.$read()?;
                Ok(true)
            }
        }
    )*};
}

scalar! {
    bool, Bool, bool;
    f32, F32, f32;
    f64, F64, f64;
    i64, I64, i64;
    u32, U32, u32;
    u64, U64, u64;
}

impl Value for i32 {
    #[inline]
    fn get(&self) -> Ref<'_> {
        Ref::I32(*self)
    }

    #[inline]
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
        let value = input.i32()?;
        *self = value.unwrap_or(*self);
        Ok(value.is_some())
    }
}

impl Value for String {
    #[inline]
    fn get(&self) -> Ref<'_> {
        Ref::String(self)
    }

    #[inline]
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
        *self = input.string()?;
        Ok(true)
    }
}

impl Value for Vec<u8> {
    #[inline]
    fn get(&self) -> Ref<'_> {
        Ref::Bytes(self)
    }

    #[inline]
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
        *self = input.bytes()?;
        Ok(true)
    }
}

impl Value for Bytes {
    #[inline]
    fn get(&self) -> Ref<'_> {
        Ref::Bytes(self)
    }

    #[inline]
    fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
        *self = input.bytes()?.into();
        Ok(true)
    }
}

macro_rules! well_known {
    ($($rust:ty, $variant:ident;)*) => {$(
        impl Value for $rust {
            fn get(&self) -> Ref<'_> {
                Ref::$variant(self)
            }

            fn read(&mut self, input: &mut dyn Input) -> Result<bool, Stop> {
                input.well_known(WellKnown::$variant(self)).map(|()| true)
            }
        }
    )*};
}

well_known! {
    Any, Any;
    Duration, Duration;
    FieldMask, FieldMask;
    ListValue, ListValue;
    Struct, Struct;
    Timestamp, Timestamp;
    prost_types::Value, Value;
}

/// A type of map keys: `bool`, the integers, `string`.
pub trait MapKey: Sized {
    /// Hands out the key as the text that JSON demands.
    fn with_text(&self, visit: &mut dyn FnMut(&str));

    /// Reads the key from that text; `None` if it is no key of this type.
    fn read(text: &str) -> Option<Self>;
}

impl MapKey for String {
    fn with_text(&self, visit: &mut dyn FnMut(&str)) {
        visit(self);
    }

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl MapKey for bool {
    fn with_text(&self, visit: &mut dyn FnMut(&str)) {
        visit(if *self { "true" } else { "false" });
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

macro_rules! integer_key {
    ($($int:ty)*) => {$(
        impl MapKey for $int {
            fn with_text(&self, visit: &mut dyn FnMut(&str)) {
                visit(itoa::Buffer::new().format(*self));
            }

            fn read(text: &str) -> Option<Self> {
                Self::try_from(number::parse_integer(text)?).ok()
            }
        }
    )*};
}

integer_key!(i32 i64 u32 u64);

/// The type of a map field: `HashMap` or `BTreeMap`.
pub trait MapField: AnyMap {
    /// The type of keys.
    type Key: MapKey;
    /// The type of values.
    type Value: Value;

    /// Adds an entry; `false` if the key was there.
    fn add(&mut self, key: Self::Key, value: Self::Value) -> bool;
}

impl<K: MapKey + Eq + Hash, V: Value, S: BuildHasher> MapField for HashMap<K, V, S> {
    type Key = K;
    type Value = V;

    fn add(&mut self, key: K, value: V) -> bool {
        self.insert(key, value).is_none()
    }
}

impl<K: MapKey + Ord, V: Value> MapField for BTreeMap<K, V> {
    type Key = K;
    type Value = V;

    fn add(&mut self, key: K, value: V) -> bool {
        self.insert(key, value).is_none()
    }
}
