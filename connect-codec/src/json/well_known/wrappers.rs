//! Wrapper types, which prost maps to Rust's own types, and `Empty`, which it maps to `()`.
//!
//! "Wrappers use the same representation in JSON as the wrapped primitive type."

use bytes::Bytes;

use crate::{
    json::{
        JsonMessage, TypeRegistry,
        label::field,
        reflect::{Fields, Input, Sink, Stop},
    },
    table::{Kind, Label, Table},
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

macro_rules! wrapper {
    ($($rust:ty: $name:literal, $kind:ident;)*) => {$(
        impl JsonMessage for $rust {
            const FULL_NAME: &'static str = $name;

            fn table() -> &'static Table {
                static TABLE: Table = Table::well_known::<$rust>(
                    $name,
                    &[field(1, "value", "value", Label::Implicit, Kind::$kind)],
                );
                &TABLE
            }
        }
    )*};
}

wrapper! {
    Bytes: "google.protobuf.BytesValue", Bytes;
    String: "google.protobuf.StringValue", String;
    Vec<u8>: "google.protobuf.BytesValue", Bytes;
    bool: "google.protobuf.BoolValue", Bool;
    f32: "google.protobuf.FloatValue", Float;
    f64: "google.protobuf.DoubleValue", Double;
    i32: "google.protobuf.Int32Value", Int32;
    i64: "google.protobuf.Int64Value", Int64;
    u32: "google.protobuf.UInt32Value", Uint32;
    u64: "google.protobuf.UInt64Value", Uint64;
}

/// "An empty JSON object."
impl JsonMessage for () {
    const FULL_NAME: &'static str = "google.protobuf.Empty";

    fn table() -> &'static Table {
        // In an `Any` it takes the key `value`, as in the other implementations.
        static TABLE: Table = Table::well_known::<()>(<()>::FULL_NAME, &[]);
        &TABLE
    }
}

impl Fields for () {
    fn table(&self) -> &'static Table {
        <Self as JsonMessage>::table()
    }

    fn write_fields(&self, _: &mut dyn Sink) {}

    fn read_field(&mut self, _: u32, _: &mut dyn Input) -> Result<(), Stop> {
        Ok(())
    }
}
