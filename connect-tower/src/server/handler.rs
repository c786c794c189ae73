//! The four shapes of handlers, and the one shape that the router calls.
//!
//! Handlers differ in what they take and in what they answer with: one message ([`One`]) or a stream ([`Many`]). The four
//! shapes are the four pairs of these two types, so no code is written per shape.

use std::{
    future::Future,
    marker::PhantomData,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use connect_codec::{Codec, Decode, Encode, MessageLibrary};
use connect_proto::{Error, Side};
use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;

use crate::{
    call::incoming::{Incoming, IncomingBody},
    call::panics::{UserCode, catch},
    call::payload::append_all,
    call::producer::CatchPanicProducer,
    call::producer::{BoxProducer, Producer},
    call::sink::Sink,
    message::request::Request,
    message::response::{Response, ResponseStream},
    message::streaming::{Decoder, Streaming},
};

/// What a handler receives: its one message, or the source of its messages.
pub(crate) enum Input {
    Message(Bytes),
    Stream(Box<Incoming<IncomingBody>>),
}

/// A handler of any shape and any messages: the one place where a call is boxed.
pub(crate) trait Handler: Send + Sync {
    /// Whether messages can travel in this codec.
    fn supports(&self, codec: &Codec) -> bool;

    /// Starts a call. What comes back runs the handler and then sends what it answers.
    ///
    /// # Errors
    ///
    /// When the message cannot be read.
    fn start(&self, request: Request<Input>, codec: Codec) -> Result<BoxProducer, Error>;
}

/// Starts a call in its handler.
///
/// # Errors
///
/// When the message cannot be read, or the handler panics.
pub(crate) fn start(
    handler: &dyn Handler,
    request: Request<Input>,
    codec: Codec,
) -> Result<CatchPanicProducer, Error> {
    let producer = catch(UserCode::Handler, || handler.start(request, codec))??;
    Ok(CatchPanicProducer::new(producer, UserCode::Handler))
}

/// What a handler takes, in messages of a library `L`.
pub(crate) trait Takes<L> {
    type Value;

    fn take(input: Input, codec: &Codec) -> Result<Self::Value, Error>;
}

/// What a handler answers with, in messages of a library `L`.
pub(crate) trait Answers<L> {
    type Value;
    /// What is left to do when the response's head is sent.
    type Rest: Send + 'static;

    /// What follows the head, until the sink is finished.
    fn rest(value: Self::Value, trailers: HeaderMap) -> Self::Rest;

    fn poll_rest(
        rest: &mut Self::Rest,
        codec: &Codec,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()>;
}

/// Exactly one message.
pub(crate) struct One<M>(PhantomData<fn() -> M>);

/// Any number of messages.
pub(crate) struct Many<M>(PhantomData<fn() -> M>);

impl<L: Decode<M>, M> Takes<L> for One<M> {
    type Value = M;

    fn take(input: Input, codec: &Codec) -> Result<M, Error> {
        match input {
            Input::Message(bytes) => {
                L::decode(bytes, codec).map_err(|error| error.into_error(Side::Server))
            }
            // The service reads the message of such a call before it starts the handler.
            Input::Stream(_) => Err(Error::internal("a unary handler was given a stream")),
        }
    }
}

impl<L: Decode<M>, M> Takes<L> for Many<M> {
    type Value = Streaming<M>;

    fn take(input: Input, codec: &Codec) -> Result<Streaming<M>, Error> {
        match input {
            Input::Stream(incoming) => Ok(Streaming::new(
                *incoming,
                Decoder::new::<L>(codec.clone(), Side::Server),
            )),
            Input::Message(_) => Err(Error::internal("a stream's handler was given one message")),
        }
    }
}

impl<L: Encode<M>, M: Send + 'static> Answers<L> for One<M> {
    type Value = M;
    type Rest = (M, HeaderMap);

    fn rest(value: M, trailers: HeaderMap) -> Self::Rest {
        (value, trailers)
    }

    fn poll_rest(
        (message, trailers): &mut Self::Rest,
        codec: &Codec,
        _: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()> {
        let trailers = mem::take(trailers);
        match sink.send(|buffer| L::encode(message, codec, buffer)) {
            Ok(()) => sink.finish(Ok(trailers)),
            Err(error) => sink.fail(error, trailers),
        }
        Poll::Ready(())
    }
}

impl<L: Encode<M>, M: 'static> Answers<L> for Many<M> {
    type Value = ResponseStream<M>;
    type Rest = (ResponseStream<M>, HeaderMap);

    fn rest(value: ResponseStream<M>, trailers: HeaderMap) -> Self::Rest {
        (value, trailers)
    }

    fn poll_rest(
        (stream, trailers): &mut Self::Rest,
        codec: &Codec,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()> {
        while sink.wants_message() {
            let ended = match ready!(Pin::new(&mut *stream).poll_next(cx)) {
                Some(Ok(message)) => {
                    if let Some(compress) = stream.compress.as_ref().and_then(|it| it.get()) {
                        sink.set_compression(compress);
                    }
                    match sink.send(|buffer| L::encode(&message, codec, buffer)) {
                        Ok(()) => continue,
                        Err(error) => Err(error),
                    }
                }
                Some(Err(error)) => Err(error),
                None => Ok(()),
            };
            let mut all = mem::take(trailers);
            append_all(&mut all, stream.take_trailers());
            match ended {
                Ok(()) => sink.finish(Ok(all)),
                Err(error) => sink.fail(error, all),
            }
        }
        Poll::Ready(())
    }
}

/// A function as a handler.
pub(crate) struct Typed<L, I, O, F> {
    function: F,
    shape: PhantomData<fn(L, I) -> O>,
}

impl<L, I, O, F> Typed<L, I, O, F> {
    pub(crate) const fn new(function: F) -> Self {
        Self {
            function,
            shape: PhantomData,
        }
    }
}

impl<L, I, O, F, Fut> Handler for Typed<L, I, O, F>
where
    L: MessageLibrary,
    I: Takes<L>,
    O: Answers<L> + 'static,
    F: Fn(Request<I::Value>) -> Fut + Send + Sync,
    Fut: Future<Output = Result<Response<O::Value>, Error>> + Send + 'static,
{
    fn supports(&self, codec: &Codec) -> bool {
        L::supports(codec)
    }

    fn start(&self, request: Request<Input>, codec: Codec) -> Result<BoxProducer, Error> {
        let (rest, input) = request.into_parts();
        let value = I::take(input, &codec)?;
        let future = (self.function)(rest.map(|()| value));
        Ok(Box::pin(Running::<L, O, Fut> {
            state: State::Handling { future },
            codec,
        }))
    }
}

pin_project! {
    /// A call in its handler, then in what the handler answered with.
    struct Running<L, O, Fut>
    where
        O: Answers<L>,
    {
        #[pin]
        state: State<Fut, O::Rest>,
        codec: Codec,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<Fut, R> {
        Handling {
            #[pin]
            future: Fut,
        },
        Answering {
            rest: R,
        },
    }
}

impl<L, O, Fut> Producer for Running<L, O, Fut>
where
    O: Answers<L>,
    Fut: Future<Output = Result<Response<O::Value>, Error>> + Send,
{
    fn poll_produce(self: Pin<&mut Self>, cx: &mut Context<'_>, sink: &mut Sink<'_>) -> Poll<()> {
        let mut this = self.project();
        loop {
            match this.state.as_mut().project() {
                StateProj::Answering { rest } => return O::poll_rest(rest, this.codec, cx, sink),
                StateProj::Handling { future } => match ready!(future.poll(cx)) {
                    Ok(response) => {
                        let (mut head, value) = response.split();
                        let rest = O::rest(value, mem::take(&mut head.trailers));
                        sink.send_head(head);
                        this.state.set(State::Answering { rest });
                    }
                    Err(error) => {
                        sink.finish(Err(error));
                        return Poll::Ready(());
                    }
                },
            }
        }
    }
}
