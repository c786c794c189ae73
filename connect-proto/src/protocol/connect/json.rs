//! What stands on Connect's wire in JSON: errors, and the end of a stream.
//!
//! Connect, ["Error and EndStreamResponse"](https://connectrpc.com/docs/protocol#error-end-stream).

use std::fmt;

use base64::Engine;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor},
    ser::SerializeMap,
};
use serde_json::value::RawValue;

use crate::{
    Code, Error, ErrorDetail,
    metadata::{self, BASE64},
};

/// The body of a Connect unary error response.
pub(crate) fn encode_error(error: &Error) -> Bytes {
    to_json(&ErrorJson::from(error))
}

/// Reads the body of a Connect unary error response.
///
/// "Client implementations must use the HTTP-to-Connect mapping to infer a Connect error code if
/// Bare-Message is missing or malformed": `fallback` is that code. `None` for what is no error of Connect's.
pub(crate) fn decode_error(body: &[u8], fallback: Code) -> Option<Error> {
    let parsed: ErrorParsed<'_> = serde_json::from_slice(body).ok()?;
    let says_nothing =
        parsed.code().is_none() && parsed.message.is_none() && parsed.details.is_none();
    (!says_nothing).then(|| parsed.into_error(fallback))
}

/// The payload of an EndStreamResponse.
pub(crate) fn encode_end_stream(error: Option<&Error>, metadata: &HeaderMap) -> Bytes {
    to_json(&EndStreamJson {
        error: error.map(ErrorJson::from),
        metadata: MetadataJson(metadata),
    })
}

/// The metadata of an EndStreamResponse, and its error if the call failed.
///
/// # Errors
///
/// What is wrong with the JSON, in words.
pub(crate) fn decode_end_stream(
    payload: &[u8],
) -> Result<(HeaderMap, Option<Error>), serde_json::Error> {
    let parsed: EndStreamParsed<'_> = serde_json::from_slice(payload)?;
    // An error without a valid code is still an error: `unknown`, as no HTTP status says more.
    let error = parsed.error.map(|error| error.into_error(Code::Unknown));
    Ok((parsed.metadata.unwrap_or_default().0, error))
}

#[derive(Serialize)]
struct ErrorJson<'a> {
    code: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<DetailJson<'a>>,
}

#[derive(Deserialize)]
struct ErrorParsed<'a> {
    /// Anything may stand here; what is not the name of a code leaves the choice to the caller.
    #[serde(default, borrow)]
    code: Option<&'a RawValue>,
    #[serde(default)]
    message: Option<String>,
    #[serde(default, borrow, deserialize_with = "details")]
    details: Option<Vec<DetailJson<'a>>>,
}

#[derive(Deserialize, Serialize)]
struct DetailJson<'a> {
    #[serde(rename = "type", default)]
    type_name: String,
    #[serde(default)]
    value: String,
    #[serde(default, borrow, skip_serializing_if = "Option::is_none")]
    debug: Option<&'a RawValue>,
}

impl<'a> From<&'a Error> for ErrorJson<'a> {
    fn from(error: &'a Error) -> Self {
        Self {
            code: error.code().as_str(),
            message: error.message(),
            details: error.details().iter().map(DetailJson::from).collect(),
        }
    }
}

impl<'a> From<&'a ErrorDetail> for DetailJson<'a> {
    fn from(detail: &'a ErrorDetail) -> Self {
        Self {
            type_name: detail.type_name().to_owned(),
            value: BASE64.encode(detail.value()),
            // Text that is not JSON would break the whole body: `debug` is optional, so it is left out.
            debug: detail
                .debug_json()
                .and_then(|json| serde_json::from_str(json).ok()),
        }
    }
}

impl ErrorParsed<'_> {
    fn code(&self) -> Option<Code> {
        let name: String = serde_json::from_str(self.code?.get()).ok()?;
        name.parse().ok()
    }

    fn into_error(self, fallback: Code) -> Error {
        let code = self.code().unwrap_or(fallback);
        let mut error = Error::new(code, self.message.unwrap_or_default());
        for mut detail in self.details.unwrap_or_default() {
            // A detail whose value is not base64 cannot be read by anybody; code and message still stand.
            if let Ok(value) = BASE64.decode(&detail.value) {
                // Some senders write a type URL, as gRPC does.
                if let Some(slash) = detail.type_name.rfind('/') {
                    detail.type_name.drain(..=slash);
                }
                let mut parsed = ErrorDetail::new(detail.type_name, value);
                if let Some(debug) = detail.debug {
                    parsed = parsed.with_debug_json(debug.get());
                }
                error = error.add_detail(parsed);
            }
        }
        error
    }
}

/// At most [`MAX_DETAILS`](Error::MAX_DETAILS) details; further ones are read and left out.
fn details<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<DetailJson<'de>>>, D::Error> {
    struct Details;

    impl<'de> Visitor<'de> for Details {
        type Value = Option<Vec<DetailJson<'de>>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an array of details")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_seq(self)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut details = Vec::new();
            while details.len() < Error::MAX_DETAILS {
                match seq.next_element()? {
                    Some(detail) => details.push(detail),
                    None => return Ok(Some(details)),
                }
            }
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Some(details))
        }
    }

    deserializer.deserialize_option(Details)
}

#[derive(Serialize)]
struct EndStreamJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorJson<'a>>,
    #[serde(skip_serializing_if = "MetadataJson::is_empty")]
    metadata: MetadataJson<'a>,
}

#[derive(Deserialize)]
struct EndStreamParsed<'a> {
    #[serde(default, borrow)]
    error: Option<ErrorParsed<'a>>,
    #[serde(default)]
    metadata: Option<MetadataParsed>,
}

struct MetadataJson<'a>(&'a HeaderMap);

impl MetadataJson<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for MetadataJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for name in self.0.keys() {
            let values: Vec<_> = self
                .0
                .get_all(name)
                .iter()
                // Text metadata is ASCII, and JSON has no place for bytes that are no text: what is not UTF-8 in them
                // arrives as U+FFFD, as connect-go has it, rather than not at all.
                .map(|value| String::from_utf8_lossy(value.as_bytes()))
                .collect();
            map.serialize_entry(name.as_str(), &values)?;
        }
        map.end()
    }
}

#[derive(Default)]
struct MetadataParsed(HeaderMap);

impl<'de> Deserialize<'de> for MetadataParsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = HeaderMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of arrays of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<HeaderMap, A::Error> {
                let mut metadata = HeaderMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    let name = HeaderName::from_bytes(name.as_bytes()).ok();
                    map.next_value_seed(Values {
                        name,
                        metadata: &mut metadata,
                    })?;
                }
                Ok(metadata)
            }
        }

        deserializer.deserialize_map(Entries).map(Self)
    }
}

/// The values of one name, put into the map as they come: an array of many short strings costs no more than it has to.
struct Values<'a> {
    /// None for a name that cannot stand in a header: its values are no metadata.
    name: Option<HeaderName>,
    metadata: &'a mut HeaderMap,
}

impl<'de> DeserializeSeed<'de> for Values<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Values<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while let Some(value) = seq.next_element::<String>()? {
            if self.metadata.len() >= metadata::MAX_FIELDS {
                return Err(serde::de::Error::custom("there is too much metadata"));
            }
            if let (Some(name), Ok(value)) = (&self.name, HeaderValue::from_bytes(value.as_bytes()))
            {
                let _ = self.metadata.try_append(name.clone(), value);
            }
        }
        Ok(())
    }
}

fn to_json(value: &impl Serialize) -> Bytes {
    // Strings, arrays and objects with string keys always serialise; if not, an error is right in both places.
    const FAILED: &[u8] = br#"{"code":"internal","error":{"code":"internal"}}"#;
    serde_json::to_vec(value).map_or_else(|_| Bytes::from_static(FAILED), Bytes::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connect, "Error and EndStreamResponse": the shape of an error.
    #[test]
    fn error_round_trips() {
        let error = Error::unavailable("overloaded: back off and retry").add_detail(
            ErrorDetail::new("google.rpc.RetryInfo", &b"\x0a\x02\x08\x3c"[..])
                .with_debug_json(r#"{"retryDelay":"30s"}"#),
        );
        let json = encode_error(&error);
        assert_eq!(
            json,
            concat!(
                r#"{"code":"unavailable","message":"overloaded: back off and retry","#,
                r#""details":[{"type":"google.rpc.RetryInfo","value":"CgIIPA","#,
                r#""debug":{"retryDelay":"30s"}}]}"#
            )
        );
        assert_eq!(decode_error(&json, Code::Unknown), Some(error));
        assert_eq!(encode_error(&Error::internal("")), r#"{"code":"internal"}"#);
    }

    #[test]
    fn debug_that_is_not_json_is_left_out() {
        let detail = ErrorDetail::new("a.B", Bytes::new()).with_debug_json("{oops");
        let json = encode_error(&Error::internal("").add_detail(detail));
        assert_eq!(
            json,
            r#"{"code":"internal","details":[{"type":"a.B","value":""}]}"#
        );
    }

    /// Connect, "Unary-Response": a malformed error falls back to the HTTP status.
    #[test]
    fn malformed_errors_fall_back() {
        let fallback = Code::Unavailable;
        for (body, expected) in [
            (r#"{"message":"oops"}"#, Some((fallback, "oops"))),
            (
                r#"{"code":null,"message":"oops"}"#,
                Some((fallback, "oops")),
            ),
            (r#"{"code":"nonsense"}"#, None),
            (r#"{"code":7,"message":""}"#, Some((fallback, ""))),
            (r#"{"code":7}"#, None),
            (r#"{"code":[0,{"a":[]}]}"#, None),
            (r#"{"code":{"a":1.5}}"#, None),
            (
                r#"{"code":"aborted","details":[{}]}"#,
                Some((Code::Aborted, "")),
            ),
            (
                r#"{"code":"aborted","message":null,"details":null,"x":[[]]}"#,
                Some((Code::Aborted, "")),
            ),
            (
                r#"{"code":"aborted","details":[{"type":"a.B","value":"!"}]}"#,
                Some((Code::Aborted, "")),
            ),
            ("null", None),
            ("{}", None),
            ("", None),
            ("{", None),
            (r#"{"message":7}"#, None),
        ] {
            let actual = decode_error(body.as_bytes(), fallback);
            let actual = actual.as_ref().map(|e| (e.code(), e.message()));
            assert_eq!(actual, expected, "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(
            decode_error(format!("{{\"x\":{deep}").as_bytes(), fallback),
            None
        );
    }

    /// Connect, "Error and EndStreamResponse": the end of a stream.
    #[test]
    fn end_stream_round_trips() {
        let mut metadata = HeaderMap::new();
        metadata.append("acme-cost", HeaderValue::from_static("237"));
        metadata.append("acme-cost", HeaderValue::from_static("238"));
        let error = Error::aborted("try again");
        let json = encode_end_stream(Some(&error), &metadata);
        assert_eq!(
            json,
            r#"{"error":{"code":"aborted","message":"try again"},"metadata":{"acme-cost":["237","238"]}}"#
        );
        assert_eq!(decode_end_stream(&json).unwrap(), (metadata, Some(error)));
        assert_eq!(encode_end_stream(None, &HeaderMap::new()), "{}");
    }

    #[test]
    fn end_stream_from_the_peer_cannot_break_the_map() {
        let (metadata, error) =
            decode_end_stream(br#"{"error":null,"metadata":{"bad name":["x"],"ok":["a\nb","c"]}}"#)
                .unwrap();
        assert_eq!(metadata.len(), 1);
        assert_eq!(metadata["ok"], "c");
        assert!(error.is_none());

        let many: Vec<String> = (0..40_000).map(|i| format!("\"k{i}\":[\"v\"]")).collect();
        let json = format!("{{\"metadata\":{{{}}}}}", many.join(","));
        assert!(decode_end_stream(json.as_bytes()).is_err());
        let json = format!(
            "{{\"metadata\":{{\"k\":[{}]}}}}",
            vec!["\"\""; 40_000].join(",")
        );
        assert!(decode_end_stream(json.as_bytes()).is_err());

        assert!(decode_end_stream(b"null").is_err());
        assert!(decode_end_stream(br#"{"metadata":{"k":"v"}}"#).is_err());
    }
}
