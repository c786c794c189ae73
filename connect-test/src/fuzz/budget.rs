//! Messages that are read within a memory budget.

use bytes::{Bytes, BytesMut};
use connect_codec::{
    Codec, Decode, Encode, Prost, ProtoOptions,
    json::JsonOptions,
    prost_types::{ListValue, Struct, Value, value::Kind},
    rpc::{BadRequest, ErrorInfo},
};

use super::input::Input;

/// A byte picks message type and codec, a byte the budget; the rest is the message.
///
/// A message that is read takes no more than the budget, with every larger budget it is the same, and what it is
/// written as again is read within the same budget.
pub fn decode_budget(data: &[u8]) {
    let mut input = Input::new(data);
    let pick = input.byte();
    let budget = usize::from(input.byte()) << (input.byte() % 12);
    let bytes = Bytes::copy_from_slice(input.rest());
    let json = pick & 1 == 1;
    match pick / 2 % 3 {
        0 => within::<Struct>(&bytes, json, budget, struct_size),
        1 => within::<BadRequest>(&bytes, json, budget, |message| {
            let violations = message.field_violations.iter();
            let sizes = violations.map(|v| size_of_val(v) + v.field.len() + v.description.len());
            sizes.sum()
        }),
        _ => within::<ErrorInfo>(&bytes, json, budget, |message| {
            let entries = message.metadata.iter();
            let sizes =
                entries.map(|(key, value)| 2 * size_of::<String>() + key.len() + value.len());
            message.reason.len() + message.domain.len() + sizes.sum::<usize>()
        }),
    }
}

/// `held` is what a message holds at least, besides itself.
fn within<M>(bytes: &Bytes, json: bool, budget: usize, held: fn(&M) -> usize)
where
    M: PartialEq + std::fmt::Debug,
    Prost: Encode<M> + Decode<M>,
{
    let Ok(message) = Prost::decode(bytes.clone(), &codec(json, budget)) else {
        return;
    };
    let message: M = message;
    let takes = size_of::<M>() + held(&message);
    assert!(
        takes <= budget,
        "{takes} bytes of a budget of {budget}: {message:?}"
    );
    let unlimited = Prost::decode(bytes.clone(), &codec(json, usize::MAX));
    // NaN equals nothing: what is compared is what is shown.
    let same = |other: &M| format!("{other:?}") == format!("{message:?}");
    assert!(
        unlimited.is_ok_and(|other| same(&other)),
        "the budget changes {message:?}"
    );
    let mut again = BytesMut::new();
    if Prost::encode(&message, &codec(json, budget), &mut again).is_ok() {
        let read = Prost::decode(again.freeze(), &codec(json, budget));
        assert!(
            read.is_ok_and(|other| same(&other)),
            "{message:?} is not read again"
        );
    }
}

fn codec(json: bool, budget: usize) -> Codec {
    if json {
        Codec::Json(JsonOptions::default().with_decode_budget(budget))
    } else {
        Codec::Proto(ProtoOptions::default().with_decode_budget(budget))
    }
}

fn struct_size(message: &Struct) -> usize {
    let entries = message.fields.iter();
    let sizes = entries.map(|(key, value)| size_of::<String>() + key.len() + value_size(value));
    sizes.sum()
}

fn list_size(list: &ListValue) -> usize {
    list.values.iter().map(value_size).sum()
}

fn value_size(value: &Value) -> usize {
    let held = match &value.kind {
        Some(Kind::StringValue(text)) => text.len(),
        Some(Kind::StructValue(fields)) => struct_size(fields),
        Some(Kind::ListValue(list)) => list_size(list),
        _ => 0,
    };
    size_of::<Value>() + held
}
