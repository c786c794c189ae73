//! The RPC error: what a handler returns, what a client receives, in every protocol.

use std::{borrow::Cow, error::Error as StdError, fmt, mem, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    Code, Side,
    metadata::{self, MetadataError, Names},
    percent,
};

/// An RPC error: a [`Code`], a message, typed details and metadata.
///
/// It is one pointer in size, and a clone shares what it points to. `source` is for logs on this side: it never goes to
/// the peer, and equality ignores it. `{error}` shows code and message, `{error:#}` the sources too.
///
/// ```
/// use connect_proto::{Code, Error};
///
/// let error = Error::not_found("no user 42").with_source(std::io::Error::other("row missing"));
/// assert_eq!(error.code(), Code::NotFound);
/// assert_eq!(error.to_string(), "not_found: no user 42");
/// assert_eq!(format!("{error:#}"), "not_found: no user 42: row missing");
/// assert_eq!(error, Error::new(Code::NotFound, "no user 42"));
/// ```
///
/// # Errors that were received
///
/// What a client gets from its server was written by another service, for this one: [`received`](Self::received) is
/// `Some`. A handler that returns it, say by `?`, does not hand those words to its own caller. The caller sees
/// [`Code::Internal`] and a message that says no more than that another call failed; the received error is the source,
/// for logs. To send it on, code, message and details as they came, say so: [`forward`](Self::forward) for one error,
/// [`ServerConfig::with_forwarded_errors`](crate::ServerConfig::with_forwarded_errors) for a gateway.
///
/// Errors that the client itself makes (its deadline passed, there is no connection) were not received; they name no
/// address and no host, and are sent like any other.
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    details: Vec<ErrorDetail>,
    /// Sent with the error.
    metadata: HeaderMap,
    /// What the peer sent with the error; never sent on.
    received: Option<HeaderMap>,
    /// May be sent although it was received.
    forwarded: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// A typed detail of an error: any Protobuf message, by name and in binary.
///
/// Connect, "Error and EndStreamResponse"; gRPC, `google.rpc.Status.details`.
#[derive(Clone, Debug)]
pub struct ErrorDetail {
    type_name: Cow<'static, str>,
    value: Bytes,
    debug_json: Option<Box<str>>,
}

impl Error {
    /// How many details a received error has at most; what a peer sends beyond them is left out. An empty detail takes a
    /// few bytes on the wire and many more in memory.
    pub const MAX_DETAILS: usize = 1_024;

    /// An error with this code and message, without details and metadata.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Arc::new(Inner {
            code,
            message: message.into(),
            details: Vec::new(),
            metadata: HeaderMap::new(),
            received: None,
            forwarded: false,
            source: None,
        }))
    }

    /// The error of a peer's bytes that cannot be read, as the side that reads them sees it: a client's broken request is
    /// [`Code::InvalidArgument`], a server's broken response [`Code::Internal`].
    #[must_use]
    pub fn malformed(reader: Side, message: impl Into<Cow<'static, str>>) -> Self {
        match reader {
            Side::Server => Self::invalid_argument(message),
            Side::Client => Self::internal(message),
        }
    }

    /// The category.
    #[must_use]
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What went wrong, for people; may be empty.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The typed details, in the order in which they were added or received.
    #[must_use]
    pub fn details(&self) -> &[ErrorDetail] {
        &self.0.details
    }

    /// Metadata that is sent with the error.
    ///
    /// A server's error carries it as trailing metadata; in Connect unary responses as plain headers. What a client has
    /// received is not in it: see [`received`](Self::received).
    #[must_use]
    pub fn metadata(&self) -> &HeaderMap {
        &self.0.metadata
    }

    /// The metadata that is sent with the error, to change it.
    pub fn metadata_mut(&mut self) -> &mut HeaderMap {
        &mut self.inner().metadata
    }

    /// The metadata that came with the error over the wire: all headers and trailers of the response. `None` for an error
    /// that was made on this side.
    ///
    /// It is for reading. It is never sent on, also not by [`forward`](Self::forward): it holds what the protocol of
    /// that call needed. To send some of it, add it by [`add_header`](Self::add_header).
    #[must_use]
    pub fn received(&self) -> Option<&HeaderMap> {
        self.0.received.as_ref()
    }

    /// Lets an error that was received be sent on, with its code, message and details; no difference for others.
    ///
    /// ```
    /// use connect_proto::{Code, Error};
    ///
    /// /// What a handler answers when the service behind it fails: a missing user is the caller's business.
    /// fn answer(error: Error) -> Error {
    ///     match error.code() {
    ///         Code::NotFound => error.forward(),
    ///         _ => error,
    ///     }
    /// }
    /// # assert_eq!(answer(Error::not_found("no user 42")).code(), Code::NotFound);
    /// ```
    #[must_use]
    pub fn forward(mut self) -> Self {
        self.inner().forwarded = true;
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn add_detail(mut self, detail: ErrorDetail) -> Self {
        self.inner().details.push(detail);
        self
    }

    /// Replaces the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: HeaderMap) -> Self {
        self.inner().metadata = metadata;
        self
    }

    /// Says more, at the end of the message.
    pub(crate) fn append_message(&mut self, more: &str) {
        self.inner().message.to_mut().push_str(more);
    }

    /// Adds one field of metadata, beside what there may be of this name.
    ///
    /// ```
    /// use connect_proto::Error;
    ///
    /// fn busy() -> Result<(), Error> {
    ///     Err(Error::unavailable("come back later").add_header("retry-after", "3")?)
    /// }
    /// assert_eq!(busy().unwrap_err().metadata()["retry-after"], "3");
    /// ```
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata.
    pub fn add_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<Self, Self> {
        let mut field = HeaderMap::new();
        metadata::append(&mut field, name, value)?;
        self.add_metadata(field);
        Ok(self)
    }

    /// Adds metadata, beside what there may be of the same names.
    pub fn add_metadata(&mut self, more: HeaderMap) {
        if !more.is_empty() {
            metadata::append_all(&mut self.inner().metadata, more);
        }
    }

    /// Sets what the peer sent with the error.
    pub(crate) fn with_received(mut self, metadata: HeaderMap) -> Self {
        self.inner().received = Some(metadata);
        self
    }

    /// What is sent in place of this error: one that was received stays here, unless it is to be forwarded.
    pub(crate) fn into_sent(mut self, forward: bool) -> Self {
        if self.0.received.is_none() || self.0.forwarded || forward {
            return self;
        }
        let metadata = self.take_metadata();
        Self::internal("a call that the server made to answer this one has failed")
            .with_metadata(metadata)
            .with_source(self)
    }

    /// Takes out the metadata that is to be sent.
    pub(crate) fn take_metadata(&mut self) -> HeaderMap {
        if self.0.metadata.is_empty() {
            return HeaderMap::new();
        }
        mem::take(&mut self.inner().metadata)
    }

    /// Makes message and details fit into this many bytes of header fields, as gRPC's trailers carry them: details go
    /// first, then the end of the message. The code always stays, and the message says what is missing.
    pub(crate) fn cut_to(&mut self, max: usize) {
        if self.fields_len() <= max {
            return;
        }
        let inner = self.inner();
        if !inner.details.is_empty() {
            inner.details.clear();
            inner.message.to_mut().push_str(DETAILS_CUT);
        }
        if percent::encoded_len(&inner.message) <= max {
            return;
        }
        let room = max.saturating_sub(MESSAGE_CUT.len());
        let mut used = 0;
        let end = inner.message.char_indices().find_map(|(at, c)| {
            used += percent::encoded_len(c.encode_utf8(&mut [0; 4]));
            (used > room).then_some(at)
        });
        let text = inner.message.to_mut();
        text.truncate(end.unwrap_or(text.len()));
        // The field of a message that is all cut would be too much, too.
        if max >= MESSAGE_CUT.len() {
            text.push_str(MESSAGE_CUT);
        }
    }

    /// How many bytes message and details have in gRPC's header fields, without the names of those.
    ///
    /// gRPC, "Responses": `grpc-message` is percent-encoded, `grpc-status-details-bin` holds the message once more and is
    /// base64.
    pub(crate) fn fields_len(&self) -> usize {
        // What a detail's fields and lengths add, at most.
        const DETAIL_OVERHEAD: usize = 48;
        let message = percent::encoded_len(self.message());
        let details: usize = self
            .details()
            .iter()
            .map(|detail| DETAIL_OVERHEAD + detail.type_name.len() + detail.value.len())
            .sum();
        match details {
            0 => message,
            details => message + (self.message().len() + details).div_ceil(3) * 4,
        }
    }

    /// Leaves out the metadata, which is too large to send; the message says so.
    pub(crate) fn cut_metadata(&mut self) {
        let inner = self.inner();
        inner.metadata = HeaderMap::new();
        inner.message.to_mut().push_str(METADATA_CUT);
    }

    /// The one owner's view: errors are seldom shared when they are changed.
    fn inner(&mut self) -> &mut Inner {
        Arc::make_mut(&mut self.0)
    }

    /// Keeps the cause, for logs on this side. It never goes to the peer.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.inner().source = Some(Arc::from(source.into()));
        self
    }

    /// The same error with another code, message, details, metadata and source kept.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.inner().code = code;
        self
    }

    /// [`Code::Canceled`] with this message.
    #[must_use]
    pub fn canceled(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Canceled, message)
    }

    /// [`Code::Unknown`] with this message.
    #[must_use]
    pub fn unknown(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unknown, message)
    }

    /// [`Code::InvalidArgument`] with this message.
    #[must_use]
    pub fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidArgument, message)
    }

    /// [`Code::DeadlineExceeded`] with this message.
    #[must_use]
    pub fn deadline_exceeded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::DeadlineExceeded, message)
    }

    /// [`Code::NotFound`] with this message.
    #[must_use]
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::NotFound, message)
    }

    /// [`Code::AlreadyExists`] with this message.
    #[must_use]
    pub fn already_exists(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::AlreadyExists, message)
    }

    /// [`Code::PermissionDenied`] with this message.
    #[must_use]
    pub fn permission_denied(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::PermissionDenied, message)
    }

    /// [`Code::ResourceExhausted`] with this message.
    #[must_use]
    pub fn resource_exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::ResourceExhausted, message)
    }

    /// [`Code::FailedPrecondition`] with this message.
    #[must_use]
    pub fn failed_precondition(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::FailedPrecondition, message)
    }

    /// [`Code::Aborted`] with this message.
    #[must_use]
    pub fn aborted(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Aborted, message)
    }

    /// [`Code::OutOfRange`] with this message.
    #[must_use]
    pub fn out_of_range(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::OutOfRange, message)
    }

    /// [`Code::Unimplemented`] with this message.
    #[must_use]
    pub fn unimplemented(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unimplemented, message)
    }

    /// [`Code::Internal`] with this message.
    #[must_use]
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Internal, message)
    }

    /// [`Code::Unavailable`] with this message.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unavailable, message)
    }

    /// [`Code::DataLoss`] with this message.
    #[must_use]
    pub fn data_loss(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::DataLoss, message)
    }

    /// [`Code::Unauthenticated`] with this message.
    #[must_use]
    pub fn unauthenticated(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Unauthenticated, message)
    }
}

/// Shows `code: message`; as `{error:#}` its sources too, for logs.
impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.code.as_str())?;
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        if f.alternate() {
            write_sources(self, f)?;
        }
        Ok(())
    }
}

/// Writes the sources of an error, but not again what the one before has said of its own source.
fn write_sources(error: &Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut said = error.message().to_owned();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        if !said.contains(&text) {
            write!(f, ": {text}")?;
            said = text;
        }
        next = source.source();
    }
    Ok(())
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("code", &self.0.code)
            .field("message", &self.0.message)
            .field("details", &self.0.details)
            .field("metadata", &Names(&self.0.metadata))
            .field("received", &self.0.received.as_ref().map(Names))
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl PartialEq for Error {
    fn eq(&self, other: &Self) -> bool {
        self.0.code == other.0.code
            && self.0.message == other.0.message
            && self.0.details == other.0.details
            && self.0.metadata == other.0.metadata
            && self.0.received == other.0.received
    }
}

/// Stands at the end of the message of an error whose details were too large to send.
const DETAILS_CUT: &str = " (its details were too large to send)";

/// Stands at the end of the message of an error whose metadata was too large to send.
const METADATA_CUT: &str = " (its metadata was too large to send)";

/// Stands at the end of a message that was too large to send.
const MESSAGE_CUT: &str = "... (cut)";

/// `invalid_argument` for what a peer sent, `internal` for what the program did.
impl From<MetadataError> for Error {
    fn from(error: MetadataError) -> Self {
        match error {
            // What a peer sent.
            MetadataError::NotBase64 => Self::invalid_argument(error.to_string()),
            // What the program itself said.
            MetadataError::Name
            | MetadataError::Value(_)
            | MetadataError::NotBinary
            | MetadataError::Full => Self::internal(error.to_string()),
        }
    }
}

impl ErrorDetail {
    /// A detail from the full name of its message type, `package.Message`, and its binary encoding.
    #[must_use]
    pub fn new(type_name: impl Into<Cow<'static, str>>, value: impl Into<Bytes>) -> Self {
        Self {
            type_name: type_name.into(),
            value: value.into(),
            debug_json: None,
        }
    }

    /// Adds the detail's JSON form, which Connect sends under `debug` for readers of the wire.
    ///
    /// Text that is not valid JSON is not sent.
    #[must_use]
    pub fn with_debug_json(mut self, json: impl Into<Box<str>>) -> Self {
        self.debug_json = Some(json.into());
        self
    }

    /// The full name of the message type, `package.Message`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// The message in binary.
    #[must_use]
    pub fn value(&self) -> &Bytes {
        &self.value
    }

    /// The detail's JSON form, if the sender gave one. Programs must not depend on it.
    #[must_use]
    pub fn debug_json(&self) -> Option<&str> {
        self.debug_json.as_deref()
    }
}

/// Equality is of type and value: `debug` is for people.
impl PartialEq for ErrorDetail {
    fn eq(&self, other: &Self) -> bool {
        self.type_name == other.type_name && self.value == other.value
    }
}

impl Eq for ErrorDetail {}
