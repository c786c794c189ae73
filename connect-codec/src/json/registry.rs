//! The types that may lie in a `google.protobuf.Any`, by name.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::Bytes;
use serde_json::Value;

use super::{JsonContext, JsonMessage, options::Target};

/// The message types that may lie in a `google.protobuf.Any` whose JSON form is written or read.
///
/// Generated code offers `register_types` per package. The default registry knows the well-known
/// types and the `google.rpc` error details. A clone is cheap.
///
/// ```
/// use connect_codec::json::{JsonOptions, TypeRegistry};
///
/// let types = TypeRegistry::default().with::<prost_types::Timestamp>();
/// assert!(types.contains("google.protobuf.Timestamp"));
/// let options = JsonOptions::default().with_types(types);
/// # let _ = options;
/// ```
#[derive(Clone)]
pub struct TypeRegistry {
    types: Arc<HashMap<&'static str, TypeEntry>>,
}

/// A message type without its type: how to turn its binary form into JSON and back.
#[derive(Clone, Copy)]
pub(super) struct TypeEntry {
    pub(super) full_name: &'static str,
    pub(super) to_tree: fn(&Bytes, JsonContext<'_>) -> Result<Value, String>,
    pub(super) from_tree: fn(Value, JsonContext<'_>) -> Result<Vec<u8>, String>,
    pub(super) well_known: bool,
}

impl TypeRegistry {
    /// A registry that knows no type at all.
    #[must_use]
    pub fn none() -> Self {
        Self {
            types: Arc::new(HashMap::new()),
        }
    }

    /// Adds a type, or replaces the one of its name.
    pub fn register<M: prost::Message + JsonMessage>(&mut self) {
        let entry = TypeEntry {
            full_name: M::FULL_NAME,
            to_tree: to_tree::<M>,
            from_tree: from_tree::<M>,
            well_known: M::WELL_KNOWN,
        };
        Arc::make_mut(&mut self.types).insert(M::FULL_NAME, entry);
    }

    /// The registry with one type more.
    #[must_use]
    pub fn with<M: prost::Message + JsonMessage>(mut self) -> Self {
        self.register::<M>();
        self
    }

    /// Whether the type of this full name, `package.Message`, is known.
    #[must_use]
    pub fn contains(&self, full_name: &str) -> bool {
        self.types.contains_key(full_name)
    }

    /// The full names of the known types, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        let mut names: Vec<_> = self.types.keys().copied().collect();
        names.sort_unstable();
        names
    }

    pub(super) fn get(&self, full_name: &str) -> Option<TypeEntry> {
        self.types.get(full_name).copied()
    }
}

impl Default for TypeRegistry {
    fn default() -> Self {
        static DEFAULT: OnceLock<TypeRegistry> = OnceLock::new();
        DEFAULT
            .get_or_init(|| {
                let mut types = Self::none();
                super::well_known::register_types(&mut types);
                crate::rpc::register_types(&mut types);
                types
            })
            .clone()
    }
}

impl fmt::Debug for TypeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn to_tree<M: prost::Message + JsonMessage>(
    bytes: &Bytes,
    cx: JsonContext<'_>,
) -> Result<Value, String> {
    let message = M::decode(bytes.clone()).map_err(|error| error.to_string())?;
    debug_assert_eq!(cx.target(), Target::Tree);
    message
        .write_json(serde_json::value::Serializer, cx)
        .map_err(|error| error.to_string())
}

fn from_tree<M: prost::Message + JsonMessage>(
    tree: Value,
    cx: JsonContext<'_>,
) -> Result<Vec<u8>, String> {
    let message = M::read_json(tree, cx).map_err(|error| error.to_string())?;
    Ok(message.encode_to_vec())
}
