//! The RPC error: what a handler returns, what a client receives, in every protocol.

use std::{borrow::Cow, error::Error as StdError, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Code, metadata};

/// An RPC error: a [`Code`], a message, typed details and metadata.
///
/// It is one pointer in size. `source` is for logs on this side: it never goes to the peer, and
/// equality ignores it. `{error}` shows code and message, `{error:#}` the sources too.
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
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    code: Code,
    message: Cow<'static, str>,
    details: Vec<ErrorDetail>,
    metadata: HeaderMap,
    /// The metadata came from a peer and is for reading; this was added to it here, and is what is sent.
    added: Option<HeaderMap>,
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
    /// An error with this code and message, without details and metadata.
    #[must_use]
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner {
            code,
            message: message.into(),
            details: Vec::new(),
            metadata: HeaderMap::new(),
            added: None,
            source: None,
        }))
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

    /// Metadata that travels with the error.
    ///
    /// A server's error carries it as trailing metadata; in Connect unary responses as plain headers.
    ///
    /// A client's error holds all headers and trailers of the response. They are for reading: a handler that returns
    /// such an error to its own caller does not send them on, whatever they hold. To send some of them, add them by
    /// [`with_header`](Self::with_header), or replace all by [`with_metadata`](Self::with_metadata).
    #[must_use]
    pub fn metadata(&self) -> &HeaderMap {
        &self.0.metadata
    }

    /// The metadata, to change it.
    pub fn metadata_mut(&mut self) -> &mut HeaderMap {
        &mut self.0.metadata
    }

    /// Adds a detail.
    #[must_use]
    pub fn with_detail(mut self, detail: ErrorDetail) -> Self {
        self.0.details.push(detail);
        self
    }

    /// Replaces the metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: HeaderMap) -> Self {
        self.0.metadata = metadata;
        self.0.added = None;
        self
    }

    /// Says more, at the end of the message.
    pub(crate) fn append_message(&mut self, more: &str) {
        self.0.message.to_mut().push_str(more);
    }

    /// Adds one field of metadata, beside what there may be of this name.
    ///
    /// ```
    /// use connect_proto::Error;
    ///
    /// fn busy() -> Result<(), Error> {
    ///     Err(Error::unavailable("come back later").with_header("retry-after", "3")?)
    /// }
    /// assert_eq!(busy().unwrap_err().metadata()["retry-after"], "3");
    /// ```
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata.
    pub fn with_header(
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
        if more.is_empty() {
            return;
        }
        if let Some(added) = &mut self.0.added {
            metadata::append_all(added, more.clone());
        }
        metadata::append_all(&mut self.0.metadata, more);
    }

    /// Sets what the peer sent beside the error.
    pub(crate) fn with_received(mut self, metadata: HeaderMap) -> Self {
        self.0.metadata = metadata;
        self.0.added = Some(HeaderMap::new());
        self
    }

    /// Takes out the metadata that is to be sent.
    pub(crate) fn take_metadata_to_send(&mut self) -> HeaderMap {
        let metadata = std::mem::take(&mut self.0.metadata);
        self.0.added.take().unwrap_or(metadata)
    }

    /// Keeps the cause, for logs on this side. It never goes to the peer.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(Arc::from(source.into()));
        self
    }

    /// The same error with another code, message, details, metadata and source kept.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.0.code = code;
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
            .field("metadata", &self.0.metadata)
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
