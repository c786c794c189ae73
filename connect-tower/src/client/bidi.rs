//! Call objects: calls whose messages the caller sends one by one.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::BytesMut;
use connect_codec::{Codec, Encode};
use connect_proto::Error;
use futures_core::Stream;
use http::HeaderMap;

use super::exchange::{Exchange, Half, Progress};
use crate::{
    call::shared::Shared, message::response::Response, message::streaming::Decoder,
    transport::Transport,
};

/// A call of streams both ways: send and receive in any order.
///
/// Nothing runs in the background: the call makes progress while one of its methods is awaited. Every await may be
/// cancelled, by a timeout or in a `select!`, without losing a message. Dropping the call before its end cancels it: the
/// server never sees a clean end.
///
/// Where the transport has only half-duplex streams (HTTP/1.1), close the sending side before waiting for messages.
///
/// ```
/// # use connect_tower::{BidiCall, Error, Transport};
/// # async fn example<T: Transport>(mut call: BidiCall<String, String, T>) -> Result<(), Error> {
/// call.send("hello".to_owned()).await?;
/// let _reply = call.message().await?;
/// call.close_send();
/// while let Some(_rest) = call.message().await? {}
/// let _trailers = call.trailers();
/// # Ok(())
/// # }
/// ```
pub struct BidiCall<Req, Res, T: Transport> {
    sender: BidiSender<Req, T>,
    receiver: BidiReceiver<Res, T>,
}

/// The sending half of a [`BidiCall`], for another task than the receiving one.
///
/// Dropping it before [`close_send`](Self::close_send) cancels the call.
pub struct BidiSender<Req, T: Transport> {
    shared: Arc<Shared>,
    exchange: Arc<Exchange<T>>,
    encode: fn(&Req, &Codec, &mut BytesMut) -> Result<(), Error>,
    codec: Codec,
}

/// The receiving half of a [`BidiCall`], for another task than the sending one.
///
/// Dropping it before the end cancels the call.
pub struct BidiReceiver<Res, T: Transport> {
    shared: Arc<Shared>,
    exchange: Arc<Exchange<T>>,
    decoder: Decoder<Res>,
    ended: bool,
}

impl<Req, Res, T: Transport> BidiCall<Req, Res, T> {
    pub(crate) fn new<L: Encode<Req>>(
        shared: Arc<Shared>,
        exchange: Arc<Exchange<T>>,
        codec: Codec,
        decoder: Decoder<Res>,
    ) -> Self {
        Self {
            sender: BidiSender {
                shared: shared.clone(),
                exchange: exchange.clone(),
                encode: L::encode,
                codec,
            },
            receiver: BidiReceiver {
                shared,
                exchange,
                decoder,
                ended: false,
            },
        }
    }

    /// Sends a message, once there is room for it. See [`BidiSender::send`].
    ///
    /// # Errors
    ///
    /// As for [`BidiSender::send`].
    pub async fn send(&mut self, message: Req) -> Result<(), Error> {
        self.sender.send(message).await
    }

    /// Whether the messages that follow are compressed. See [`BidiSender::set_compress`].
    pub fn set_compress(&mut self, compress: bool) {
        self.sender.set_compress(compress);
    }

    /// Whether the last message that was received travelled compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.receiver.is_compressed()
    }

    /// The next message; `None` after a clean end. See [`BidiReceiver::message`].
    ///
    /// # Errors
    ///
    /// As for [`BidiReceiver::message`].
    pub async fn message(&mut self) -> Result<Option<Res>, Error> {
        self.receiver.message().await
    }

    /// Says that no more messages will be sent. The call goes on until the server ends it.
    pub fn close_send(&mut self) {
        self.sender.close_send();
    }

    /// Waits for the leading metadata of the response.
    ///
    /// # Errors
    ///
    /// If the call ends before the response begins.
    pub async fn headers(&mut self) -> Result<HeaderMap, Error> {
        self.receiver.headers().await
    }

    /// The trailing metadata; empty before the end.
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        self.receiver.trailers()
    }

    /// Takes the call apart, for two tasks.
    #[must_use]
    pub fn split(self) -> (BidiSender<Req, T>, BidiReceiver<Res, T>) {
        (self.sender, self.receiver)
    }
}

impl<Req, T: Transport> BidiSender<Req, T> {
    /// Sends a message, once there is room for it: what was sent before may wait for the server to read.
    ///
    /// The first one also waits until the head of the request is on its way: for interceptors to pass the call on, for a
    /// connection, and over HTTP/2 until the server lets this side send the first byte of the body. It waits neither for
    /// the handler to read nor for the response to begin. An interceptor of this client that reads messages before it
    /// passes the call on gets each as soon as it asks: `send` then returns, though there may be no connection yet.
    ///
    /// It may be cancelled at any time: the message was then not sent.
    ///
    /// # Errors
    ///
    /// The call's error if it has failed; `failed_precondition` if the server has not failed, but reads no more;
    /// `internal` after [`close_send`](Self::close_send); `resource_exhausted` for a message over the limit, and what encoding
    /// returns, after both of which the call goes on.
    pub async fn send(&mut self, message: Req) -> Result<(), Error> {
        poll_fn(|cx| self.poll_send(cx, &message)).await
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, message: &Req) -> Poll<Result<(), Error>> {
        let has_response = match self.exchange.poll_ahead(cx) {
            Progress::Ended(ended) => {
                return Poll::Ready(Err(ended.err().unwrap_or_else(server_is_done)));
            }
            Progress::HasResponse => true,
            Progress::NoResponse => false,
        };
        let sent = if ready!(self.shared.poll_room(has_response, cx)) {
            let encode = |buffer: &mut BytesMut| (self.encode)(message, &self.codec, buffer);
            self.shared.send(encode)
        } else {
            Err(server_is_done())
        };
        if !self.shared.is_head_sent() {
            // An interceptor waits for this message, and may then pass the call on.
            self.exchange.poll_ahead(cx);
        }
        // This half waits for nothing now, so it need not be woken.
        self.exchange.rest(Half::Sender);
        Poll::Ready(sent)
    }

    /// Whether the messages that follow are compressed, as far as they are large enough: they are by default, if the client
    /// has a compression for what it sends. A call that was made [without](crate::Request::with_compress) compresses none.
    pub fn set_compress(&mut self, compress: bool) {
        self.shared.set_compression(compress);
    }

    /// Says that no more messages will be sent. The call goes on until the server ends it.
    pub fn close_send(&mut self) {
        self.shared.finish(Ok(()));
    }
}

impl<Res, T: Transport> BidiReceiver<Res, T> {
    /// The next message; `None` after a clean end.
    ///
    /// It may be cancelled at any time: no message is lost.
    ///
    /// # Errors
    ///
    /// The error that ended the call; the same one on each further call of this method.
    pub async fn message(&mut self) -> Result<Option<Res>, Error> {
        poll_fn(|cx| self.poll_message(cx)).await
    }

    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Res>, Error>> {
        let next = ready!(self.exchange.poll_message(cx));
        self.exchange.rest(Half::Receiver);
        let message = match next {
            Ok(Some(bytes)) => self.decoder.decode(bytes).map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match &message {
            Ok(Some(_)) => {}
            Ok(None) => self.ended = true,
            Err(error) => {
                self.ended = true;
                self.exchange.fail(error);
                self.shared.finish(Err(error.clone()));
            }
        }
        Poll::Ready(message)
    }

    /// Waits for the leading metadata of the response.
    ///
    /// # Errors
    ///
    /// If the call ends before the response begins.
    pub async fn headers(&mut self) -> Result<HeaderMap, Error> {
        Ok(self.head().await?.headers().clone())
    }

    /// Whether the last message travelled compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        self.exchange.is_compressed()
    }

    /// The trailing metadata; empty before the end.
    #[must_use]
    pub fn trailers(&self) -> HeaderMap {
        self.exchange.trailers()
    }

    /// What the response has besides messages.
    pub(crate) async fn head(&mut self) -> Result<Response<()>, Error> {
        let head = poll_fn(|cx| self.exchange.poll_head(cx)).await;
        let (headers, extensions) = head?;
        let mut response = Response::new(());
        *response.headers_mut() = headers;
        *response.extensions_mut() = extensions;
        Ok(response)
    }
}

impl<Res, T: Transport> Stream for BidiReceiver<Res, T> {
    type Item = Result<Res, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        // A stream yields its error once.
        if self.ended {
            return Poll::Ready(None);
        }
        self.poll_message(cx).map(Result::transpose)
    }
}

impl<Req, T: Transport> Drop for BidiSender<Req, T> {
    fn drop(&mut self) {
        if !self.shared.is_finished() {
            self.shared.finish(Err(dropped()));
        }
    }
}

impl<Res, T: Transport> Drop for BidiReceiver<Res, T> {
    fn drop(&mut self) {
        if !self.ended {
            // In this order: the sender must not see an ended request in a call that goes on.
            self.exchange.abandon(dropped());
            self.shared.finish(Err(dropped()));
        }
    }
}

/// A call of a stream of requests and one response message.
///
/// Progress, cancellation and dropping are as for [`BidiCall`].
///
/// ```
/// # use connect_tower::{ClientStreamCall, Error, Transport};
/// # async fn example<T: Transport>(mut call: ClientStreamCall<u32, u64, T>) -> Result<(), Error> {
/// for part in [1, 2, 3] {
///     call.send(part).await?;
/// }
/// let sum = call.close_and_receive().await?.into_message();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ClientStreamCall<Req, Res, T: Transport>(BidiCall<Req, Res, T>);

impl<Req, Res, T: Transport> ClientStreamCall<Req, Res, T> {
    pub(crate) fn new(call: BidiCall<Req, Res, T>) -> Self {
        Self(call)
    }

    /// Sends a message, once there is room for it. See [`BidiSender::send`].
    ///
    /// # Errors
    ///
    /// As for [`BidiSender::send`]. The server may have answered before it has read everything:
    /// [`close_and_receive`](Self::close_and_receive) returns that answer.
    pub async fn send(&mut self, message: Req) -> Result<(), Error> {
        self.0.send(message).await
    }

    /// Whether the messages that follow are compressed. See [`BidiSender::set_compress`].
    pub fn set_compress(&mut self, compress: bool) {
        self.0.set_compress(compress);
    }

    /// Says that no more messages will be sent, and waits for the response.
    ///
    /// # Errors
    ///
    /// Whatever ended the call.
    pub async fn close_and_receive(mut self) -> Result<Response<Res>, Error> {
        self.0.close_send();
        let mut response = self.0.receiver.head().await?;
        let Some(message) = self.0.message().await? else {
            return Err(Error::internal("the call ended without its one message"));
        };
        // The end: it is there, as the core checks it before it yields the only message.
        let is_compressed = self.0.is_compressed();
        self.0.message().await?;
        response.head.is_compressed = is_compressed;
        *response.trailers_mut() = self.0.trailers();
        Ok(response.map(|()| message))
    }
}

impl<Req, Res, T: Transport> fmt::Debug for BidiCall<Req, Res, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiCall").finish_non_exhaustive()
    }
}

impl<Req, T: Transport> fmt::Debug for BidiSender<Req, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiSender")
            .field("codec", &self.codec)
            .finish_non_exhaustive()
    }
}

impl<Res, T: Transport> fmt::Debug for BidiReceiver<Res, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BidiReceiver")
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

fn server_is_done() -> Error {
    Error::failed_precondition("the server reads no more messages of this call")
}

fn dropped() -> Error {
    Error::canceled("the call was dropped")
}
