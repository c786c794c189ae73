//! Messages as interceptors see them: still encoded, with the codec that can read them.

use std::{
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
    thread,
};

use bytes::{Bytes, BytesMut};
use connect_codec::{Codec, Decode, Encode, Prost};
use connect_proto::{Error, Side};
use futures_core::Stream;
use http::HeaderMap;

use crate::{
    call::deadline::Deadline,
    call::deadline::deadline_exceeded,
    call::panics::{UserCode, catch, drop_quietly},
};

/// One message, encoded and not compressed, and the codec of its call.
#[derive(Clone, Debug)]
pub struct Payload {
    bytes: Bytes,
    codec: Codec,
    /// Whose rule an error of decoding follows: `Server` for what came in a request to this server, otherwise `Client`. Of
    /// what an interceptor puts in its place the handler knows only that it came in a request.
    reader: Side,
    is_compressed: bool,
    pub(crate) compress: Option<bool>,
}

impl Payload {
    /// A payload of these bytes, which must be what the codec makes of a message.
    #[must_use]
    pub fn new(bytes: Bytes, codec: Codec) -> Self {
        Self::received(bytes, codec, Side::Client, false)
    }

    /// A payload that this side has received.
    pub(crate) fn received(bytes: Bytes, codec: Codec, reader: Side, is_compressed: bool) -> Self {
        Self {
            bytes,
            codec,
            reader,
            is_compressed,
            compress: None,
        }
    }

    /// Whether it travelled compressed, for one that was received.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// Whether this payload and those that follow it are compressed when they are sent, as far as the peer accepts it.
    #[must_use]
    pub fn with_compress(mut self, compress: bool) -> Self {
        self.compress = Some(compress);
        self
    }

    /// Encodes a message: for an interceptor that answers by itself.
    ///
    /// # Errors
    ///
    /// As for [`Encode::encode`].
    pub fn encode<M>(message: &M, codec: Codec) -> Result<Self, Error>
    where
        Prost: Encode<M>,
    {
        Self::encode_with::<Prost, M>(message, codec)
    }

    /// [`encode`](Self::encode) for messages of another library than [`Prost`].
    ///
    /// # Errors
    ///
    /// As for [`Encode::encode`].
    pub fn encode_with<L: Encode<M>, M>(message: &M, codec: Codec) -> Result<Self, Error> {
        let mut buffer = BytesMut::new();
        L::encode(message, &codec, &mut buffer)?;
        Ok(Self::new(buffer.freeze(), codec))
    }

    /// Reads the message.
    ///
    /// # Errors
    ///
    /// The bytes are not such a message: `invalid_argument` for what a client sent to this server, otherwise `internal`.
    pub fn decode<M>(&self) -> Result<M, Error>
    where
        Prost: Decode<M>,
    {
        self.decode_with::<Prost, M>()
    }

    /// [`decode`](Self::decode) for messages of another library than [`Prost`].
    ///
    /// # Errors
    ///
    /// As for [`decode`](Self::decode).
    pub fn decode_with<L: Decode<M>, M>(&self) -> Result<M, Error> {
        L::decode(self.bytes.clone(), &self.codec).map_err(|error| error.into_error(self.reader))
    }

    /// Puts another message in its place.
    ///
    /// # Errors
    ///
    /// As for [`Encode::encode`]; the payload is as before.
    pub fn replace<M>(&mut self, message: &M) -> Result<(), Error>
    where
        Prost: Encode<M>,
    {
        *self = Self::encode(message, self.codec.clone())?;
        Ok(())
    }

    /// The encoded message.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The encoded message, alone.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// Puts other bytes in its place, which must be what the codec makes of a message.
    pub fn set_bytes(&mut self, bytes: Bytes) {
        self.bytes = bytes;
    }

    /// The codec of the call.
    #[must_use]
    pub fn codec(&self) -> &Codec {
        &self.codec
    }
}

/// The payloads that go one way in a call, one after another; a unary call's is a stream of one.
///
/// It is a [`Stream`], and has what interceptors need most: [`map`](Self::map) looks at and changes each payload,
/// [`on_end`](Self::on_end) sees how the call ends, and trailers before they leave.
pub struct Payloads {
    source: Source,
    trailers: HeaderMap,
    ended: bool,
    /// That of the call: it says why payloads were dropped.
    deadline: Option<Deadline>,
}

enum Source {
    Once(Option<Payload>),
    Stream(Pin<Box<dyn PayloadStream>>),
}

/// Payloads, and trailing metadata after the last.
pub(crate) trait PayloadStream: Send {
    fn poll_payload(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>>;

    /// Trailing metadata that came with the clean end, and is taken once.
    fn take_trailers(self: Pin<&mut Self>) -> HeaderMap {
        HeaderMap::new()
    }

    /// The call has ended with this error, which was not the end of these payloads; they are dropped next.
    fn fail(self: Pin<&mut Self>, _error: &Error) {}
}

impl Payloads {
    /// One payload: what a unary call has.
    #[must_use]
    pub fn once(payload: Payload) -> Self {
        Self::from_source(Source::Once(Some(payload)))
    }

    /// The payloads of a stream. It has no trailing metadata: to change payloads that are there, use [`map`](Self::map)
    /// or [`wrap_poll`](Self::wrap_poll), which keep it.
    #[must_use]
    pub fn new(stream: impl Stream<Item = Result<Payload, Error>> + Send + 'static) -> Self {
        Self::from_stream(Box::pin(Plain {
            stream: Box::pin(stream),
        }))
    }

    pub(crate) fn from_stream(stream: Pin<Box<dyn PayloadStream>>) -> Self {
        Self::from_source(Source::Stream(stream))
    }

    fn from_source(source: Source) -> Self {
        Self {
            source,
            trailers: HeaderMap::new(),
            ended: false,
            deadline: None,
        }
    }

    /// The next payload; `None` after the last.
    ///
    /// It may be cancelled at any time: a payload is not lost.
    ///
    /// # Errors
    ///
    /// What ended the stream early; after that it is over.
    pub async fn next(&mut self) -> Result<Option<Payload>, Error> {
        poll_fn(|cx| self.poll_payload(cx)).await.transpose()
    }

    /// The one payload of a unary call, if it is at hand, as it always is in a server's request.
    #[must_use]
    pub fn single_mut(&mut self) -> Option<&mut Payload> {
        match &mut self.source {
            Source::Once(payload) => payload.as_mut(),
            Source::Stream(_) => None,
        }
    }

    /// A copy, if all of it is at hand, as it is in a unary call: for an interceptor that calls twice.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.source {
            Source::Once(payload) => Some(Self {
                source: Source::Once(payload.clone()),
                trailers: self.trailers.clone(),
                ended: self.ended,
                deadline: self.deadline.clone(),
            }),
            Source::Stream(_) => None,
        }
    }

    /// Passes each payload through `map`, which may change it, or end the call with an error.
    #[must_use]
    pub fn map(self, map: impl FnMut(Payload) -> Result<Payload, Error> + Send + 'static) -> Self {
        let deadline = self.deadline.clone();
        let mut mapped = Self::from_stream(Box::pin(Mapped { inner: self, map }));
        mapped.deadline = deadline;
        mapped
    }

    /// Runs `poll` in place of each poll of the payloads. It polls the payloads that it is given, and may do something
    /// before and after, such as entering a span; or drop, add and join payloads. Their trailing metadata stays.
    ///
    /// ```
    /// use std::pin::pin;
    /// use std::future::poll_fn;
    ///
    /// use connect_tower::{Call, Error, Interceptor, Next, Payloads, Reply};
    /// use futures_core::Stream;
    ///
    /// /// Stands for the span of a tracing library.
    /// #[derive(Clone)]
    /// struct Span;
    ///
    /// impl Span {
    ///     /// Runs `work` with the span as the current one of the thread.
    ///     fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
    ///         work()
    ///     }
    ///
    ///     fn around(&self, payloads: Payloads) -> Payloads {
    ///         let span = self.clone();
    ///         payloads.wrap_poll(move |payloads, cx| span.in_scope(|| payloads.poll_next(cx)))
    ///     }
    /// }
    ///
    /// /// Enters a span for each poll of the handler and of its stream.
    /// struct Trace;
    ///
    /// impl Interceptor for Trace {
    ///     async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
    ///         let span = Span;
    ///         let mut reply = pin!(next.run(call));
    ///         let reply = poll_fn(|cx| span.in_scope(|| reply.as_mut().poll(cx))).await?;
    ///         Ok(reply.map(|payloads| span.around(payloads)))
    ///     }
    /// }
    /// ```
    #[must_use]
    pub fn wrap_poll(
        self,
        poll: impl FnMut(Pin<&mut Self>, &mut Context<'_>) -> Poll<Option<Result<Payload, Error>>>
        + Send
        + 'static,
    ) -> Self {
        let deadline = self.deadline.clone();
        let mut wrapped = Self::from_stream(Box::pin(Wrapped { inner: self, poll }));
        wrapped.deadline = deadline;
        wrapped
    }

    /// Runs `look` exactly once, when the payloads end: with the trailing metadata, which it may change, or with the
    /// error, which it may change too. Payloads that are dropped before their end, as those of a request are that the
    /// handler does not read to its end, have ended with `deadline_exceeded` or `canceled`.
    #[must_use]
    pub fn on_end(
        self,
        look: impl FnOnce(Result<&mut HeaderMap, &mut Error>) + Send + 'static,
    ) -> Self {
        let end = End::new(look, self.deadline.clone());
        self.watch(end)
    }

    pub(crate) fn watch<F>(self, end: End<F>) -> Self
    where
        F: FnOnce(Result<&mut HeaderMap, &mut Error>) + Send + 'static,
    {
        let deadline = self.deadline.clone();
        let mut watched = Self::from_stream(Box::pin(Watched {
            inner: self,
            end,
            trailers: HeaderMap::new(),
        }));
        watched.deadline = deadline;
        watched
    }

    pub(crate) fn deadline(&self) -> Option<&Deadline> {
        self.deadline.as_ref()
    }

    pub(crate) fn set_deadline(&mut self, deadline: Option<Deadline>) {
        self.deadline = deadline;
    }

    /// Ends the payloads with how the call has ended, where that was not their own end.
    pub(crate) fn fail(&mut self, error: &Error) {
        if mem::replace(&mut self.ended, true) {
            return;
        }
        if let Source::Stream(mut stream) = mem::replace(&mut self.source, Source::Once(None)) {
            let _ = catch(UserCode::Interceptor, || stream.as_mut().fail(error));
            drop_quietly(stream);
        }
    }

    /// Adds trailing metadata, beside what the end of the stream brings.
    #[must_use]
    pub(crate) fn with_trailers(mut self, trailers: HeaderMap) -> Self {
        append_all(&mut self.trailers, trailers);
        self
    }

    pub(crate) fn poll_payload(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match &mut self.source {
            Source::Once(payload) => Ok(payload.take().map(Ok)),
            Source::Stream(stream) => {
                match catch(UserCode::Interceptor, || stream.as_mut().poll_payload(cx)) {
                    Ok(next) => Ok(ready!(next)),
                    Err(panicked) => Err(panicked),
                }
            }
        };
        let mut next = next.unwrap_or_else(|panicked| {
            self.fail(&panicked);
            Some(Err(panicked))
        });
        match (&mut next, &mut self.source) {
            (Some(Ok(_)), _) => return Poll::Ready(next),
            (Some(Err(error)), _) => error.add_metadata(mem::take(&mut self.trailers)),
            (None, Source::Stream(stream)) => {
                append_all(&mut self.trailers, stream.as_mut().take_trailers());
            }
            (None, Source::Once(_)) => {}
        }
        self.ended = true;
        Poll::Ready(next)
    }

    /// The trailing metadata, after the clean end.
    pub(crate) fn take_trailers(&mut self) -> HeaderMap {
        mem::take(&mut self.trailers)
    }
}

impl Stream for Payloads {
    type Item = Result<Payload, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_payload(cx)
    }
}

impl fmt::Debug for Payloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Payloads")
            .field("is_single", &matches!(self.source, Source::Once(_)))
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// A user's stream, boxed so that it can be polled without pinning what holds it.
struct Plain {
    stream: Pin<Box<dyn Stream<Item = Result<Payload, Error>> + Send>>,
}

impl PayloadStream for Plain {
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        self.stream.as_mut().poll_next(cx)
    }
}

struct Mapped<F> {
    inner: Payloads,
    map: F,
}

/// The closure is called by `&mut` and never pinned.
impl<F> Unpin for Mapped<F> {}

impl<F> PayloadStream for Mapped<F>
where
    F: FnMut(Payload) -> Result<Payload, Error> + Send,
{
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        let Some(payload) = ready!(self.inner.poll_payload(cx)).transpose()? else {
            return Poll::Ready(None);
        };
        let mapped = (self.map)(payload);
        if let Err(error) = &mapped {
            self.inner.fail(error);
        }
        Poll::Ready(Some(mapped))
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        self.inner.take_trailers()
    }

    fn fail(mut self: Pin<&mut Self>, error: &Error) {
        self.inner.fail(error);
    }
}

struct Wrapped<F> {
    inner: Payloads,
    poll: F,
}

/// The closure is called by `&mut` and never pinned.
impl<F> Unpin for Wrapped<F> {}

impl<F> PayloadStream for Wrapped<F>
where
    F: FnMut(Pin<&mut Payloads>, &mut Context<'_>) -> Poll<Option<Result<Payload, Error>>> + Send,
{
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        let this = &mut *self;
        let next = (this.poll)(Pin::new(&mut this.inner), cx);
        if let Poll::Ready(Some(Err(error))) = &next {
            this.inner.fail(error);
        }
        next
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        self.inner.take_trailers()
    }

    fn fail(mut self: Pin<&mut Self>, error: &Error) {
        self.inner.fail(error);
    }
}

struct Watched<F>
where
    F: FnOnce(Result<&mut HeaderMap, &mut Error>),
{
    inner: Payloads,
    end: End<F>,
    trailers: HeaderMap,
}

/// The closure is moved out before it is called and never pinned.
impl<F> Unpin for Watched<F> where F: FnOnce(Result<&mut HeaderMap, &mut Error>) {}

impl<F> PayloadStream for Watched<F>
where
    F: FnOnce(Result<&mut HeaderMap, &mut Error>) + Send,
{
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        let this = &mut *self;
        let mut next = ready!(this.inner.poll_payload(cx));
        match &mut next {
            Some(Ok(_)) => {}
            Some(Err(error)) => this.end.report(Err(error)),
            None => {
                this.trailers = this.inner.take_trailers();
                this.end.report(Ok(&mut this.trailers));
            }
        }
        Poll::Ready(next)
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        mem::take(&mut self.trailers)
    }

    fn fail(mut self: Pin<&mut Self>, error: &Error) {
        self.inner.fail(error);
        self.end.report(Err(&mut error.clone()));
    }
}

/// Reports once how a call has ended, at the latest when it is dropped.
pub(crate) struct End<F>
where
    F: FnOnce(Result<&mut HeaderMap, &mut Error>),
{
    /// None once it was called.
    look: Option<F>,
    deadline: Option<Deadline>,
}

impl<F> End<F>
where
    F: FnOnce(Result<&mut HeaderMap, &mut Error>),
{
    pub(crate) fn new(look: F, deadline: Option<Deadline>) -> Self {
        Self {
            look: Some(look),
            deadline,
        }
    }

    pub(crate) fn report(&mut self, end: Result<&mut HeaderMap, &mut Error>) {
        if let Some(look) = self.look.take() {
            look(end);
        }
    }

    /// Why it is dropped.
    fn cause(&self) -> Error {
        if thread::panicking() {
            return UserCode::Interceptor.error();
        }
        if self.deadline.as_ref().is_some_and(Deadline::has_passed) {
            return deadline_exceeded();
        }
        Error::canceled("the call was given up before its end")
    }
}

impl<F> Drop for End<F>
where
    F: FnOnce(Result<&mut HeaderMap, &mut Error>),
{
    fn drop(&mut self) {
        if self.look.is_some() {
            let mut error = self.cause();
            let _ = catch(UserCode::Interceptor, || self.report(Err(&mut error)));
        }
    }
}

/// Adds all entries, as far as the map takes them: `HeaderMap` has an upper bound and panics in its plain methods.
pub(crate) fn append_all(to: &mut HeaderMap, from: HeaderMap) {
    if to.is_empty() {
        *to = from;
        return;
    }
    let mut name = None;
    for (next, value) in from {
        name = next.or(name);
        if let Some(name) = &name {
            let _ = to.try_append(name.clone(), value);
        }
    }
}
