//! The three protocols: what each says in heads, trailers and bodies, written and read side by side.
//!
//! `connect/`, `grpc.rs` and `grpc_web.rs` answer "how does this protocol say that?". Here is what the machines match on,
//! and the way from there to the protocol's own file.

pub(crate) mod connect;
mod content_type;
pub(crate) mod grpc;
pub(crate) mod grpc_web;

use std::{fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

pub(crate) use content_type::ContentType;
pub use content_type::is_codec_name;

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

/// How messages stand on the wire: the closed set that the machines match on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Wire {
    /// The body is the one message; that of a GET is in its query.
    ConnectUnary,
    ConnectStream,
    Grpc,
    GrpcWeb,
    /// gRPC-Web with a body of base64.
    GrpcWebText,
}

/// What the body of a response holds, as its head tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum ResponseBody {
    Messages,
    /// Connect's error of a unary call, in JSON.
    ErrorJson,
    /// Nothing of the protocol: HTTP's status is the error.
    NotRpc,
}

impl Wire {
    pub(crate) const fn protocol(self) -> Protocol {
        match self {
            Self::ConnectUnary | Self::ConnectStream => Protocol::Connect,
            Self::Grpc => Protocol::Grpc,
            Self::GrpcWeb | Self::GrpcWebText => Protocol::GrpcWeb,
        }
    }

    /// Whether the body is a sequence of envelopes.
    pub(crate) const fn is_enveloped(self) -> bool {
        !matches!(self, Self::ConnectUnary)
    }

    /// The header that names the compression of this body's messages.
    pub(crate) const fn encoding_header(self) -> HeaderName {
        match self {
            Self::ConnectUnary => header::CONTENT_ENCODING,
            Self::ConnectStream => connect::STREAM_ENCODING,
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => grpc::ENCODING,
        }
    }

    /// The header that lists the compressions that the sender accepts.
    pub(crate) const fn accept_encoding_header(self) -> HeaderName {
        match self {
            Self::ConnectUnary => header::ACCEPT_ENCODING,
            Self::ConnectStream => connect::STREAM_ACCEPT_ENCODING,
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => grpc::ACCEPT_ENCODING,
        }
    }

    /// Writes what a request's head has beside content type, compressions and metadata.
    pub(crate) fn write_request(self, headers: &mut HeaderMap, timeout: Option<Duration>) {
        match self {
            Self::ConnectUnary | Self::ConnectStream => connect::write_request(headers, timeout),
            Self::Grpc => grpc::write_request(headers, timeout),
            Self::GrpcWeb => grpc_web::write_request(headers, timeout, false),
            Self::GrpcWebText => grpc_web::write_request(headers, timeout, true),
        }
    }

    /// The timeout that a request asks for.
    pub(crate) fn read_timeout(self, headers: &HeaderMap) -> Result<Option<Duration>, Error> {
        match self.protocol() {
            Protocol::Connect => connect::read_timeout(headers),
            Protocol::Grpc | Protocol::GrpcWeb => grpc::read_timeout(headers),
        }
    }

    /// What a response's body holds; `content_type` is what its head says of that, if it is known here.
    pub(crate) fn response_body(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        content_type: Option<&ContentType>,
    ) -> ResponseBody {
        match self {
            Self::ConnectUnary => connect::unary_response_body(status, content_type),
            Self::ConnectStream => connect::stream_response_body(status),
            Self::Grpc | Self::GrpcWeb | Self::GrpcWebText => grpc::response_body(status, headers),
        }
    }
}

/// A value that came from a name which was checked or is part of the program.
pub(crate) fn header_value(text: &str) -> Result<HeaderValue, Error> {
    HeaderValue::from_str(text)
        .map_err(|_| Error::internal(format!("{} cannot stand in an HTTP header", excerpt(text))))
}

#[cfg(test)]
mod timeout_tests;
