//! How JSON is written and read, the types that `Any` may hold, and the place in a message where the writer or reader
//! stands. One file, for the functions of a registered type take that place, and that place knows the registry.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::{Bytes, BytesMut};
use serde::de;
use serde_json::Value;

use super::{JsonMessage, read_message, write_content};
use crate::{
    budget::{Budget, ENTRY, Exhausted},
    table::Table,
};

/// How messages are written as JSON and read from it.
///
/// The defaults are those of Connect's other implementations: fields without presence that hold
/// their default are left out, enum values are written by name, and unknown fields are ignored, so
/// that a server may learn a field before its clients do and the other way round.
///
/// ```
/// use connect_codec::json::{self, JsonOptions};
///
/// let strict = JsonOptions::default().with_reject_unknown(true);
/// assert!(json::from_slice::<()>(br#"{"new":1}"#, &JsonOptions::default()).is_ok());
/// assert!(json::from_slice::<()>(br#"{"new":1}"#, &strict).is_err());
/// ```
#[derive(Clone, Debug)]
pub struct JsonOptions {
    types: TypeRegistry,
    max_depth: u32,
    decode_budget: usize,
    reject_unknown: bool,
    emit_defaults: bool,
    enums_as_numbers: bool,
    proto_names: bool,
}

impl JsonOptions {
    /// Whether input with unknown fields or unknown enum names is an error; `false` by default:
    /// they are ignored, as connect-go does. (The ProtoJSON specification, "JSON Options", makes
    /// rejecting the default of parsers and ignoring the option.)
    #[must_use]
    pub fn with_reject_unknown(mut self, reject: bool) -> Self {
        self.reject_unknown = reject;
        self
    }

    /// Whether fields without presence, lists and maps are written when they hold their default;
    /// `false` by default.
    #[must_use]
    pub fn with_emit_defaults(mut self, emit: bool) -> Self {
        self.emit_defaults = emit;
        self
    }

    /// Whether enum values are written as numbers instead of names; `false` by default. Both are
    /// always read.
    #[must_use]
    pub fn with_enums_as_numbers(mut self, numbers: bool) -> Self {
        self.enums_as_numbers = numbers;
        self
    }

    /// Whether fields are written under their names in the `.proto` file instead of their JSON
    /// names; `false` by default. Both are always read.
    #[must_use]
    pub fn with_proto_names(mut self, proto: bool) -> Self {
        self.proto_names = proto;
        self
    }

    /// How many messages may lie in one another, lists and objects of `google.protobuf.Value` and
    /// the content of `Any` included; 100 by default.
    ///
    /// Text is also subject to the parser's own limit of 127 open braces and brackets.
    #[must_use]
    pub fn with_max_depth(mut self, depth: u32) -> Self {
        self.max_depth = depth;
        self
    }

    /// How much memory one message may take once it is decoded, in bytes; 64 MiB by default. Reading stops with
    /// `resource_exhausted` where it would take more. See
    /// [`ProtoOptions::with_decode_budget`](crate::ProtoOptions::with_decode_budget).
    #[must_use]
    pub fn with_decode_budget(mut self, bytes: usize) -> Self {
        self.decode_budget = bytes;
        self
    }

    /// The types that may lie in a `google.protobuf.Any`; the well-known types and the
    /// `google.rpc` error details by default.
    #[must_use]
    pub fn with_types(mut self, types: TypeRegistry) -> Self {
        self.types = types;
        self
    }

    pub(super) fn budget(&self) -> Budget {
        Budget::new(self.decode_budget)
    }

    pub(super) fn shared_default() -> &'static Self {
        static DEFAULT: OnceLock<JsonOptions> = OnceLock::new();
        DEFAULT.get_or_init(Self::default)
    }
}

impl Default for JsonOptions {
    fn default() -> Self {
        Self {
            types: TypeRegistry::default(),
            max_depth: 100,
            decode_budget: Budget::DEFAULT,
            reject_unknown: false,
            emit_defaults: false,
            enums_as_numbers: false,
            proto_names: false,
        }
    }
}

/// The options of a run, and how deep in the message it stands. Generated code hands it on.
#[derive(Clone, Copy, Debug)]
pub(super) struct JsonContext<'a> {
    options: &'a JsonOptions,
    /// How many messages may still be opened.
    depth_left: u32,
    /// While reading.
    budget: Option<&'a Budget>,
}

impl<'a> JsonContext<'a> {
    pub(super) fn writing(options: &'a JsonOptions) -> Self {
        Self {
            options,
            depth_left: options.max_depth,
            budget: None,
        }
    }

    pub(super) fn reading(options: &'a JsonOptions, budget: &'a Budget) -> Self {
        Self {
            budget: Some(budget),
            ..Self::writing(options)
        }
    }

    /// Takes what a part of the message will take in memory.
    pub(super) fn charge<E: de::Error>(self, bytes: usize) -> Result<(), E> {
        let charged = self.budget.map_or(Ok(()), |budget| budget.charge(bytes));
        charged.map_err(|Exhausted| E::custom("the decode budget is exhausted"))
    }

    /// Takes what an entry of a map takes besides its value: room in the map, and the key, as text.
    pub(super) fn charge_key<E: de::Error>(self, key: &str) -> Result<(), E> {
        self.charge(size_of::<String>() + ENTRY + key.len())
    }

    /// The context inside one more message.
    pub(super) fn enter_read<E: de::Error>(self) -> Result<Self, E> {
        self.enter().ok_or_else(|| E::custom(self.too_deep()))
    }

    pub(super) fn types(self) -> &'a TypeRegistry {
        &self.options.types
    }

    pub(super) fn rejects_unknown(self) -> bool {
        self.options.reject_unknown
    }

    pub(super) fn emits_defaults(self) -> bool {
        self.options.emit_defaults
    }

    pub(super) fn writes_enum_numbers(self) -> bool {
        self.options.enums_as_numbers
    }

    pub(super) fn writes_proto_names(self) -> bool {
        self.options.proto_names
    }

    pub(super) fn enter(self) -> Option<Self> {
        Some(Self {
            depth_left: self.depth_left.checked_sub(1)?,
            ..self
        })
    }

    pub(super) fn too_deep(self) -> String {
        let limit = self.options.max_depth;
        format!("messages nested deeper than {limit}")
    }
}

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
    pub(super) table: &'static Table,
    pub(super) write: fn(&Bytes, JsonContext<'_>, &mut BytesMut) -> Result<(), String>,
    pub(super) from_tree: fn(Value, JsonContext<'_>) -> Result<Vec<u8>, String>,
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
            table: M::table(),
            write: write::<M>,
            from_tree: from_tree::<M>,
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

impl fmt::Debug for TypeRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn write<M: prost::Message + JsonMessage>(
    bytes: &Bytes,
    cx: JsonContext<'_>,
    out: &mut BytesMut,
) -> Result<(), String> {
    let message = M::decode(bytes.clone()).map_err(|error| error.to_string())?;
    write_content(&message, cx, out)
}

fn from_tree<M: prost::Message + JsonMessage>(
    tree: Value,
    cx: JsonContext<'_>,
) -> Result<Vec<u8>, String> {
    let message: M = read_message(tree, cx).map_err(|error| error.to_string())?;
    Ok(message.encode_to_vec())
}
