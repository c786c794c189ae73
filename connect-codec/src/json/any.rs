//! `Any`: the fields of the message inside, beside `@type`.

use std::fmt;

use bytes::Bytes;
use prost_types::Any;
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{JsonContext, JsonMessage, label::field, options::TypeEntry, text::Writer};
use crate::table::{Kind, Label, Table};

/// "If the Any contains a value that has a special JSON mapping, it will be converted as
/// `{"@type": xxx, "value": yyy}`. Otherwise, the value will be converted into a JSON object, and
/// the "@type" field will be inserted to indicate the actual data type."
///
pub(super) fn write(any: &Any, out: &mut Writer<'_>) {
    let Some(outside) = out.enter() else { return };
    out.raw("{");
    if !any.type_url.is_empty() || !any.value.is_empty() {
        match lookup(&any.type_url, out.cx()) {
            Ok(entry) => {
                out.key(TYPE, &mut true);
                out.string(&any.type_url);
                let bytes = Bytes::copy_from_slice(&any.value);
                let cx = out.cx();
                if let Err(error) = (entry.write)(&bytes, cx, out.out()) {
                    out.fail(format!("{}: {error}", entry.table.name));
                }
            }
            Err(error) => out.fail(error),
        }
    }
    out.raw("}");
    out.leave(outside);
}

/// The message inside goes through a JSON tree, for its type may come last.
pub(super) fn read<'de, D: Deserializer<'de>>(
    deserializer: D,
    cx: JsonContext<'_>,
) -> Result<Any, D::Error> {
    let cx = cx.enter_read()?;
    let Value::Object(mut fields) = TreeSeed(cx).deserialize(deserializer)? else {
        return Err(D::Error::custom("expected an object with `@type`"));
    };
    if fields.is_empty() {
        return Ok(Any::default());
    }
    let type_url = match fields.remove(TYPE) {
        Some(Value::String(type_url)) => type_url,
        Some(_) => return Err(D::Error::custom("`@type` is not a string")),
        None => return Err(D::Error::custom("an Any without `@type`")),
    };
    let entry = lookup(&type_url, cx).map_err(D::Error::custom)?;
    let value = content(entry, fields, cx)
        .and_then(|tree| (entry.from_tree)(tree, cx))
        .map_err(|error| D::Error::custom(format_args!("{}: {error}", entry.table.name)))?;
    Ok(Any { type_url, value })
}

/// The JSON form of the message inside.
fn content(
    entry: TypeEntry,
    mut fields: Map<String, Value>,
    cx: JsonContext<'_>,
) -> Result<Value, String> {
    if !entry.table.well_known {
        return Ok(Value::Object(fields));
    }
    let value = fields.remove(VALUE);
    match fields.keys().next() {
        Some(key) if cx.rejects_unknown() => Err(format!("unknown field {key:.64}")),
        // Other implementations write `Empty` as a message like any other.
        _ if value.is_none() && entry.table.name == <()>::FULL_NAME => Ok(Map::new().into()),
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
        self.0.charge(size_of::<Value>())?;
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
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Value, E> {
        self.0.charge(value.len())?;
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
            cx.charge_key(&key)?;
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

impl JsonMessage for Any {
    const FULL_NAME: &'static str = "google.protobuf.Any";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<Any>(
            Any::FULL_NAME,
            &[
                field(1, "type_url", "typeUrl", Label::Implicit, Kind::String),
                field(2, "value", "value", Label::Implicit, Kind::Bytes),
            ],
        );
        &TABLE
    }
}
