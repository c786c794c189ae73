//! The sending half of a call: messages in, a head and bytes out.

mod buffer;
mod finish;
mod fit;

use std::{fmt, mem};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, Method, StatusCode, Uri, Version, header::CONTENT_ENCODING, request, response,
};

pub(crate) use self::buffer::Encoder;
use self::buffer::SendBuffer;
use crate::{
    Error, GetPolicy, Limits, MessageSize, Side, Time, base64_text, metadata,
    protocol::{ContentType, Protocol, Wire},
};

/// What a [`SendHalf`] wants sent.
#[derive(Clone, Debug, PartialEq)]
pub enum Transmit {
    /// Bytes of the body: one or more messages.
    Data(Bytes),
    /// HTTP trailers, which end the body.
    Trailers(HeaderMap),
    /// The call was given up for this reason: reset the stream (HTTP/2: RST_STREAM with CANCEL) or close the
    /// connection (HTTP/1.1). Never end the body cleanly after it.
    Reset(Error),
}

/// The sending half of one call, for either side and all protocols.
///
/// Give it the outcome of the call as it comes: a server's [`send_head`](Self::send_head), then messages
/// ([`send_message`](Self::send_message) while [`wants_message`](Self::wants_message) holds), then
/// [`finish`](Self::finish). Take out the head ([`poll_response_head`](Self::poll_response_head) on a server,
/// [`poll_request_head`](Self::poll_request_head) on a client) and then the body ([`poll_transmit`](Self::poll_transmit)).
///
/// ```text
///   head:  Held --(send_head, first message; Connect unary: finish)--> Ready --(poll_*_head)--> Taken
///   body:  Open --(finish)--> Finished --(the last poll_transmit)--> is_end_stream
///            \                    |
///             +--------------------+--(given up before all is out)--> Reset
/// ```
///
/// Messages that are sent before the next [`poll_transmit`](Self::poll_transmit) leave as one piece of data. A
/// [`finish`](Self::finish) with an error before the head was sent becomes a response without a body where the
/// protocol has one (gRPC, "Trailers-Only").
///
/// Dropped before its end it means cancellation: the driver resets the stream.
pub struct SendHalf {
    side: Side,
    content_type: ContentType,
    head: Head,
    headers: HeaderMap,
    /// Exactly one message is to be sent.
    single: bool,
    has_message: bool,
    encoder: Encoder,
    waiting: SendBuffer,
    state: State,
    max: fit::Max,
    /// Errors that were received are sent as they are.
    forward_errors: bool,
    /// Why no more messages are taken, unless the caller has called `finish`.
    failure: Option<Error>,
    deadline: Option<Time>,
}

#[derive(Debug)]
enum Head {
    Held(Start),
    Ready(Start),
    Taken,
}

/// What heads have besides headers.
#[derive(Debug)]
pub(crate) enum Start {
    Request {
        uri: Uri,
        /// Send as a GET if the query fits.
        get: Option<GetPolicy>,
    },
    Response(StatusCode),
}

#[derive(Debug)]
enum State {
    Open,
    /// No more messages; trailers are sent when all data is out.
    Finished(Option<HeaderMap>),
    /// Given up; the error is transmitted once.
    Reset {
        reported: bool,
    },
}

/// What a half needs to know from the start.
#[derive(Debug)]
pub(crate) struct SendParams {
    pub(crate) side: Side,
    pub(crate) content_type: ContentType,
    pub(crate) start: Start,
    pub(crate) headers: HeaderMap,
    pub(crate) single: bool,
    pub(crate) encoder: Encoder,
    pub(crate) limits: Limits,
    pub(crate) forward_errors: bool,
    pub(crate) deadline: Option<Time>,
}

impl SendHalf {
    pub(crate) fn new(params: SendParams) -> Self {
        // A client's head waits for nothing, unless the message decides about it.
        let head = if params.side == Side::Client && params.content_type.wire.is_enveloped() {
            Head::Ready(params.start)
        } else {
            Head::Held(params.start)
        };
        Self {
            side: params.side,
            content_type: params.content_type,
            head,
            headers: params.headers,
            single: params.single,
            has_message: false,
            encoder: params.encoder,
            waiting: SendBuffer::new(params.limits.send_message_bytes()),
            state: State::Open,
            max: fit::Max::new(&params.limits),
            forward_errors: params.forward_errors,
            failure: None,
            deadline: params.deadline,
        }
    }

    /// Whose half it is.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The protocol of the call.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.content_type.wire.protocol()
    }

    /// The codec of the messages, by name.
    #[must_use]
    pub fn codec(&self) -> &str {
        &self.content_type.codec
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); `None` for a call without a deadline, once it has come, and
    /// once everything was transmitted.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        self.deadline.filter(|_| !self.is_closed())
    }

    /// Sends the leading metadata of a response. Streams send it at once; a Connect unary response keeps it until
    /// the outcome is known. Names that a protocol reserves are left out.
    ///
    /// Without it the head goes out with the first message.
    ///
    /// # Errors
    ///
    /// `internal` once the head is on its way or the half is finished, and on a client, whose metadata is in
    /// [`CallOptions`](crate::CallOptions); `resource_exhausted` for more than the client
    /// [takes](Limits::with_sent_header_bytes); the reason of a reset. The metadata is not sent then, and the half is as
    /// before.
    pub fn send_head(&mut self, leading: HeaderMap) -> Result<(), Error> {
        if self.side == Side::Client {
            return Err(Error::internal(
                "a client has no head to send: the metadata of its request is in the call's options",
            ));
        }
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        if !matches!((&self.head, &self.state), (Head::Held(_), State::Open)) {
            return Err(Error::internal(
                "leading metadata was set after the head of the response was sent",
            ));
        }
        if !leading.is_empty() {
            let encoding = self.encoding_field();
            self.max.check_leading(&leading, &self.headers, encoding)?;
        }
        if self.content_type.wire.is_enveloped() {
            // gRPC, "Responses": the protocol's own headers stand before custom metadata.
            self.release_head();
            metadata::append_custom(&mut self.headers, leading);
        } else {
            metadata::append_unary_leading(&mut self.headers, leading);
        }
        Ok(())
    }

    /// Whether more messages are welcome: the call is open and what waits to be transmitted is below the low-water
    /// mark of 32 KiB. That is the back-pressure; a message is taken at any time while the call is open.
    #[must_use]
    pub fn wants_message(&self) -> bool {
        matches!(self.state, State::Open)
            && !(self.single && self.has_message)
            && self.waiting.len() < LOW_WATER
    }

    /// Sends one message, which `encode` appends to a buffer.
    ///
    /// The buffer is the one that leaves: the message is encoded behind its prefix, without a copy, unless it is
    /// compressed.
    ///
    /// # Errors
    ///
    /// What `encode` returns; `resource_exhausted` over the limit; `internal` if the procedure allows one message and
    /// this is the second, or if the half is finished; the reason of a reset. The half is as before and can still
    /// be finished.
    pub fn send_message(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.check_open()?;
        let enveloped = self.content_type.wire.is_enveloped();
        let compressed = self.waiting.push(&self.encoder, enveloped, encode)?;
        self.after_message(compressed);
        Ok(())
    }

    /// Sends one message that is already encoded: a proxy's, or one kept from before.
    ///
    /// A large payload is not copied: prefix and payload leave as two pieces of data.
    ///
    /// # Errors
    ///
    /// As for [`send_message`](Self::send_message).
    pub fn send_bytes(&mut self, payload: Bytes) -> Result<(), Error> {
        self.check_open()?;
        let enveloped = self.content_type.wire.is_enveloped();
        let compressed = self.waiting.push_bytes(&self.encoder, enveloped, payload)?;
        self.after_message(compressed);
        Ok(())
    }

    /// The size of the last message that was sent; zero before the first.
    #[must_use]
    pub fn message_size(&self) -> MessageSize {
        self.waiting.message_size()
    }

    /// What a server sends in place of this error, as far as the code goes: one that another server has sent is not
    /// forwarded unless that was asked for. See [`Error::forward`].
    #[must_use]
    pub fn sent_error(&self, error: &Error) -> Error {
        error.clone().into_sent(self.forward_errors)
    }

    /// Whether the messages that follow are compressed, as far as the peer accepts it and they are large enough.
    pub fn set_compression(&mut self, enabled: bool) {
        self.encoder.enabled = enabled;
    }

    /// Ends the half. Ignored if it has ended.
    ///
    /// On a server: `Ok` with the trailing metadata, or the call's error, in the protocol's own way. A missing
    /// message of a procedure that must have one becomes `internal`. On a client: `Ok` ends the request (requests
    /// have no trailing metadata); `Err` gives the call up and resets the stream, also after an `Ok` as long as not
    /// everything was transmitted.
    pub fn finish(&mut self, outcome: Result<HeaderMap, Error>) {
        if !matches!(self.state, State::Open) {
            if let (Side::Client, Err(error)) = (self.side, outcome) {
                self.give_up(error);
            }
            return;
        }
        let outcome = match outcome {
            Ok(_) if self.single && !self.has_message => Err(Error::internal(
                "the call was finished without its one message",
            )),
            outcome => outcome,
        };
        match (self.side, outcome) {
            (Side::Client, Ok(_)) => self.finish_request(),
            (Side::Client, Err(error)) => self.give_up(error),
            (Side::Server, outcome) => self.finish_response(outcome),
        }
    }

    /// Ends the half with `deadline_exceeded` if its deadline has come: a server that has not finished answers so in its
    /// protocol; a client resets the stream, and so does a server that has finished and cannot get rid of its data.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        self.deadline = None;
        let error = Error::deadline_exceeded("the deadline passed before the call was complete");
        match (self.side, &self.state) {
            (Side::Server, State::Open) => {
                self.failure = Some(error.clone());
                self.finish_response(Err(error));
            }
            _ => self.give_up(error),
        }
    }

    /// A server's head, once, when it is known.
    ///
    /// `version` is left at its default: it is the connection's business.
    ///
    /// # Panics
    ///
    /// On a client, with debug assertions: its head is that of a request. Without them `None`, always.
    #[must_use = "the head is taken out of the half"]
    pub fn poll_response_head(&mut self) -> Option<response::Parts> {
        debug_assert!(
            self.side == Side::Server,
            "a client has no response head to send: poll_request_head gives its head"
        );
        if let Head::Ready(Start::Response(status)) = self.head {
            self.head = Head::Taken;
            let (mut parts, ()) = http::Response::new(()).into_parts();
            parts.status = status;
            parts.headers = mem::take(&mut self.headers);
            return Some(parts);
        }
        None
    }

    /// A client's head, once, when it is known.
    ///
    /// The URI is path and query: the transport adds scheme and authority. The version is HTTP/2 where the protocol
    /// demands it (gRPC); HTTP/1.1 leaves the choice to the transport.
    ///
    /// # Panics
    ///
    /// On a server, with debug assertions: its head is that of a response. Without them `None`, always.
    #[must_use = "the head is taken out of the half"]
    pub fn poll_request_head(&mut self) -> Option<request::Parts> {
        debug_assert!(
            self.side == Side::Client,
            "a server has no request head to send: poll_response_head gives its head"
        );
        if !matches!(self.head, Head::Ready(Start::Request { .. })) {
            return None;
        }
        let Head::Ready(Start::Request { uri, get }) = mem::replace(&mut self.head, Head::Taken)
        else {
            return None;
        };
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.uri = uri;
        parts.method = if get.is_some() {
            Method::GET
        } else {
            Method::POST
        };
        parts.version = match self.content_type.wire.protocol() {
            Protocol::Grpc => Version::HTTP_2,
            Protocol::Connect | Protocol::GrpcWeb => Version::HTTP_11,
        };
        parts.headers = mem::take(&mut self.headers);
        Some(parts)
    }

    /// The next piece of the body. `None` until the head was taken, and while there is nothing to send.
    #[must_use = "the data is taken out of the half"]
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        if let State::Reset { reported } = &mut self.state {
            if mem::replace(reported, true) {
                return None;
            }
            return self.failure.clone().map(Transmit::Reset);
        }
        if !matches!(self.head, Head::Taken) {
            return None;
        }
        if self.waiting.len() > 0 {
            let data = match self.content_type.wire {
                // Padding between the pieces of one message would be refused by servers that read requests whole.
                Wire::GrpcWebText => self
                    .waiting
                    .pop_all()
                    .map(|data| base64_text::encode(&data)),
                _ => self.waiting.pop(),
            };
            return data.map(Transmit::Data);
        }
        match &mut self.state {
            State::Finished(trailers) => trailers.take().map(Transmit::Trailers),
            State::Open | State::Reset { .. } => None,
        }
    }

    /// Whether the head is known and waits to be taken.
    #[must_use]
    pub fn is_head_ready(&self) -> bool {
        matches!(self.head, Head::Ready(_))
    }

    /// Whether the half takes no more messages: it was finished or has given up.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        !matches!(self.state, State::Open)
    }

    /// Whether the body has come to its clean end: nothing is left to transmit, and the last frame can carry END_STREAM.
    /// Never after a reset.
    #[must_use]
    pub fn is_end_stream(&self) -> bool {
        self.waiting.len() == 0 && matches!(self.state, State::Finished(None))
    }

    /// Whether [`poll_transmit`](Self::poll_transmit) has nothing left, now and ever: after the clean end, and after a
    /// reset was taken out.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_end_stream() || matches!(self.state, State::Reset { reported: true })
    }

    /// How many bytes of body are left, if that is known and no trailers follow: a `content-length`.
    #[must_use]
    pub fn exact_len(&self) -> Option<u64> {
        let len = self.waiting.len() as u64;
        match (&self.state, self.content_type.wire) {
            // All that waits leaves as one padded text, if it leaves at once.
            (State::Finished(None), Wire::GrpcWebText) => Some(len.div_ceil(3) * 4),
            (State::Finished(None), _) => Some(len),
            (State::Finished(Some(_)) | State::Open | State::Reset { .. }, _) => None,
        }
    }

    fn check_open(&self) -> Result<(), Error> {
        if let Some(error) = &self.failure {
            return Err(error.clone());
        }
        match &self.state {
            State::Open if self.single && self.has_message => Err(Error::internal(
                "the procedure takes exactly one message, and it was sent already",
            )),
            State::Open => Ok(()),
            State::Finished(_) | State::Reset { .. } => Err(Error::internal(
                "a message was sent after the end of the stream",
            )),
        }
    }

    /// How large the field is that names the compression, which the head gets at its end.
    fn encoding_field(&self) -> usize {
        let compression = self.encoder.compression.as_ref();
        compression.map_or(0, |compression| {
            let header = self.content_type.wire.encoding_header();
            metadata::field_size(&header, &compression.name)
        })
    }

    fn after_message(&mut self, compressed: bool) {
        self.has_message = true;
        if self.content_type.wire.is_enveloped() {
            self.release_head();
        } else if compressed {
            if let Some(compression) = &self.encoder.compression {
                let name = compression.name.clone();
                self.headers.insert(CONTENT_ENCODING, name);
            }
        }
    }

    /// The head is known: it names the compression that envelopes may be flagged with.
    fn release_head(&mut self) {
        let Head::Held(_) = self.head else {
            return;
        };
        if self.content_type.wire.is_enveloped() {
            if let Some(compression) = &self.encoder.compression {
                let header = self.content_type.wire.encoding_header();
                self.headers.insert(header, compression.name.clone());
            }
        }
        if let Head::Held(start) = mem::replace(&mut self.head, Head::Taken) {
            self.head = Head::Ready(start);
        }
    }

    /// Resets the stream, unless everything was transmitted.
    fn give_up(&mut self, error: Error) {
        if self.is_closed() || matches!(self.state, State::Reset { .. }) {
            return;
        }
        self.waiting.clear();
        self.failure = Some(error);
        self.state = State::Reset { reported: false };
    }
}

impl fmt::Debug for SendHalf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendHalf")
            .field("side", &self.side)
            .field("content_type", &self.content_type)
            .field("head", &self.head)
            .field("state", &self.state)
            .field("waiting_bytes", &self.waiting.len())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// Below this many waiting bytes, more messages are welcome.
const LOW_WATER: usize = 32 * 1024;
