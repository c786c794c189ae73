//! `Struct`, `Value`, `ListValue`: any JSON at all.

use std::fmt;

use prost_types::{ListValue, Struct, Value, value::Kind};
use serde::{
    Deserializer, Serializer,
    de::{self, MapAccess, SeqAccess, Visitor},
    ser::{self, SerializeMap, SerializeSeq},
};

use crate::json::{
    JsonContext, JsonMessage,
    field::{Element, Written},
    kind::Message,
    number,
};

impl JsonMessage for Struct {
    const FULL_NAME: &'static str = "google.protobuf.Struct";
    const WELL_KNOWN: bool = true;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        let cx = cx.enter_write()?;
        let mut map = serializer.serialize_map(Some(self.fields.len()))?;
        for (key, value) in &self.fields {
            map.serialize_entry(key, &Written::<Message, _>::new(value, cx))?;
        }
        map.end()
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_map(StructVisitor(cx.enter_read()?))
    }
}

impl JsonMessage for ListValue {
    const FULL_NAME: &'static str = "google.protobuf.ListValue";
    const WELL_KNOWN: bool = true;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        let cx = cx.enter_write()?;
        let mut list = serializer.serialize_seq(Some(self.values.len()))?;
        for value in &self.values {
            list.serialize_element(&Written::<Message, _>::new(value, cx))?;
        }
        list.end()
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ListVisitor(cx.enter_read()?))
    }
}

impl JsonMessage for Value {
    const FULL_NAME: &'static str = "google.protobuf.Value";
    const WELL_KNOWN: bool = true;
    const NULL_IS_VALUE: bool = true;

    fn write_json<S: Serializer>(
        &self,
        serializer: S,
        cx: JsonContext<'_>,
    ) -> Result<S::Ok, S::Error> {
        match &self.kind {
            None => Err(ser::Error::custom("a google.protobuf.Value without a kind")),
            Some(Kind::NullValue(_)) => serializer.serialize_unit(),
            Some(Kind::NumberValue(value)) => match number::special_name(*value) {
                Some(name) => Err(ser::Error::custom(format_args!(
                    "a google.protobuf.Value cannot hold {name}"
                ))),
                None => serializer.serialize_f64(*value),
            },
            Some(Kind::StringValue(value)) => serializer.serialize_str(value),
            Some(Kind::BoolValue(value)) => serializer.serialize_bool(*value),
            Some(Kind::StructValue(value)) => value.write_json(serializer, cx),
            Some(Kind::ListValue(value)) => value.write_json(serializer, cx),
        }
    }

    fn read_json<'de, D: Deserializer<'de>>(
        deserializer: D,
        cx: JsonContext<'_>,
    ) -> Result<Self, D::Error> {
        let kind = deserializer.deserialize_any(KindVisitor(cx))?;
        Ok(Self { kind: Some(kind) })
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
            let value = map.next_value_seed(Element::<Message, Value>::new(self.0))?;
            if message
                .fields
                .insert(key, value.unwrap_or_default())
                .is_some()
            {
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
        let cx = self.0;
        while let Some(value) = list.next_element_seed(Element::<Message, Value>::new(cx))? {
            message.values.push(value.unwrap_or_default());
        }
        Ok(message)
    }
}

struct KindVisitor<'a>(JsonContext<'a>);

impl<'de> Visitor<'de> for KindVisitor<'_> {
    type Value = Kind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Kind, E> {
        Ok(Kind::NullValue(0))
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Kind, E> {
        Ok(Kind::BoolValue(value))
    }

    #[expect(clippy::cast_precision_loss, reason = "the message holds a double")]
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "the message holds a double")]
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value as f64))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Kind, E> {
        Ok(Kind::NumberValue(value))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Kind, E> {
        Ok(Kind::StringValue(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Kind, E> {
        Ok(Kind::StringValue(value))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Kind, A::Error> {
        let visitor = StructVisitor(self.0.enter_read()?);
        visitor.visit_map(map).map(Kind::StructValue)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Kind, A::Error> {
        let visitor = ListVisitor(self.0.enter_read()?);
        visitor.visit_seq(list).map(Kind::ListValue)
    }
}
