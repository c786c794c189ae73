//! The JSON forms of `google.protobuf` types (ProtoJSON, "JSON representation", second half).

pub(super) mod field_mask;
pub(super) mod structs;
pub(super) mod time;
mod wrappers;

use std::sync::OnceLock;

use super::TypeRegistry;

/// Messages of `google.protobuf` that are objects of their fields: descriptors and their like.
mod descriptors {
    include!("../../generated/google.protobuf.rs");
}

impl Default for TypeRegistry {
    fn default() -> Self {
        static DEFAULT: OnceLock<TypeRegistry> = OnceLock::new();
        DEFAULT
            .get_or_init(|| {
                let mut types = Self::none();
                register_types(&mut types);
                crate::rpc::register_types(&mut types);
                types
            })
            .clone()
    }
}

/// Registers every well-known type that has a JSON form of its own.
fn register_types(types: &mut TypeRegistry) {
    types.register::<prost_types::Any>();
    types.register::<prost_types::Duration>();
    types.register::<prost_types::FieldMask>();
    types.register::<prost_types::ListValue>();
    types.register::<prost_types::Struct>();
    types.register::<prost_types::Timestamp>();
    types.register::<prost_types::Value>();
    wrappers::register_types(types);
}
