//! What the requests of a call are made of: its message, or what its stream has yielded.

use std::marker::PhantomData;

use bytes::{Bytes, BytesMut};
use connect_codec::{Codec, Encode};
use connect_proto::{Error, SendHalf};
use http::Request;

use crate::{
    call::body::CallBody,
    call::incoming::Cause,
    call::replay::Replay,
    call::shared::HeadSent,
    client::call::{Started, Waiting},
};

/// Makes a request for each attempt of a call, always the same one.
pub(crate) trait RequestSource {
    /// The request of an attempt that has begun.
    fn request(&mut self, started: Started) -> Result<(Request<CallBody>, Waiting), Error>;

    /// Whether there can be another one.
    fn is_whole(&self) -> bool {
        true
    }

    /// There is no further attempt: what was kept for one is let go.
    fn commit(&mut self) {}
}

/// A source of one message.
pub(crate) trait MessageSource: RequestSource {
    /// The message, for several attempts at once.
    fn encode(self) -> Result<Encoded, Error>;
}

/// A message. It is encoded anew each time, so that the first attempt copies nothing.
pub(crate) struct Message<L, Req> {
    message: Req,
    codec: Codec,
    library: PhantomData<fn() -> L>,
}

impl<L, Req> Message<L, Req> {
    pub(crate) fn new(message: Req, codec: Codec) -> Self {
        Self {
            message,
            codec,
            library: PhantomData,
        }
    }
}

impl<L: Encode<Req>, Req> RequestSource for Message<L, Req> {
    fn request(&mut self, mut started: Started) -> Result<(Request<CallBody>, Waiting), Error> {
        let encode = |buffer: &mut _| L::encode(&self.message, &self.codec, buffer);
        started.send_with(|send| send.send_message(encode))?;
        started.finish()
    }
}

impl<L: Encode<Req>, Req> MessageSource for Message<L, Req> {
    fn encode(self) -> Result<Encoded, Error> {
        let mut buffer = BytesMut::new();
        L::encode(&self.message, &self.codec, &mut buffer)?;
        Ok(Encoded(buffer.freeze()))
    }
}

/// A message that is encoded already, as interceptors have it.
#[derive(Clone)]
pub(crate) struct Encoded(pub(crate) Bytes);

impl RequestSource for Encoded {
    fn request(&mut self, mut started: Started) -> Result<(Request<CallBody>, Waiting), Error> {
        started.send_with(|send| send.send_bytes(self.0.clone()))?;
        started.finish()
    }
}

impl MessageSource for Encoded {
    fn encode(self) -> Result<Encoded, Error> {
        Ok(self)
    }
}

/// A stream of messages, of which the first bytes are kept.
pub(crate) struct Streamed {
    /// None once it is committed.
    replay: Option<Replay>,
    /// Why this side has given the stream up.
    cause: Option<Cause>,
}

impl Streamed {
    /// The first request, with the half's body, and what makes further ones. Of the body so many bytes are kept.
    pub(crate) fn begin(
        started: Started,
        cause: Option<Cause>,
        max_bytes: usize,
        body: impl FnOnce(Box<SendHalf>) -> (CallBody, Option<HeadSent>),
    ) -> Result<(Request<CallBody>, Waiting, Self), Error> {
        let mut replay = None;
        let (request, mut waiting) = started.into_request(|send| {
            let (body, head_sent) = body(send);
            let kept = replay.insert(Replay::new(body, max_bytes, head_sent));
            kept.body()
        })?;
        waiting.cause = cause.clone();
        Ok((request, waiting, Self { replay, cause }))
    }
}

impl RequestSource for Streamed {
    /// The half of a further attempt gives its head; the bytes come from the first one's.
    fn request(&mut self, started: Started) -> Result<(Request<CallBody>, Waiting), Error> {
        let Some(replay) = &self.replay else {
            return Err(Error::internal("the stream of requests was not kept"));
        };
        let (request, mut waiting) = started.into_request(|_| replay.body())?;
        waiting.cause = self.cause.clone();
        Ok((request, waiting))
    }

    fn is_whole(&self) -> bool {
        self.replay.as_ref().is_some_and(Replay::is_whole)
    }

    fn commit(&mut self) {
        if let Some(replay) = self.replay.take() {
            replay.commit();
        }
    }
}
