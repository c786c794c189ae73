//! What is known of a procedure before any call of it: its path, its stream type, its idempotency.

use std::borrow::Cow;

/// Which sides of a call send a stream of messages instead of exactly one.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StreamType {
    /// One request message, one response message.
    Unary,
    /// Any number of request messages, one response message.
    ClientStream,
    /// One request message, any number of response messages.
    ServerStream,
    /// Any number of messages each way, in any order.
    BidiStream,
}

impl StreamType {
    /// All four, for tables and tests.
    pub const ALL: [Self; 4] = [
        Self::Unary,
        Self::ClientStream,
        Self::ServerStream,
        Self::BidiStream,
    ];

    /// Whether the client may send any number of messages.
    #[must_use]
    pub const fn client_streams(self) -> bool {
        matches!(self, Self::ClientStream | Self::BidiStream)
    }

    /// Whether the server may send any number of messages.
    #[must_use]
    pub const fn server_streams(self) -> bool {
        matches!(self, Self::ServerStream | Self::BidiStream)
    }
}

/// The `idempotency_level` of a method in its `.proto` file.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Idempotency {
    /// Nothing is promised.
    #[default]
    Unknown,
    /// The call changes nothing: Connect allows it as an HTTP GET.
    NoSideEffects,
    /// Calling twice has the effect of calling once.
    Idempotent,
}

/// A procedure: its path, stream type and idempotency.
///
/// Generated code declares one constant a method; proxies build them at run time.
///
/// ```
/// use connect_proto::{Idempotency, Spec, StreamType};
///
/// const SAY: Spec = Spec::new("/connectrpc.eliza.v1.ElizaService/Say", StreamType::Unary)
///     .with_idempotency(Idempotency::NoSideEffects);
/// assert_eq!(SAY.service(), "connectrpc.eliza.v1.ElizaService");
/// assert_eq!(SAY.method(), "Say");
///
/// let path = String::from("/pkg.Proxied/Any");
/// let _at_run_time = Spec::from_path(path, StreamType::BidiStream);
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Spec {
    procedure: Cow<'static, str>,
    stream_type: StreamType,
    idempotency: Idempotency,
}

impl Spec {
    /// A procedure by its path, `/package.Service/Method`; nothing is promised of its idempotency.
    #[must_use]
    pub const fn new(procedure: &'static str, stream_type: StreamType) -> Self {
        Self {
            procedure: Cow::Borrowed(procedure),
            stream_type,
            idempotency: Idempotency::Unknown,
        }
    }

    /// The same as [`new`](Self::new), for a path known only at run time.
    #[must_use]
    pub fn from_path(procedure: impl Into<Cow<'static, str>>, stream_type: StreamType) -> Self {
        Self {
            procedure: procedure.into(),
            stream_type,
            idempotency: Idempotency::Unknown,
        }
    }

    /// Sets the idempotency; [`Idempotency::Unknown`] by default.
    #[must_use]
    pub const fn with_idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = idempotency;
        self
    }

    /// The path, `/package.Service/Method`.
    #[must_use]
    pub fn procedure(&self) -> &str {
        &self.procedure
    }

    /// The same, to keep.
    pub(crate) fn path(&self) -> &Cow<'static, str> {
        &self.procedure
    }

    /// The full name of the service, `package.Service`; empty if the path has no such part.
    #[must_use]
    pub fn service(&self) -> &str {
        self.names().0
    }

    /// The name of the method; empty if the path has no such part.
    #[must_use]
    pub fn method(&self) -> &str {
        self.names().1
    }

    /// Who streams.
    #[must_use]
    pub const fn stream_type(&self) -> StreamType {
        self.stream_type
    }

    /// What the schema promises of calling twice.
    #[must_use]
    pub const fn idempotency(&self) -> Idempotency {
        self.idempotency
    }

    /// Whether Connect allows the procedure as an HTTP GET: unary and free of side effects.
    #[must_use]
    pub fn allows_get(&self) -> bool {
        self.stream_type == StreamType::Unary && self.idempotency == Idempotency::NoSideEffects
    }

    fn names(&self) -> (&str, &str) {
        self.procedure
            .trim_start_matches('/')
            .rsplit_once('/')
            .unwrap_or_default()
    }
}
