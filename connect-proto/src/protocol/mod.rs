//! The three protocols, and how a request or response says which one it speaks.
//!
//! One file a protocol holds what stands on its wire, written and read side by side.

pub(crate) mod connect;
pub(crate) mod get;
pub(crate) mod grpc;
pub(crate) mod grpc_web;

use std::{borrow::Cow, fmt};

use http::{
    HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING},
};

use crate::{Error, excerpt::excerpt};

/// An RPC protocol.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Protocol {
    /// [The Connect protocol](https://connectrpc.com/docs/protocol), on any version of HTTP.
    Connect,
    /// [gRPC over HTTP/2](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
    Grpc,
    /// [gRPC-Web](https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md), on any version of HTTP.
    GrpcWeb,
}

impl Protocol {
    /// All three, for tables and tests.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Grpc, Self::GrpcWeb];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "Connect",
            Self::Grpc => "gRPC",
            Self::GrpcWeb => "gRPC-Web",
        })
    }
}

/// Connect's encoding of enveloped messages; unary calls use plain `content-encoding`.
pub(crate) const CONNECT_CONTENT_ENCODING: HeaderName =
    HeaderName::from_static("connect-content-encoding");
pub(crate) const CONNECT_ACCEPT_ENCODING: HeaderName =
    HeaderName::from_static("connect-accept-encoding");
pub(crate) const CONNECT_TIMEOUT_MS: HeaderName = HeaderName::from_static("connect-timeout-ms");
pub(crate) const CONNECT_PROTOCOL_VERSION: HeaderName =
    HeaderName::from_static("connect-protocol-version");
pub(crate) const GRPC_ENCODING: HeaderName = HeaderName::from_static("grpc-encoding");
pub(crate) const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
pub(crate) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// How messages stand on the wire: the closed set that the machines match on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    /// The body is the one message, in a POST or a response.
    ConnectUnary,
    /// The one message is in the query of a GET; responses are those of `ConnectUnary`.
    ConnectGet,
    ConnectStream,
    Grpc,
    GrpcWeb,
    /// gRPC-Web with a body of base64.
    GrpcWebText,
}

impl Wire {
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::ConnectUnary | Self::ConnectGet | Self::ConnectStream => Protocol::Connect,
            Self::Grpc => Protocol::Grpc,
            Self::GrpcWeb | Self::GrpcWebText => Protocol::GrpcWeb,
        }
    }

    /// Whether the body is a sequence of envelopes.
    pub(crate) const fn is_enveloped(self) -> bool {
        !matches!(self, Self::ConnectUnary | Self::ConnectGet)
    }

    const fn content_type_prefix(self) -> &'static str {
        match self {
            Self::ConnectUnary | Self::ConnectGet => "application/",
            Self::ConnectStream => "application/connect+",
            Self::Grpc => "application/grpc+",
            Self::GrpcWeb => "application/grpc-web+",
            Self::GrpcWebText => "application/grpc-web-text+",
        }
    }

    /// The header that names the compression of this body's messages.
    pub(crate) const fn encoding_header(self) -> HeaderName {
        match self {
            Self::ConnectUnary | Self::ConnectGet => CONTENT_ENCODING,
            Self::ConnectStream => CONNECT_CONTENT_ENCODING,
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => GRPC_ENCODING,
        }
    }

    /// The header that lists the compressions that the sender accepts.
    pub(crate) const fn accept_encoding_header(self) -> HeaderName {
        match self {
            Self::ConnectUnary | Self::ConnectGet => ACCEPT_ENCODING,
            Self::ConnectStream => CONNECT_ACCEPT_ENCODING,
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => GRPC_ACCEPT_ENCODING,
        }
    }

    /// The header that carries the timeout.
    pub(crate) const fn timeout_header(self) -> HeaderName {
        match self.protocol() {
            Protocol::Connect => CONNECT_TIMEOUT_MS,
            Protocol::Grpc | Protocol::GrpcWeb => GRPC_TIMEOUT,
        }
    }
}

/// The wire and the codec: all that a content type says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Dialect {
    pub(crate) wire: Wire,
    pub(crate) codec: Cow<'static, str>,
}

impl Dialect {
    /// Reads a content type, of a request or of a response; `None` if no protocol here uses it.
    ///
    /// Connect, "Unary-Content-Type" and "Streaming-Content-Type"; gRPC and gRPC-Web, "Content-Type".
    /// Names compare without case; the only parameter that matters is `charset`, which must be UTF-8.
    pub(crate) fn from_content_type(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
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

    /// The content type of bodies in this dialect.
    pub(crate) fn content_type(&self) -> Result<HeaderValue, Error> {
        let known = match (self.wire, &*self.codec) {
            (Wire::ConnectUnary | Wire::ConnectGet, "proto") => "application/proto",
            (Wire::ConnectUnary | Wire::ConnectGet, "json") => "application/json",
            (Wire::ConnectStream, "proto") => "application/connect+proto",
            (Wire::ConnectStream, "json") => "application/connect+json",
            (Wire::Grpc, "proto") => "application/grpc+proto",
            (Wire::Grpc, "json") => "application/grpc+json",
            (Wire::GrpcWeb, "proto") => "application/grpc-web+proto",
            (Wire::GrpcWeb, "json") => "application/grpc-web+json",
            (wire, codec) => {
                return header_value(&format!("{}{codec}", wire.content_type_prefix()));
            }
        };
        Ok(HeaderValue::from_static(known))
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.wire.protocol()
    }
}

/// Whether a codec can have this name: one or more characters of a media subtype (RFC 6838, section 4.2) that make
/// `application/<name>` the content type of a Connect unary call, and of no other protocol or kind of call. Names compare
/// without case.
#[must_use]
pub fn is_codec_name(name: &str) -> bool {
    let content_type = HeaderValue::try_from(format!("application/{name}")).ok();
    let read = content_type.and_then(|value| Dialect::from_content_type(&value));
    read.is_some_and(|read| {
        read.wire == Wire::ConnectUnary && read.codec.eq_ignore_ascii_case(name)
    })
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

/// A value that came from a name which was checked or is part of the program.
pub(crate) fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::internal(format!("{} cannot stand in an HTTP header", excerpt(text))))
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
            let dialect = Dialect::from_content_type(&HeaderValue::from_static(text));
            let actual = dialect.as_ref().map(|d| (d.wire, &*d.codec));
            assert_eq!(actual, expected, "{text:?}");
        }
        let opaque = HeaderValue::from_bytes(b"application/\xff").unwrap();
        assert_eq!(Dialect::from_content_type(&opaque), None);
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
                let dialect = Dialect::new(wire, codec).unwrap();
                let value = dialect.content_type().unwrap();
                assert_eq!(Dialect::from_content_type(&value), Some(dialect));
            }
        }
    }
}
