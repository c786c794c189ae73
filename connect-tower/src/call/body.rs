//! The one body that this crate sends, for requests and responses, unary calls and streams.

use std::{
    collections::VecDeque,
    fmt, mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use connect_proto::{Error, SendHalf, Time, Transmit};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use crate::{
    BoxError,
    call::deadline::{DeadlineTimer, deadline_exceeded},
    call::incoming::Cause,
    call::map_error::MapError,
    call::observe::{CallGuard, Observed, in_scope},
    call::permits::Permits,
    call::producer::CatchPanicProducer,
    call::shared::{Consumer, HeadSent},
    call::sink::Sink,
};

/// The body of a call's request or response.
///
/// Messages are made when the body is polled, and those that are ready at once leave as one piece of data.
/// [`size_hint`](Body::size_hint) is exact and [`is_end_stream`](Body::is_end_stream) holds as soon as they can be, so
/// that a `content-length` is sent for unary calls, and a response without a body is one HTTP/2 frame.
///
/// Dropping it before its end cancels the call. Its error is the reason why this side cancels the call: the HTTP
/// layer resets the stream (HTTP/2: `CANCEL`) or closes the connection (HTTP/1.1), and never ends the body cleanly.
pub struct CallBody(Inner);

enum Inner {
    Whole(Whole),
    Call(Box<Call>),
    Shared(Consumer),
    Foreign(Pin<Box<dyn Body<Data = Bytes, Error = Error> + Send>>),
    Holding(Box<Holding>),
}

/// The body of a call that is observed or holds permits, until the body has ended or is dropped.
struct Holding {
    // Dropped first: the handler is gone when its permits are.
    body: CallBody,
    permits: Permits,
    observed: Option<CallGuard>,
}

/// All of a body is known: it can be sent again.
#[derive(Clone, Debug, Default)]
struct Whole {
    /// Almost always there is one piece, which needs no queue.
    first: Option<Bytes>,
    rest: VecDeque<Bytes>,
    end: End,
}

#[derive(Clone, Debug, Default)]
enum End {
    #[default]
    Clean,
    Trailers(HeaderMap),
    Failed(Error),
}

/// A sending half, what fills it, and what ends it.
struct Call {
    send: Box<SendHalf>,
    producer: Option<CatchPanicProducer>,
    deadline_timer: Option<DeadlineTimer>,
    cause: Option<Cause>,
    /// Of a call object whose messages come through interceptors.
    head_sent: Option<HeadSent>,
    observed: Option<Observed>,
}

impl CallBody {
    /// A body without a byte.
    #[must_use]
    pub fn empty() -> Self {
        Self(Inner::Whole(Whole::default()))
    }

    /// A body of these bytes.
    #[must_use]
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Self(Inner::Whole(Whole {
            first: Some(bytes.into()).filter(|bytes| !bytes.is_empty()),
            ..Whole::default()
        }))
    }

    /// A body of another kind, for responses that belong to no call.
    #[must_use]
    pub fn foreign<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let broke_off = |error: B::Error| Error::internal("the body broke off").with_source(error);
        Self::boxed(MapError::new(body, broke_off))
    }

    /// A body of this crate that has a type of its own.
    pub(crate) fn boxed(body: impl Body<Data = Bytes, Error = Error> + Send + 'static) -> Self {
        Self(Inner::Foreign(Box::pin(body)))
    }

    /// A copy of a body that is known whole and of which nothing was sent: that of a unary request. `None` for streams.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.0 {
            Inner::Whole(whole) => Some(Self(Inner::Whole(whole.clone()))),
            Inner::Call(_) | Inner::Shared(_) | Inner::Foreign(_) | Inner::Holding(_) => None,
        }
    }

    /// What a half has to send that was finished and whose head was taken.
    pub(crate) fn finished(mut send: Box<SendHalf>) -> Self {
        let mut whole = Whole::default();
        while let Some(transmit) = send.poll_transmit() {
            match transmit {
                Transmit::Data(data) if whole.first.is_none() => whole.first = Some(data),
                Transmit::Data(data) => whole.rest.push_back(data),
                Transmit::Trailers(trailers) => whole.end = End::Trailers(trailers),
                Transmit::Reset(error) => whole.end = End::Failed(error),
            }
        }
        Self(Inner::Whole(whole))
    }

    /// What a server's half has to send that the producer fills until the half is finished.
    pub(crate) fn response(
        send: Box<SendHalf>,
        producer: CatchPanicProducer,
        deadline_timer: Option<DeadlineTimer>,
        observed: Option<Observed>,
    ) -> Self {
        if send.is_finished() {
            return Self::finished(send);
        }
        Self(Inner::Call(Box::new(Call {
            send,
            producer: Some(producer),
            deadline_timer,
            cause: None,
            head_sent: None,
            observed,
        })))
    }

    /// What a client's half has to send that the producer fills. It keeps no deadline: the future that waits for the
    /// response does.
    pub(crate) fn request(
        send: Box<SendHalf>,
        producer: CatchPanicProducer,
        cause: Cause,
        head_sent: Option<HeadSent>,
        observed: Option<Observed>,
    ) -> Self {
        Self(Inner::Call(Box::new(Call {
            send,
            producer: Some(producer),
            deadline_timer: None,
            cause: Some(cause),
            head_sent,
            observed,
        })))
    }

    /// Whether it is known whole and holds so little that it does not matter how long it waits for its reader.
    pub(crate) fn is_small(&self) -> bool {
        const SMALL: usize = 64 * 1024;
        let Inner::Whole(whole) = &self.0 else {
            return false;
        };
        let pieces = whole.first.iter().chain(&whole.rest);
        pieces.map(Bytes::len).sum::<usize>() <= SMALL
    }

    /// The same body, which holds the permits, and is observed, until it has ended or is dropped.
    pub(crate) fn holding(self, permits: Permits, observed: Option<CallGuard>) -> Self {
        if permits.is_empty() && observed.is_none() {
            return self;
        }
        Self(Inner::Holding(Box::new(Holding {
            body: self,
            permits,
            observed,
        })))
    }

    /// A body that a call object fills.
    pub(crate) fn shared(consumer: Consumer) -> Self {
        Self(Inner::Shared(consumer))
    }
}

impl Body for CallBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Inner::Whole(whole) => Poll::Ready(whole.next().map(frame)),
            Inner::Call(call) => call.poll_transmit(cx).map(|transmit| transmit.map(frame)),
            Inner::Shared(consumer) => consumer
                .poll_transmit(cx)
                .map(|transmit| transmit.map(frame)),
            Inner::Foreign(body) => body.as_mut().poll_frame(cx),
            Inner::Holding(holding) => holding.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Whole(whole) => whole.is_end_stream(),
            Inner::Call(call) => call.send.is_end_stream(),
            Inner::Shared(consumer) => consumer.is_end_stream(),
            Inner::Foreign(body) => body.is_end_stream(),
            Inner::Holding(holding) => holding.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let exact = match &self.0 {
            Inner::Whole(whole) => whole.exact_len(),
            Inner::Call(call) => call.send.exact_len(),
            Inner::Shared(_) => None,
            Inner::Foreign(body) => return body.size_hint(),
            Inner::Holding(holding) => return holding.body.size_hint(),
        };
        exact.map(SizeHint::with_exact).unwrap_or_default()
    }
}

impl Holding {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let body = Pin::new(&mut self.body);
        let frame = in_scope(self.observed.as_ref(), || body.poll_frame(cx));
        let ended = match &frame {
            Poll::Pending => None,
            Poll::Ready(None) => Some(Ok(())),
            Poll::Ready(Some(Err(error))) => Some(Err(error)),
            Poll::Ready(Some(Ok(frame))) => {
                (frame.is_trailers() || self.body.is_end_stream()).then_some(Ok(()))
            }
        };
        if let Some(outcome) = ended {
            self.permits.release();
            if let Some(observed) = &self.observed {
                observed.end(outcome);
            }
        }
        frame
    }
}

impl Drop for Holding {
    fn drop(&mut self) {
        if let Some(observed) = &self.observed {
            // An HTTP server does not ask for the end that it knows of.
            if self.body.is_end_stream() {
                observed.end(Ok(()));
            }
            observed
                .observed()
                .in_scope(|| drop(mem::take(&mut self.body)));
        }
    }
}

impl Whole {
    fn next(&mut self) -> Option<Transmit> {
        if let Some(data) = self.first.take().or_else(|| self.rest.pop_front()) {
            return Some(Transmit::Data(data));
        }
        match mem::take(&mut self.end) {
            End::Clean => None,
            End::Trailers(trailers) => Some(Transmit::Trailers(trailers)),
            End::Failed(error) => Some(Transmit::Reset(error)),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_empty() && matches!(self.end, End::Clean)
    }

    /// A length is given only where nothing follows: HTTP/1.1 sends trailers only after chunks.
    fn exact_len(&self) -> Option<u64> {
        let pieces = self.first.iter().chain(&self.rest);
        matches!(self.end, End::Clean).then(|| pieces.map(|data| data.len() as u64).sum())
    }
}

impl Call {
    fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Transmit>> {
        if let Some(head_sent) = self.head_sent.take() {
            head_sent.report();
        }
        // Without this a producer that is always ready would outlive its deadline.
        if let Some(now) = self.deadline_timer.as_ref().and_then(DeadlineTimer::check) {
            self.time_out(now);
        }
        let mut idle = false;
        loop {
            let waiting =
                (idle || self.send.wants_message()) && self.poll_producer(cx).is_pending();
            if let Some(transmit) = self.send.poll_transmit() {
                if let (Transmit::Reset(error), Some(cause)) = (&transmit, &self.cause) {
                    let _ = cause.set(error.clone());
                }
                return Poll::Ready(Some(transmit));
            }
            if self.send.is_closed() {
                return Poll::Ready(None);
            }
            if waiting {
                match self
                    .deadline_timer
                    .as_mut()
                    .map(|deadline_timer| deadline_timer.poll(cx))
                {
                    Some(Poll::Ready(now)) => self.time_out(now),
                    Some(Poll::Pending) | None => return Poll::Pending,
                }
            }
            // Nothing left to send, and the producer was not asked for more.
            idle = true;
        }
    }

    fn poll_producer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(producer) = &mut self.producer else {
            self.send
                .finish(Err(Error::internal("nothing ended the call")));
            return Poll::Ready(());
        };
        let mut sink = Sink::Wire {
            send: &mut self.send,
            extensions: None,
            observed: self.observed.as_ref(),
        };
        let produced = producer.poll_produce(cx, &mut sink);
        if self.send.is_finished() {
            self.producer = None;
            return Poll::Ready(());
        }
        produced
    }

    fn time_out(&mut self, now: Time) {
        self.send.handle_timeout(now);
        if let Some(observed) = &self.observed {
            observed.fail(deadline_exceeded());
        }
        self.producer = None;
        self.deadline_timer = None;
    }
}

fn frame(transmit: Transmit) -> Result<Frame<Bytes>, Error> {
    match transmit {
        Transmit::Data(data) => Ok(Frame::data(data)),
        Transmit::Trailers(trailers) => Ok(Frame::trailers(trailers)),
        Transmit::Reset(error) => Err(error),
    }
}

impl Default for CallBody {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for CallBody {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl fmt::Debug for CallBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Inner::Whole(_) => "whole",
            Inner::Call(_) => "call",
            Inner::Shared(_) => "shared",
            Inner::Foreign(_) => "foreign",
            Inner::Holding(_) => "holding",
        };
        f.debug_tuple("CallBody").field(&kind).finish()
    }
}
