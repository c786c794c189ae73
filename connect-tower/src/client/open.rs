//! What each kind of call does up to its response's head: through interceptors or not, with a message or a stream.

use std::{
    future::poll_fn,
    marker::PhantomData,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, ready},
};

use connect_codec::{Codec, Encode};
use connect_proto::{Error, Spec};
use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;

use super::{
    Client,
    call::Opened,
    exchange::State,
    intercepted::{Chain, Intercepted},
    retry::{
        attempting::Attempting,
        hedge::Hedge,
        source::{Message, MessageSource, RequestSource, Streamed},
    },
};
use crate::{
    call::body::CallBody,
    call::deadline::{Deadline, DeadlineTimer},
    call::incoming::Cause,
    call::panics::UserCode,
    call::payload::{Payload, Payloads},
    call::producer::CatchPanicProducer,
    call::producer::{Produced, Producer},
    call::shared::{HeadSent, Shared},
    call::sink::{Outbox, Sink},
    interceptor::Call,
    message::request::Request,
    transport::Transport,
};

impl<T: Transport> Client<T> {
    /// A call whose one message is at hand, up to its response's head.
    pub(crate) async fn open_message<L: Encode<Req>, Req>(
        &self,
        spec: &Spec,
        request: Request<Req>,
    ) -> Result<Opened<T::Body>, Error> {
        let codec = self.codec()?;
        let (request, message) = request.into_parts();
        if let Some(chain) = &self.settings.chain {
            let payload = Payload::encode_with::<L, Req>(&message, codec.clone())?;
            let call = request.map(|()| Payloads::once(payload));
            return self.prepare_chain(chain, spec, call)?.open().await;
        }
        let source = Message::<L, Req>::new(message, codec.clone());
        self.open(spec, request, source).await
    }

    /// A call whose messages a stream yields, up to its response's head.
    pub(crate) async fn open_stream<L, Req, S>(
        &self,
        spec: &Spec,
        request: Request<S>,
    ) -> Result<Opened<T::Body>, Error>
    where
        L: Encode<Req>,
        S: Stream<Item = Req> + Send + 'static,
    {
        let codec = self.codec()?.clone();
        let (request, stream) = request.into_parts();
        let encoding = Encoding {
            stream,
            codec: codec.clone(),
            library: PhantomData::<fn() -> L>,
        };
        let producer = CatchPanicProducer::new(Box::pin(encoding), UserCode::RequestStream);
        if let Some(chain) = &self.settings.chain {
            let produced = Produced::new(producer, Outbox::new(codec));
            let payloads = Payloads::from_stream(Box::pin(produced));
            let call = request.map(|()| payloads);
            return self.prepare_chain(chain, spec, call)?.open().await;
        }
        let attempting = self.attempt_stream(spec, request, producer)?;
        self.open_attempting(spec, attempting).await
    }

    /// A call whose messages the caller sends one by one.
    pub(crate) fn start_call_object(
        &self,
        spec: &Spec,
        request: Request<()>,
        codec: Codec,
    ) -> Result<(Arc<Shared>, State<T>), Error> {
        if let Some(chain) = &self.settings.chain {
            let (shared, consumer) = Shared::payloads(Outbox::new(codec));
            let payloads = Payloads::from_stream(Box::pin(consumer));
            let mut call = request.map(|()| payloads);
            call.extensions_mut().insert(HeadSent::of(&shared));
            let intercepted = self.prepare_chain(chain, spec, call)?;
            return Ok((shared, State::Intercepted(intercepted)));
        }
        let mut head = self.head(spec, request)?;
        let (mut shared, observed) = (None, head.observed.clone());
        let started = self.start(spec, &head)?;
        let max_bytes = self.max_replay_bytes();
        let (mut request, waiting, source) = Streamed::begin(started, None, max_bytes, |send| {
            let (ours, consumer) = Shared::wire(send, observed);
            let head_sent = HeadSent::of(&ours);
            shared = Some(ours);
            (CallBody::shared(consumer), Some(head_sent))
        })?;
        let shared = shared.ok_or_else(|| Error::internal("the request has no body"))?;
        head.extensions.insert(HeadSent::of(&shared));
        request.extensions_mut().insert(HeadSent::of(&shared));
        let attempting = Attempting::new(self, head, source, (request, waiting));
        let state = State::attempting(self.clone(), spec.clone(), attempting);
        Ok((shared, state))
    }

    /// A call that goes through the interceptors first. They have as much time as the call.
    fn prepare_chain(
        &self,
        chain: &Arc<Chain<T>>,
        spec: &Spec,
        mut call: Call,
    ) -> Result<Intercepted, Error> {
        let head = &mut call.head;
        let remaining = head.deadline.as_ref().map(Deadline::remaining);
        let timeout = self.timeout(spec, head.timeout, remaining)?;
        head.timeout = timeout;
        head.deadline = timeout.map(|timeout| Deadline::after(timeout, self.timer()));
        head.spec = Some(spec.clone());
        head.protocol = Some(self.config().protocol());
        if let (Some(observed), Some(deadline)) = (&head.observed, &head.deadline) {
            observed.set_deadline(deadline);
        }
        let deadline_timer = head.deadline.clone().map(DeadlineTimer::new);
        Ok(Intercepted {
            reply: chain.start(self, call),
            deadline_timer,
        })
    }

    /// A call whose messages a producer makes.
    pub(crate) fn attempt_stream(
        &self,
        spec: &Spec,
        request: Request<()>,
        producer: CatchPanicProducer,
    ) -> Result<Attempting<T, Streamed>, Error> {
        let head = self.head(spec, request)?;
        let cause = Cause::default();
        let (head_sent, observed) = (
            head.extensions.get::<HeadSent>().cloned(),
            head.observed.clone(),
        );
        let (request, waiting, source) = Streamed::begin(
            self.start(spec, &head)?,
            Some(cause.clone()),
            self.max_replay_bytes(),
            |send| {
                let body = CallBody::request(send, producer, cause, head_sent.clone(), observed);
                (body, head_sent)
            },
        )?;
        Ok(Attempting::new(self, head, source, (request, waiting)))
    }

    /// Makes a call of one message, up to its response's head.
    pub(crate) async fn open<S: MessageSource>(
        &self,
        spec: &Spec,
        request: Request<()>,
        mut source: S,
    ) -> Result<Opened<T::Body>, Error> {
        let head = self.head(spec, request)?;
        if let Some(policy) = head.hedge {
            let mut hedge = Box::new(Hedge::new(policy, head, source.encode()?));
            return poll_fn(|cx| hedge.poll_open(self, spec, cx)).await;
        }
        let first = source.request(self.start(spec, &head)?)?;
        self.open_attempting(spec, Attempting::new(self, head, source, first))
            .await
    }

    /// Waits for the response's head.
    pub(crate) async fn open_attempting<S: RequestSource>(
        &self,
        spec: &Spec,
        attempting: Attempting<T, S>,
    ) -> Result<Opened<T::Body>, Error> {
        let mut attempting = pin!(attempting);
        poll_fn(|cx| attempting.as_mut().poll_open(self, spec, cx)).await
    }
}

pin_project! {
    /// Sends what a stream yields, in messages of a library.
    struct Encoding<L, S> {
        #[pin]
        stream: S,
        codec: Codec,
        library: PhantomData<fn() -> L>,
    }
}

impl<L, S> Producer for Encoding<L, S>
where
    L: Encode<S::Item>,
    S: Stream + Send,
{
    fn poll_produce(self: Pin<&mut Self>, cx: &mut Context<'_>, sink: &mut Sink<'_>) -> Poll<()> {
        let mut this = self.project();
        while sink.wants_message() {
            let Some(message) = ready!(this.stream.as_mut().poll_next(cx)) else {
                sink.finish(Ok(HeaderMap::new()));
                break;
            };
            if let Err(error) = sink.send(|buffer| L::encode(&message, this.codec, buffer)) {
                sink.finish(Err(error));
            }
        }
        Poll::Ready(())
    }
}
