//! A response: a message or a stream of messages, its metadata and extensions.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll},
};

use connect_proto::{Error, metadata};
use futures_core::Stream;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue};

use crate::call::head::ResponseHead;

/// A response: a message or a stream of messages, with the metadata before and after.
///
/// ```
/// use connect_tower::Response;
///
/// # fn main() -> Result<(), connect_tower::Error> {
/// let response = Response::new(String::from("hi")).add_trailer("x-cost", "3")?;
/// assert_eq!(response.trailers()["x-cost"], "3");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Response<T> {
    message: T,
    pub(crate) head: ResponseHead,
}

impl<T> Response<T> {
    /// A response with this message and nothing else.
    #[must_use]
    pub fn new(message: T) -> Self {
        Self {
            message,
            head: ResponseHead::default(),
        }
    }

    pub(crate) fn from_head(head: ResponseHead, message: T) -> Self {
        Self { message, head }
    }

    pub(crate) fn split(self) -> (ResponseHead, T) {
        (self.head, self.message)
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

    /// The same response with another message.
    #[must_use]
    pub fn map<U>(self, map: impl FnOnce(T) -> U) -> Response<U> {
        Response::from_head(self.head, map(self.message))
    }

    /// The leading metadata. On a client these are the headers of the HTTP response, the protocol's own included.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The leading metadata, to change it. Names that a protocol reserves are not sent.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.headers
    }

    /// The trailing metadata, as far as it is known: that of a stream is known at its
    /// [end](crate::Streaming::trailers).
    #[must_use]
    pub fn trailers(&self) -> &HeaderMap {
        &self.head.trailers
    }

    /// The trailing metadata, to change it. It is sent at the end of a stream too, with the metadata of the error if the
    /// stream ends with one.
    pub fn trailers_mut(&mut self) -> &mut HeaderMap {
        &mut self.head.trailers
    }

    /// Typed values that travel with the response inside this process: on a server they go into the HTTP response's
    /// extensions, where tower middleware finds them; on a client they are what the transport left there.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.head.extensions
    }

    /// The extensions, to change them.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.head.extensions
    }

    /// Adds leading metadata, beside what there may be of this name.
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata.
    pub fn add_header(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<Self, Error> {
        metadata::append(&mut self.head.headers, name, value)?;
        Ok(self)
    }

    /// Adds trailing metadata, beside what there may be of this name.
    ///
    /// # Errors
    ///
    /// `internal` if name or value cannot stand in HTTP, or if there is too much metadata.
    pub fn add_trailer(
        mut self,
        name: impl TryInto<HeaderName>,
        value: impl TryInto<HeaderValue>,
    ) -> Result<Self, Error> {
        metadata::append(&mut self.head.trailers, name, value)?;
        Ok(self)
    }

    /// Server: whether to compress the messages of this response, as far as the client accepts it; they are by default.
    #[must_use]
    pub fn with_compress(mut self, compress: bool) -> Self {
        self.head.compress = Some(compress);
        self
    }

    /// Client: whether the message travelled compressed; that of a stream says
    /// [the stream](crate::Streaming::is_compressed).
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.head.is_compressed
    }

    /// Server: whether to compress, if this response says so.
    #[must_use]
    pub fn compress(&self) -> Option<bool> {
        self.head.compress
    }
}

impl<T> From<T> for Response<T> {
    fn from(message: T) -> Self {
        Self::new(message)
    }
}

impl<M> Response<ResponseStream<M>> {
    /// A response with this stream of messages: short for `Response::new(ResponseStream::new(stream))`.
    #[must_use]
    pub fn stream(stream: impl Stream<Item = Result<M, Error>> + Send + 'static) -> Self {
        Self::new(ResponseStream::new(stream))
    }
}

/// The messages that a handler answers with, one after another.
///
/// It is the one box of a streaming call, so that a handler may return different streams from different branches and
/// services may be generic. An error ends the call with that error; the end of the stream ends it cleanly.
///
/// ```
/// use connect_tower::{Response, ResponseStream};
/// use futures_util::stream;
///
/// let mut count = 0;
/// let stream = ResponseStream::new(stream::iter([Ok(1), Ok(2)])).with_trailers(move || {
///     count += 1;
///     http::HeaderMap::new()
/// });
/// let response = Response::new(stream);
/// ```
pub struct ResponseStream<M> {
    stream: Pin<Box<dyn Stream<Item = Result<M, Error>> + Send>>,
    trailers: Option<Box<dyn FnOnce() -> HeaderMap + Send>>,
    /// Where the stream says whether its last message is to be compressed, if it does.
    pub(crate) compress: Option<Arc<CompressNext>>,
}

/// Whether the message that a stream has just yielded is to be compressed.
#[derive(Debug, Default)]
pub(crate) struct CompressNext(AtomicU8);

impl CompressNext {
    pub(crate) fn set(&self, compress: Option<bool>) {
        let number = compress.map_or(0, |compress| 1 + u8::from(compress));
        self.0.store(number, Ordering::Relaxed);
    }

    /// None: as the response says.
    pub(crate) fn get(&self) -> Option<bool> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number == 2),
        }
    }
}

impl<M> ResponseStream<M> {
    /// The messages of this stream.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Result<M, Error>> + Send + 'static) -> Self {
        Self {
            stream: Box::pin(stream),
            trailers: None,
            compress: None,
        }
    }

    /// Runs `trailers` at the end of the stream, clean or with an error, and sends what it returns as trailing metadata.
    ///
    /// Trailers that are known from the start go into the [`Response`].
    #[must_use]
    pub fn with_trailers(mut self, trailers: impl FnOnce() -> HeaderMap + Send + 'static) -> Self {
        self.trailers = Some(Box::new(trailers));
        self
    }

    /// What the end of the stream adds to the trailing metadata.
    pub(crate) fn take_trailers(&mut self) -> HeaderMap {
        self.trailers.take().map(|make| make()).unwrap_or_default()
    }
}

impl<M, I> From<I> for ResponseStream<M>
where
    I: IntoIterator<Item = M>,
    I::IntoIter: Send + 'static,
{
    /// Messages that are there already.
    fn from(messages: I) -> Self {
        Self::new(Messages(messages.into_iter()))
    }
}

impl<M> Stream for ResponseStream<M> {
    type Item = Result<M, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.stream.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.stream.size_hint()
    }
}

impl<M> fmt::Debug for ResponseStream<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseStream").finish_non_exhaustive()
    }
}

/// An iterator as a stream. It is never pinned, as it is only used by `&mut`.
struct Messages<I>(I);

impl<I> Unpin for Messages<I> {}

impl<I: Iterator> Stream for Messages<I> {
    type Item = Result<I::Item, Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.next().map(Ok))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}
