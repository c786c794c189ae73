//! Where typed code puts what it sends: on the wire, or into payloads for interceptors.
//!
//! A handler and a client's stream of messages are each one [`Producer`], whatever follows them. So with no
//! interceptor registered a message is encoded straight into the buffer that leaves, and the interceptors' path is
//! no second copy of that code.

use std::mem;

use bytes::{Bytes, BytesMut};
use connect_codec::Codec;
use connect_proto::{Error, SendHalf, Side};
use http::{Extensions, HeaderMap};

use crate::{call::head::ResponseHead, call::observe::Observed, call::payload::Payload};

/// A place for one side of a call: a head, messages, an outcome.
pub(crate) enum Sink<'a> {
    Wire {
        send: &'a mut SendHalf,
        /// Those of a response whose head has not left.
        extensions: Option<&'a mut Extensions>,
        observed: Option<&'a Observed>,
    },
    Payloads(&'a mut Outbox),
}

impl Sink<'_> {
    /// Sends the head of a response and sets the compression of what follows.
    pub(crate) fn send_head(&mut self, head: ResponseHead) {
        match self {
            Sink::Wire {
                send, extensions, ..
            } => {
                if let Some(compress) = head.compress {
                    send.set_compression(compress);
                }
                if let Some(extensions) = extensions {
                    extensions.extend(head.extensions);
                }
                // It comes too late only if the call has ended meanwhile, by its deadline: what follows learns that.
                if let Err(error) = send.send_head(head.headers) {
                    self.finish(Err(error));
                }
            }
            Sink::Payloads(outbox) => outbox.head = Some(head),
        }
    }

    /// Sets the compression of what follows.
    pub(crate) fn set_compression(&mut self, compress: bool) {
        match self {
            Sink::Wire { send, .. } => send.set_compression(compress),
            Sink::Payloads(outbox) => outbox.compress = Some(compress),
        }
    }

    /// Ends the call with an error, beside which trailing metadata is sent as well.
    pub(crate) fn fail(&mut self, mut error: Error, trailers: HeaderMap) {
        error.add_metadata(trailers);
        self.finish(Err(error));
    }

    /// Whether more messages are welcome.
    pub(crate) fn wants_message(&self) -> bool {
        match self {
            Sink::Wire { send, .. } => send.wants_message(),
            Sink::Payloads(outbox) => outbox.is_empty(),
        }
    }

    /// Sends a message that `encode` appends to a buffer. After an error the call is to be finished with it.
    pub(crate) fn send(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Sink::Wire { send, observed, .. } => {
                send.send_message(encode)?;
                tell_sent(*observed, send);
                Ok(())
            }
            Sink::Payloads(outbox) => outbox.encode(encode),
        }
    }

    /// Sends a message that is already encoded. After an error the call is to be finished with it.
    pub(crate) fn send_bytes(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self {
            Sink::Wire { send, observed, .. } => {
                send.send_bytes(bytes)?;
                tell_sent(*observed, send);
                Ok(())
            }
            Sink::Payloads(outbox) => outbox.push(bytes),
        }
    }

    pub(crate) fn finish(&mut self, outcome: Result<HeaderMap, Error>) {
        match self {
            Sink::Wire {
                send,
                extensions,
                observed,
            } => {
                if let (Err(error), false) = (&outcome, send.is_finished()) {
                    // For layers around a router. A call that has ended before has its error there.
                    if let Some(extensions) = extensions {
                        extensions.insert(error.clone());
                    }
                    // What a client's call ends with is more than what its request has failed with.
                    if let Some(observed) = observed.filter(|_| send.side() == Side::Server) {
                        observed.fail(send.sent_error(error));
                    }
                }
                send.finish(outcome);
            }
            Sink::Payloads(outbox) => {
                outbox.end.get_or_insert(outcome);
            }
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Sink::Wire { send, .. } => send.is_finished(),
            Sink::Payloads(outbox) => outbox.end.is_some(),
        }
    }
}

fn tell_sent(observed: Option<&Observed>, send: &SendHalf) {
    if let Some(observed) = observed {
        observed.sent(send.message_size());
    }
}

/// Holds at most one payload on its way to an interceptor.
#[derive(Debug)]
pub(crate) struct Outbox {
    codec: Codec,
    head: Option<ResponseHead>,
    payload: Option<Payload>,
    end: Option<Result<HeaderMap, Error>>,
    compress: Option<bool>,
}

impl Outbox {
    /// Whether the side has ended; what it has put in before may still be there.
    pub(crate) fn has_ended(&self) -> bool {
        self.end.is_some()
    }

    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            head: None,
            payload: None,
            end: None,
            compress: None,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.payload.is_none() && self.end.is_none()
    }

    /// The head of the response, once; an error if that is all there will be.
    pub(crate) fn take_head(&mut self) -> Option<Result<ResponseHead, Error>> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head));
        }
        match self.end.take() {
            Some(Err(error)) => Some(Err(error)),
            Some(Ok(trailers)) => {
                self.end = Some(Ok(trailers));
                Some(Ok(ResponseHead::default()))
            }
            None => None,
        }
    }

    /// The only payload and the trailers, if that is all there will be.
    pub(crate) fn take_whole(&mut self) -> Option<(Payload, HeaderMap)> {
        match (&self.payload, &self.end) {
            (Some(_), Some(Ok(_))) => {
                let trailers = self.end.take().and_then(Result::ok);
                self.payload.take().zip(trailers)
            }
            _ => None,
        }
    }

    /// Why there is not all that there should be.
    pub(crate) fn take_error(&mut self) -> Error {
        match self.end.take() {
            Some(Err(error)) => error,
            _ => Error::internal("the call ended without its one message"),
        }
    }

    /// The next payload, then the ending; `None` while there is neither.
    pub(crate) fn take_next(&mut self) -> Option<Option<Result<Payload, Error>>> {
        if let Some(payload) = self.payload.take() {
            return Some(Some(Ok(payload)));
        }
        match &mut self.end {
            None => None,
            Some(Ok(_)) => Some(None),
            Some(end) => {
                let end = mem::replace(end, Ok(HeaderMap::new()));
                Some(end.err().map(Err))
            }
        }
    }

    pub(crate) fn take_trailers(&mut self) -> HeaderMap {
        match &mut self.end {
            Some(Ok(trailers)) => mem::take(trailers),
            _ => HeaderMap::new(),
        }
    }

    pub(crate) fn encode(
        &mut self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut buffer = BytesMut::new();
        encode(&mut buffer)?;
        self.push(buffer.freeze())
    }

    fn push(&mut self, bytes: Bytes) -> Result<(), Error> {
        if self.end.is_some() {
            return Err(Error::internal(
                "a message was sent after the end of the stream",
            ));
        }
        let payload = Payload::new(bytes, self.codec.clone());
        self.payload = Some(match self.compress {
            Some(compress) => payload.with_compress(compress),
            None => payload,
        });
        Ok(())
    }
}
