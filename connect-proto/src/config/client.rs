//! What a client decides once, and what one of its calls may change of it.

use std::{borrow::Cow, fmt, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::{DEFAULT_MIN_COMPRESS_BYTES, Limits};
use crate::{
    Compressions, Error, Protocol,
    metadata::{self, Names},
};

/// What a client decides once, for all its calls.
///
/// ```
/// use std::time::Duration;
/// use connect_proto::{ClientConfig, Protocol};
///
/// let config = ClientConfig::new()
///     .with_protocol(Protocol::Grpc)
///     .with_default_timeout(Duration::from_secs(10))
///     .with_send_compression("gzip");
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct ClientConfig {
    pub(crate) protocol: Protocol,
    pub(crate) codec: Cow<'static, str>,
    pub(crate) compressions: Compressions,
    pub(crate) send_compression: Option<Cow<'static, str>>,
    pub(crate) min_compress_bytes: usize,
    pub(crate) limits: Limits,
    pub(crate) default_timeout: Option<Duration>,
    pub(crate) get: Option<GetPolicy>,
    pub(crate) grpc_web_text: bool,
    pub(crate) headers: HeaderMap,
}

impl fmt::Debug for ClientConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConfig")
            .field("protocol", &self.protocol)
            .field("codec", &self.codec)
            .field("compressions", &self.compressions)
            .field("send_compression", &self.send_compression)
            .field("min_compress_bytes", &self.min_compress_bytes)
            .field("limits", &self.limits)
            .field("default_timeout", &self.default_timeout)
            .field("get", &self.get)
            .field("grpc_web_text", &self.grpc_web_text)
            .field("headers", &Names(&self.headers))
            .finish()
    }
}

/// How a client uses HTTP GET for procedures without side effects.
///
/// Connect, "Unary-Get-Request".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GetPolicy {
    max_url_bytes: usize,
}

impl Default for GetPolicy {
    fn default() -> Self {
        Self {
            max_url_bytes: 8 * 1024,
        }
    }
}

impl GetPolicy {
    /// The longest path and query to send: at most 60 KiB. A longer one is sent as a POST instead. Default: 8 KiB.
    #[must_use]
    pub const fn with_max_url_bytes(mut self, bytes: usize) -> Self {
        // `http` has no URIs beyond 64 KiB.
        self.max_url_bytes = if bytes > 60 * 1024 { 60 * 1024 } else { bytes };
        self
    }

    /// See [`with_max_url_bytes`](Self::with_max_url_bytes).
    #[must_use]
    pub const fn max_url_bytes(&self) -> usize {
        self.max_url_bytes
    }
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientConfig {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub fn new() -> Self {
        Self {
            protocol: Protocol::Connect,
            codec: Cow::Borrowed("proto"),
            compressions: Compressions::default(),
            send_compression: None,
            min_compress_bytes: DEFAULT_MIN_COMPRESS_BYTES,
            limits: Limits::default(),
            default_timeout: None,
            get: None,
            grpc_web_text: false,
            headers: HeaderMap::new(),
        }
    }

    /// The protocol to speak. Default: Connect.
    #[must_use]
    pub fn with_protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// The codec of messages, by name, in any case. Default: `proto`.
    #[must_use]
    pub fn with_codec(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.codec = name.into();
        self
    }

    /// The compressions to accept in responses and to know for requests. Default: those of the enabled features.
    #[must_use]
    pub fn with_compressions(mut self, compressions: Compressions) -> Self {
        self.compressions = compressions;
        self
    }

    /// The compression of requests, by name. Default: none.
    ///
    /// A name that is not among the [compressions](Self::with_compressions) makes each call fail with `internal`.
    #[must_use]
    pub fn with_send_compression(mut self, name: impl Into<Cow<'static, str>>) -> Self {
        self.send_compression = Some(name.into());
        self
    }

    /// The smallest message to compress, in bytes. Default: 1024.
    ///
    /// A message that compression does not make smaller is sent as it is. With 0 every message is sent compressed, also
    /// those that it makes longer.
    #[must_use]
    pub fn with_min_compress_bytes(mut self, bytes: usize) -> Self {
        self.min_compress_bytes = bytes;
        self
    }

    /// The limits of every call; see [`Limits`] for the defaults.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The timeout of calls that name none. Default: none.
    #[must_use]
    pub fn with_default_timeout(mut self, timeout: Duration) -> Self {
        self.default_timeout = Some(timeout);
        self
    }

    /// Sends unary calls of procedures without side effects as HTTP GET, in the Connect protocol. Default: as POST.
    #[must_use]
    pub fn with_get(mut self, policy: GetPolicy) -> Self {
        self.get = Some(policy);
        self
    }

    /// Speaks gRPC-Web in its text mode, base64 in both directions. Default: false.
    ///
    /// gRPC-Web, "Text-encoded (response) streams".
    #[must_use]
    pub fn with_grpc_web_text(mut self, text: bool) -> Self {
        self.grpc_web_text = text;
        self
    }

    /// Headers of every call, such as `authorization`. A call's own header of the same name wins. Default: none.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// Adds one header to those of every call.
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata.
    pub fn add_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<Self, Error> {
        metadata::append(&mut self.headers, name, value)?;
        Ok(self)
    }

    /// The protocol that calls speak.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The codec's name.
    #[must_use]
    pub fn codec(&self) -> &str {
        &self.codec
    }

    /// See [`with_limits`](Self::with_limits).
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// See [`with_compressions`](Self::with_compressions).
    #[must_use]
    pub fn compressions(&self) -> &Compressions {
        &self.compressions
    }

    /// See [`with_send_compression`](Self::with_send_compression).
    #[must_use]
    pub fn send_compression(&self) -> Option<&str> {
        self.send_compression.as_deref()
    }

    /// See [`with_min_compress_bytes`](Self::with_min_compress_bytes).
    #[must_use]
    pub fn min_compress_bytes(&self) -> usize {
        self.min_compress_bytes
    }

    /// See [`with_get`](Self::with_get).
    #[must_use]
    pub fn get(&self) -> Option<GetPolicy> {
        self.get
    }

    /// See [`with_grpc_web_text`](Self::with_grpc_web_text).
    #[must_use]
    pub fn grpc_web_text(&self) -> bool {
        self.grpc_web_text
    }

    /// See [`with_headers`](Self::with_headers).
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// See [`with_default_timeout`](Self::with_default_timeout).
    #[must_use]
    pub fn default_timeout(&self) -> Option<Duration> {
        self.default_timeout
    }
}

/// What one client call sets for itself. `None` leaves a setting as the client is configured.
///
/// ```
/// use std::time::Duration;
/// use connect_proto::CallOptions;
///
/// let options = CallOptions::new()
///     .with_timeout(Duration::from_secs(2))
///     .with_recv_message_bytes(64 * 1024);
/// ```
#[derive(Clone, Default)]
pub struct CallOptions {
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compress: Option<bool>,
    pub(crate) recv_message_bytes: Option<usize>,
    pub(crate) get: Option<bool>,
}

impl fmt::Debug for CallOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallOptions")
            .field("headers", &Names(&self.headers))
            .field("timeout", &self.timeout)
            .field("compress", &self.compress)
            .field("recv_message_bytes", &self.recv_message_bytes)
            .field("get", &self.get)
            .finish()
    }
}

impl CallOptions {
    /// A call that leaves everything to the client's configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leading metadata of the request. It stands beside the client's own, of which it replaces what has the same name;
    /// names that a protocol reserves are left out. Default: none.
    #[must_use]
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// How long the call may take. Default: `None`.
    #[must_use]
    pub fn with_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.timeout = timeout.into();
        self
    }

    /// Whether to compress this call's requests, if the client has a [compression](ClientConfig::with_send_compression) for
    /// them. Default: `None`, and so yes. With `Some(false)` the request names no compression, and no message can have one.
    #[must_use]
    pub fn with_compress(mut self, enabled: impl Into<Option<bool>>) -> Self {
        self.compress = enabled.into();
        self
    }

    /// The largest response message, in bytes. Default: `None`.
    #[must_use]
    pub fn with_recv_message_bytes(mut self, bytes: impl Into<Option<usize>>) -> Self {
        self.recv_message_bytes = bytes.into();
        self
    }

    /// Whether to use HTTP GET where the procedure allows it. Default: `None`.
    #[must_use]
    pub fn with_get(mut self, get: impl Into<Option<bool>>) -> Self {
        self.get = get.into();
        self
    }
}
