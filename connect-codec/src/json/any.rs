//! `Any`: the fields of the message inside, beside `@type`.

use std::fmt;

use bytes::Bytes;
use prost_types::Any;
use serde::{
    Deserializer, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap},
};
use serde_json::{Map, Value};

use super::{JsonContext, JsonMessage, options::TypeEntry};

/// "If the Any contains a value that has a special JSON mapping, it will be converted as
/// `{"@type": xxx, "value": yyy}`. Otherwise, the value will be converted into a JSON object, and
/// the "@type" field will be inserted to indicate the actual data type."
///
/// The message inside goes through a JSON tree in both directions: on input its type may come last,
/// and serde has no way to say "the same serializer, one entry more".
impl JsonMessage for Any {
    const FULL_NAME: &'static str = "google.protobuf.Any";
    const WELL_KNOWN: bool = true;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        let cx = cx.enter_write()?;
        if self.type_url.is_empty() && self.value.is_empty() {
            return serializer.serialize_map(Some(0))?.end();
        }
        let entry = lookup(&self.type_url, cx).map_err(ser::Error::custom)?;
        let bytes = Bytes::copy_from_slice(&self.value);
        let tree = (entry.to_tree)(&bytes, cx.in_tree())
            .map_err(|error| ser::Error::custom(format_args!("{}: {error}", entry.full_name)))?;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry(TYPE, &self.type_url)?;
        match tree {
            Value::Object(fields) if !entry.well_known => {
                for (key, value) in &fields {
                    map.serialize_entry(key, value)?;
                }
            }
            value => map.serialize_entry(VALUE, &value)?,
        }
        map.end()
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        let cx = cx.enter_read()?;
        let Value::Object(mut fields) = TreeSeed(cx).deserialize(deserializer)? else {
            return Err(D::Error::custom("expected an object with `@type`"));
        };
        if fields.is_empty() {
            return Ok(Self::default());
        }
        let type_url = match fields.remove(TYPE) {
            Some(Value::String(type_url)) => type_url,
            Some(_) => return Err(D::Error::custom("`@type` is not a string")),
            None => return Err(D::Error::custom("an Any without `@type`")),
        };
        let entry = lookup(&type_url, cx).map_err(D::Error::custom)?;
        let value = content(entry, fields, cx)
            .and_then(|tree| (entry.from_tree)(tree, cx.in_tree()))
            .map_err(|error| D::Error::custom(format_args!("{}: {error}", entry.full_name)))?;
        Ok(Self { type_url, value })
    }
}

/// The JSON form of the message inside.
fn content(
    entry: TypeEntry,
    mut fields: Map<String, Value>,
    cx: JsonContext<'_>,
) -> Result<Value, String> {
    if !entry.well_known {
        return Ok(Value::Object(fields));
    }
    let value = fields.remove(VALUE);
    match fields.keys().next() {
        Some(key) if cx.rejects_unknown() => Err(format!("unknown field {key:.64}")),
        _ => value.ok_or_else(|| String::from("no `value` beside `@type`")),
    }
}

fn lookup(type_url: &str, cx: JsonContext<'_>) -> Result<TypeEntry, String> {
    // google/protobuf/any.proto: the name is what follows the last slash, and there must be one.
    let Some((_, name)) = type_url.rsplit_once('/') else {
        return Err(format!("type URL {type_url:.200?} has no slash"));
    };
    let entry = cx.types().get(name);
    entry.ok_or_else(|| format!("type {name:.200?} is not in the registry"))
}

/// Reads any JSON into a tree, with the rules that `serde_json` does not have: a key must not come
/// twice, and the depth is limited by the options.
struct TreeSeed<'a>(JsonContext<'a>);

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let cx = self.0.enter_read()?;
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(TreeSeed(cx))? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let cx = self.0.enter_read()?;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let value = map.next_value_seed(TreeSeed(cx))?;
            if fields.insert(key, value).is_some() {
                return Err(A::Error::custom("a key appears twice"));
            }
        }
        Ok(Value::Object(fields))
    }
}

const TYPE: &str = "@type";
const VALUE: &str = "value";
