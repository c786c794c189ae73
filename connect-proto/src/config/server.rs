//! What a server decides once, and what one of its calls may change of it.

use super::{DEFAULT_MIN_COMPRESS_BYTES, Limits};
use crate::{Compressions, DeadlinePolicy};

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

    /// See [`with_min_compress_bytes`](Self::with_min_compress_bytes).
    #[must_use]
    pub fn min_compress_bytes(&self) -> usize {
        self.min_compress_bytes
    }

    /// See [`with_require_protocol_version`](Self::with_require_protocol_version).
    #[must_use]
    pub fn require_protocol_version(&self) -> bool {
        self.require_protocol_version
    }

    /// See [`with_http1_bidi`](Self::with_http1_bidi).
    #[must_use]
    pub fn http1_bidi(&self) -> bool {
        self.http1_bidi
    }

    /// See [`with_forwarded_errors`](Self::with_forwarded_errors).
    #[must_use]
    pub fn forwarded_errors(&self) -> bool {
        self.forwarded_errors
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
    pub const fn with_compress(mut self, enabled: bool) -> Self {
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

    /// See [`with_compress`](Self::with_compress).
    #[must_use]
    pub const fn compress(&self) -> bool {
        self.compress
    }
}
