//! Wrapper types, which prost maps to Rust's own types, and `Empty`, which it maps to `()`.

use bytes::Bytes;
use serde::{Deserializer, Serializer, de::Error};

use crate::json::{
    JsonContext, JsonMessage, TypeRegistry,
    kind::{Bool, BytesKind, Double, Float, Int32, Int64, JsonKind, Str, UInt32, UInt64},
};

pub(super) fn register_types(types: &mut TypeRegistry) {
    types.register::<()>();
    types.register::<Bytes>();
    types.register::<String>();
    types.register::<bool>();
    types.register::<f32>();
    types.register::<f64>();
    types.register::<i32>();
    types.register::<i64>();
    types.register::<u32>();
    types.register::<u64>();
}

/// "Wrappers use the same representation in JSON as the wrapped primitive type."
macro_rules! wrapper {
    ($($rust:ty: $name:literal, $kind:ty;)*) => {$(
        impl JsonMessage for $rust {
            const FULL_NAME: &'static str = $name;
            const WELL_KNOWN: bool = true;

            fn write_json<S: Serializer>(
                &self,
                serializer: S,
                cx: JsonContext<'_>,
            ) -> Result<S::Ok, S::Error> {
                <$kind as JsonKind<$rust>>::write(self, serializer, cx)
            }

            fn read_json<'de, D: Deserializer<'de>>(
                deserializer: D,
                cx: JsonContext<'_>,
            ) -> Result<Self, D::Error> {
                let value = <$kind as JsonKind<$rust>>::read(deserializer, cx)?;
                value.ok_or_else(|| D::Error::custom("a wrapper without a value"))
            }
        }
    )*};
}

wrapper! {
    Bytes: "google.protobuf.BytesValue", BytesKind;
    String: "google.protobuf.StringValue", Str;
    Vec<u8>: "google.protobuf.BytesValue", BytesKind;
    bool: "google.protobuf.BoolValue", Bool;
    f32: "google.protobuf.FloatValue", Float;
    f64: "google.protobuf.DoubleValue", Double;
    i32: "google.protobuf.Int32Value", Int32;
    i64: "google.protobuf.Int64Value", Int64;
    u32: "google.protobuf.UInt32Value", UInt32;
    u64: "google.protobuf.UInt64Value", UInt64;
}

/// "An empty JSON object."
impl JsonMessage for () {
    const FULL_NAME: &'static str = "google.protobuf.Empty";
    // In an `Any` it takes the key `value`, as in the other implementations.
    const WELL_KNOWN: bool = true;
}
