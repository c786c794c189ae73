//! A request: a message, its metadata and extensions.

use std::{fmt, time::Duration};

use connect_proto::{
    Error, Protocol, Spec, StreamType,
    metadata::{self, Names},
};
use futures_core::Stream;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::call::{connection::Connection, deadline::Deadline, observe::Observed, peer::Peer};

/// A request: a message or a stream of messages, with metadata and extensions.
///
/// A handler receives one: its headers are the request's, [`deadline`](Self::deadline) and [`peer`](Self::peer) are set,
/// and extensions are those that HTTP middleware, gates and interceptors left. A client makes one with [`new`](Self::new)
/// where a plain message is not enough: every generated method takes either.
///
/// ```
/// use std::time::Duration;
/// use connect_tower::Request;
///
/// # fn main() -> Result<(), connect_tower::Error> {
/// let request = Request::new(String::from("hi"))
///     .with_timeout(Duration::from_secs(2))
///     .add_header("x-tenant", "blue")?;
/// assert_eq!(request.headers()["x-tenant"], "blue");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Request<T> {
    message: T,
    pub(crate) head: Head,
}

/// Everything of a request but its message.
#[derive(Clone, Default)]
pub(crate) struct Head {
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) spec: Option<Spec>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) deadline: Option<Deadline>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) options: Options,
    /// Whether the one message of a request was received compressed.
    pub(crate) is_compressed: bool,
    /// The observers of a client's call.
    pub(crate) observed: Option<Observed>,
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("headers", &Names(&self.headers))
            .field("spec", &self.spec)
            .field("protocol", &self.protocol)
            .field("timeout", &self.timeout)
            .field("options", &self.options)
            .field("is_compressed", &self.is_compressed)
            .finish_non_exhaustive()
    }
}

/// What a client's request sets for its call. Unused on a server.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub(crate) compress: Option<bool>,
    pub(crate) recv_message_bytes: Option<usize>,
    pub(crate) get: Option<bool>,
    pub(crate) wait_for_ready: Option<bool>,
}

impl<T> Request<T> {
    /// A request with this message and nothing else.
    #[must_use]
    pub fn new(message: T) -> Self {
        Self {
            message,
            head: Head::default(),
        }
    }

    pub(crate) fn from_head(head: Head, message: T) -> Self {
        Self { message, head }
    }

    /// The message.
    #[must_use]
    pub fn message(&self) -> &T {
        &self.message
    }

    /// The message, to change it.
    pub fn message_mut(&mut self) -> &mut T {
        &mut self.message
    }

    /// The message alone; the rest is dropped.
    #[must_use]
    pub fn into_message(self) -> T {
        self.message
    }

    /// Splits it into the request without its message, and the message.
    #[must_use]
    pub fn into_parts(self) -> (Request<()>, T) {
        (Request::from_head(self.head, ()), self.message)
    }

    /// The same request with another message.
    #[must_use]
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Request<U> {
        Request::from_head(self.head, map(self.message))
    }

    /// The leading metadata. On a server these are the headers of the HTTP request, the protocol's own included.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The leading metadata, to change it. Names that a protocol reserves are not sent.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// Typed values that travel with the request inside this process.
    ///
    /// On a server they come from the HTTP request and from gates and interceptors; on a client interceptors and the
    /// transport see them.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.head.extensions
    }

    /// The extensions, to change them.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.head.extensions
    }

    /// The procedure that is called. A request that belongs to no call yet has one with an empty path.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        static NONE: Spec = Spec::new("", StreamType::Unary);
        self.head.spec.as_ref().unwrap_or(&NONE)
    }

    /// The protocol that the call speaks; `None` for a request that belongs to no call yet.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.head.protocol
    }

    /// The other end of the connection; `None` on a client, and where the adapter does not say.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        Connection::peer_of(&self.head.extensions)
    }

    /// When the call ends by itself; `None` if never.
    ///
    /// On a server it is what the client asked for, within the [`DeadlinePolicy`](connect_proto::DeadlinePolicy).
    #[must_use]
    pub fn deadline(&self) -> Option<&Deadline> {
        self.head.deadline.as_ref()
    }

    /// How long the call may take from its start; `None` for ever.
    ///
    /// On a server it is what the [`DeadlinePolicy`](connect_proto::DeadlinePolicy) makes of the client's timeout, which
    /// a gate sees in [`CallHead::timeout`](crate::CallHead::timeout). For a client's interceptors it is the least of what
    /// the request, or else the client's default, and the request's deadline allow.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.head.timeout
    }

    /// Client: how long the call may take, from its start to its end; the client's default by default.
    ///
    /// It is sent to the server. On this side the call ends with `deadline_exceeded` if its transport has a timer.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.head.timeout = Some(timeout);
        self
    }

    /// Client: ends the call with this deadline, usually that of the call being served, or with none; the sooner one
    /// counts if there is a timeout too.
    #[must_use]
    pub fn with_deadline(mut self, deadline: impl Into<Option<Deadline>>) -> Self {
        self.head.deadline = deadline.into();
        self
    }

    /// Adds leading metadata, beside what there may be of this name. Names that a protocol reserves, such as all that begin
    /// with `grpc-`, are left out when the request is sent.
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata. Binary values are for
    /// [`metadata`](connect_proto::metadata)'s functions.
    pub fn add_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<Self, Error> {
        metadata::append(&mut self.head.headers, name, value)?;
        Ok(self)
    }

    /// Adds an extension, in place of what there may be of this type.
    #[must_use]
    pub fn with_extension<E: Clone + Send + Sync + 'static>(mut self, value: E) -> Self {
        self.head.extensions.insert(value);
        self
    }

    /// Client: whether to compress what this call sends, if the client was given a compression; it does by default.
    #[must_use]
    pub fn with_compress(mut self, compress: bool) -> Self {
        self.head.options.compress = Some(compress);
        self
    }

    /// Client: the largest message to receive, in bytes after decompression; the client's limit (4 MiB) by default.
    ///
    /// A larger one ends the call with `resource_exhausted`.
    #[must_use]
    pub fn with_recv_message_bytes(mut self, bytes: usize) -> Self {
        self.head.options.recv_message_bytes = Some(bytes);
        self
    }

    /// Client: whether to use HTTP GET where procedure and protocol allow it; the client's choice by default.
    #[must_use]
    pub fn with_get(mut self, get: bool) -> Self {
        self.head.options.get = Some(get);
        self
    }

    /// Client: whether the call waits while no connection to its server can be made, up to its deadline, instead of failing
    /// with `unavailable`; it does not by default. It needs a timer.
    ///
    /// A call without a deadline waits as long as its server is away.
    #[must_use]
    pub fn with_wait_for_ready(mut self, wait: bool) -> Self {
        self.head.options.wait_for_ready = Some(wait);
        self
    }

    /// Server: whether the message travelled compressed; that of a stream says
    /// [the stream](crate::Streaming::is_compressed).
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.head.is_compressed
    }

    /// Client: whether to compress, if this request says so.
    #[must_use]
    pub fn compress(&self) -> Option<bool> {
        self.head.options.compress
    }

    /// Client: the largest message to receive, in bytes after decompression, if this request says so.
    #[must_use]
    pub fn recv_message_bytes(&self) -> Option<usize> {
        self.head.options.recv_message_bytes
    }

    /// Client: whether to wait for a connection, if this request says so.
    #[must_use]
    pub fn wait_for_ready(&self) -> Option<bool> {
        self.head.options.wait_for_ready
    }

    /// Client: whether to use HTTP GET where it is allowed, if this request says so.
    #[must_use]
    pub fn get(&self) -> Option<bool> {
        self.head.options.get
    }
}

/// A message, or a [`Request`] with one: what client methods take.
pub trait IntoRequest<T> {
    /// The request.
    fn into_request(self) -> Request<T>;
}

impl<T> IntoRequest<T> for T {
    fn into_request(self) -> Request<T> {
        Request::new(self)
    }
}

impl<T> IntoRequest<T> for Request<T> {
    fn into_request(self) -> Self {
        self
    }
}

/// A stream of messages, or a [`Request`] with one: what client methods take whose requests are given whole.
///
/// ```
/// use connect_tower::{IntoStreamRequest, Request};
/// use futures_util::stream;
///
/// fn send_all(requests: impl IntoStreamRequest<u32>) {
///     let _request = requests.into_stream_request();
/// }
///
/// # fn main() -> Result<(), connect_tower::Error> {
/// send_all(stream::iter([1, 2, 3]));
/// send_all(Request::new(stream::iter([1, 2, 3])).add_header("x-tenant", "blue")?);
/// # Ok(())
/// # }
/// ```
pub trait IntoStreamRequest<M> {
    /// The stream.
    type Stream: Stream<Item = M> + Send + 'static;

    /// The request.
    fn into_stream_request(self) -> Request<Self::Stream>;
}

impl<M, S: Stream<Item = M> + Send + 'static> IntoStreamRequest<M> for S {
    type Stream = S;

    fn into_stream_request(self) -> Request<S> {
        Request::new(self)
    }
}

impl<M, S: Stream<Item = M> + Send + 'static> IntoStreamRequest<M> for Request<S> {
    type Stream = S;

    fn into_stream_request(self) -> Self {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_keeps_what_travels_beside_its_message() {
        let request = Request::new(1)
            .add_header("x-a", "1")
            .and_then(|request| request.add_header("x-a", "2"))
            .map(|request| request.with_extension("left by a gate"))
            .unwrap();
        let (rest, message) = request.map(|n| n + 1).into_parts();
        assert_eq!(message, 2);
        let values: Vec<_> = rest.headers().get_all("x-a").iter().collect();
        assert_eq!(values, ["1", "2"]);
        assert_eq!(rest.extensions().get::<&str>(), Some(&"left by a gate"));
        assert_eq!(rest.spec().procedure(), "");
    }

    #[test]
    fn bad_metadata_is_refused_with_its_name() {
        let error = Request::new(()).add_header("no spaces", "").unwrap_err();
        assert!(error.message().contains("metadata name"), "{error}");
        let error = Request::new(()).add_header("x-a", "\n").unwrap_err();
        assert!(error.message().contains("\"x-a\""), "{error}");
    }
}
