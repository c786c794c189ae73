//! Metadata: helpers on [`http::HeaderMap`].
//!
//! Metadata is a plain [`HeaderMap`], in all three protocols and in both directions. The rules that the map
//! does not know are these:
//!
//! - Names are `0-9 a-z _ - .`; text values are printable ASCII. Everything else goes into a *binary*
//!   value, whose name ends in `-bin`: [`insert_binary`], [`append_binary`], [`get_binary`],
//!   [`get_all_binary`]. Text that is not ASCII is sent as it is, but not every peer or proxy takes it; in the trailing
//!   metadata of Connect's streams, which is JSON, bytes that are not UTF-8 become U+FFFD.
//! - Names for which [`is_reserved`] holds belong to HTTP or to a protocol. They are left out when user
//!   metadata is sent.
//! - At most 8,192 names are sent; what a map has past that is left out. (A [`HeaderMap`] itself ends at some
//!   24,000 names, and panics there unless its `try_` methods are used.)
//!
//! ```
//! use connect_proto::metadata;
//! use http::HeaderMap;
//!
//! let mut headers = HeaderMap::new();
//! headers.insert("tenant", "acme".parse()?);
//! metadata::insert_binary(&mut headers, "trace-bin", b"\x00\xff")?;
//! assert_eq!(headers["trace-bin"], "AP8");
//! assert_eq!(metadata::get_binary(&headers, "trace-bin")?.unwrap(), b"\x00\xff".as_slice());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::{borrow::Cow, fmt};

use base64::{
    Engine,
    engine::{
        DecodePaddingMode,
        general_purpose::{GeneralPurpose, GeneralPurposeConfig},
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};

/// Room for the fields that a protocol and HTTP write into almost any head: with one more the map would have twice the room, and
/// its entries would be too large for what allocators keep at hand.
pub(crate) const HEAD_FIELDS: usize = 6;

/// Metadata as it may stand in a log: its `Debug` shows names and no value, since values may be tokens and cookies. So the
/// types of these crates that hold metadata show it.
///
/// ```
/// # use connect_proto::metadata::Names;
/// let mut headers = http::HeaderMap::new();
/// headers.insert("authorization", "Bearer secret".parse()?);
/// assert_eq!(format!("{:?}", Names(&headers)), r#"["authorization"]"#);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Names<'a>(pub &'a HeaderMap);

impl fmt::Debug for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Why metadata cannot be put into a map, or read from it.
///
/// As an [`Error`](crate::Error), by `?`, it is `invalid_argument` for what a peer sent ([`NotBase64`](Self::NotBase64)) and
/// `internal` for all others, where the program is at fault.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetadataError {
    /// The name cannot stand in HTTP.
    #[error("a metadata name holds characters that HTTP does not allow")]
    Name,
    /// The value of this name cannot stand in HTTP.
    #[error("the value of {:?} holds characters that HTTP does not allow", .0.as_str())]
    Value(HeaderName),
    /// Binary metadata needs a valid name that ends in `-bin`.
    #[error("binary metadata needs a valid header name that ends in \"-bin\"")]
    NotBinary,
    /// A binary value is not base64.
    #[error("binary metadata is not valid base64")]
    NotBase64,
    /// The map takes no more names.
    #[error("there is too much metadata")]
    Full,
}

/// Adds a text value to those that the metadata of this name has.
///
/// # Errors
///
/// When name or value cannot stand in HTTP, or the map is full.
pub fn append<N, V>(map: &mut HeaderMap, name: N, value: V) -> Result<(), MetadataError>
where
    N: TryInto<HeaderName>,
    V: TryInto<HeaderValue>,
{
    let Ok(name) = name.try_into() else {
        return Err(MetadataError::Name);
    };
    let Ok(value) = value.try_into() else {
        return Err(MetadataError::Value(name));
    };
    map.try_append(name, value)
        .map_err(|_| MetadataError::Full)?;
    Ok(())
}

/// The value of a `-bin` header for these bytes: base64 without padding.
///
/// gRPC, "Requests": implementations "MUST accept padded and un-padded values and should emit un-padded
/// values". Connect, "Unary-Request", says the same.
#[must_use]
pub fn encode_binary(value: &[u8]) -> HeaderValue {
    // Base64 has only characters that a header may have, so the fallback is never taken.
    HeaderValue::try_from(BASE64.encode(value)).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// The bytes in the value of a `-bin` header, padded or not.
///
/// There can be several: gRPC, "Requests": "Implementations must split Binary-Headers on "," before
/// decoding the Base64-encoded values". An empty part is an empty value.
///
/// # Errors
///
/// [`MetadataError::NotBase64`] when a part is not base64.
pub fn decode_binary(value: &HeaderValue) -> Result<Vec<Bytes>, MetadataError> {
    binary_parts(value).collect()
}

/// Sets the metadata of this name to one binary value.
///
/// # Errors
///
/// When `name` is not a header name that ends in `-bin`, or the map is full.
pub fn insert_binary<N>(map: &mut HeaderMap, name: N, value: &[u8]) -> Result<(), MetadataError>
where
    N: TryInto<HeaderName>,
{
    let name = binary_name(name)?;
    map.try_insert(name, encode_binary(value))
        .map_err(|_| MetadataError::Full)?;
    Ok(())
}

/// Adds a binary value to those that the metadata of this name has.
///
/// # Errors
///
/// As [`insert_binary`].
pub fn append_binary<N>(map: &mut HeaderMap, name: N, value: &[u8]) -> Result<(), MetadataError>
where
    N: TryInto<HeaderName>,
{
    let name = binary_name(name)?;
    map.try_append(name, encode_binary(value))
        .map_err(|_| MetadataError::Full)?;
    Ok(())
}

/// The first binary value of this name.
///
/// # Errors
///
/// When `name` is not a header name that ends in `-bin`, or the value is not base64.
pub fn get_binary<N>(map: &HeaderMap, name: N) -> Result<Option<Bytes>, MetadataError>
where
    N: TryInto<HeaderName>,
{
    let name = binary_name(name)?;
    map.get(name)
        .and_then(|value| binary_parts(value).next())
        .transpose()
}

/// All binary values of this name, in order.
///
/// # Errors
///
/// As [`get_binary`].
pub fn get_all_binary<N>(map: &HeaderMap, name: N) -> Result<Vec<Bytes>, MetadataError>
where
    N: TryInto<HeaderName>,
{
    let name = binary_name(name)?;
    map.get_all(name).iter().flat_map(binary_parts).collect()
}

/// The value of a header that has one: of several fields the list that they are together, which no reader of one value takes
/// (RFC 9110, section 5.3). What is said again is said once.
#[inline]
pub(crate) fn single<'a>(map: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, HeaderValue>> {
    let first = map.get(name)?;
    match map.len() == map.keys_len() {
        // No name has several.
        true => Some(Cow::Borrowed(first)),
        false => Some(list(map, name, first)),
    }
}

#[cold]
fn list<'a>(map: &'a HeaderMap, name: &HeaderName, first: &'a HeaderValue) -> Cow<'a, HeaderValue> {
    if map.get_all(name).iter().all(|field| field == first) {
        return Cow::Borrowed(first);
    }
    let fields = map.get_all(name).iter().map(HeaderValue::as_bytes);
    let fields: Vec<_> = fields.collect();
    // What is joined are values.
    let list = HeaderValue::from_maybe_shared(Bytes::from(fields.join(&b", "[..])));
    list.map_or(Cow::Borrowed(first), Cow::Owned)
}

/// Takes the value of a header out of a map, as [`single`] reads it.
#[inline]
pub(crate) fn take_single(map: &mut HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    if map.len() == map.keys_len() {
        return map.remove(name);
    }
    let value = single(map, name).map(Cow::into_owned);
    map.remove(name);
    value
}

/// Whether a name belongs to HTTP or to one of the three protocols, and so cannot be user metadata.
///
/// That is what describes the body or the connection (`content-type`, `content-length`, `te`, `host` …)
/// and every name that starts with `connect-` or `grpc-`, which Connect ("Unary-Request") and gRPC
/// ("Requests") keep for themselves. Free are the four of those that gRPC's own tracing and retries
/// carry as metadata: `grpc-trace-bin`, `grpc-tags-bin`, `grpc-previous-rpc-attempts` and
/// `grpc-retry-pushback-ms`; and `user-agent`, which a user may choose.
#[must_use]
pub fn is_reserved(name: &HeaderName) -> bool {
    const OF_HTTP: [HeaderName; 12] = [
        header::ACCEPT_ENCODING,
        header::CONNECTION,
        header::CONTENT_ENCODING,
        header::CONTENT_LENGTH,
        header::CONTENT_TYPE,
        header::EXPECT,
        header::HOST,
        header::TE,
        header::TRAILER,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        HeaderName::from_static("keep-alive"),
    ];
    const FREE: [&str; 4] = [
        "grpc-previous-rpc-attempts",
        "grpc-retry-pushback-ms",
        "grpc-tags-bin",
        "grpc-trace-bin",
    ];

    let text = name.as_str();
    match text.as_bytes() {
        [b'c', b'o', b'n', b'n', b'e', b'c', b't', b'-', ..] => true,
        [b'g', b'r', b'p', b'c', b'-', ..] => !FREE.contains(&text),
        _ => OF_HTTP.contains(name) || text == "proxy-connection",
    }
}

/// Adds user metadata to a head or to trailers; reserved names are left out.
///
/// It leaves room in the map: the protocol's own headers can be inserted afterwards without a panic.
pub(crate) fn append_custom(to: &mut HeaderMap, from: HeaderMap) {
    for_each(from, |name, value| {
        if !is_reserved(name) && to.keys_len() < MAX_FIELDS {
            let _ = to.try_append(name, value);
        }
    });
}

/// Adds all values of one name in the same way.
pub(crate) fn append_custom_values<'a>(
    to: &mut HeaderMap,
    name: &HeaderName,
    values: impl IntoIterator<Item = &'a HeaderValue>,
) {
    if is_reserved(name) || to.keys_len() >= MAX_FIELDS {
        return;
    }
    for value in values {
        let _ = to.try_append(name, value.clone());
    }
}

/// Adds leading metadata to the head of a Connect unary response, where a name with the prefix of trailers would
/// arrive as one.
pub(crate) fn append_unary_leading(to: &mut HeaderMap, mut leading: HeaderMap) {
    let prefixed = |name: &HeaderName| name.as_str().starts_with(PREFIX);
    if leading.keys().any(prefixed) {
        let names: Vec<_> = leading
            .keys()
            .filter(|name| prefixed(name))
            .cloned()
            .collect();
        for name in names {
            leading.remove(name);
        }
    }
    append_custom(to, leading);
}

/// Adds trailing metadata to a head, as Connect's unary responses carry it.
///
/// Connect, "Unary-Response": "Implementations must transparently prefix trailing metadata keys with
/// "trailer-" when writing data to the wire and strip the prefix when reading".
pub(crate) fn append_trailers_prefixed(to: &mut HeaderMap, trailers: HeaderMap) {
    for_each(trailers, |name, value| {
        if is_reserved(name) || to.keys_len() >= MAX_FIELDS {
            return;
        }
        // Prefixed, a name can pass the length that http allows.
        if let Ok(prefixed) = HeaderName::try_from(format!("{PREFIX}{name}")) {
            let _ = to.try_append(prefixed, value);
        }
    });
}

/// Leading and trailing metadata of a Connect unary response; the inverse of
/// [`append_trailers_prefixed`].
pub(crate) fn split_prefixed(headers: HeaderMap) -> (HeaderMap, HeaderMap) {
    let mut trailing = HeaderMap::new();
    if headers.keys().all(|name| unprefixed(name).is_none()) {
        return (headers, trailing);
    }
    let mut leading = HeaderMap::new();
    for_each(headers, |name, value| {
        let _ = match unprefixed(name) {
            Some(stripped) => trailing.try_append(stripped, value),
            None => leading.try_append(name, value),
        };
    });
    (leading, trailing)
}

/// Adds metadata as it is; a full map takes no more.
pub(crate) fn append_all(to: &mut HeaderMap, from: HeaderMap) {
    for_each(from, |name, value| {
        let _ = to.try_append(name, value);
    });
}

/// How many bytes these fields have as HTTP/2's limits count them: names and values, and 32 bytes for each (RFC 9113,
/// section 6.5.2).
#[must_use]
pub fn list_size(map: &HeaderMap) -> usize {
    let sizes = map.iter().map(|(name, value)| field_size(name, value));
    sizes.sum()
}

/// The same of one field.
pub(crate) fn field_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 32
}

/// Names in a head or in trailers up to which user metadata is added: a third of what `http` takes, so that
/// trailers fit a head, too.
pub(crate) const MAX_FIELDS: usize = 8_192;

const PREFIX: &str = "trailer-";

/// Written without padding, read with or without it. Trailing bits that no byte needs are ignored, as peers do.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

fn binary_parts(value: &HeaderValue) -> impl Iterator<Item = Result<Bytes, MetadataError>> {
    value.as_bytes().split(|&byte| byte == b',').map(|part| {
        BASE64
            .decode(part.trim_ascii())
            .map(Bytes::from)
            .map_err(|_| MetadataError::NotBase64)
    })
}

fn binary_name<N: TryInto<HeaderName>>(name: N) -> Result<HeaderName, MetadataError> {
    name.try_into()
        .ok()
        .filter(|name| name.as_str().ends_with("-bin"))
        .ok_or(MetadataError::NotBinary)
}

/// The name without `trailer-`, when that leaves a name.
fn unprefixed(name: &HeaderName) -> Option<HeaderName> {
    let stripped = name.as_str().strip_prefix(PREFIX)?;
    HeaderName::try_from(stripped).ok()
}

/// Each value with its name; the map's own iterator names only the first of several.
fn for_each(map: HeaderMap, mut f: impl FnMut(&HeaderName, HeaderValue)) {
    let mut current = None;
    for (name, value) in map {
        current = name.or(current);
        if let Some(name) = &current {
            f(name, value);
        }
    }
}

#[cfg(test)]
mod tests;
