//! The client's way into a call: the request's head, and what the response's head makes of the call.

use std::{borrow::Cow, ptr, sync::Arc};

use bytes::Bytes;
use http::{
    HeaderMap, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
    response,
    uri::PathAndQuery,
};

use crate::{
    CallOptions, ClientConfig, Code, Compression, Compressions, Error, Limits, Protocol, RecvHalf,
    SendHalf, Side, Spec, StreamType, Time,
    excerpt::excerpt,
    metadata,
    protocol::{ContentType, ResponseBody, Wire},
    recv::{RecvParams, http_status_error, is_readable},
    send::{Encoder, SendParams, Start},
};

/// A call whose response has not begun: it waits for the head.
#[derive(Debug)]
pub struct ExpectHead {
    content_type: ContentType,
    compressions: Compressions,
    limits: Limits,
    single: bool,
    deadline: Option<Time>,
    /// For errors.
    procedure: Cow<'static, str>,
}

impl ClientConfig {
    /// Begins a call: the sending half of the request, and what waits for the response's head.
    ///
    /// `now` is the driver's time, from which the timeout counts.
    ///
    /// # Errors
    ///
    /// `internal` for what no call can be made with: a codec's name that cannot stand in a content type, a compression
    /// that is not among the configured ones, a procedure whose path is no plain path.
    pub fn start(
        &self,
        spec: &Spec,
        options: &CallOptions,
        now: Time,
    ) -> Result<(SendHalf, ExpectHead), Error> {
        let stream_type = spec.stream_type();
        let wire = match (self.protocol, stream_type) {
            (Protocol::Connect, StreamType::Unary) => Wire::ConnectUnary,
            (Protocol::Connect, _) => Wire::ConnectStream,
            (Protocol::Grpc, _) => Wire::Grpc,
            (Protocol::GrpcWeb, _) if self.grpc_web_text => Wire::GrpcWebText,
            (Protocol::GrpcWeb, _) => Wire::GrpcWeb,
        };
        let content_type = ContentType::new(wire, &self.codec).ok_or_else(|| {
            Error::internal(format!(
                "codec name {:?} cannot stand in a content type",
                self.codec
            ))
        })?;
        // A call that compresses nothing names no compression.
        let wanted = options.compress != Some(false);
        let name = self.send_compression.as_deref().filter(|_| wanted);
        let compression = match name {
            None | Some("identity") => None,
            Some(name) => Some(self.compressions.find(name).cloned().ok_or_else(|| {
                let known: Vec<_> = self.compressions.names().collect();
                Error::internal(format!(
                    "this client has no compression of the name {name:?}, it has {}; with_compressions adds one",
                    known.join(", ")
                ))
            })?),
        };
        let uri = procedure_uri(spec)?;
        let use_get = wire == Wire::ConnectUnary && spec.allows_get();
        let get = match options.get {
            Some(true) => Some(self.get.unwrap_or_default()),
            Some(false) => None,
            None => self.get,
        };
        let timeout = options.timeout.or(self.default_timeout);
        let deadline = timeout.map(|timeout| now.saturating_add(timeout));
        let custom = self.headers.len() + options.headers.len();
        let mut headers = HeaderMap::with_capacity(metadata::HEAD_FIELDS + custom);
        if let Some(accepted) = self.compressions.accept_header() {
            headers.insert(wire.accept_encoding_header(), accepted.clone());
        }
        headers.insert(CONTENT_TYPE, content_type.to_header()?);
        wire.write_request(&mut headers, timeout);
        // gRPC, "Requests": what defines the call stands before custom metadata.
        if let Some(compression) = compression.as_ref().filter(|_| wire.is_enveloped()) {
            headers.insert(wire.encoding_header(), compression.name.clone());
        }
        append_metadata(&mut headers, &self.headers, &options.headers);
        let mut limits = self.limits;
        if let Some(bytes) = options.recv_message_bytes {
            limits = limits.with_recv_message_bytes(bytes);
        }
        let send = SendHalf::new(SendParams {
            side: Side::Client,
            content_type: content_type.clone(),
            start: Start::Request {
                uri,
                get: get.filter(|_| use_get),
            },
            headers,
            single: !stream_type.client_streams(),
            encoder: Encoder {
                compression,
                enabled: options.compress.unwrap_or(true),
                min_bytes: self.min_compress_bytes,
            },
            limits,
            forward_errors: false,
            deadline,
        });
        let expect = ExpectHead {
            procedure: spec.path().clone(),
            content_type,
            compressions: self.compressions.clone(),
            limits,
            single: !stream_type.server_streams(),
            deadline,
        };
        Ok((send, expect))
    }
}

impl ExpectHead {
    /// When to give the call up; `None` for a call without a deadline.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.deadline
    }

    /// Takes the response's head and goes on to its body.
    ///
    /// Infallible: a head that is an error, or that is wrong, ends the half like any other error, as its next event.
    #[must_use]
    pub fn recv_head(self, head: response::Parts) -> RecvHalf {
        let response::Parts {
            status, headers, ..
        } = head;
        let found = metadata::single(&headers, &CONTENT_TYPE);
        let found = found.and_then(|value| ContentType::from_header(&value));
        let found = found.as_ref();
        match self
            .content_type
            .wire
            .response_body(status, &headers, found)
        {
            ResponseBody::Messages => self.messages(status, headers, found),
            ResponseBody::ErrorJson => self.unary_error(status, headers),
            ResponseBody::NotRpc => self.http_error(status, headers),
        }
    }

    /// Ends the call before its response has begun, with this error: a stream that was lost
    /// ([`Reset::to_error`](crate::Reset::to_error)), a deadline that has come.
    #[must_use]
    pub fn fail(self, error: Error) -> RecvHalf {
        self.failed(HeaderMap::new(), error)
    }

    /// Connect, "Unary-Response": the trailers of an error are prefixed headers too.
    fn unary_error(self, status: StatusCode, headers: HeaderMap) -> RecvHalf {
        let encoding = self.encoding(&headers);
        if encoding.is_err() {
            return self.http_error(status, headers);
        }
        let fallback = http_status_error(&self.procedure, status);
        let (leading, trailers) = metadata::split_prefixed(headers);
        let (params, _) = self.params(leading, encoding);
        RecvHalf::unary_error(params, fallback, trailers)
    }

    fn messages(
        self,
        status: StatusCode,
        headers: HeaderMap,
        found: Option<&ContentType>,
    ) -> RecvHalf {
        if let Some(error) = self.content_type_error(status, &headers, found) {
            // A message in another codec is not for people.
            return match found {
                None => self.not_rpc(headers, error),
                Some(_) => self.failed(headers, error),
            };
        }
        let encoding = self.encoding(&headers);
        let enveloped = self.content_type.wire.is_enveloped();
        let (leading, trailers) = if enveloped {
            (headers, HeaderMap::new())
        } else {
            metadata::split_prefixed(headers)
        };
        let (params, unknown) = self.params(leading, encoding);
        match unknown {
            Some(error) => RecvHalf::failed(params, error),
            None if enveloped => RecvHalf::enveloped(params),
            None => RecvHalf::unary_response(params, trailers),
        }
    }

    fn http_error(self, status: StatusCode, headers: HeaderMap) -> RecvHalf {
        let error = http_status_error(&self.procedure, status).with_received(headers.clone());
        self.not_rpc(headers, error)
    }

    /// Ends with this error of a response that is no RPC, and with what its body says to people.
    fn not_rpc(self, headers: HeaderMap, error: Error) -> RecvHalf {
        let is_readable = is_readable(&headers);
        let (params, _) = self.params(headers, Ok(None));
        if is_readable {
            RecvHalf::not_rpc(params, error)
        } else {
            RecvHalf::failed(params, error)
        }
    }

    fn failed(self, headers: HeaderMap, error: Error) -> RecvHalf {
        let (params, _) = self.params(headers, Ok(None));
        RecvHalf::failed(params, error)
    }

    /// A content type of another protocol tells nothing of RPC: the HTTP status gives the code. One of the same
    /// protocol with another codec is the server's mistake.
    fn content_type_error(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        found: Option<&ContentType>,
    ) -> Option<Error> {
        match found {
            Some(found) if found.wire == self.content_type.wire => {
                (found.codec != self.content_type.codec).then(|| {
                    Error::internal(format!(
                        "the server answered with codec {} to a request with codec {:?}",
                        excerpt(&*found.codec),
                        self.content_type.codec
                    ))
                })
            }
            _ => {
                let shown = metadata::single(headers, &CONTENT_TYPE).map_or_else(
                    || String::from("no content type"),
                    |value| format!("content type {}", excerpt(&*value)),
                );
                let code = Code::from_http_status(status);
                let protocol = self.content_type.wire.protocol();
                let message = format!(
                    "the server answered {} with {shown}, which is not {protocol}'s: check that this is the address of a {protocol} server",
                    self.procedure
                );
                Some(Error::new(code, message).with_received(headers.clone()))
            }
        }
    }

    /// The compression of the response's messages.
    fn encoding(&self, headers: &HeaderMap) -> Result<Option<Arc<dyn Compression>>, Error> {
        let header = self.content_type.wire.encoding_header();
        let Some(value) = metadata::single(headers, &header) else {
            return Ok(None);
        };
        let name = String::from_utf8_lossy(value.as_bytes());
        if name.is_empty() || name.eq_ignore_ascii_case("identity") {
            return Ok(None);
        }
        match self.compressions.get(&name) {
            Some(found) => Ok(Some(found.clone())),
            // gRPC, "Compression": "Data sent from a server compressed with an algorithm not supported by the
            // client WILL result in an INTERNAL error status on the client side."
            None => Err(Error::internal(format!(
                "the server compressed with {}, which this client does not know",
                excerpt(&*value)
            ))),
        }
    }

    fn params(
        self,
        headers: HeaderMap,
        encoding: Result<Option<Arc<dyn Compression>>, Error>,
    ) -> (RecvParams, Option<Error>) {
        let (encoding, error) = match encoding {
            Ok(encoding) => (encoding, None),
            Err(error) => (None, Some(error)),
        };
        let params = RecvParams {
            side: Side::Client,
            wire: self.content_type.wire,
            encoding,
            limits: self.limits,
            single: self.single,
            headers,
            deadline: self.deadline,
        };
        (params, error)
    }
}

/// Leading metadata: a call's own values stand in place of the client's of the same name. A call may be started again, so
/// both stay as they are.
fn append_metadata(headers: &mut HeaderMap, defaults: &HeaderMap, own: &HeaderMap) {
    if defaults.contains_key(USER_AGENT) || own.contains_key(USER_AGENT) {
        headers.remove(USER_AGENT);
    }
    for map in [defaults, own] {
        for name in map.keys() {
            let is_replaced = ptr::eq(map, defaults) && own.contains_key(name);
            // What the protocol has set is not for users to set again.
            if !is_replaced && !headers.contains_key(name) {
                metadata::append_custom_values(headers, name, map.get_all(name));
            }
        }
    }
}

/// The procedure's path as a URI. A proxy's may come from anywhere: nothing but a plain path can be called.
fn procedure_uri(spec: &Spec) -> Result<Uri, Error> {
    let path = match spec.path() {
        Cow::Borrowed(path) => Bytes::from_static(path.as_bytes()),
        Cow::Owned(path) => Bytes::copy_from_slice(path.as_bytes()),
    };
    let plain = path.starts_with(b"/") && !path.contains(&b'?') && !path.contains(&b'#');
    let path_and_query = plain
        .then(|| PathAndQuery::from_maybe_shared(path).ok())
        .flatten();
    path_and_query.map(Uri::from).ok_or_else(|| {
        Error::internal(format!(
            "procedure {:?} is no path of the form /package.Service/Method",
            spec.procedure()
        ))
    })
}
