//! The reader: one for all messages, generic over the format alone (ProtoJSON, "JSON representation").
//!
//! Null: it is the absence of a value (ProtoJSON, "Null values"), except for types of which it is a value, and except
//! inside lists and maps, where it is an error.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor},
};

use super::{
    JsonContext, any, number,
    reflect::{Entries, Fields, Input, Stop, Value, WellKnown},
    well_known::{field_mask, structs, time},
};
use crate::table::{EnumTable, Field, Kind, Table};

/// Reads one value over its default; `false` if there is none.
pub(super) fn read<'de, V: Value, D: Deserializer<'de>>(
    value: &mut V,
    kind: Kind,
    input: D,
    cx: JsonContext<'_>,
) -> Result<bool, D::Error> {
    Source::run(input, kind, cx, |source| value.read(source))
}

/// A value of a kind, in the format that `D` reads.
struct Source<'a, D, E> {
    input: Option<D>,
    kind: Kind,
    cx: JsonContext<'a>,
    error: Option<E>,
}

impl<'a, 'de, D: Deserializer<'de>> Source<'a, D, D::Error> {
    #[inline]
    fn run<T>(
        input: D,
        kind: Kind,
        cx: JsonContext<'a>,
        read: impl FnOnce(&mut Self) -> Result<T, Stop>,
    ) -> Result<T, D::Error> {
        let mut source = Source {
            input: Some(input),
            kind,
            cx,
            error: None,
        };
        match read(&mut source) {
            Ok(value) => Ok(value),
            Err(Stop) => Err(source
                .error
                .unwrap_or_else(|| D::Error::custom("the value was read twice"))),
        }
    }

    #[inline]
    fn read<T>(&mut self, read: impl FnOnce(D) -> Result<T, D::Error>) -> Result<T, Stop> {
        let input = self.input.take().ok_or(Stop)?;
        read(input).map_err(|error| {
            self.error = Some(error);
            Stop
        })
    }
}

impl<'de, D: Deserializer<'de>> Input for Source<'_, D, D::Error> {
    fn bool(&mut self) -> Result<bool, Stop> {
        self.read(bool::deserialize)
    }

    fn bytes(&mut self) -> Result<Vec<u8>, Stop> {
        let cx = self.cx;
        self.read(|input| {
            let bytes = input.deserialize_str(Base64Visitor)?;
            cx.charge(bytes.len())?;
            Ok(bytes)
        })
    }

    fn f32(&mut self) -> Result<f32, Stop> {
        self.read(number::read_float)
    }

    fn f64(&mut self) -> Result<f64, Stop> {
        self.read(number::read_double)
    }

    fn i32(&mut self) -> Result<Option<i32>, Stop> {
        let (kind, cx) = (self.kind, self.cx);
        self.read(|input| match kind {
            Kind::Enum(table) => input.deserialize_any(EnumVisitor { table, cx }),
            Kind::Null => input.deserialize_any(EnumVisitor { table: &NULL, cx }),
            _ => number::read_integer(input).map(Some),
        })
    }

    fn i64(&mut self) -> Result<i64, Stop> {
        self.read(number::read_integer)
    }

    fn string(&mut self) -> Result<String, Stop> {
        let cx = self.cx;
        self.read(|input| {
            let text = String::deserialize(input)?;
            cx.charge(text.len())?;
            Ok(text)
        })
    }

    fn u32(&mut self) -> Result<u32, Stop> {
        self.read(number::read_integer)
    }

    fn u64(&mut self) -> Result<u64, Stop> {
        self.read(number::read_integer)
    }

    fn message(&mut self, message: &mut dyn Fields) -> Result<(), Stop> {
        let cx = self.cx;
        self.read(|input| {
            let cx = cx.enter_read()?;
            let table = message.table();
            cx.charge(table.size)?;
            input.deserialize_map(ObjectVisitor { message, table, cx })
        })
    }

    fn well_known(&mut self, message: WellKnown<'_>) -> Result<(), Stop> {
        let cx = self.cx;
        self.read(|input| {
            match message {
                WellKnown::Any(out) => *out = any::read(input, cx)?,
                WellKnown::Duration(out) => *out = time::read_duration(input)?,
                WellKnown::FieldMask(out) => *out = field_mask::read(input, cx)?,
                WellKnown::ListValue(out) => *out = structs::read_list(input, cx)?,
                WellKnown::Struct(out) => *out = structs::read_struct(input, cx)?,
                WellKnown::Timestamp(out) => *out = time::read_timestamp(input)?,
                WellKnown::Value(out) => *out = structs::read_value(input, cx)?,
            }
            Ok(())
        })
    }

    fn list(
        &mut self,
        add: &mut dyn FnMut(&mut dyn Input) -> Result<(), Stop>,
    ) -> Result<(), Stop> {
        let (kind, cx) = (self.kind, self.cx);
        self.read(|input| input.deserialize_seq(ListVisitor { add, kind, cx }))
    }

    fn map(&mut self, entries: &mut dyn Entries) -> Result<(), Stop> {
        let (kind, cx) = (self.kind, self.cx);
        self.read(|input| input.deserialize_map(MapVisitor { entries, kind, cx }))
    }

    fn refuse(&mut self, reason: &'static str) -> Stop {
        self.error = Some(D::Error::custom(reason));
        Stop
    }
}

/// Reads a message from the object of its fields. A field that does not fit, that comes twice, or that is unknown when
/// this is refused, is an error with the path of fields.
struct ObjectVisitor<'a> {
    message: &'a mut dyn Fields,
    table: &'static Table,
    cx: JsonContext<'a>,
}

impl<'de> Visitor<'de> for ObjectVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", self.table.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { message, table, cx } = self;
        let mut seen = Seen::default();
        let mut expected = 0;
        while let Some(key) = map.next_key_seed(NameSeed {
            table,
            expected,
            cx,
        })? {
            let Some(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let field = &table.fields[index];
            if seen.replace(index) {
                return Err(in_field(field, "appears twice"));
            }
            expected = index + 1;
            map.next_value_seed(FieldSeed { message, field, cx })
                .map_err(|error| in_field(field, error))?;
        }
        Ok(())
    }
}

#[cold]
fn in_field<E: Error>(field: &Field, error: impl fmt::Display) -> E {
    E::custom(format_args!("{}: {error}", field.json))
}

/// Turns a key into a field's index, without allocating; `None` is a field to be ignored.
struct NameSeed<'a> {
    table: &'static Table,
    expected: usize,
    cx: JsonContext<'a>,
}

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<usize>, D::Error> {
        input.deserialize_identifier(self)
    }
}

impl Visitor<'_> for NameSeed<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Option<usize>, E> {
        match self.table.index_of(key, self.expected) {
            None if self.cx.rejects_unknown() => Err(unknown(key)),
            index => Ok(index),
        }
    }
}

#[cold]
fn unknown<E: Error>(key: &str) -> E {
    let key: String = key.chars().take(MAX_QUOTED_KEY).collect();
    E::custom(format_args!("unknown field `{key}`"))
}

/// Reads a field's value; `null` leaves the field as it is.
struct FieldSeed<'a> {
    message: &'a mut dyn Fields,
    field: &'static Field,
    cx: JsonContext<'a>,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        if self.field.kind.null_is_value() {
            self.visit_some(input)
        } else {
            input.deserialize_option(self)
        }
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let Self { message, field, cx } = self;
        Source::run(input, field.kind, cx, |source| {
            message.read_field(field.number, source)
        })
    }
}

struct ListVisitor<'a, 'f> {
    add: &'a mut (dyn FnMut(&mut dyn Input) -> Result<(), Stop> + 'f),
    kind: Kind,
    cx: JsonContext<'a>,
}

impl<'de> Visitor<'de> for ListVisitor<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { add, kind, cx } = self;
        let size = size_in_place(kind);
        // Nothing is reserved: the length that the input claims may be a lie.
        while let Some(()) = list.next_element_seed(Element {
            read: |input: &mut dyn Input| add(input),
            kind,
            cx,
        })? {
            cx.charge(size)?;
        }
        Ok(())
    }
}

/// Reads an element of a list or the value of a map entry: `null` is for its kind to judge.
struct Element<'a, F> {
    read: F,
    kind: Kind,
    cx: JsonContext<'a>,
}

impl<'de, F: FnOnce(&mut dyn Input) -> Result<(), Stop>> DeserializeSeed<'de> for Element<'_, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        Source::run(input, self.kind, self.cx, |source| (self.read)(source))
    }
}

struct MapVisitor<'a> {
    entries: &'a mut dyn Entries,
    kind: Kind,
    cx: JsonContext<'a>,
}

impl<'de> Visitor<'de> for MapVisitor<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { entries, kind, cx } = self;
        let size = size_in_place(kind);
        while let Some(()) = map.next_key_seed(KeySeed { entries, cx })? {
            map.next_value_seed(Element {
                read: |input: &mut dyn Input| entries.value(input),
                kind,
                cx,
            })?;
            cx.charge(size)?;
        }
        Ok(())
    }
}

/// What an element takes in a list, for the budget; a message that is an object has been charged by itself.
fn size_in_place(kind: Kind) -> usize {
    match kind {
        Kind::Group(_) => 0,
        Kind::Message(table) if !table().well_known => 0,
        kind => kind.size(),
    }
}

struct KeySeed<'a> {
    entries: &'a mut dyn Entries,
    cx: JsonContext<'a>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of the map's key type")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        // Of the kinds of keys, as the largest.
        self.cx.charge_key(text)?;
        if self.entries.key(text) {
            Ok(())
        } else {
            Err(E::invalid_value(Unexpected::Str(text), &self))
        }
    }
}

/// The number of an enum's value; `None` is an unknown name to be ignored.
struct EnumVisitor<'a> {
    table: &'static EnumTable,
    cx: JsonContext<'a>,
}

impl Visitor<'_> for EnumVisitor<'_> {
    type Value = Option<i32>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a name or number of {}", self.table.name)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<i32>, E> {
        if std::ptr::eq(self.table, &raw const NULL) {
            Ok(Some(0))
        } else {
            Err(E::invalid_type(Unexpected::Unit, &self))
        }
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<i32>, E> {
        match (self.table.number_of)(name) {
            None if self.cx.rejects_unknown() => {
                Err(E::invalid_value(Unexpected::Str(name), &self))
            }
            known_or_ignored => Ok(known_or_ignored),
        }
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Option<i32>, E> {
        let value = i32::try_from(number);
        value
            .map(Some)
            .map_err(|_| E::invalid_value(Unexpected::Signed(number), &self))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Option<i32>, E> {
        let value = i32::try_from(number);
        value
            .map(Some)
            .map_err(|_| E::invalid_value(Unexpected::Unsigned(number), &self))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Option<i32>, E> {
        let value = number::exact_integer(number).and_then(|value| i32::try_from(value).ok());
        value
            .map(Some)
            .ok_or_else(|| E::invalid_value(Unexpected::Float(number), &self))
    }
}

/// `google.protobuf.NullValue`.
static NULL: EnumTable = EnumTable {
    name: "google.protobuf.NullValue",
    name_of: |number| (number == 0).then_some("NULL_VALUE"),
    number_of: |name| (name == "NULL_VALUE").then_some(0),
};

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

/// Which fields were read already. Sixty-four fit without an allocation.
#[derive(Default)]
struct Seen {
    first: u64,
    more: Vec<u64>,
}

impl Seen {
    /// Whether the field was seen before; from now on it was.
    #[inline]
    fn replace(&mut self, index: usize) -> bool {
        let bit = 1 << (index % 64);
        let word = match index / 64 {
            0 => &mut self.first,
            word => self.word(word - 1),
        };
        let seen = *word & bit != 0;
        *word |= bit;
        seen
    }

    #[cold]
    fn word(&mut self, index: usize) -> &mut u64 {
        if self.more.len() <= index {
            self.more.resize(index + 1, 0);
        }
        &mut self.more[index]
    }
}

const MAX_QUOTED_KEY: usize = 64;

/// "Either standard or URL-safe base64 encoding with/without paddings are accepted"; bits of the
/// last character that no byte needs are not looked at, as in the other implementations.
const LENIENT_CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT_CONFIG);
const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT_CONFIG);
