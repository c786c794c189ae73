//! Messages that arrive one after another, on either side.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_codec::{Codec, Decode, DecodeError};
use connect_proto::{Error, Side};
use futures_core::Stream;
use http::HeaderMap;
use http_body::Body;

use crate::{
    call::body_error::BodyError,
    call::incoming::{Incoming, IncomingBody},
    call::observe::CallGuard,
    message::request::Request,
    message::response::Response,
};

/// A stream of messages from the peer.
///
/// A handler receives `Streaming<M>`; a client receives one over its transport's own type of body, which keeps a call
/// as `Send` as its transport is; [`boxed`](Self::boxed) makes it a `Streaming<M>`.
///
/// The stream ends once: [`message`](Self::message) returns `None` after a clean end, and an error after any other;
/// truncation is never a clean end. Dropping it before its end cancels the call.
///
/// ```
/// use connect_tower::{Error, Request, Response, Streaming};
///
/// async fn count(request: Request<Streaming<String>>) -> Result<Response<u64>, Error> {
///     let mut lines = request.into_stream();
///     let mut count = 0;
///     while let Some(_line) = lines.message().await? {
///         count += 1;
///     }
///     Ok(Response::new(count))
/// }
/// ```
pub struct Streaming<M, B = IncomingBody> {
    incoming: Incoming<B>,
    decoder: Decoder<M>,
}

/// Reads messages of one type in the codec of one call, on one side of it.
pub(crate) struct Decoder<M> {
    codec: Codec,
    reader: Side,
    decode: fn(Bytes, &Codec) -> Result<M, DecodeError>,
}

impl<M> Decoder<M> {
    pub(crate) fn new<L: Decode<M>>(codec: Codec, reader: Side) -> Self {
        Self {
            codec,
            reader,
            decode: L::decode,
        }
    }

    pub(crate) fn decode(&self, bytes: Bytes) -> Result<M, Error> {
        (self.decode)(bytes, &self.codec).map_err(|error| error.into_error(self.reader))
    }
}

impl<M, B> Streaming<M, B> {
    pub(crate) fn new(incoming: Incoming<B>, decoder: Decoder<M>) -> Self {
        Self { incoming, decoder }
    }

    /// Ends an observed call of a client with this stream.
    pub(crate) fn with_call(self, call: Option<CallGuard>) -> Self {
        Self {
            incoming: self.incoming.with_call(call),
            ..self
        }
    }

    /// Whether the last message travelled compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.incoming.is_compressed()
    }

    /// The trailing metadata; empty before the end and, on a server, always.
    #[must_use]
    pub fn trailers(&self) -> &HeaderMap {
        self.incoming.trailers()
    }
}

impl<M, B> Streaming<M, B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    /// The next message; `None` after a clean end.
    ///
    /// It may be cancelled at any time: no message is lost.
    ///
    /// # Errors
    ///
    /// Whatever ended the stream. On a client that is the server's error, with the metadata of the response. The same
    /// error is returned when asked again.
    pub async fn message(&mut self) -> Result<Option<M>, Error> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    pub(crate) fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<M>, Error>> {
        let bytes = ready!(self.incoming.poll_message(cx))?;
        let message = bytes.map(|bytes| self.decoder.decode(bytes)).transpose();
        if let Err(error) = &message {
            self.incoming.fail(error.clone());
        }
        Poll::Ready(message)
    }
}

impl<M, B> Streaming<M, B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Send + 'static,
{
    /// The same stream whatever the transport.
    #[must_use]
    pub fn boxed(self) -> Streaming<M> {
        Streaming {
            incoming: self.incoming.map_body(IncomingBody::from_transport),
            decoder: self.decoder,
        }
    }
}

impl<M, B> Stream for Streaming<M, B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    type Item = Result<M, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A stream yields its error once.
        if let Some(Err(_)) = self.incoming.ended() {
            return Poll::Ready(None);
        }
        self.poll_message(cx).map(Result::transpose)
    }
}

impl<M, B> Request<Streaming<M, B>> {
    /// The stream alone: [`into_message`](Self::into_message) under a better name.
    #[must_use]
    pub fn into_stream(self) -> Streaming<M, B> {
        self.into_message()
    }
}

impl<M, B> Response<Streaming<M, B>> {
    /// The stream alone: [`into_message`](Self::into_message) under a better name.
    #[must_use]
    pub fn into_stream(self) -> Streaming<M, B> {
        self.into_message()
    }
}

impl<M, B> fmt::Debug for Streaming<M, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("incoming", &self.incoming)
            .field("codec", &self.decoder.codec)
            .finish()
    }
}
