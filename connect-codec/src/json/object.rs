//! Messages that are the JSON object of their fields: most of them.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserializer, Serializer,
    de::{DeserializeSeed, Error, IgnoredAny, MapAccess, Visitor},
    ser::SerializeMap,
};

use super::{FieldName, JsonContext, JsonMessage};

/// Writes a message as the object of its fields.
pub(super) fn write_object<M: JsonMessage, S: Serializer>(
    message: &M,
    serializer: S,
    cx: JsonContext<'_>,
) -> Result<S::Ok, S::Error> {
    let cx = cx.enter_write()?;
    let mut map = serializer.serialize_map(None)?;
    message.write_fields(&mut map, cx)?;
    map.end()
}

/// Reads a message from the object of its fields. A field that does not fit, that comes twice, or
/// that is unknown when this is refused, is an error with the path of fields.
pub(super) fn read_object<'de, M: JsonMessage, D: Deserializer<'de>>(
    deserializer: D,
    cx: JsonContext<'_>,
) -> Result<M, D::Error> {
    let cx = cx.enter_read()?;
    deserializer.deserialize_map(ObjectVisitor(cx, PhantomData))
}

struct ObjectVisitor<'a, M>(JsonContext<'a>, PhantomData<M>);

impl<'de, M: JsonMessage> Visitor<'de> for ObjectVisitor<'_, M> {
    type Value = M;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object for {}", M::FULL_NAME)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<M, A::Error> {
        let mut message = M::default();
        let mut seen = Seen::default();
        while let Some(key) = map.next_key_seed(KeySeed::<M>(self.0, PhantomData))? {
            let Key::Known(index) = key else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if seen.replace(index) {
                return Err(in_field(M::FIELDS, index, "appears twice"));
            }
            message
                .read_field(index, &mut map, self.0)
                .map_err(|error| in_field(M::FIELDS, index, error))?;
        }
        Ok(message)
    }
}

#[cold]
fn in_field<E: Error>(fields: &[FieldName], index: usize, error: impl fmt::Display) -> E {
    match fields.get(index) {
        Some(field) => E::custom(format_args!("{}: {error}", field.json())),
        None => E::custom(error),
    }
}

enum Key {
    Known(usize),
    Ignored,
}

/// Turns a key into a field's index, without allocating.
struct KeySeed<'a, M>(JsonContext<'a>, PhantomData<M>);

impl<'de, M: JsonMessage> DeserializeSeed<'de> for KeySeed<'_, M> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<M: JsonMessage> Visitor<'_> for KeySeed<'_, M> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
        match M::field_index(key) {
            Some(index) => Ok(Key::Known(index)),
            None if self.0.rejects_unknown() => Err(unknown(key)),
            None => Ok(Key::Ignored),
        }
    }
}

#[cold]
fn unknown<E: Error>(key: &str) -> E {
    let key: String = key.chars().take(MAX_QUOTED_KEY).collect();
    E::custom(format_args!("unknown field `{key}`"))
}

/// Which fields were read already. Sixty-four fit without an allocation.
#[derive(Default)]
struct Seen {
    first: u64,
    more: Vec<u64>,
}

impl Seen {
    /// Whether the field was seen before; from now on it was.
    fn replace(&mut self, index: usize) -> bool {
        let bit = 1 << (index % 64);
        let word = match index / 64 {
            0 => &mut self.first,
            word => {
                if self.more.len() < word {
                    self.more.resize(word, 0);
                }
                &mut self.more[word - 1]
            }
        };
        let seen = *word & bit != 0;
        *word |= bit;
        seen
    }
}

const MAX_QUOTED_KEY: usize = 64;
