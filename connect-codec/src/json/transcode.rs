//! From our JSON text to any format of serde, on the way and without a tree.

use std::{cell::Cell, fmt};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap as _, SerializeSeq as _},
};

/// Hands what a deserializer reads to a serializer, once.
pub(super) struct Transcode<D>(Cell<Option<D>>);

impl<D> Transcode<D> {
    pub(super) fn new(input: D) -> Self {
        Self(Cell::new(Some(input)))
    }
}

impl<'de, D: Deserializer<'de>> Serialize for Transcode<D> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let input = self.0.take();
        let input = input.ok_or_else(|| ser::Error::custom("the value was written already"))?;
        input
            .deserialize_any(ToSerializer(out))
            .map_err(ser::Error::custom)
    }
}

struct ToSerializer<S>(S);

impl<'de, S: Serializer> Visitor<'de> for ToSerializer<S> {
    type Value = S::Ok;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<S::Ok, E> {
        self.0.serialize_unit().map_err(E::custom)
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<S::Ok, E> {
        self.0.serialize_bool(value).map_err(E::custom)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<S::Ok, E> {
        self.0.serialize_i64(value).map_err(E::custom)
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<S::Ok, E> {
        self.0.serialize_u64(value).map_err(E::custom)
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<S::Ok, E> {
        self.0.serialize_f64(value).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<S::Ok, E> {
        self.0.serialize_str(value).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<S::Ok, A::Error> {
        let mut out = self.0.serialize_seq(None).map_err(de::Error::custom)?;
        while let Some(()) = list.next_element_seed(Element(&mut out))? {}
        out.end().map_err(de::Error::custom)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<S::Ok, A::Error> {
        let mut out = self.0.serialize_map(None).map_err(de::Error::custom)?;
        while let Some(key) = map.next_key::<String>()? {
            out.serialize_key(&key).map_err(de::Error::custom)?;
            map.next_value_seed(Entry(&mut out))?;
        }
        out.end().map_err(de::Error::custom)
    }
}

struct Element<'a, S>(&'a mut S);

impl<'de, S: ser::SerializeSeq> DeserializeSeed<'de> for Element<'_, S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let written = self.0.serialize_element(&Transcode::new(input));
        written.map_err(de::Error::custom)
    }
}

struct Entry<'a, M>(&'a mut M);

impl<'de, M: ser::SerializeMap> DeserializeSeed<'de> for Entry<'_, M> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let written = self.0.serialize_value(&Transcode::new(input));
        written.map_err(de::Error::custom)
    }
}
