//! `Struct`, `Value`, `ListValue`: any JSON at all.

use std::fmt;

use prost_types::{ListValue, Struct, Value, value::Kind as Kinds};
use serde::{
    Deserializer,
    de::{self, DeserializeSeed, MapAccess, SeqAccess, Visitor},
};

use crate::{
    json::{JsonContext, JsonMessage, label::field, number, text::Writer},
    table::{Key, Kind, Label, Table},
};

impl JsonMessage for Struct {
    const FULL_NAME: &'static str = "google.protobuf.Struct";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<Struct>(
            Struct::FULL_NAME,
            &[field(1, "fields", "fields", Label::Map(Key::String), VALUE)],
        );
        &TABLE
    }
}

impl JsonMessage for ListValue {
    const FULL_NAME: &'static str = "google.protobuf.ListValue";

    fn table() -> &'static Table {
        static TABLE: Table = Table::well_known::<ListValue>(
            ListValue::FULL_NAME,
            &[field(1, "values", "values", Label::Repeated, VALUE)],
        );
        &TABLE
    }
}

impl JsonMessage for Value {
    const FULL_NAME: &'static str = "google.protobuf.Value";

    fn table() -> &'static Table {
        const STRUCT: Kind = Kind::Message(Struct::table);
        const LIST: Kind = Kind::Message(ListValue::table);
        static TABLE: Table = Table::well_known::<Value>(
            Value::FULL_NAME,
            &[
                field(1, "null_value", "nullValue", Label::Optional, Kind::Null),
                field(
                    2,
                    "number_value",
                    "numberValue",
                    Label::Optional,
                    Kind::Double,
                ),
                field(
                    3,
                    "string_value",
                    "stringValue",
                    Label::Optional,
                    Kind::String,
                ),
                field(4, "bool_value", "boolValue", Label::Optional, Kind::Bool),
                field(5, "struct_value", "structValue", Label::Optional, STRUCT),
                field(6, "list_value", "listValue", Label::Optional, LIST),
            ],
        )
        .with_null_as_value();
        &TABLE
    }
}

const VALUE: Kind = Kind::Message(Value::table);

pub(in crate::json) fn write_struct(message: &Struct, out: &mut Writer<'_>) {
    let Some(outside) = out.enter() else { return };
    out.raw("{");
    let mut first = true;
    for (key, value) in &message.fields {
        out.key(key, &mut first);
        write_value(value, out);
    }
    out.raw("}");
    out.leave(outside);
}

pub(in crate::json) fn write_list(message: &ListValue, out: &mut Writer<'_>) {
    let Some(outside) = out.enter() else { return };
    out.raw("[");
    for (index, value) in message.values.iter().enumerate() {
        if index > 0 {
            out.raw(",");
        }
        write_value(value, out);
    }
    out.raw("]");
    out.leave(outside);
}

pub(in crate::json) fn write_value(message: &Value, out: &mut Writer<'_>) {
    match &message.kind {
        None => out.fail("a google.protobuf.Value without a kind".into()),
        Some(Kinds::NullValue(_)) => out.raw("null"),
        Some(Kinds::NumberValue(value)) => match number::special_name(*value) {
            Some(name) => out.fail(format!("a google.protobuf.Value cannot hold {name}")),
            None => out.double(*value),
        },
        Some(Kinds::StringValue(value)) => out.string(value),
        Some(Kinds::BoolValue(value)) => out.raw(if *value { "true" } else { "false" }),
        Some(Kinds::StructValue(value)) => write_struct(value, out),
        Some(Kinds::ListValue(value)) => write_list(value, out),
    }
}

pub(in crate::json) fn read_struct<'de, D: Deserializer<'de>>(
    input: D,
    cx: JsonContext<'_>,
) -> Result<Struct, D::Error> {
    input.deserialize_map(StructVisitor(cx.enter_read()?))
}

pub(in crate::json) fn read_list<'de, D: Deserializer<'de>>(
    input: D,
    cx: JsonContext<'_>,
) -> Result<ListValue, D::Error> {
    input.deserialize_seq(ListVisitor(cx.enter_read()?))
}

pub(in crate::json) fn read_value<'de, D: Deserializer<'de>>(
    input: D,
    cx: JsonContext<'_>,
) -> Result<Value, D::Error> {
    let kind = input.deserialize_any(KindVisitor(cx))?;
    Ok(Value { kind: Some(kind) })
}

/// One value inside of the others.
struct ValueSeed<'a>(JsonContext<'a>);

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Value, D::Error> {
        self.0.charge(size_of::<Value>())?;
        read_value(input, self.0)
    }
}

struct StructVisitor<'a>(JsonContext<'a>);

impl<'de> Visitor<'de> for StructVisitor<'_> {
    type Value = Struct;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Struct, A::Error> {
        let mut message = Struct::default();
        while let Some(key) = map.next_key::<String>()? {
            self.0.charge_key(&key)?;
            let value = map.next_value_seed(ValueSeed(self.0))?;
            if message.fields.insert(key, value).is_some() {
                return Err(de::Error::custom("a key appears twice"));
            }
        }
        Ok(message)
    }
}

struct ListVisitor<'a>(JsonContext<'a>);

impl<'de> Visitor<'de> for ListVisitor<'_> {
    type Value = ListValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<ListValue, A::Error> {
        let mut message = ListValue::default();
        while let Some(value) = list.next_element_seed(ValueSeed(self.0))? {
            message.values.push(value);
        }
        Ok(message)
    }
}

struct KindVisitor<'a>(JsonContext<'a>);

impl<'de> Visitor<'de> for KindVisitor<'_> {
    type Value = Kinds;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Kinds, E> {
        Ok(Kinds::NullValue(0))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Kinds, E> {
        Ok(Kinds::BoolValue(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "the message holds a double")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kinds, E> {
        Ok(Kinds::NumberValue(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "the message holds a double")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kinds, E> {
        Ok(Kinds::NumberValue(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kinds, E> {
        Ok(Kinds::NumberValue(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Kinds, E> {
        self.visit_string(value.to_owned())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Kinds, E> {
        self.0.charge(value.len())?;
        Ok(Kinds::StringValue(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kinds, A::Error> {
        let visitor = StructVisitor(self.0.enter_read()?);
        visitor.visit_map(map).map(Kinds::StructValue)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Kinds, A::Error> {
        let visitor = ListVisitor(self.0.enter_read()?);
        visitor.visit_seq(list).map(Kinds::ListValue)
    }
}
