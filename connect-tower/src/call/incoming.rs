//! The receiving side of a call: a body pulled through the core's receiving half.

use std::{
    error::Error as StdError,
    fmt, mem,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_codec::Codec;
use connect_proto::{Error, RecvEvent, RecvHalf, Side};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::{
    BoxError,
    call::body_error::BodyError,
    call::deadline::{DeadlineTimer, deadline_exceeded},
    call::map_error::MapError,
    call::observe::{CallGuard, Observed, in_scope},
    call::outcome::Outcome,
    call::payload::{Payload, PayloadStream, Payloads},
    call::receive::Held,
};

/// A request's body of whatever type, as handlers of streams and fallback services see it.
///
/// It is the box of a streaming call; unary calls are read without one.
pub struct IncomingBody(Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>);

impl IncomingBody {
    /// Boxes a body. Its errors become lost connections, with the error as source: HTTP's own types are not known here.
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Box::pin(MapError::new(body, connection_lost)))
    }

    /// Boxes a body whose errors say how it was cut off.
    pub(crate) fn from_transport<B>(body: B) -> Self
    where
        B: Body<Data = Bytes, Error: Into<BodyError>> + Send + 'static,
    {
        Self(Box::pin(MapError::new(body, Into::into)))
    }
}

impl Body for IncomingBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.as_mut().poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

impl fmt::Debug for IncomingBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncomingBody").finish_non_exhaustive()
    }
}

/// A server's view of a body that failed: a client that is gone, unless the error says more.
pub(crate) fn connection_lost(error: impl Into<BoxError>) -> BodyError {
    match error.into().downcast() {
        Ok(error) => *error,
        Err(error) => BodyError::connection_lost().with_source(error),
    }
}

/// The next event of the half, fed from the body. After the half's ending it is `None`, and the body is not polled.
pub(crate) fn poll_event<B: Body<Data = Bytes>>(
    mut body: Pin<&mut B>,
    recv: &mut RecvHalf,
    held: &mut Held,
    cx: &mut Context<'_>,
    cut_off: impl Fn(B::Error) -> BodyError,
) -> Poll<Option<Result<RecvEvent, Error>>> {
    let mut cause = None;
    loop {
        if let Some(event) = recv.poll_event() {
            held.release();
            return Poll::Ready(Some(event.map_err(|error| with_cause(error, cause))));
        }
        if recv.is_ended() {
            return Poll::Ready(None);
        }
        if let Err(error) = held.charge(recv.buffered_bytes()) {
            return Poll::Ready(Some(Err(error)));
        }
        match ready!(body.as_mut().poll_frame(cx)) {
            None => recv.recv_eof(),
            Some(Err(error)) => {
                let error = cut_off(error);
                error.end(recv);
                cause = Some(error);
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    held.receive(data.len());
                    recv.recv_data(data);
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        recv.recv_trailers(trailers);
                    }
                }
            },
        }
    }
}

/// What cut the body off is the source of the error that says so.
fn with_cause(error: Error, cause: Option<BodyError>) -> Error {
    match cause {
        Some(cause) if StdError::source(&error).is_none() => error.with_source(cause),
        _ => error,
    }
}

/// Why this side has cancelled its request: the error of the call, in place of the one with which the peer answers.
pub(crate) type Cause = Arc<OnceLock<Error>>;

/// Where messages come from.
#[derive(Debug)]
pub(crate) enum Source<B> {
    Wire {
        body: B,
        /// In a box: it is large, and goes through many hands.
        recv: Box<RecvHalf>,
        held: Held,
    },
    Payloads(Payloads),
    /// The call has failed: no more is read.
    Dropped,
}

/// Messages still encoded, one ending, and the trailing metadata that came with it.
pub(crate) struct Incoming<B> {
    source: Source<B>,
    deadline_timer: Option<DeadlineTimer>,
    trailers: HeaderMap,
    ended: Option<Result<(), Error>>,
    /// What was received before anybody asked for it.
    peeked: Option<Result<Option<Bytes>, Error>>,
    /// Why a client has cancelled its request.
    cause: Option<Cause>,
    /// Is told of the messages that come from the wire.
    observed: Option<Observed>,
    /// Is told how the call of a client ends.
    outcome: Option<Outcome>,
    /// Of a client's call that ends with these messages.
    call: Option<CallGuard>,
    /// Whether the last message came compressed.
    is_compressed: bool,
}

impl<B> Incoming<B> {
    pub(crate) fn new(source: Source<B>, deadline_timer: Option<DeadlineTimer>) -> Self {
        Self {
            source,
            deadline_timer,
            cause: None,
            observed: None,
            outcome: None,
            call: None,
            is_compressed: false,
            trailers: HeaderMap::new(),
            ended: None,
            peeked: None,
        }
    }

    /// Those of a client's call: they end with the cause, once it is set, whatever the peer answers. Observers are told of the
    /// messages, the transport of the end.
    pub(crate) fn of_response(
        source: Source<B>,
        deadline_timer: Option<DeadlineTimer>,
        cause: Option<Cause>,
        observed: Option<Observed>,
        outcome: Option<Outcome>,
    ) -> Self {
        Self {
            cause,
            observed,
            outcome,
            ..Self::new(source, deadline_timer)
        }
    }

    /// Tells the observers of a call of the messages that come from the wire.
    pub(crate) fn with_observed(mut self, observed: Option<Observed>) -> Self {
        self.observed = observed;
        self
    }

    /// Ends an observed call when the messages end, and polls for them in its scope.
    pub(crate) fn with_call(mut self, call: Option<CallGuard>) -> Self {
        self.call = call;
        self
    }

    /// The error that [`poll_peek`](Self::poll_peek) has found.
    pub(crate) fn peeked_error(&self) -> Option<&Error> {
        self.peeked.as_ref()?.as_ref().err()
    }

    /// Tells the transport of the error that [`poll_peek`](Self::poll_peek) has found, though perhaps nobody reads it.
    pub(crate) fn tell_peeked_error(&mut self) {
        let code = self.peeked_error().map(Error::code);
        if code.is_some() {
            if let Some(outcome) = self.outcome.take() {
                outcome.end(code);
            }
        }
    }

    /// Whether the last message travelled compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        self.is_compressed
    }

    /// How it ended, once it has.
    pub(crate) fn ended(&self) -> Option<&Result<(), Error>> {
        self.ended.as_ref()
    }

    /// The leading metadata, if it comes from the wire.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match &self.source {
            Source::Wire { recv, .. } => Some(recv.headers()),
            Source::Payloads(_) | Source::Dropped => None,
        }
    }

    /// The same, taken out: errors that come later lack it.
    pub(crate) fn take_headers(&mut self) -> Option<HeaderMap> {
        match &mut self.source {
            Source::Wire { recv, .. } => Some(recv.take_headers()),
            Source::Payloads(_) | Source::Dropped => None,
        }
    }

    /// The trailing metadata; empty before the end.
    pub(crate) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    pub(crate) fn take_trailers(&mut self) -> HeaderMap {
        mem::take(&mut self.trailers)
    }

    /// Ends it with an error that was found in a message.
    pub(crate) fn fail(&mut self, error: Error) {
        self.end(Err(error));
    }

    /// A body that failed is dropped at once, so that the peer stops. Interceptors learn how the call has ended.
    fn end(&mut self, ending: Result<(), Error>) {
        match (&ending, &mut self.source) {
            (Err(_), Source::Wire { .. }) => self.source = Source::Dropped,
            (Err(error), Source::Payloads(payloads)) => payloads.fail(error),
            (Ok(()), _) | (Err(_), Source::Dropped) => {}
        }
        if let Some(call) = &self.call {
            call.end(ending.as_ref().copied());
        }
        if let Some(outcome) = self.outcome.take() {
            outcome.end(ending.as_ref().err().map(Error::code));
        }
        self.ended = Some(ending);
    }

    /// The same messages, from another type of body.
    pub(crate) fn map_body<C>(self, map: impl FnOnce(B) -> C) -> Incoming<C> {
        Incoming {
            source: match self.source {
                Source::Wire { body, recv, held } => Source::Wire {
                    body: map(body),
                    recv,
                    held,
                },
                Source::Payloads(payloads) => Source::Payloads(payloads),
                Source::Dropped => Source::Dropped,
            },
            deadline_timer: self.deadline_timer,
            trailers: self.trailers,
            ended: self.ended,
            peeked: self.peeked,
            cause: self.cause,
            observed: self.observed,
            outcome: self.outcome,
            call: self.call,
            is_compressed: self.is_compressed,
        }
    }
}

impl<B> Incoming<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    /// The next message; `None` after a clean end. An error ends the stream and is returned again when asked again.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some(ending) = &self.ended {
            return Poll::Ready(ending.clone().map(|()| None));
        }
        let next = match self.peeked.take() {
            Some(peeked) => Poll::Ready(peeked),
            None => {
                let call = self.call.take();
                let next = in_scope(call.as_ref(), || self.poll_source(cx));
                self.call = call;
                next
            }
        };
        let next = ready!(next).map_err(|error| prefer_cause(error, self.cause.as_ref()));
        if !matches!(next, Ok(Some(_))) {
            self.end(next.clone().map(drop));
        }
        Poll::Ready(next)
    }

    /// Receives the first message, or the end, without taking it.
    pub(crate) fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.peeked.is_none() {
            self.peeked = Some(ready!(self.poll_source(cx)));
        }
        Poll::Ready(())
    }

    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        match &mut self.source {
            Source::Dropped => Poll::Ready(Ok(None)),
            Source::Payloads(payloads) => {
                if let Poll::Ready(next) = payloads.poll_payload(cx) {
                    let Some(payload) = next.transpose()? else {
                        self.trailers = payloads.take_trailers();
                        return Poll::Ready(Ok(None));
                    };
                    self.is_compressed = payload.is_compressed();
                    return Poll::Ready(Ok(Some(payload.into_bytes())));
                }
                let Some(deadline_timer) = &mut self.deadline_timer else {
                    return Poll::Pending;
                };
                deadline_timer.poll(cx).map(|_| Err(deadline_exceeded()))
            }
            Source::Wire { body, recv, held } => {
                // Without this a body that is always ready would outlive its deadline.
                if let Some(now) = self.deadline_timer.as_ref().and_then(DeadlineTimer::check) {
                    self.deadline_timer = None;
                    recv.handle_timeout(now);
                }
                let mut event = poll_event(Pin::new(&mut *body), recv, held, cx, Into::into);
                if let (Poll::Pending, Some(deadline_timer)) = (&event, &mut self.deadline_timer) {
                    let now = ready!(deadline_timer.poll(cx));
                    self.deadline_timer = None;
                    recv.handle_timeout(now);
                    event = poll_event(Pin::new(body), recv, held, cx, Into::into);
                }
                match ready!(event).transpose()? {
                    Some(RecvEvent::Message(message)) => {
                        self.is_compressed = recv.message_size().is_compressed();
                        if let Some(observed) = &self.observed {
                            observed.received(recv.message_size());
                        }
                        Poll::Ready(Ok(Some(message)))
                    }
                    Some(RecvEvent::End(trailers)) => {
                        self.trailers = trailers;
                        Poll::Ready(Ok(None))
                    }
                    None => Poll::Ready(Ok(None)),
                }
            }
        }
    }
}

impl<B> Incoming<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin + Send + 'static,
{
    /// The messages as interceptors see them.
    pub(crate) fn into_payloads(self, codec: Codec, reader: Side) -> Payloads {
        Payloads::from_stream(Box::pin(FromIncoming {
            incoming: self,
            codec,
            reader,
        }))
    }
}

struct FromIncoming<B> {
    incoming: Incoming<B>,
    codec: Codec,
    reader: Side,
}

impl<B> PayloadStream for FromIncoming<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin + Send,
{
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        let message = ready!(self.incoming.poll_message(cx)).transpose();
        Poll::Ready(message.map(|bytes| {
            let is_compressed = self.incoming.is_compressed();
            let payload =
                |bytes| Payload::received(bytes, self.codec.clone(), self.reader, is_compressed);
            bytes.map(payload)
        }))
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        self.incoming.take_trailers()
    }
}

impl<B> fmt::Debug for Incoming<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Incoming")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

/// The error with which this side has cancelled the request, if it has; otherwise this one.
pub(crate) fn prefer_cause(error: Error, cause: Option<&Cause>) -> Error {
    cause
        .and_then(|cause| cause.get())
        .cloned()
        .unwrap_or(error)
}
