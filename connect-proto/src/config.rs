//! What a server or a client decides once, and what one call may change of it.

use std::{borrow::Cow, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Compressions, DeadlinePolicy, Error, Protocol, metadata};

/// How much memory a call may hold, whatever the peer sends. All sizes are in bytes.
///
/// They count encoded bytes: a message as it comes, and as it is after decompression. They do not count what a message
/// becomes in memory when a codec decodes it. Protobuf's encoding is dense: 2 bytes can become an empty submessage of 100
/// bytes, so a message of 4 MiB can take hundreds of MiB. Where peers are not trusted, choose
/// [`with_recv_message_bytes`](Self::with_recv_message_bytes) as small as the service allows.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    recv_message: usize,
    send_message: usize,
    trailers: usize,
    sent_error: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            recv_message: 4 * 1024 * 1024,
            send_message: u32::MAX as usize,
            trailers: 1024 * 1024,
            sent_error: 6 * 1024,
        }
    }
}

impl Limits {
    /// The largest message to receive, after decompression: 4 MiB by default.
    ///
    /// A larger one ends the call with `resource_exhausted`. Up to this many bytes are held for a call, twice with
    /// compression: as they came and decompressed.
    #[must_use]
    pub const fn with_recv_message_bytes(mut self, bytes: usize) -> Self {
        self.recv_message = bytes;
        self
    }

    /// The largest message to send, before compression: 4 GiB - 1, the most a length prefix can say, by default.
    ///
    /// Sending a larger one fails with `resource_exhausted`.
    #[must_use]
    pub const fn with_send_message_bytes(mut self, bytes: usize) -> Self {
        // What the wire cannot say is over any limit.
        self.send_message = if bytes > u32::MAX as usize {
            u32::MAX as usize
        } else {
            bytes
        };
        self
    }

    /// The largest end of a stream to receive, after decompression: 1 MiB by default.
    ///
    /// That is Connect's EndStreamResponse and error body, and gRPC-Web's trailer frame. Whatever their size, they hold at
    /// most 8,192 values of metadata.
    #[must_use]
    pub const fn with_trailer_bytes(mut self, bytes: usize) -> Self {
        self.trailers = bytes;
        self
    }

    /// The largest error to send, message and details together, as gRPC's trailers carry them. Default: 6 KiB.
    ///
    /// Peers and proxies take 8 to 16 KiB of header fields for a whole response, and reset the stream beyond that: then
    /// the code is lost too. Of an error that is larger the details are left out first, then the end of the message; the
    /// code always arrives, and the message says what is missing. The limit is the same in all protocols.
    #[must_use]
    pub const fn with_sent_error_bytes(mut self, bytes: usize) -> Self {
        self.sent_error = bytes;
        self
    }

    /// See [`with_sent_error_bytes`](Self::with_sent_error_bytes).
    #[must_use]
    pub const fn sent_error_bytes(&self) -> usize {
        self.sent_error
    }

    /// See [`with_recv_message_bytes`](Self::with_recv_message_bytes).
    #[must_use]
    pub const fn recv_message_bytes(&self) -> usize {
        self.recv_message
    }

    /// See [`with_send_message_bytes`](Self::with_send_message_bytes).
    #[must_use]
    pub const fn send_message_bytes(&self) -> usize {
        self.send_message
    }

    /// See [`with_trailer_bytes`](Self::with_trailer_bytes).
    #[must_use]
    pub const fn trailer_bytes(&self) -> usize {
        self.trailers
    }
}

/// When a message is worth compressing, in bytes before compression.
const DEFAULT_MIN_COMPRESS_BYTES: usize = 1024;

/// What a server decides once, for all its calls.
///
/// ```
/// use connect_proto::{Compressions, Limits, ServerConfig};
///
/// let config = ServerConfig::new()
///     .with_limits(Limits::default().with_recv_message_bytes(64 * 1024))
///     .with_compressions(Compressions::none());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    pub(crate) compressions: Compressions,
    pub(crate) policy: CallPolicy,
    pub(crate) min_compress_bytes: usize,
    pub(crate) require_protocol_version: bool,
    pub(crate) http1_bidi: bool,
    pub(crate) forwarded_errors: bool,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ServerConfig {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub fn new() -> Self {
        Self {
            compressions: Compressions::default(),
            policy: CallPolicy {
                limits: Limits::default(),
                deadline: DeadlinePolicy::default(),
                compress: true,
            },
            min_compress_bytes: DEFAULT_MIN_COMPRESS_BYTES,
            require_protocol_version: false,
            http1_bidi: true,
            forwarded_errors: false,
        }
    }

    /// The compressions to accept and to answer with. Default: those of the enabled features.
    #[must_use]
    pub fn with_compressions(mut self, compressions: Compressions) -> Self {
        self.compressions = compressions;
        self
    }

    /// The limits of every call; see [`Limits`] for the defaults.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.policy.limits = limits;
        self
    }

    /// What becomes of the timeouts that clients ask for. Default: they are taken as they are.
    #[must_use]
    pub fn with_deadline_policy(mut self, policy: DeadlinePolicy) -> Self {
        self.policy.deadline = policy;
        self
    }

    /// The smallest message to compress, in bytes. Default: 1024; below it the gain is not worth the work.
    ///
    /// A message that compression does not make smaller is sent as it is. With 0 every message is sent compressed, also
    /// those that it makes longer.
    #[must_use]
    pub fn with_min_compress_bytes(mut self, bytes: usize) -> Self {
        self.min_compress_bytes = bytes;
        self
    }

    /// Whether Connect requests must carry `connect-protocol-version` (GET: `connect=v1`). Default: false.
    ///
    /// Connect, "Unary-Request": servers may reject traffic without it with HTTP status 400.
    #[must_use]
    pub fn with_require_protocol_version(mut self, require: bool) -> Self {
        self.require_protocol_version = require;
        self
    }

    /// Whether bidi streams are served over HTTP/1.1, in Connect and gRPC-Web. Default: true.
    ///
    /// HTTP/1.1 promises only half duplex. Where both sides wait for each other, turn it off: then such a call is refused
    /// with HTTP status 505, where it would wait for its deadline.
    #[must_use]
    pub fn with_http1_bidi(mut self, serve: bool) -> Self {
        self.http1_bidi = serve;
        self
    }

    /// Whether errors that a handler has received from another service are sent on as they came, with code, message and
    /// details. Default: not, callers see `internal`; see [`Error`](crate::Error#errors-that-were-received). A gateway
    /// turns it on.
    #[must_use]
    pub fn with_forwarded_errors(mut self, forward: bool) -> Self {
        self.forwarded_errors = forward;
        self
    }

    /// See [`with_compressions`](Self::with_compressions).
    #[must_use]
    pub fn compressions(&self) -> &Compressions {
        &self.compressions
    }

    /// What every call begins with: these limits and this deadline policy, with compression.
    #[must_use]
    pub fn policy(&self) -> &CallPolicy {
        &self.policy
    }

    /// See [`with_limits`](Self::with_limits).
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.policy.limits()
    }

    /// See [`with_deadline_policy`](Self::with_deadline_policy).
    pub fn deadline_policy(&self) -> &DeadlinePolicy {
        self.policy.deadline_policy()
    }
}

/// What may differ from call to call on a server: a gate changes it after the head and before any body byte.
///
/// It starts as the server's own: [`ServerConfig::policy`].
#[derive(Clone, Copy, Debug)]
pub struct CallPolicy {
    limits: Limits,
    deadline: DeadlinePolicy,
    compress: bool,
}

impl CallPolicy {
    /// The limits of this call. Default: the server's.
    #[must_use]
    pub const fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// What becomes of the timeout that the client asked for. Default: what the server does.
    #[must_use]
    pub const fn with_deadline_policy(mut self, policy: DeadlinePolicy) -> Self {
        self.deadline = policy;
        self
    }

    /// Whether to compress responses as far as the client accepts it. Default: true.
    #[must_use]
    pub const fn with_compression(mut self, enabled: bool) -> Self {
        self.compress = enabled;
        self
    }

    /// See [`with_limits`](Self::with_limits).
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// See [`with_deadline_policy`](Self::with_deadline_policy).
    pub const fn deadline_policy(&self) -> &DeadlinePolicy {
        &self.deadline
    }

    /// See [`with_compression`](Self::with_compression).
    #[must_use]
    pub const fn compression(&self) -> bool {
        self.compress
    }
}

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
#[derive(Clone, Debug)]
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
#[derive(Clone, Debug, Default)]
pub struct CallOptions {
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Option<Duration>,
    pub(crate) compress: Option<bool>,
    pub(crate) recv_message_bytes: Option<usize>,
    pub(crate) get: Option<bool>,
}

impl CallOptions {
    /// A call that leaves everything to the client's configuration.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leading metadata of the request, in addition to the client's own; names that a protocol reserves are left out.
    /// Default: none.
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

    /// Whether to compress this call's requests. Default: `None`.
    #[must_use]
    pub fn with_compression(mut self, enabled: impl Into<Option<bool>>) -> Self {
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
