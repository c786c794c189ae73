//! What a schema says of a message, as data: one static [`Table`] per message type, from which shared code writes and
//! reads JSON and reckons what a message will hold.

use std::sync::OnceLock;

/// A message type.
#[derive(Debug)]
pub struct Table {
    pub(crate) name: &'static str,
    /// What one value takes, without what it points to; in bytes.
    pub(crate) size: usize,
    /// Whether the JSON form is something else than the object of the fields, so that in an `Any` it lies under the
    /// key `value`.
    pub(crate) well_known: bool,
    /// Whether `null` is a value of this message, not its absence.
    pub(crate) null_is_value: bool,
    pub(crate) fields: &'static [Field],
    /// Whether a message keeps the fields that are not among these.
    pub(crate) keeps_unknown: bool,
    /// Whether no JSON name has a character that must be escaped, once it was asked for: reckoning it for each message costs
    /// compile time.
    pub(crate) names_are_plain: OnceLock<bool>,
    /// Whether the fields are in the order of their numbers, once it was asked for.
    is_sorted: OnceLock<bool>,
    /// What a byte of the encoding can take in memory at most, in bytes, once it was asked for.
    pub(crate) amplification: OnceLock<usize>,
}

impl Table {
    /// A message of this full name whose values are of type `T`, with its fields in the order of the file.
    #[must_use]
    pub const fn new<T>(name: &'static str, fields: &'static [Field]) -> Self {
        Self {
            name,
            size: size_of::<T>(),
            well_known: false,
            null_is_value: false,
            fields,
            keeps_unknown: false,
            names_are_plain: OnceLock::new(),
            is_sorted: OnceLock::new(),
            amplification: OnceLock::new(),
        }
    }

    /// A message that keeps unknown fields.
    #[must_use]
    pub const fn unknown_fields(mut self) -> Self {
        self.keeps_unknown = true;
        self
    }

    pub(crate) const fn well_known<T>(name: &'static str, fields: &'static [Field]) -> Self {
        let mut table = Self::new::<T>(name, fields);
        table.well_known = true;
        table
    }

    /// The message for which `null` is a value.
    pub(crate) const fn with_null_as_value(mut self) -> Self {
        self.null_is_value = true;
        self
    }

    /// Whether the fields are in the order of their numbers.
    pub(crate) fn is_sorted(&self) -> bool {
        let is_sorted = || self.fields.is_sorted_by(|a, b| a.number < b.number);
        *self.is_sorted.get_or_init(is_sorted)
    }

    /// The index of a field by its JSON name or its name in the `.proto` file; `expected` is where to look first.
    ///
    /// "Parsers accept both the lowerCamelCase name and the original proto field name." Where two fields claim one
    /// name, which proto2 allows, the JSON name wins over the original one.
    #[inline]
    pub(crate) fn index_of(&self, key: &str, expected: usize) -> Option<usize> {
        // Writers keep the order of the file.
        match self.fields.get(expected) {
            Some(field) if field.json == key => Some(expected),
            _ => self.search(key, expected),
        }
    }

    fn search(&self, key: &str, expected: usize) -> Option<usize> {
        // They leave out fields, and then go on.
        let behind = self.fields.get(expected..).unwrap_or_default();
        if let Some(skipped) = behind.iter().position(|field| field.json == key) {
            return Some(expected + skipped);
        }
        let by_json = self.fields.iter().position(|field| field.json == key);
        by_json.or_else(|| self.fields.iter().position(|field| field.proto == key))
    }
}

/// A field of a message, or a member of a `oneof`.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The number.
    pub number: u32,
    /// The name in the `.proto` file.
    pub proto: &'static str,
    /// The JSON name: `json_name` of the field, lowerCamelCase unless the file says otherwise.
    pub json: &'static str,
    /// How often it holds a value.
    pub label: Label,
    /// Of the elements of a list and of the values of a map.
    pub kind: Kind,
}

/// How often a field holds a value.
#[derive(Clone, Copy, Debug)]
pub enum Label {
    /// Always one; it is not written while it is the default of its type.
    Implicit,
    /// Always one, which is always written.
    Required,
    /// One or none.
    Optional,
    /// Any number.
    Repeated,
    /// Any number, by key.
    Map(Key),
}

/// The type of a map's keys.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "Protobuf's names")]
pub enum Key {
    Bool,
    Fixed32,
    Fixed64,
    Int32,
    Int64,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
    String,
    Uint32,
    Uint64,
}

/// The type of a field's values.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "Protobuf's names")]
pub enum Kind {
    Bool,
    Bytes,
    Double,
    Enum(&'static EnumTable),
    Fixed32,
    Fixed64,
    Float,
    /// A message in the older encoding, between two tags.
    Group(fn() -> &'static Table),
    Int32,
    Int64,
    Message(fn() -> &'static Table),
    /// The enum `google.protobuf.NullValue`.
    Null,
    Sfixed32,
    Sfixed64,
    Sint32,
    Sint64,
    String,
    Uint32,
    Uint64,
}

impl Kind {
    /// Whether `null` is a value, not the absence of one.
    pub(crate) fn null_is_value(self) -> bool {
        match self {
            Self::Message(table) => table().null_is_value,
            Self::Null => true,
            _ => false,
        }
    }
}

/// An enum, known by the names and numbers of its values.
#[derive(Debug)]
pub struct EnumTable {
    /// The full name, `package.Enum`.
    pub name: &'static str,
    /// The first name of a number.
    pub name_of: fn(i32) -> Option<&'static str>,
    /// The number of a name, aliases included.
    pub number_of: fn(&str) -> Option<i32>,
}
