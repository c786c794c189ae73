//! The receiving half of a call: bytes in, messages and one ending out.

mod bare;
mod enveloped;
mod not_rpc;
mod params;
mod reset;

use std::{fmt, mem};

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_LENGTH};

pub use self::reset::Reset;
use self::{
    bare::{Bare, Pushed},
    enveloped::Enveloped,
};
pub(crate) use self::{
    not_rpc::{http_status_error, is_readable},
    params::RecvParams,
};
use crate::{
    Error, MessageSize, Side, Time,
    protocol::{Protocol, grpc},
};

/// What a [`RecvHalf`] yields.
#[derive(Clone, Debug, PartialEq)]
pub enum RecvEvent {
    /// One whole message, decompressed, still encoded by the codec.
    Message(Bytes),
    /// The clean end of the peer's stream, with its trailing metadata: on a client the call has succeeded.
    End(HeaderMap),
}

/// The receiving half of one call, for either side and all protocols.
///
/// Feed it what the HTTP layer has ([`recv_data`](Self::recv_data), then one of [`recv_trailers`](Self::recv_trailers),
/// [`recv_eof`](Self::recv_eof), [`recv_reset`](Self::recv_reset) and [`fail`](Self::fail)) whenever
/// [`poll_event`](Self::poll_event) has returned `None` and [`wants_data`](Self::wants_data) holds; call
/// [`handle_timeout`](Self::handle_timeout) when its [`deadline`](Self::deadline) has come.
///
/// ```text
///             data                   terminal envelope             end of body
///  Open ----------> Message …  --------------------------> Open, closing ------> Ending --> Ended
///    |                                                                             ^
///    +-- end of body, trailers, reset, timeout, malformed bytes -------------------+
/// ```
///
/// It keeps these promises, for every protocol and stream type:
///
/// 1. Events do not depend on how the bytes were cut into chunks.
/// 2. It ends once, with [`RecvEvent::End`] or one error; after that it yields `None` and ignores its input.
///    Truncation is never a clean end. Whole messages come before the error of a reset.
/// 3. Memory is bounded by its [`Limits`](crate::Limits), whatever the peer sends: it holds one message as it came, while that is
///    incomplete, and one decompressed; what is held never grows past the limit, and growing copies from one buffer to
///    the next. A message that is a slice keeps its chunk alive.
/// 4. A message that lies inside one chunk is a slice of it.
/// 5. It never panics on input and never recurses on it.
/// 6. Where the procedure allows one message, it is yielded only once the clean end is known.
/// 7. Dropped before the end, it means cancellation: the driver resets the stream.
pub struct RecvHalf {
    params: RecvParams,
    /// The one message of a call that has one, until the clean end is known.
    held: Option<Bytes>,
    /// How the body ended, until the ending is made of it.
    end: Option<EndOfBody>,
    state: State,
    /// Of the last message.
    size: MessageSize,
}

#[derive(Debug)]
enum State {
    /// The body goes on, or its end was not looked at.
    Open(Framing),
    /// What is left to yield: the one message of a call that ended well and has one, then the ending.
    Ending(Option<Bytes>, Result<HeaderMap, Error>),
    Ended(Option<Error>),
}

/// How the body carries messages.
#[derive(Debug)]
enum Framing {
    Enveloped(Enveloped),
    Bare(Bare),
}

/// What the HTTP layer has said after the last data.
#[derive(Debug)]
enum EndOfBody {
    Clean,
    Trailers(HeaderMap),
    Reset(Reset),
    /// The bytes before were fine, what follows is not.
    Malformed(Error),
}

impl RecvHalf {
    /// A server's half of a request with these headers, whose body is a sequence of envelopes, or one Connect unary message.
    pub(crate) fn request(params: RecvParams, headers: &HeaderMap) -> Self {
        if params.wire.is_enveloped() {
            return Self::enveloped(params);
        }
        Self::message(params, announced_length(headers), HeaderMap::new())
    }

    /// A half whose body is a sequence of envelopes.
    pub(crate) fn enveloped(params: RecvParams) -> Self {
        let body = Enveloped::new(params.wire, params.side);
        Self::with_state(params, State::Open(Framing::Enveloped(body)))
    }

    /// A client's half of a Connect unary call, whose trailers came with the head.
    pub(crate) fn unary_response(params: RecvParams, trailers: HeaderMap) -> Self {
        let announced = announced_length(&params.headers);
        Self::message(params, announced, trailers)
    }

    /// A half whose body is one message; it has failed if a `content-length` over the limit announces that: the body need not
    /// be read to know it.
    fn message(params: RecvParams, announced: Option<u64>, trailers: HeaderMap) -> Self {
        let announced = announced.map(|length| usize::try_from(length).unwrap_or(usize::MAX));
        let limit = params.wire_limit(params.encoding.is_some());
        if announced.is_some_and(|length| length > limit) {
            let error = params.too_large("a message");
            return Self::failed(params, error);
        }
        let bare = Bare::message(trailers, announced);
        Self::with_state(params, State::Open(Framing::Bare(bare)))
    }

    /// A client's half of a Connect unary call that failed: the body is the error.
    pub(crate) fn unary_error(params: RecvParams, fallback: Error, trailers: HeaderMap) -> Self {
        let bare = Bare::error(fallback, trailers);
        Self::with_state(params, State::Open(Framing::Bare(bare)))
    }

    /// A client's half of a call whose response is not an RPC response, but text to show.
    pub(crate) fn not_rpc(params: RecvParams, error: Error) -> Self {
        let bare = Bare::not_rpc(error);
        Self::with_state(params, State::Open(Framing::Bare(bare)))
    }

    /// A server's half of a Connect GET: the message was in the head, there is no body.
    pub(crate) fn from_query(params: RecvParams, message: Bytes) -> Self {
        let mut bare = Bare::message(HeaderMap::new(), None);
        let outcome = match bare.push(message, &params) {
            Pushed::Failed(error) => Err(error),
            Pushed::More | Pushed::Enough => bare.finish(EndOfBody::Clean, &params),
        };
        let encoded = outcome.as_ref().map_or(0, |(message, _)| message.len());
        let state = match outcome {
            Ok((message, trailers)) => State::Ending(Some(message), Ok(trailers)),
            Err(error) => State::Ending(None, Err(error)),
        };
        let size = bare.message_size(encoded);
        Self {
            size,
            ..Self::with_state(params, state)
        }
    }

    /// A half that has failed before any byte of the body: its error is the next event.
    pub(crate) fn failed(params: RecvParams, error: Error) -> Self {
        Self::with_state(params, State::Ending(None, Err(error)))
    }

    fn with_state(params: RecvParams, state: State) -> Self {
        Self {
            params,
            held: None,
            end: None,
            state,
            size: MessageSize::default(),
        }
    }

    /// A client's leading metadata: the headers of the response, also when the call failed. Empty on a server,
    /// whose driver has the request's head.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.params.headers
    }

    /// The same, taken out. Whoever does so before the end loses them for the error that may follow.
    #[must_use]
    pub fn take_headers(&mut self) -> HeaderMap {
        mem::take(&mut self.params.headers)
    }

    /// The protocol of the call.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.params.wire.protocol()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` for a call without a deadline, and once the
    /// ending is known: for Connect GET, whose message is in the head, from the start. What bounds the whole call is
    /// [`SendHalf::deadline`](crate::SendHalf::deadline).
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.params.deadline.filter(|_| self.is_open())
    }

    /// Whether the half can use more input. Feed it when this holds and [`poll_event`](Self::poll_event) returned
    /// `None`: that is the back-pressure.
    #[must_use]
    pub fn wants_data(&self) -> bool {
        match &self.state {
            State::Open(Framing::Enveloped(body)) => self.end.is_none() && !body.has_unread(),
            State::Open(Framing::Bare(_)) => self.end.is_none(),
            State::Ending(..) | State::Ended(_) => false,
        }
    }

    /// Bytes that are held: of a message that is not complete yet, of data that was not looked at, and of the one message
    /// of a call that waits for the clean end. A driver that bounds the memory of many calls together counts these.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let body = match &self.state {
            State::Open(Framing::Enveloped(body)) => body.buffered_bytes(),
            State::Open(Framing::Bare(body)) => body.buffered_bytes(),
            State::Ending(..) | State::Ended(_) => 0,
        };
        body + self.held.as_ref().map_or(0, Bytes::len)
    }

    /// The size of the last message that was yielded; zero before the first.
    #[must_use]
    pub fn message_size(&self) -> MessageSize {
        self.size
    }

    /// Whether the ending has been yielded.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.state, State::Ended(_))
    }

    /// The error that ended the half, for as long as the half lives; `None` before the end and after a clean one.
    #[must_use]
    pub fn error(&self) -> Option<&Error> {
        match &self.state {
            State::Ended(error) => error.as_ref(),
            _ => None,
        }
    }

    /// Takes the next bytes of the body, cut anywhere. Ignored after the end.
    pub fn recv_data(&mut self, data: Bytes) {
        if data.is_empty() || self.end.is_some() {
            return;
        }
        match &mut self.state {
            State::Open(Framing::Enveloped(body)) => {
                if let Err(error) = body.push(data, &self.params) {
                    self.end = Some(EndOfBody::Malformed(error));
                }
            }
            State::Open(Framing::Bare(body)) => match body.push(data, &self.params) {
                Pushed::More => {}
                Pushed::Enough => self.end = Some(EndOfBody::Clean),
                Pushed::Failed(error) => self.end_with(State::Ending(None, Err(error))),
            },
            State::Ending(..) | State::Ended(_) => {}
        }
    }

    /// The side that receives.
    #[must_use]
    pub fn side(&self) -> Side {
        self.params.side
    }

    /// Takes HTTP trailers, which end the body. Ignored after the end.
    pub fn recv_trailers(&mut self, trailers: HeaderMap) {
        self.end_body(EndOfBody::Trailers(trailers));
    }

    /// Takes HTTP trailers of which some are missing, as they were larger than this side takes. The call fails: with its own
    /// error, where `kept` has that, and the words of `error` behind; else with `error`. Ignored after the end.
    pub fn recv_cut_trailers(&mut self, mut kept: HeaderMap, error: Error) {
        if self.params.wire.protocol() == Protocol::Connect {
            // They say nothing there.
            return self.recv_trailers(kept);
        }
        self.fail(match grpc::take_status(&mut kept) {
            Some(Err(mut own)) => {
                own.append_message(&format!(" ({})", error.message()));
                own.with_received(kept)
            }
            Some(Ok(())) | None => error.with_received(kept),
        });
    }

    /// Takes the clean end of the body, for bodies without HTTP trailers. Ignored after the end.
    pub fn recv_eof(&mut self) {
        self.end_body(EndOfBody::Clean);
    }

    /// Takes the loss of the stream. Ignored after the end.
    pub fn recv_reset(&mut self, reset: Reset) {
        self.end_body(EndOfBody::Reset(reset));
    }

    /// Ends the half with this error, for what is wrong below the core: HTTP that cannot be read on. Whole messages come
    /// before it. Ignored after the end, as is all input that follows; an ending that the peer has already sent stands.
    ///
    /// By convention [`Error::malformed`].
    pub fn fail(&mut self, error: Error) {
        self.end_body(match &self.state {
            State::Open(Framing::Enveloped(body)) if body.is_closing() => {
                EndOfBody::Reset(Reset::ConnectionLost)
            }
            _ => EndOfBody::Malformed(error),
        });
    }

    /// Ends the half with `deadline_exceeded` if its deadline has come. Messages that were not polled are dropped;
    /// an ending that is already known stands.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.params.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        let ending_is_known = match &self.state {
            // The peer has said how the call ended; the end of the body adds nothing.
            State::Open(Framing::Enveloped(body)) => body.is_closing(),
            // The server has answered, if not as it should.
            State::Open(Framing::Bare(body)) => body.is_not_rpc(),
            State::Ending(..) | State::Ended(_) => return,
        };
        if ending_is_known {
            self.end = Some(EndOfBody::Clean);
            return;
        }
        let peer = match self.params.side {
            Side::Client => "the response",
            Side::Server => "the request",
        };
        let error =
            Error::deadline_exceeded(format!("the deadline passed before {peer} was complete"));
        self.end_with(State::Ending(None, Err(error)));
    }

    /// The next event: messages, then one ending, then `None`. `None` before the ending asks for more input.
    ///
    /// # Errors
    ///
    /// The error is the ending: the peer's own on a client, or what was wrong with the peer's bytes, or the loss of
    /// the stream, or the deadline. A client's error holds the response's metadata.
    #[must_use = "the event is taken out of the half"]
    pub fn poll_event(&mut self) -> Option<Result<RecvEvent, Error>> {
        if self.is_ended() {
            return None;
        }
        let event = self.step();
        match &event {
            Ok(None) => return None,
            Ok(Some(RecvEvent::Message(_))) => {}
            Ok(Some(RecvEvent::End(_))) => self.state = State::Ended(None),
            Err(error) => self.end_with(State::Ended(Some(error.clone()))),
        }
        event.transpose()
    }

    /// Goes on to an ending; what was held for the call is let go.
    fn end_with(&mut self, state: State) {
        self.held = None;
        self.state = state;
    }

    fn end_body(&mut self, end: EndOfBody) {
        if self.is_open() {
            self.end = Some(end);
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_)) && self.end.is_none()
    }

    fn step(&mut self) -> Result<Option<RecvEvent>, Error> {
        let (message, trailers) = match &mut self.state {
            State::Open(Framing::Enveloped(body)) => {
                while let Some(message) = body.next_message(&self.params)? {
                    self.size = body.message_size(message.len());
                    if !self.params.single {
                        return Ok(Some(RecvEvent::Message(message)));
                    }
                    if self.held.replace(message).is_some() {
                        return Err(self.wrong_count("more than one"));
                    }
                }
                let Some(end) = self.end.take() else {
                    return Ok(None);
                };
                let trailers = body.finish(end, &self.params)?;
                (self.held.take(), trailers)
            }
            State::Open(Framing::Bare(body)) => {
                let Some(end) = self.end.take() else {
                    return Ok(None);
                };
                let (message, trailers) = body.finish(end, &self.params)?;
                self.size = body.message_size(message.len());
                (Some(message), trailers)
            }
            State::Ending(message, _) => {
                if let Some(message) = message.take() {
                    return Ok(Some(RecvEvent::Message(message)));
                }
                let State::Ending(_, ending) = mem::replace(&mut self.state, State::Ended(None))
                else {
                    return Ok(None);
                };
                return ending.map(|trailers| Some(RecvEvent::End(trailers)));
            }
            State::Ended(_) => return Ok(None),
        };
        if !self.params.single {
            return Ok(Some(RecvEvent::End(trailers)));
        }
        let Some(message) = message else {
            return Err(self.wrong_count("no"));
        };
        self.state = State::Ending(None, Ok(trailers));
        Ok(Some(RecvEvent::Message(message)))
    }

    /// The conformance suite and gRPC's libraries agree on `unimplemented`: the peer has another stream type in mind.
    fn wrong_count(&self, count: &str) -> Error {
        let body = match self.params.side {
            Side::Server => "request",
            Side::Client => "response",
        };
        Error::unimplemented(format!(
            "the {body} has {count} message, where the procedure takes exactly one"
        ))
    }
}

/// RFC 9110, section 8.6.
fn announced_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvHalf")
            .field("side", &self.params.side)
            .field("wire", &self.params.wire)
            .field("deadline", &self.params.deadline)
            .field("state", &self.state)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
