//! One line of generated code per field and direction: the helpers that it calls.
//!
//! Null, in all of them: `null` is the absence of a value (ProtoJSON, "Null values"), except for
//! types of which it is a value, and except inside lists and maps, where it is an error.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    hash::Hash,
    marker::PhantomData,
};

use serde::{
    Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
    ser::{SerializeMap, SerializeSeq},
};

use super::{JsonContext, kind::JsonKind};

/// The two names of a field.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FieldName {
    json: &'static str,
    proto: &'static str,
}

impl FieldName {
    /// A field by its JSON name and its name in the `.proto` file.
    #[must_use]
    pub const fn new(json: &'static str, proto: &'static str) -> Self {
        Self { json, proto }
    }

    /// The JSON name: `json_name` of the field, lowerCamelCase unless the file says otherwise.
    #[must_use]
    pub const fn json(&self) -> &'static str {
        self.json
    }

    /// The name in the `.proto` file.
    #[must_use]
    pub const fn proto(&self) -> &'static str {
        self.proto
    }

    fn written(&self, cx: JsonContext<'_>) -> &'static str {
        if cx.writes_proto_names() {
            self.proto
        } else {
            self.json
        }
    }
}

/// A map field: `HashMap` or `BTreeMap`.
pub trait JsonMap<K, V>: Default {
    /// Whether there is no entry.
    fn is_empty(&self) -> bool;

    /// All entries, in the order in which they are to be written.
    fn entries<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a;

    /// Adds an entry; `false` if the key was there.
    fn add(&mut self, key: K, value: V) -> bool;
}

/// A type of map keys: `bool`, the integers, `string`.
pub trait JsonKey: Sized {
    /// Writes the key as the string that JSON demands.
    ///
    /// # Errors
    /// What the format reports.
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error>;

    /// Reads the key from that string.
    ///
    /// # Errors
    /// The text, if it is no key of this type.
    fn read(text: &str) -> Option<Self>;
}

/// The lines of generated code: `Str::write_implicit(map, &Self::FIELDS[0], &self.name, cx)?`.
///
/// Every [`JsonKind`] has them.
///
/// # Errors
/// Writing fails with what the format reports, or because a value has no JSON form. Reading fails with
/// what the format reports, or because the input is not of the field's type.
#[expect(clippy::missing_errors_doc, reason = "said once, above")]
pub trait JsonField: Sized {
    /// Writes a field, whatever it holds: a required one, or the set member of a `oneof`.
    fn write_field<T, M: SerializeMap>(
        map: &mut M,
        name: &FieldName,
        value: &T,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        map.serialize_key(name.written(cx))?;
        map.serialize_value(&Written::<Self, T>::new(value, cx))
    }

    /// Writes a field without presence, unless it holds its default.
    fn write_implicit<T, M: SerializeMap>(
        map: &mut M,
        name: &FieldName,
        value: &T,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        if Self::is_default(value) && !cx.emits_defaults() {
            return Ok(());
        }
        Self::write_field(map, name, value, cx)
    }

    /// Writes a field with presence, if it is set.
    fn write_optional<T, M: SerializeMap>(
        map: &mut M,
        name: &FieldName,
        value: &Option<T>,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        match value {
            Some(value) => Self::write_field(map, name, value, cx),
            None => Ok(()),
        }
    }

    /// Writes a repeated field, unless it is empty.
    fn write_repeated<T, M: SerializeMap>(
        map: &mut M,
        name: &FieldName,
        values: &[T],
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        if values.is_empty() && !cx.emits_defaults() {
            return Ok(());
        }
        map.serialize_key(name.written(cx))?;
        map.serialize_value(&WrittenList::<Self, T>(values, cx, PhantomData))
    }

    /// Writes a map field, unless it is empty.
    fn write_map<K: JsonKey, V, E: JsonMap<K, V>, M: SerializeMap>(
        map: &mut M,
        name: &FieldName,
        entries: &E,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<V>,
    {
        if entries.is_empty() && !cx.emits_defaults() {
            return Ok(());
        }
        map.serialize_key(name.written(cx))?;
        map.serialize_value(&WrittenMap::<Self, K, V, E>(entries, cx, PhantomData))
    }

    /// Reads a field that is always there: one without presence, or a required one.
    fn read_field<'de, T, M: MapAccess<'de>>(
        map: &mut M,
        value: &mut T,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        if let Some(read) = map.next_value_seed(Nullable::<Self, T>(cx, PhantomData))? {
            *value = read;
        }
        Ok(())
    }

    /// Reads a field with presence.
    fn read_optional<'de, T, M: MapAccess<'de>>(
        map: &mut M,
        value: &mut Option<T>,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        *value = map.next_value_seed(Nullable::<Self, T>(cx, PhantomData))?;
        Ok(())
    }

    /// Reads a member of a `oneof`; it is an error if another member was set before.
    fn read_oneof<'de, T, O, M: MapAccess<'de>>(
        map: &mut M,
        oneof: &mut Option<O>,
        member: impl FnOnce(T) -> O,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        let Some(read) = map.next_value_seed(Nullable::<Self, T>(cx, PhantomData))? else {
            return Ok(());
        };
        if oneof.is_some() {
            return Err(M::Error::custom("another member of the oneof is set too"));
        }
        *oneof = Some(member(read));
        Ok(())
    }

    /// Reads a repeated field.
    fn read_repeated<'de, T, M: MapAccess<'de>>(
        map: &mut M,
        values: &mut Vec<T>,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<T>,
    {
        let list = NullableSeed(ListSeed::<Self, T>(cx, PhantomData));
        if let Some(read) = map.next_value_seed(list)? {
            *values = read;
        }
        Ok(())
    }

    /// Reads a map field; it is an error if a key comes twice.
    fn read_map<'de, K: JsonKey, V, E: JsonMap<K, V>, M: MapAccess<'de>>(
        map: &mut M,
        entries: &mut E,
        cx: JsonContext<'_>,
    ) -> Result<(), M::Error>
    where
        Self: JsonKind<V>,
    {
        let seed = NullableSeed(MapSeed::<Self, K, V, E>(cx, PhantomData));
        if let Some(read) = map.next_value_seed(seed)? {
            *entries = read;
        }
        Ok(())
    }
}

impl<K> JsonField for K {}

/// A value that serde can write.
pub(super) struct Written<'a, K, T>(&'a T, JsonContext<'a>, PhantomData<K>);

impl<'a, K, T> Written<'a, K, T> {
    pub(super) fn new(value: &'a T, cx: JsonContext<'a>) -> Self {
        Self(value, cx, PhantomData)
    }
}

impl<K: JsonKind<T>, T> Serialize for Written<'_, K, T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        K::write(self.0, out, self.1)
    }
}

struct WrittenList<'a, K, T>(&'a [T], JsonContext<'a>, PhantomData<K>);

impl<K: JsonKind<T>, T> Serialize for WrittenList<'_, K, T> {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut list = out.serialize_seq(Some(self.0.len()))?;
        for value in self.0 {
            list.serialize_element(&Written::<K, T>(value, self.1, PhantomData))?;
        }
        list.end()
    }
}

struct WrittenMap<'a, K, Key, T, Entries>(&'a Entries, JsonContext<'a>, PhantomData<(K, Key, T)>);

impl<K, Key, T, Entries> Serialize for WrittenMap<'_, K, Key, T, Entries>
where
    K: JsonKind<T>,
    Key: JsonKey,
    Entries: JsonMap<Key, T>,
{
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(None)?;
        for (key, value) in self.0.entries() {
            key.write(&mut map)?;
            map.serialize_value(&Written::<K, T>(value, self.1, PhantomData))?;
        }
        map.end()
    }
}

/// Reads a value of a kind; `None` is `null` or an ignored enum name.
struct Nullable<'a, K, T>(JsonContext<'a>, PhantomData<(K, T)>);

impl<'de, K: JsonKind<T>, T> DeserializeSeed<'de> for Nullable<'_, K, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        if K::NULL_IS_VALUE {
            K::read(input, self.0)
        } else {
            input.deserialize_option(self)
        }
    }
}

impl<'de, K: JsonKind<T>, T> Visitor<'de> for Nullable<'_, K, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        K::read(input, self.0)
    }
}

/// Reads what another seed reads, or `null`.
struct NullableSeed<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for NullableSeed<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for NullableSeed<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value or null")
    }

    fn visit_none<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(input).map(Some)
    }
}

/// Reads an element of a list or the value of a map entry: `null` is for its kind to judge.
pub(super) struct Element<'a, K, T>(JsonContext<'a>, PhantomData<(K, T)>);

impl<'a, K, T> Element<'a, K, T> {
    pub(super) fn new(cx: JsonContext<'a>) -> Self {
        Self(cx, PhantomData)
    }
}

impl<'de, K: JsonKind<T>, T> DeserializeSeed<'de> for Element<'_, K, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<T>, D::Error> {
        K::read(input, self.0)
    }
}

struct ListSeed<'a, K, T>(JsonContext<'a>, PhantomData<(K, T)>);

impl<'de, K: JsonKind<T>, T> DeserializeSeed<'de> for ListSeed<'_, K, T> {
    type Value = Vec<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Vec<T>, D::Error> {
        input.deserialize_seq(self)
    }
}

impl<'de, K: JsonKind<T>, T> Visitor<'de> for ListSeed<'_, K, T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        // Nothing is reserved: the length that the input claims may be a lie.
        let mut values = Vec::new();
        while let Some(value) = list.next_element_seed(Element::<K, T>(self.0, PhantomData))? {
            values.extend(value);
        }
        Ok(values)
    }
}

struct MapSeed<'a, K, Key, T, Entries>(JsonContext<'a>, PhantomData<(K, Key, T, Entries)>);

impl<'de, K, Key, T, Entries> DeserializeSeed<'de> for MapSeed<'_, K, Key, T, Entries>
where
    K: JsonKind<T>,
    Key: JsonKey,
    Entries: JsonMap<Key, T>,
{
    type Value = Entries;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Entries, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, K, Key, T, Entries> Visitor<'de> for MapSeed<'_, K, Key, T, Entries>
where
    K: JsonKind<T>,
    Key: JsonKey,
    Entries: JsonMap<Key, T>,
{
    type Value = Entries;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
        let mut entries = Entries::default();
        while let Some(key) = map.next_key_seed(KeySeed::<Key>(PhantomData))? {
            let value = map.next_value_seed(Element::<K, T>(self.0, PhantomData))?;
            let Some(value) = value else { continue };
            if !entries.add(key, value) {
                return Err(A::Error::custom("a key appears twice"));
            }
        }
        Ok(entries)
    }
}

struct KeySeed<Key>(PhantomData<Key>);

impl<'de, Key: JsonKey> DeserializeSeed<'de> for KeySeed<Key> {
    type Value = Key;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Key, D::Error> {
        input.deserialize_str(self)
    }
}

impl<Key: JsonKey> Visitor<'_> for KeySeed<Key> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key of the map's key type")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Key, E> {
        Key::read(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

impl JsonKey for String {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_key(self)
    }

    fn read(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

impl JsonKey for bool {
    fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_key(if *self { "true" } else { "false" })
    }

    fn read(text: &str) -> Option<Self> {
        match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }
}

macro_rules! integer_key {
    ($($int:ty)*) => {$(
        impl JsonKey for $int {
            fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
                map.serialize_key(itoa::Buffer::new().format(*self))
            }

            fn read(text: &str) -> Option<Self> {
                Self::try_from(super::number::parse_integer(text)?).ok()
            }
        }
    )*};
}

integer_key!(i32 i64 u32 u64);

impl<K: Eq + Hash, V> JsonMap<K, V> for HashMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn entries<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.iter()
    }

    fn add(&mut self, key: K, value: V) -> bool {
        self.insert(key, value).is_none()
    }
}

impl<K: Ord, V> JsonMap<K, V> for BTreeMap<K, V> {
    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn entries<'a>(&'a self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        K: 'a,
        V: 'a,
    {
        self.iter()
    }

    fn add(&mut self, key: K, value: V) -> bool {
        self.insert(key, value).is_none()
    }
}
