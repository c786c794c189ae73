//! The server's way into a call: what the head of a request asks for, and whether it can be had.

use std::{borrow::Cow, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode, Version,
    header::{ALLOW, CONTENT_TYPE, VARY},
    request,
};

use crate::{
    CallPolicy, Error, Limits, Protocol, RecvHalf, SendHalf, ServerConfig, Side, Spec, StreamType,
    Time, Transmit,
    compression::Named,
    excerpt::excerpt,
    metadata,
    protocol::{
        ContentType, Wire,
        connect::{self, get::Query},
        grpc_web, header_value,
    },
    recv::RecvParams,
    send::{Encoder, SendParams, Start},
};

/// A request that was recognised as a call in one of the three protocols.
///
/// ```
/// use connect_proto::{Protocol, detect};
///
/// let (parts, ()) = http::Request::post("/pkg.Service/Method")
///     .header("content-type", "application/json")
///     .body(())?
///     .into_parts();
/// let detected = detect(&parts).expect("a Connect unary call");
/// assert_eq!(detected.protocol(), Protocol::Connect);
/// assert_eq!(detected.codec(), "json");
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Detected {
    /// Of the message, which for a GET is in the query.
    content_type: ContentType,
    is_get: bool,
    timeout: Option<Duration>,
}

/// What the head of a call said beside its content type.
struct RequestHead {
    deadline: Option<Time>,
    encoding: Option<Named>,
    /// The message of a Connect GET.
    message: Option<Bytes>,
}

/// A request that was turned down: the whole answer is known, and why.
#[derive(Clone, Debug)]
pub struct Rejection {
    error: Box<Error>,
    response: Box<Response<Bytes>>,
}

impl Rejection {
    /// Why, as an RPC error: for logs and metrics.
    #[must_use]
    pub fn error(&self) -> &Error {
        &self.error
    }

    /// The whole answer: in the caller's protocol if it speaks one, else plain HTTP.
    #[must_use]
    pub fn into_response(self) -> Response<Bytes> {
        *self.response
    }

    /// 405 for a method that the procedure does not have, with those that it has; also for callers that may not speak any
    /// protocol here.
    ///
    /// RFC 9110, 15.5.6.
    #[must_use]
    pub fn method_not_allowed(method: &Method, spec: &Spec) -> Self {
        let allow = if spec.allows_get() {
            "GET, POST"
        } else {
            "POST"
        };
        let error = Error::unknown(format!(
            "method {} is not allowed for {}, use {allow}",
            excerpt(method.as_str()),
            spec.procedure()
        ));
        let mut rejection = Self::plain(StatusCode::METHOD_NOT_ALLOWED, error);
        let headers = rejection.response.headers_mut();
        headers.insert(ALLOW, HeaderValue::from_static(allow));
        rejection
    }

    /// 404 for a path at which nothing is served, for callers that do not speak any protocol here; those that do get
    /// [`Detected::unknown_procedure`].
    #[must_use]
    pub fn not_found(path: &str) -> Self {
        let error = Error::unimplemented(format!("nothing is served at {}", excerpt(path)));
        Self::plain(StatusCode::NOT_FOUND, error)
    }

    /// The same with the content types that the procedure takes in these codecs, for an answer of status 415: a header
    /// `accept-post`. [`detect`] does not know them.
    #[must_use]
    pub fn offering<'a>(mut self, spec: &Spec, codecs: impl IntoIterator<Item = &'a str>) -> Self {
        if self.response.status() == StatusCode::UNSUPPORTED_MEDIA_TYPE {
            self.offer(&content_types(spec, codecs));
        }
        self
    }

    /// W3C Linked Data Platform 1.0, section 7.1: the media types that a POST may have.
    fn offer(&mut self, content_types: &str) {
        if let Ok(value) = header_value(content_types) {
            self.response.headers_mut().insert("accept-post", value);
        }
    }

    /// An answer in plain HTTP, for callers that may not speak any protocol here.
    fn plain(status: StatusCode, error: Error) -> Self {
        let mut response = Response::new(Bytes::from(format!("{}\n", error.message())));
        *response.status_mut() = status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        Self {
            error: Box::new(error),
            response: Box::new(response),
        }
    }

    fn unsupported_media_type(message: String) -> Self {
        Self::plain(StatusCode::UNSUPPORTED_MEDIA_TYPE, Error::unknown(message))
    }
}

/// Tells which protocol, codec and kind of body a request asks for, by its head alone.
///
/// # Errors
///
/// Answers in plain HTTP: 415 for a content type of no protocol here, 505 for gRPC on a version of HTTP before 2. In the
/// caller's protocol: `invalid_argument` for a timeout that breaks its rules.
///
/// Connect, "Unary-Request", "Unary-Get-Request", "Streaming-Request"; gRPC, "Requests"; gRPC-Web, "Content-Type".
pub fn detect(parts: &request::Parts) -> Result<Detected, Rejection> {
    let is_get = parts.method == Method::GET;
    let content_type = if is_get {
        let query = parts.uri.query().unwrap_or("");
        let codec = Query::codec_of(query);
        codec.and_then(|codec| ContentType::new(Wire::ConnectUnary, &codec))
    } else {
        let content_type = metadata::single(&parts.headers, &CONTENT_TYPE);
        content_type.and_then(|value| ContentType::from_header(&value))
    };
    let Some(content_type) = content_type else {
        return Err(Rejection::unsupported_media_type(
            match metadata::single(&parts.headers, &CONTENT_TYPE) {
                Some(value) => format!(
                    "content type {} is none of Connect's, gRPC's or gRPC-Web's",
                    excerpt(&*value)
                ),
                None if is_get => String::from(
                    "a GET request needs the query parameters \"encoding\" and \"message\"",
                ),
                None => String::from("the request has no content type"),
            },
        ));
    };
    if content_type.wire == Wire::Grpc && parts.version < Version::HTTP_2 {
        return Err(Rejection::plain(
            StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Error::unknown("gRPC needs HTTP/2: use it, or gRPC-Web or Connect"),
        ));
    }
    let timeout = content_type.wire.read_timeout(&parts.headers);
    let mut detected = Detected {
        content_type,
        is_get,
        timeout: None,
    };
    match timeout {
        Ok(timeout) => {
            detected.timeout = timeout;
            Ok(detected)
        }
        Err(error) => Err(detected.rejection(error, None)),
    }
}

impl Detected {
    /// The protocol that the caller speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.content_type.wire.protocol()
    }

    /// The codec's name, in lower case. The driver looks it up among the codecs that it offers, and answers with
    /// [`unsupported_codec`](Self::unsupported_codec) if it is not there.
    #[must_use]
    pub fn codec(&self) -> &str {
        &self.content_type.codec
    }

    /// Whether the call is a Connect GET.
    #[must_use]
    pub fn is_get(&self) -> bool {
        self.is_get
    }

    /// The timeout that the client asks for; `None` for none.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// When the halves of a call that begins `now` end with `deadline_exceeded`: after the timeout that the policy makes
    /// of the client's. `None` for a call that may take for ever.
    ///
    /// A Connect client's own timeout counts as one millisecond longer, since clients may round theirs down: a client that
    /// still waits must not hear that it is too late.
    #[must_use]
    pub fn deadline(&self, policy: &CallPolicy, now: Time) -> Option<Time> {
        let timeout = policy.deadline_policy().apply(self.timeout)?;
        let is_clients_own = self.timeout == Some(timeout);
        let rounding = match self.protocol() {
            Protocol::Connect if is_clients_own => connect::timeout_rounding(timeout),
            _ => Duration::ZERO,
        };
        Some(now.saturating_add(timeout.saturating_add(rounding)))
    }

    /// Begins the call: the receiving half of the request and the sending half of the response.
    ///
    /// `parts` is the head that was [detected](detect), `now` the driver's time, from which the deadline counts. Any
    /// [codec](Self::codec) is let in: the core carries messages as bytes.
    ///
    /// # Errors
    ///
    /// The whole answer to a request that cannot be served. In plain HTTP: 405 for the wrong method, 415 for a body that
    /// does not suit the procedure's stream type, 505 for a bidi stream over HTTP/1.1 where that is
    /// [switched off](ServerConfig::with_http1_bidi). In the caller's protocol: `invalid_argument` for a wrong protocol
    /// version or GET query, `unimplemented` for an unknown compression.
    pub fn accept(
        &self,
        parts: &request::Parts,
        spec: &Spec,
        config: &ServerConfig,
        now: Time,
    ) -> Result<(RecvHalf, SendHalf), Rejection> {
        self.accept_with(parts, spec, config, &config.policy, now)
    }

    /// As [`accept`](Self::accept), with a policy of this call in place of the server's: for drivers whose gates may
    /// change it.
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    pub fn accept_with(
        &self,
        parts: &request::Parts,
        spec: &Spec,
        config: &ServerConfig,
        policy: &CallPolicy,
        now: Time,
    ) -> Result<(RecvHalf, SendHalf), Rejection> {
        self.check_method(parts, spec)?;
        self.check_stream_type(&parts.headers, spec)?;
        if !config.http1_bidi {
            check_full_duplex(parts.version, spec)?;
        }
        let query = self
            .is_get()
            .then(|| Query::parse(parts.uri.query().unwrap_or("")));
        let request = self.read_head(&parts.headers, query, config, policy, now);
        let RequestHead {
            deadline,
            encoding,
            message,
        } = request.map_err(|error| self.rejection(error, Some(config)))?;
        let encoder = Encoder {
            compression: self.negotiate(&parts.headers, encoding.as_ref(), config),
            enabled: policy.compress(),
            min_bytes: config.min_compress_bytes,
        };
        let recv = RecvParams {
            side: Side::Server,
            wire: self.content_type.wire,
            encoding: encoding.map(|known| known.compression),
            limits: *policy.limits(),
            single: !spec.stream_type().client_streams(),
            headers: HeaderMap::new(),
            deadline,
        };
        let recv = match message {
            None => RecvHalf::request(recv, &parts.headers),
            Some(message) => RecvHalf::from_query(recv, message),
        };
        let mut send = self.answering(&parts.headers).send_params(
            Some(config),
            !spec.stream_type().server_streams(),
            encoder,
        );
        send.limits = *policy.limits();
        send.deadline = deadline;
        Ok((recv, SendHalf::new(send)))
    }

    /// The whole answer with this error, in the caller's protocol: for refused calls, and for plain HTTP middleware.
    #[must_use]
    pub fn reject(&self, error: &Error) -> Response<Bytes> {
        self.reject_within(error, &Limits::default())
    }

    /// As [`reject`](Self::reject), within these [limits](Limits::with_sent_header_bytes) of what is sent.
    #[must_use]
    pub fn reject_within(&self, error: &Error, limits: &Limits) -> Response<Bytes> {
        self.answer(error, None, limits)
    }

    /// The answer to a call whose [codec](Self::codec) is not on offer: 415 in plain HTTP, with the content types that are
    /// made of the `offered` names; 405 where the method is wrong too.
    #[must_use]
    pub fn unsupported_codec<'a>(
        &self,
        parts: &request::Parts,
        spec: &Spec,
        offered: impl IntoIterator<Item = &'a str>,
    ) -> Rejection {
        match self.check_method(parts, spec) {
            Ok(()) => self.unsupported_media_type(&parts.headers, spec, offered),
            Err(rejection) => rejection,
        }
    }

    /// The whole answer to a call of a procedure that nobody serves: HTTP status 404 in Connect, a gRPC status
    /// `unimplemented` in the other two, so that any client infers `unimplemented`.
    #[must_use]
    pub fn unknown_procedure(&self, path: &str) -> Rejection {
        let error = Error::unimplemented(format!("no procedure {} is served here", excerpt(path)));
        match self.protocol() {
            Protocol::Connect => Rejection::plain(StatusCode::NOT_FOUND, error),
            Protocol::Grpc | Protocol::GrpcWeb => self.rejection(error, None),
        }
    }

    /// What head and query say beside the content type, checked.
    fn read_head(
        &self,
        headers: &HeaderMap,
        query: Option<Query<'_>>,
        config: &ServerConfig,
        policy: &CallPolicy,
        now: Time,
    ) -> Result<RequestHead, Error> {
        if self.protocol() == Protocol::Connect {
            connect::check_version(headers, query.as_ref(), config.require_protocol_version)?;
        }
        let deadline = self.deadline(policy, now);
        let encoding = match self.encoding_name(headers, query.as_ref()) {
            None => None,
            Some(name) => match config.compressions.find(&name) {
                Some(found) => Some(found.clone()),
                None => return Err(unknown_compression(&name, config)),
            },
        };
        let message = match query.map(|query| query.message) {
            None => None,
            Some(Some(message)) => Some(message?),
            Some(None) => {
                let error = "a GET request needs the query parameter \"message\"";
                return Err(Error::invalid_argument(error));
            }
        };
        Ok(RequestHead {
            deadline,
            encoding,
            message,
        })
    }

    /// The compression of the response, as far as the client accepts one.
    fn negotiate(
        &self,
        headers: &HeaderMap,
        request_encoding: Option<&Named>,
        config: &ServerConfig,
    ) -> Option<Named> {
        let accept_header = self.content_type.wire.accept_encoding_header();
        if headers.contains_key(&accept_header) {
            let accepted = headers.get_all(&accept_header);
            return config.compressions.choose(accepted.iter()).cloned();
        }
        // Connect, "Unary-Request": "If the client omits Accept-Encoding, servers must assume that the client accepts
        // the Content-Encoding used for the request if present."
        request_encoding.cloned()
    }

    /// A gRPC-Web client may ask for text where it sent none.
    fn answering(&self, headers: &HeaderMap) -> Cow<'_, Self> {
        if self.content_type.wire == Wire::GrpcWeb && grpc_web::accepts_text(headers) {
            let mut detected = self.clone();
            detected.content_type.wire = Wire::GrpcWebText;
            return Cow::Owned(detected);
        }
        Cow::Borrowed(self)
    }

    fn check_method(&self, parts: &request::Parts, spec: &Spec) -> Result<(), Rejection> {
        let allowed = parts.method == Method::POST || (self.is_get() && spec.allows_get());
        if allowed {
            Ok(())
        } else {
            Err(Rejection::method_not_allowed(&parts.method, spec))
        }
    }

    fn check_stream_type(&self, headers: &HeaderMap, spec: &Spec) -> Result<(), Rejection> {
        let unary = spec.stream_type() == StreamType::Unary;
        let suits = match self.content_type.wire {
            Wire::ConnectUnary => unary,
            Wire::ConnectStream => !unary,
            Wire::Grpc | Wire::GrpcWeb | Wire::GrpcWebText => true,
        };
        if suits {
            return Ok(());
        }
        let offered = std::iter::once(self.codec());
        Err(self.unsupported_media_type(headers, spec, offered))
    }

    /// 415, with the content types that the procedure takes in these codecs.
    fn unsupported_media_type<'a>(
        &self,
        headers: &HeaderMap,
        spec: &Spec,
        codecs: impl IntoIterator<Item = &'a str>,
    ) -> Rejection {
        let offered = content_types(spec, codecs);
        let sent = match headers.get(CONTENT_TYPE) {
            Some(value) if !self.is_get() => excerpt(value),
            _ => excerpt(&*self.content_type.codec),
        };
        let mut rejection = Rejection::unsupported_media_type(format!(
            "{} does not take {sent}, it takes {offered}",
            spec.procedure()
        ));
        rejection.offer(&offered);
        rejection
    }

    /// The compression of the request's messages; `None` for none.
    fn encoding_name<'a>(
        &self,
        headers: &'a HeaderMap,
        query: Option<&'a Query<'_>>,
    ) -> Option<Cow<'a, str>> {
        let name = match query {
            Some(query) => query.compression.as_deref().map(Cow::Borrowed),
            None => {
                let header = self.content_type.wire.encoding_header();
                metadata::single(headers, &header).map(|value| match value {
                    Cow::Borrowed(value) => String::from_utf8_lossy(value.as_bytes()),
                    Cow::Owned(list) => {
                        String::from_utf8_lossy(list.as_bytes()).into_owned().into()
                    }
                })
            }
        };
        name.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("identity"))
    }

    fn rejection(&self, error: Error, config: Option<&ServerConfig>) -> Rejection {
        Rejection {
            response: {
                let limits = config.map(|config| *config.limits()).unwrap_or_default();
                Box::new(self.answer(&error, config, &limits))
            },
            error: Box::new(error),
        }
    }

    fn answer(
        &self,
        error: &Error,
        config: Option<&ServerConfig>,
        limits: &Limits,
    ) -> Response<Bytes> {
        let encoder = Encoder {
            compression: None,
            enabled: false,
            min_bytes: 0,
        };
        let mut params = self.send_params(config, false, encoder);
        params.limits = *limits;
        let mut half = SendHalf::new(params);
        half.finish(Err(error.clone()));
        let Some(head) = half.poll_response_head() else {
            return Response::default();
        };
        let mut body = BytesMut::new();
        while let Some(Transmit::Data(data)) = half.poll_transmit() {
            body.extend_from_slice(&data);
        }
        Response::from_parts(head, body.freeze())
    }

    fn send_params(
        &self,
        config: Option<&ServerConfig>,
        single: bool,
        encoder: Encoder,
    ) -> SendParams {
        let mut headers = HeaderMap::with_capacity(metadata::HEAD_FIELDS);
        if self.is_get() {
            // GET is for shared caches, and whether the body is compressed depends on what the client accepts.
            headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        if let Ok(content_type) = self.content_type.to_header() {
            headers.insert(CONTENT_TYPE, content_type);
        }
        if let Some(accepted) = config.and_then(|config| config.compressions.accept_header()) {
            headers.insert(
                self.content_type.wire.accept_encoding_header(),
                accepted.clone(),
            );
        }
        SendParams {
            side: Side::Server,
            content_type: self.content_type.clone(),
            start: Start::Response(StatusCode::OK),
            headers,
            single,
            encoder,
            limits: config.map(|config| *config.limits()).unwrap_or_default(),
            forward_errors: config.is_some_and(|config| config.forwarded_errors),
            deadline: None,
        }
    }
}

/// The content types that a procedure takes in these codecs.
fn content_types<'a>(spec: &Spec, codecs: impl IntoIterator<Item = &'a str>) -> String {
    let unary = spec.stream_type() == StreamType::Unary;
    let prefix = if unary { "" } else { "connect+" };
    let mut offered = Vec::new();
    for codec in codecs {
        offered.push(format!("application/{prefix}{codec}"));
        offered.push(format!("application/grpc+{codec}"));
        offered.push(format!("application/grpc-web+{codec}"));
    }
    offered.join(", ")
}

/// A bidi stream may need both directions at once.
fn check_full_duplex(version: Version, spec: &Spec) -> Result<(), Rejection> {
    if spec.stream_type() != StreamType::BidiStream || version >= Version::HTTP_2 {
        return Ok(());
    }
    Err(Rejection::plain(
        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
        Error::unknown(format!(
            "{} is a bidi stream, which this server takes over HTTP/2 only",
            spec.procedure()
        )),
    ))
}

/// Connect, "Unary-Request", and gRPC, "Compression": the message lists what is supported.
fn unknown_compression(name: &str, config: &ServerConfig) -> Error {
    let supported: Vec<_> = std::iter::once("identity")
        .chain(config.compressions.names())
        .collect();
    Error::unimplemented(format!(
        "unknown compression {}: supported are {}",
        excerpt(name),
        supported.join(", ")
    ))
}
