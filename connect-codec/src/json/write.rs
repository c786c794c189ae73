//! The writer: one for all messages (ProtoJSON, "JSON representation").

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::BytesMut;

use super::{
    any, number,
    options::JsonContext,
    reflect::{AnyList, AnyMap, Fields, Ref, Sink},
    text::{Writer, is_plain},
    well_known::{field_mask, structs, time},
};
use crate::table::{EnumTable, Field, Kind, Label, Table};

/// Appends a value.
pub(super) fn write(
    value: Ref<'_>,
    kind: Kind,
    cx: JsonContext<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    let mut writer = Writer::new(out, cx);
    writer.value(value, kind);
    writer.finish()
}

/// Appends what an `Any` holds, behind its type.
pub(super) fn write_content(
    value: Ref<'_>,
    table: &'static Table,
    cx: JsonContext<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    let mut writer = Writer::new(out, cx);
    let Some(_) = writer.enter() else {
        return writer.finish();
    };
    match value {
        Ref::Message(message) if !table.well_known => writer.fields(message, false),
        value => {
            writer.raw(r#","value":"#);
            // No enum is a message: the kind does not matter.
            writer.value(value, Kind::Bool);
        }
    }
    writer.finish()
}

impl Writer<'_> {
    fn value(&mut self, value: Ref<'_>, kind: Kind) {
        match value {
            Ref::Bool(true) => self.raw("true"),
            Ref::Bool(false) => self.raw("false"),
            Ref::Bytes(value) => self.plain(&STANDARD.encode(value)),
            Ref::F32(value) => match number::special_name(f64::from(value)) {
                Some(name) => self.plain(name),
                None => self.shortest(&value),
            },
            Ref::F64(value) => self.double(value),
            Ref::I32(value) => self.i32(value, kind),
            Ref::I64(value) => self.plain(itoa::Buffer::new().format(value)),
            Ref::List(values) => self.list(values, kind),
            Ref::Map(entries) => self.map(entries, kind),
            Ref::Message(message) => self.object(message),
            Ref::String(value) => self.string(value),
            Ref::U32(value) => self.raw(itoa::Buffer::new().format(value)),
            Ref::U64(value) => self.plain(itoa::Buffer::new().format(value)),
            Ref::Any(value) => any::write(value, self),
            Ref::Duration(value) => time::write_duration(value, self),
            Ref::FieldMask(value) => field_mask::write(value, self),
            Ref::ListValue(value) => structs::write_list(value, self),
            Ref::Struct(value) => structs::write_struct(value, self),
            Ref::Timestamp(value) => time::write_timestamp(value, self),
            Ref::Value(value) => structs::write_value(value, self),
        }
    }

    fn i32(&mut self, value: i32, kind: Kind) {
        let by_name = !self.cx().writes_enum_numbers();
        match kind {
            Kind::Enum(EnumTable { name_of, .. }) if by_name => {
                if let Some(name) = name_of(value) {
                    return self.plain(name);
                }
            }
            Kind::Null if value == 0 && by_name => return self.raw("null"),
            _ => {}
        }
        self.raw(itoa::Buffer::new().format(value));
    }

    fn list(&mut self, values: &dyn AnyList, kind: Kind) {
        self.raw("[");
        let mut first = true;
        values.each(&mut |value| {
            if !std::mem::take(&mut first) {
                self.raw(",");
            }
            self.value(value, kind);
        });
        self.raw("]");
    }

    fn map(&mut self, entries: &dyn AnyMap, kind: Kind) {
        self.raw("{");
        let mut first = true;
        entries.each(&mut |key, value| {
            self.key(key, &mut first);
            self.value(value, kind);
        });
        self.raw("}");
    }

    /// A message as the object of its fields.
    fn object(&mut self, message: &dyn Fields) {
        let Some(outside) = self.enter() else { return };
        self.raw("{");
        self.fields(message, true);
        self.raw("}");
        self.leave(outside);
    }

    /// The fields of a message, without braces.
    fn fields(&mut self, message: &dyn Fields, first: bool) {
        let table = message.table();
        let is_plain = |field: &Field| is_plain(field.json.as_bytes());
        let names_are_plain = || table.fields.iter().all(is_plain);
        message.write_fields(&mut ObjectWriter {
            fields: table.fields,
            names_are_plain: *table.names_are_plain.get_or_init(names_are_plain),
            writer: self,
            first,
        });
    }
}

struct ObjectWriter<'a, 'w> {
    /// Those that come after the last one written.
    fields: &'static [Field],
    names_are_plain: bool,
    writer: &'a mut Writer<'w>,
    first: bool,
}

impl Sink for ObjectWriter<'_, '_> {
    fn field(&mut self, number: u32, value: Ref<'_>) {
        let Some(skipped) = self.fields.iter().position(|f| f.number == number) else {
            debug_assert!(false, "field {number} is not in its place in the table");
            return;
        };
        let field = &self.fields[skipped];
        self.fields = &self.fields[skipped + 1..];
        let has_presence = matches!(field.label, Label::Optional | Label::Required);
        let cx = self.writer.cx();
        if !has_presence && value.is_default() && !cx.emits_defaults() {
            return;
        }
        if cx.writes_proto_names() {
            self.writer.plain_key(field.proto, &mut self.first);
        } else if self.names_are_plain {
            self.writer.plain_key(field.json, &mut self.first);
        } else {
            self.writer.key(field.json, &mut self.first);
        }
        self.writer.value(value, field.kind);
    }
}
