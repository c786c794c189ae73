//! Where typed code puts what it sends: on the wire, or into payloads for interceptors.
//!
//! A handler and a client's stream of messages are each one [`Producer`], whatever follows them. So with no
//! interceptor registered a message is encoded straight into the buffer that leaves, and the interceptors' path is
//! no second copy of that code.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use connect_codec::Codec;
use connect_proto::{Error, SendHalf};
use http::{Extensions, HeaderMap};

use crate::{
    call::head::ResponseHead,
    call::panics::Guarded,
    call::payload::{Payload, PayloadStream, Payloads, append_all},
};

/// Makes what one side of a call sends.
pub(crate) trait Producer: Send {
    /// Puts into the sink what there is. `Ready` when the sink wants no more for now or is finished, `Pending` when
    /// there is nothing for now, perhaps after putting something in. Not called once the sink is finished.
    fn poll_produce(self: Pin<&mut Self>, cx: &mut Context<'_>, sink: &mut Sink<'_>) -> Poll<()>;
}

pub(crate) type BoxProducer = Pin<Box<dyn Producer>>;

/// A place for one side of a call: a head, messages, an outcome.
pub(crate) enum Sink<'a> {
    Wire {
        send: &'a mut SendHalf,
        /// Those of the HTTP response; they leave with the head.
        extensions: &'a mut Extensions,
    },
    Payloads(&'a mut Outbox),
}

impl Sink<'_> {
    /// Sends the head of a response and sets the compression of what follows.
    pub(crate) fn begin(&mut self, head: ResponseHead) {
        match self {
            Sink::Wire { send, extensions } => {
                if let Some(compress) = head.compress {
                    send.set_compression(compress);
                }
                extensions.extend(head.extensions);
                send.send_head(head.headers);
            }
            Sink::Payloads(outbox) => outbox.head = Some(head),
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
            Sink::Wire { send, .. } => send.send_message(encode),
            Sink::Payloads(outbox) => outbox.encode(encode),
        }
    }

    /// Sends a message that is already encoded. After an error the call is to be finished with it.
    pub(crate) fn send_bytes(&mut self, bytes: Bytes) -> Result<(), Error> {
        match self {
            Sink::Wire { send, .. } => send.send_bytes(bytes),
            Sink::Payloads(outbox) => outbox.push(bytes),
        }
    }

    pub(crate) fn finish(&mut self, outcome: Result<HeaderMap, Error>) {
        match self {
            Sink::Wire { send, extensions } => {
                if let Err(error) = &outcome {
                    // For layers around a router.
                    extensions.insert(error.clone());
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

/// Holds at most one payload on its way to an interceptor.
#[derive(Debug)]
pub(crate) struct Outbox {
    codec: Codec,
    head: Option<ResponseHead>,
    payload: Option<Payload>,
    end: Option<Result<HeaderMap, Error>>,
}

impl Outbox {
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            head: None,
            payload: None,
            end: None,
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
        self.payload = Some(Payload::new(bytes, self.codec.clone()));
        Ok(())
    }
}

/// The payloads that a producer makes.
pub(crate) struct Produced {
    producer: Option<Guarded>,
    outbox: Outbox,
}

impl Produced {
    pub(crate) fn new(producer: Guarded, outbox: Outbox) -> Self {
        Self {
            producer: Some(producer),
            outbox,
        }
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Lets the producer work once.
    pub(crate) fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(producer) = &mut self.producer else {
            return Poll::Ready(());
        };
        let worked = producer.poll_produce(cx, &mut Sink::Payloads(&mut self.outbox));
        if self.outbox.end.is_some() {
            self.producer = None;
        }
        worked
    }
}

impl PayloadStream for Produced {
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        loop {
            if let Some(next) = self.outbox.take_next() {
                return Poll::Ready(next);
            }
            if self.poll_work(cx).is_pending() {
                let next = self.outbox.take_next();
                return next.map_or(Poll::Pending, Poll::Ready);
            }
        }
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        self.outbox.take_trailers()
    }
}

/// Sends payloads that come from interceptors.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) payloads: Payloads,
    /// Trailing metadata that is known from the start.
    pub(crate) trailers: HeaderMap,
    /// One message is to be sent: after it the sink wants none, but the end is still to come.
    pub(crate) single: bool,
}

impl Producer for Forward {
    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()> {
        while !sink.is_finished() && (self.single || sink.wants_message()) {
            match ready!(self.payloads.poll_payload(cx)) {
                Some(Ok(payload)) => {
                    if let Err(error) = sink.send_bytes(payload.into_bytes()) {
                        self.payloads.fail(&error);
                        sink.fail(error, mem::take(&mut self.trailers));
                    }
                }
                Some(Err(error)) => sink.fail(error, mem::take(&mut self.trailers)),
                None => {
                    let mut trailers = mem::take(&mut self.trailers);
                    append_all(&mut trailers, self.payloads.take_trailers());
                    sink.finish(Ok(trailers));
                }
            }
        }
        Poll::Ready(())
    }
}
