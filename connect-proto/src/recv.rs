//! The receiving half of a call: bytes in, messages and one ending out.

mod ending;

use std::{fmt, mem, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use self::ending::{WORDS_BYTES, with_words};
pub(crate) use self::ending::{has_words, http_status_error};
use crate::{
    Compression, CompressionError, Error, Limits, Time, base64_text,
    envelope::{Deframer, Envelope, FLAG_COMPRESSED, FLAG_END_STREAM, FLAG_TRAILERS, Prefix},
    gather::Gather,
    protocol::{Protocol, Wire, connect, grpc_web},
};

/// Which end of a call a half belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The end that made the call.
    Client,
    /// The end that answers it.
    Server,
}

/// How the HTTP layer lost the peer's stream.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reset {
    /// An HTTP/2 RST_STREAM with this error code, or HTTP/3's equal.
    Http2(u32),
    /// The connection closed, or an HTTP/1.1 body ended early.
    ConnectionLost,
}

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
///             data                     terminal envelope             end of body
///  Receiving ------> Message …  ------------------------> Closing ----------------> Ending --> Ended
///      |                                                                              ^
///      +-- end of body, trailers, reset, timeout, malformed bytes --------------------+
/// ```
///
/// It keeps these promises, for every protocol and stream type:
///
/// 1. Events do not depend on how the bytes were cut into chunks.
/// 2. It ends once, with [`RecvEvent::End`] or one error; then it yields `None` for ever and ignores its input.
///    Truncation is never a clean end. Whole messages come before the error of a reset.
/// 3. Memory is bounded by its [`Limits`], whatever the peer sends: it holds one message as it came, while that is
///    incomplete, and one decompressed; what is held never grows past the limit, and growing copies from one buffer to
///    the next. A message that is a slice keeps its chunk alive.
/// 4. A message that lies inside one chunk is a slice of it.
/// 5. It never panics on input and never recurses on it.
/// 6. Where the procedure allows one message, it is yielded only once the clean end is known.
/// 7. Dropped before the end, it means cancellation: the driver resets the stream.
pub struct RecvHalf {
    side: Side,
    wire: Wire,
    body: Body,
    text: Option<base64_text::Decoder>,
    encoding: Option<Arc<dyn Compression>>,
    limits: Limits,
    /// Exactly one message is allowed, and held back until the end.
    single: bool,
    held: Option<Bytes>,
    headers: HeaderMap,
    deadline: Option<Time>,
    input: Input,
    state: State,
}

/// How the body carries messages.
#[derive(Debug)]
enum Body {
    Envelopes {
        deframer: Deframer,
        started: bool,
    },
    /// Connect unary: the body is the message. The trailers came with the head.
    Message {
        gather: Gather,
        trailers: HeaderMap,
    },
    /// The body of a Connect unary error. The trailers came with the head.
    Error {
        gather: Gather,
        /// What the HTTP status says.
        fallback: Error,
        trailers: HeaderMap,
    },
    /// The body of a response that is no RPC, as much of it as its error shows, and a byte more.
    Words {
        words: Vec<u8>,
        error: Error,
    },
}

/// What the HTTP layer has said after the last data.
#[derive(Debug)]
enum Input {
    Open,
    Eof,
    Trailers(HeaderMap),
    Reset(Reset),
    /// The bytes before were fine, what follows is not.
    Malformed(Error),
}

#[derive(Debug)]
enum State {
    Receiving,
    /// The terminal envelope was read: nothing may follow but the end of the body.
    Closing(Result<HeaderMap, Error>),
    /// What is left to yield: the one message of a call that ended well and has one, then the ending.
    Ending(Option<Bytes>, Result<HeaderMap, Error>),
    Ended(Option<Error>),
}

/// What a half needs to know from the start.
#[derive(Debug)]
pub(crate) struct RecvParams {
    pub(crate) side: Side,
    pub(crate) wire: Wire,
    pub(crate) encoding: Option<Arc<dyn Compression>>,
    pub(crate) limits: Limits,
    pub(crate) single: bool,
    pub(crate) headers: HeaderMap,
    pub(crate) deadline: Option<Time>,
}

impl RecvHalf {
    /// A half whose body is a sequence of envelopes, or one Connect unary message.
    pub(crate) fn new(params: RecvParams) -> Self {
        let body = if params.wire.is_enveloped() {
            Body::Envelopes {
                deframer: Deframer::new(),
                started: false,
            }
        } else {
            Body::Message {
                gather: Gather::default(),
                trailers: HeaderMap::new(),
            }
        };
        Self::with_body(params, body)
    }

    /// A client's half of a Connect unary call, whose trailers came with the head.
    pub(crate) fn unary_response(params: RecvParams, trailers: HeaderMap) -> Self {
        let gather = Gather::default();
        Self::with_body(params, Body::Message { gather, trailers })
    }

    /// A client's half of a Connect unary call that failed: the body is the error.
    pub(crate) fn unary_error(params: RecvParams, fallback: Error, trailers: HeaderMap) -> Self {
        let body = Body::Error {
            gather: Gather::default(),
            fallback,
            trailers,
        };
        Self::with_body(params, body)
    }

    /// A client's half of a call that was answered by something else than RPC, in words for people.
    pub(crate) fn foreign(params: RecvParams, error: Error) -> Self {
        let words = Vec::new();
        let mut half = Self::with_body(params, Body::Words { words, error });
        // Whatever the protocol, this text is not base64.
        half.text = None;
        half
    }

    /// A server's half of a Connect GET: the message was in the head, there is no body.
    pub(crate) fn from_query(params: RecvParams, message: Bytes) -> Self {
        let mut half = Self::new(params);
        half.state = match half.decompress_bare(message) {
            Ok(message) => State::Ending(Some(message), Ok(HeaderMap::new())),
            Err(error) => State::Ending(None, Err(error)),
        };
        half
    }

    /// A half that has failed before any byte of the body: its error is the next event.
    pub(crate) fn failed(params: RecvParams, error: Error) -> Self {
        let mut half = Self::new(params);
        half.end_early(error);
        half
    }

    fn with_body(params: RecvParams, body: Body) -> Self {
        Self {
            side: params.side,
            wire: params.wire,
            body,
            text: (params.wire == Wire::GrpcWebText).then(base64_text::Decoder::default),
            encoding: params.encoding,
            limits: params.limits,
            single: params.single,
            held: None,
            headers: params.headers,
            deadline: params.deadline,
            input: Input::Open,
            state: State::Receiving,
        }
    }

    /// A client's leading metadata: the headers of the response, also when the call failed. Empty on a server,
    /// whose driver has the request's head.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The protocol of the call.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.wire.protocol()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` for a call without a deadline, and once the
    /// ending is known: for Connect GET, whose message is in the head, from the start. What bounds the whole call is
    /// [`SendHalf::deadline`](crate::SendHalf::deadline).
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| self.is_open())
    }

    /// Whether the half can use more input. Feed it when this holds and [`poll_event`](Self::poll_event) returned
    /// `None`: that is the back-pressure.
    #[must_use]
    pub fn wants_data(&self) -> bool {
        let unread = match &self.body {
            Body::Envelopes { deframer, .. } => deframer.has_unread(),
            Body::Message { .. } | Body::Error { .. } | Body::Words { .. } => false,
        };
        matches!(self.state, State::Receiving | State::Closing(_))
            && matches!(self.input, Input::Open)
            && !unread
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
        if data.is_empty() || !self.is_open() {
            return;
        }
        let data = match &mut self.text {
            None => data,
            Some(decoder) => {
                let (decoded, outcome) = decoder.decode(data);
                if let Err(reason) = outcome {
                    self.input = Input::Malformed(self.malformed(format!(
                        "the body of a gRPC-Web text message is not base64: {reason}"
                    )));
                }
                decoded
            }
        };
        let limit = self.wire_limit();
        match &mut self.body {
            Body::Envelopes { deframer, started } => {
                *started = true;
                deframer.push(data);
            }
            Body::Message { gather, .. } => {
                if !gather.push(data, limit) {
                    self.end_early(self.too_large());
                }
            }
            Body::Error {
                gather,
                fallback,
                trailers,
            } => {
                if !gather.push(data, self.limits.trailer_bytes()) {
                    let (error, trailers) = (fallback.clone(), mem::take(trailers));
                    self.end_early(self.with_peer_metadata(error, trailers));
                }
            }
            Body::Words { words, .. } => {
                let room = WORDS_BYTES + 1 - words.len();
                words.extend_from_slice(&data[..room.min(data.len())]);
                if words.len() > WORDS_BYTES {
                    self.input = Input::Eof;
                }
            }
        }
    }

    /// Takes HTTP trailers, which end the body. Ignored after the end.
    pub fn recv_trailers(&mut self, trailers: HeaderMap) {
        if self.is_open() {
            self.input = Input::Trailers(trailers);
        }
    }

    /// Takes the clean end of the body, for bodies without HTTP trailers. Ignored after the end.
    pub fn recv_eof(&mut self) {
        if self.is_open() {
            self.input = Input::Eof;
        }
    }

    /// Takes the loss of the stream. Ignored after the end.
    pub fn recv_reset(&mut self, reset: Reset) {
        if self.is_open() {
            self.input = Input::Reset(reset);
        }
    }

    /// Ends the half with this error, for what is wrong below the core: HTTP that cannot be read on. Whole messages come
    /// before it. Ignored after the end, as is all input that follows; an ending that the peer has already told stands.
    ///
    /// By convention `invalid_argument` on a server, as the bytes are the client's, and `internal` on a client.
    pub fn fail(&mut self, error: Error) {
        if self.is_open() {
            self.input = match self.state {
                State::Closing(_) => Input::Reset(Reset::ConnectionLost),
                _ => Input::Malformed(error),
            };
        }
    }

    /// Ends the half with `deadline_exceeded` if its deadline has come. Messages that were not polled are dropped;
    /// an ending that is already known stands.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        match self.state {
            // The server has answered, if not as it should.
            State::Receiving if matches!(self.body, Body::Words { .. }) => self.input = Input::Eof,
            State::Receiving => {
                let peer = match self.side {
                    Side::Client => "the response",
                    Side::Server => "the request",
                };
                self.end_early(Error::deadline_exceeded(format!(
                    "the deadline passed before {peer} was complete"
                )));
            }
            // The peer has said how the call ended; the end of the body adds nothing.
            State::Closing(_) => self.input = Input::Eof,
            State::Ending(..) | State::Ended(_) => {}
        }
    }

    /// The next event: messages, then one ending, then `None` for ever. `None` before the ending asks for more input.
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
            Ok(Some(RecvEvent::End(_))) => self.end(None),
            Err(error) => self.end(Some(error.clone())),
        }
        event.transpose()
    }

    fn end(&mut self, error: Option<Error>) {
        self.state = State::Ended(error);
        self.release();
    }

    /// Makes the error the next event; what was held for the call is let go.
    fn end_early(&mut self, error: Error) {
        self.state = State::Ending(None, Err(error));
        self.release();
    }

    fn release(&mut self) {
        self.held = None;
        self.body = Body::Envelopes {
            deframer: Deframer::new(),
            started: false,
        };
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Receiving | State::Closing(_))
            && matches!(self.input, Input::Open)
    }

    fn step(&mut self) -> Result<Option<RecvEvent>, Error> {
        if let State::Ending(message, _) = &mut self.state {
            if let Some(message) = message.take() {
                return Ok(Some(RecvEvent::Message(message)));
            }
            let State::Ending(_, ending) = mem::replace(&mut self.state, State::Ended(None)) else {
                return Ok(None);
            };
            return ending.map(|trailers| Some(RecvEvent::End(trailers)));
        }
        match &self.body {
            Body::Envelopes { .. } => self.step_envelopes(),
            Body::Message { .. } | Body::Error { .. } | Body::Words { .. } => self.step_bare(),
        }
    }

    fn step_envelopes(&mut self) -> Result<Option<RecvEvent>, Error> {
        while matches!(self.state, State::Receiving) {
            let Some(envelope) = self.next_envelope()? else {
                break;
            };
            let Some(message) = self.recv_envelope(envelope)? else {
                continue;
            };
            if !self.single {
                return Ok(Some(RecvEvent::Message(message)));
            }
            if self.held.replace(message).is_some() {
                return Err(self.wrong_count("more than one"));
            }
        }
        if matches!(self.state, State::Closing(_)) && self.has_partial_input() {
            return Err(self.malformed("there are bytes after the end of the stream".into()));
        }
        let input = match &self.input {
            Input::Open => return Ok(None),
            _ => mem::replace(&mut self.input, Input::Eof),
        };
        let ending = match (mem::replace(&mut self.state, State::Ended(None)), input) {
            (_, Input::Malformed(error)) => Err(error),
            (State::Closing(_), Input::Eof | Input::Trailers(_)) if self.has_partial_text() => {
                Err(self.malformed("there are bytes after the end of the stream".into()))
            }
            (State::Closing(ending), _) => ending,
            (_, Input::Reset(reset)) => Err(reset.to_error(self.side)),
            (_, Input::Trailers(trailers)) => self.end_of_body(Some(trailers)),
            (_, Input::Open | Input::Eof) => self.end_of_body(None),
        };
        self.conclude(ending)
    }

    /// Yields the message that was held back, if the ending allows it, then the ending.
    fn conclude(&mut self, ending: Result<HeaderMap, Error>) -> Result<Option<RecvEvent>, Error> {
        let trailers = ending?;
        if !self.single {
            return Ok(Some(RecvEvent::End(trailers)));
        }
        let Some(message) = self.held.take() else {
            return Err(self.wrong_count("no"));
        };
        self.state = State::Ending(None, Ok(trailers));
        Ok(Some(RecvEvent::Message(message)))
    }

    fn step_bare(&mut self) -> Result<Option<RecvEvent>, Error> {
        let input = match &self.input {
            Input::Open => return Ok(None),
            _ => mem::replace(&mut self.input, Input::Eof),
        };
        match &mut self.body {
            Body::Message { gather, trailers } => {
                match input {
                    Input::Reset(reset) => return Err(reset.to_error(self.side)),
                    Input::Malformed(error) => return Err(error),
                    Input::Open | Input::Eof | Input::Trailers(_) => {}
                }
                let payload = gather.take();
                let trailers = mem::take(trailers);
                self.held = Some(self.decompress_bare(payload)?);
                self.conclude(Ok(trailers))
            }
            Body::Words { words, error } => Err(with_words(error.clone(), words)),
            Body::Error {
                gather,
                fallback,
                trailers,
            } => {
                let (fallback, trailers, payload) =
                    (fallback.clone(), mem::take(trailers), gather.take());
                // A truncated error body is a malformed one: the HTTP status still tells the code.
                let payload = match input {
                    Input::Reset(_) | Input::Malformed(_) => Bytes::new(),
                    _ => self.decompress_error(payload),
                };
                let error = connect::json::decode_error(&payload, fallback.code())
                    .unwrap_or_else(|| with_words(fallback, &payload));
                Err(self.with_peer_metadata(error, trailers))
            }
            Body::Envelopes { .. } => Ok(None),
        }
    }

    fn next_envelope(&mut self) -> Result<Option<Envelope>, Error> {
        let terminal = match (self.wire, self.side) {
            (Wire::ConnectStream, Side::Client) => FLAG_END_STREAM,
            (Wire::GrpcWeb | Wire::GrpcWebText, Side::Client) => FLAG_TRAILERS,
            _ => 0,
        };
        let refuse = Admission {
            side: self.side,
            wire: self.wire,
            terminal,
            compressed: self.encoding.is_some(),
            limits: self.limits,
        };
        match &mut self.body {
            Body::Envelopes { deframer, .. } => {
                deframer.next_envelope(|prefix| refuse.admit(prefix))
            }
            Body::Message { .. } | Body::Error { .. } | Body::Words { .. } => Ok(None),
        }
    }

    /// A message, or `None` if the envelope was the terminal one.
    fn recv_envelope(&mut self, envelope: Envelope) -> Result<Option<Bytes>, Error> {
        let is_end = envelope.flags & !FLAG_COMPRESSED != 0;
        let limit = if is_end {
            self.limits.trailer_bytes()
        } else {
            self.limits.recv_message_bytes()
        };
        let payload = if envelope.flags & FLAG_COMPRESSED == 0 {
            envelope.payload
        } else {
            self.decompress(envelope.payload, limit)?
        };
        if !is_end {
            return Ok(Some(payload));
        }
        let ending = if self.wire == Wire::ConnectStream {
            let (metadata, error) =
                connect::json::decode_end_stream(&payload).map_err(|error| {
                    Error::internal(format!("the EndStreamResponse is not valid JSON: {error}"))
                })?;
            match error {
                None => Ok(metadata),
                Some(error) => Err(self.with_peer_metadata(error, metadata)),
            }
        } else {
            let trailers = grpc_web::decode_trailers(&payload)
                .map_err(|reason| Error::internal(format!("in the trailer frame, {reason}")))?;
            self.grpc_ending(trailers)
        };
        self.state = State::Closing(ending);
        Ok(None)
    }

    /// Whether there is input that makes no whole envelope.
    fn has_partial_input(&self) -> bool {
        match &self.body {
            Body::Envelopes { deframer, .. } => deframer.is_partial(),
            Body::Message { .. } | Body::Error { .. } | Body::Words { .. } => false,
        }
    }

    /// Whether base64 text ended inside a group.
    fn has_partial_text(&self) -> bool {
        self.text
            .as_ref()
            .is_some_and(|text| text.finish().is_err())
    }

    fn decompress(&self, payload: Bytes, limit: usize) -> Result<Bytes, Error> {
        // "Servers must not attempt to decompress zero-length HTTP request content", and so everywhere.
        let Some(encoding) = self.encoding.as_ref().filter(|_| !payload.is_empty()) else {
            return Ok(payload);
        };
        let mut plain = BytesMut::new();
        match encoding.decompress(&payload, limit, &mut plain) {
            Ok(()) => Ok(plain.freeze()),
            Err(CompressionError::TooLarge { .. }) => {
                let what = format!("after {} decompression a message", encoding.name());
                Err(too_large(self.side, &what, limit))
            }
            Err(error) => Err(self
                .malformed(format!("cannot decompress a message: {error}"))
                .with_source(error)),
        }
    }

    fn decompress_bare(&self, payload: Bytes) -> Result<Bytes, Error> {
        let limit = self.limits.recv_message_bytes();
        if self.encoding.is_none() && payload.len() > limit {
            return Err(self.too_large());
        }
        self.decompress(payload, limit)
    }

    fn decompress_error(&self, payload: Bytes) -> Bytes {
        self.decompress(payload, self.limits.trailer_bytes())
            .unwrap_or_default()
    }

    fn wire_limit(&self) -> usize {
        wire_limit(self.limits, self.encoding.is_some())
    }

    fn too_large(&self) -> Error {
        too_large(self.side, "a message", self.limits.recv_message_bytes())
    }

    fn malformed(&self, message: String) -> Error {
        malformed(self.side, message)
    }
}

/// Judges envelopes by their prefixes, before a byte of the payload is kept.
#[derive(Clone, Copy)]
struct Admission {
    side: Side,
    wire: Wire,
    /// The flag of the envelope that ends the stream; 0 where there is none.
    terminal: u8,
    /// Whether the head named a compression.
    compressed: bool,
    limits: Limits,
}

impl Admission {
    fn admit(self, prefix: Prefix) -> Result<(), Error> {
        if prefix.flags & !(FLAG_COMPRESSED | self.terminal) != 0 {
            return Err(malformed(
                self.side,
                format!(
                    "a message prefix has the flags {:#010b}, which mean nothing here",
                    prefix.flags
                ),
            ));
        }
        let compressed = prefix.flags & FLAG_COMPRESSED != 0;
        if compressed && !self.compressed {
            // gRPC, "Compression", test case 6, and the same in Connect, "Streaming-Request".
            return Err(Error::internal(format!(
                "a message is flagged as compressed, but the header {:?} names no compression",
                self.wire.encoding_header().as_str()
            )));
        }
        let len = prefix.len as usize;
        if prefix.flags & self.terminal != 0 {
            let limit = self.limits.trailer_bytes();
            if len > limit {
                return Err(Error::resource_exhausted(format!(
                    "the end of the stream has {len} bytes, the limit is {limit} bytes"
                )));
            }
        } else if len > wire_limit(self.limits, compressed) {
            let what = format!("a message of {len} bytes");
            return Err(too_large(
                self.side,
                &what,
                self.limits.recv_message_bytes(),
            ));
        }
        Ok(())
    }
}

/// Says whose limit it is. The client alone learns the setter: the server's is no business of its peers.
fn too_large(side: Side, what: &str, limit: usize) -> Error {
    Error::resource_exhausted(match side {
        Side::Server => {
            format!("{what} in the request is larger than the {limit} bytes that the server takes")
        }
        Side::Client => format!(
            "{what} in the response is larger than the {limit} bytes that this client takes; \
             Limits::with_recv_message_bytes raises that"
        ),
    })
}

/// The most bytes that a message may have on the wire: compression may enlarge what cannot be compressed.
fn wire_limit(limits: Limits, compressed: bool) -> usize {
    let limit = limits.recv_message_bytes();
    if compressed {
        limit.saturating_add(limit / 4).saturating_add(1024)
    } else {
        limit
    }
}

/// The peer broke the protocol: a client's request is invalid, a server's response is an internal error.
fn malformed(side: Side, message: String) -> Error {
    match side {
        Side::Server => Error::invalid_argument(message),
        Side::Client => Error::internal(message),
    }
}

impl fmt::Debug for RecvHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvHalf")
            .field("side", &self.side)
            .field("wire", &self.wire)
            .field("state", &self.state)
            .field("input", &self.input)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
