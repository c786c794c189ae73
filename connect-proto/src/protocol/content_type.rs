//! The content type of a body, read and written: it tells the protocol, the framing and the codec.

use std::borrow::Cow;

use http::HeaderValue;

use super::{Wire, header_value};
use crate::Error;

/// What a content type says: how messages stand on the wire, and in which codec.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct ContentType {
    pub(crate) wire: Wire,
    pub(crate) codec: Cow<'static, str>,
}

impl ContentType {
    /// Reads a content type, of a request or of a response; `None` if no protocol here uses it.
    ///
    /// Connect, "Unary-Content-Type" and "Streaming-Content-Type"; gRPC and gRPC-Web, "Content-Type".
    /// Names compare without case; the only parameter that matters is `charset`, which must be UTF-8.
    pub(crate) fn from_header(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        // Several are none, whatever the parameters of the first.
        if text.contains(',') {
            return None;
        }
        let (media_type, parameters) = text.split_once(';').unwrap_or((text, ""));
        if !charset_is_utf8(parameters) {
            return None;
        }
        let media_type = media_type.trim();
        let subtype = strip_prefix_ignore_case(media_type, "application/")?;
        for (prefix, wire) in [
            ("grpc-web-text", Wire::GrpcWebText),
            ("grpc-web", Wire::GrpcWeb),
            ("grpc", Wire::Grpc),
        ] {
            if let Some(rest) = strip_prefix_ignore_case(subtype, prefix) {
                // Without a suffix, the codec is Protobuf.
                if rest.is_empty() {
                    return Self::new(wire, "proto");
                }
                if let Some(codec) = rest.strip_prefix('+') {
                    return Self::new(wire, codec);
                }
            }
        }
        if let Some(codec) = strip_prefix_ignore_case(subtype, "connect+") {
            return Self::new(Wire::ConnectStream, codec);
        }
        Self::new(Wire::ConnectUnary, subtype)
    }

    /// `None` if the codec's name is not one that a content type can carry.
    pub(crate) fn new(wire: Wire, codec: &str) -> Option<Self> {
        let codec = intern_codec(codec)?;
        Some(Self { wire, codec })
    }

    /// The header's value.
    pub(crate) fn to_header(&self) -> Result<HeaderValue, Error> {
        let known = match (self.wire, &*self.codec) {
            (Wire::ConnectUnary, "proto") => "application/proto",
            (Wire::ConnectUnary, "json") => "application/json",
            (Wire::ConnectStream, "proto") => "application/connect+proto",
            (Wire::ConnectStream, "json") => "application/connect+json",
            (Wire::Grpc, "proto") => "application/grpc+proto",
            (Wire::Grpc, "json") => "application/grpc+json",
            (Wire::GrpcWeb, "proto") => "application/grpc-web+proto",
            (Wire::GrpcWeb, "json") => "application/grpc-web+json",
            (wire, codec) => {
                return header_value(&format!("{}{codec}", prefix(wire)));
            }
        };
        Ok(HeaderValue::from_static(known))
    }
}

/// Whether a codec can have this name: one or more characters of a media subtype (RFC 6838, section 4.2) that make
/// `application/<name>` the content type of a Connect unary call, and of no other protocol or kind of call. Names compare
/// without case.
#[must_use]
pub fn is_codec_name(name: &str) -> bool {
    let content_type = HeaderValue::try_from(format!("application/{name}")).ok();
    let read = content_type.and_then(|value| ContentType::from_header(&value));
    read.is_some_and(|read| {
        read.wire == Wire::ConnectUnary && read.codec.eq_ignore_ascii_case(name)
    })
}

/// What stands before the codec's name.
const fn prefix(wire: Wire) -> &'static str {
    match wire {
        Wire::ConnectUnary => "application/",
        Wire::ConnectStream => "application/connect+",
        Wire::Grpc => "application/grpc+",
        Wire::GrpcWeb => "application/grpc-web+",
        Wire::GrpcWebText => "application/grpc-web-text+",
    }
}

/// A codec's name in lower case; borrowed for the two that almost every call uses.
fn intern_codec(name: &str) -> Option<Cow<'static, str>> {
    if name.eq_ignore_ascii_case("proto") {
        Some(Cow::Borrowed("proto"))
    } else if name.eq_ignore_ascii_case("json") {
        Some(Cow::Borrowed("json"))
    } else if !name.is_empty() && name.bytes().all(is_subtype_byte) {
        Some(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        None
    }
}

/// RFC 6838 section 4.2, "restricted-name-chars".
const fn is_subtype_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'&' | b'-' | b'^' | b'_' | b'.' | b'+'
        )
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let head = text.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix)
        .then(|| &text[prefix.len()..])
}

fn charset_is_utf8(parameters: &str) -> bool {
    parameters.split(';').all(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        !name.trim().eq_ignore_ascii_case("charset")
            || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Connect, "Unary-Content-Type", "Streaming-Content-Type"; gRPC, "Content-Type"; gRPC-Web, "Content-Type".
    #[test]
    fn content_types() {
        let table = [
            ("application/proto", Some((Wire::ConnectUnary, "proto"))),
            ("application/json", Some((Wire::ConnectUnary, "json"))),
            (
                "Application/JSON; charset=UTF-8",
                Some((Wire::ConnectUnary, "json")),
            ),
            (
                "application/json;charset=\"utf-8\";q=1",
                Some((Wire::ConnectUnary, "json")),
            ),
            ("application/json; charset=latin1", None),
            ("application/cbor", Some((Wire::ConnectUnary, "cbor"))),
            (
                "application/connect+proto",
                Some((Wire::ConnectStream, "proto")),
            ),
            (
                "application/connect+Cbor",
                Some((Wire::ConnectStream, "cbor")),
            ),
            ("application/connect+", None),
            ("application/grpc", Some((Wire::Grpc, "proto"))),
            ("application/grpc+json", Some((Wire::Grpc, "json"))),
            ("application/grpc+", None),
            ("application/grpc-web", Some((Wire::GrpcWeb, "proto"))),
            ("application/grpc-web+json", Some((Wire::GrpcWeb, "json"))),
            (
                "application/grpc-web-text",
                Some((Wire::GrpcWebText, "proto")),
            ),
            (
                "application/grpc-web-text+proto",
                Some((Wire::GrpcWebText, "proto")),
            ),
            ("image/jpeg", None),
            ("application/", None),
            ("application/a b", None),
            ("", None),
        ];
        for (text, expected) in table {
            let content_type = ContentType::from_header(&HeaderValue::from_static(text));
            let actual = content_type.as_ref().map(|read| (read.wire, &*read.codec));
            assert_eq!(actual, expected, "{text:?}");
        }
        let opaque = HeaderValue::from_bytes(b"application/\xff").unwrap();
        assert_eq!(ContentType::from_header(&opaque), None);
    }

    #[test]
    fn content_type_round_trips() {
        for wire in [
            Wire::ConnectUnary,
            Wire::ConnectStream,
            Wire::Grpc,
            Wire::GrpcWeb,
            Wire::GrpcWebText,
        ] {
            for codec in ["proto", "json", "cbor"] {
                let content_type = ContentType::new(wire, codec).unwrap();
                let value = content_type.to_header().unwrap();
                assert_eq!(ContentType::from_header(&value), Some(content_type));
            }
        }
    }
}
