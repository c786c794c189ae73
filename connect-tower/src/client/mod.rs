//! Clients: calls of all four stream types over any transport.

mod bidi;
mod call;
mod exchange;
mod intercepted;
mod observed;

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use connect_codec::{Codec, Codecs, Decode, Encode};
use connect_proto::{ClientConfig, Error, Side, Spec};
use futures_core::Stream;
use http::HeaderMap;
use pin_project_lite::pin_project;

pub use self::bidi::{BidiCall, BidiReceiver, BidiSender, ClientStreamCall};
use self::{
    call::{Opened, Waiting},
    exchange::Exchange,
    intercepted::Chain,
};
use crate::{
    BoxFuture,
    call::body::CallBody,
    call::deadline::{Deadline, DeadlineTimer, within_deadline},
    call::incoming::{prefer_cause, prefer_deadline},
    call::observe::{Observer, in_scope},
    call::panics::UserCode,
    call::payload::{Payload, Payloads},
    call::producer::CatchPanicProducer,
    call::producer::{Produced, Producer},
    call::rt::{SharedTimer, no_timer},
    call::shared::{HeadSent, Shared},
    call::sink::{Outbox, Sink},
    interceptor::{Call, Interceptor, Reply},
    message::request::Request,
    message::response::Response,
    message::streaming::{Decoder, Streaming},
    transport::Transport,
};

/// Makes calls over a transport. Generated clients have one inside; it can also be used without generated code.
///
/// Settings are made once and shared: a clone is cheap, as long as the transport's is. A call is `Send` when the
/// transport, its future and its bodies are.
///
/// ```
/// use connect_tower::{Client, Error, InProcess, Prost, Request, Response, Router, Spec, StreamType};
///
/// const UPPER: Spec = Spec::new("/demo.v1.Text/Upper", StreamType::Unary);
///
/// # async fn example() -> Result<(), Error> {
/// let router = Router::new().unary(UPPER, |request: Request<String>| async move {
///     Ok(Response::new(request.message().to_uppercase()))
/// });
/// let client = Client::new(InProcess::new(router));
/// let request = Request::new("hi".to_owned());
/// let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await?;
/// assert_eq!(response.message(), "HI");
/// # Ok(())
/// # }
/// # let mut future = std::pin::pin!(example());
/// # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
/// # assert!(matches!(future.as_mut().poll(&mut cx), std::task::Poll::Ready(Ok(()))));
/// ```
pub struct Client<T> {
    transport: T,
    settings: Arc<Settings<T>>,
}

struct Settings<T> {
    config: ClientConfig,
    codecs: Codecs,
    timer: Option<SharedTimer>,
    deadline_propagation: bool,
    chain: Option<Arc<Chain<T>>>,
    observers: Vec<Arc<dyn Observer>>,
}

impl<T: Transport> Client<T> {
    /// A client with default settings: the Connect protocol and the codec `proto`.
    #[must_use]
    pub fn new(transport: T) -> Self {
        Self {
            transport,
            settings: Arc::new(Settings {
                config: ClientConfig::new(),
                codecs: Codecs::default(),
                timer: None,
                deadline_propagation: false,
                chain: None,
                observers: Vec::new(),
            }),
        }
    }

    /// Sets protocol, codec, compression, limits and the rest; see [`ClientConfig`] for the defaults.
    #[must_use]
    pub fn with_config(self, config: ClientConfig) -> Self {
        self.configure(|settings| settings.config = config)
    }

    /// Sets the codecs that the [configured](ClientConfig::with_codec) name may stand for: `proto` and `json` by default.
    #[must_use]
    pub fn with_codecs(self, codecs: Codecs) -> Self {
        self.configure(|settings| settings.codecs = codecs)
    }

    /// Sets the timer that deadlines are kept with: the transport's by default.
    #[must_use]
    pub fn with_timer(self, timer: SharedTimer) -> Self {
        self.configure(|settings| settings.timer = Some(timer))
    }

    /// Whether calls end no later than the one that is being served where they begin. Default: not, as a call may be made
    /// for other reasons than its caller's.
    ///
    /// It holds for calls that gates, interceptors, handlers and response streams make themselves, as
    /// [`Deadline::current`] knows of those. What they spawn takes the deadline along in its requests, by
    /// [`Request::with_deadline`].
    #[must_use]
    pub fn with_deadline_propagation(self, propagate: bool) -> Self {
        self.configure(|settings| settings.deadline_propagation = propagate)
    }

    /// Adds an interceptor, inside of those that are there.
    #[must_use]
    pub fn add_interceptor(self, interceptor: impl Interceptor) -> Self
    where
        T: Transport<Body: Send + 'static, Future: Send> + Send + Sync + 'static,
    {
        self.configure(|settings| {
            let mut chain = settings
                .chain
                .as_deref()
                .cloned()
                .unwrap_or_else(Chain::new);
            chain.interceptors.push(Arc::new(interceptor));
            settings.chain = Some(Arc::new(chain));
        })
    }

    /// Adds an observer, inside of those that are there; all of them are outside of interceptors.
    #[must_use]
    pub fn add_observer(self, observer: impl Observer) -> Self {
        self.configure(|settings| settings.observers.push(Arc::new(observer)))
    }

    /// The settings of all calls.
    #[must_use]
    pub fn config(&self) -> &ClientConfig {
        &self.settings.config
    }

    /// The codecs that the configured name may stand for.
    #[must_use]
    pub fn codecs(&self) -> &Codecs {
        &self.settings.codecs
    }

    /// The timer that deadlines are kept with: the client's own, or else the transport's.
    #[must_use]
    pub fn timer(&self) -> SharedTimer {
        let own = self.settings.timer.clone();
        own.or_else(|| self.transport.timer())
            .unwrap_or_else(|| no_timer().clone())
    }

    /// See [`with_deadline_propagation`](Self::with_deadline_propagation).
    #[must_use]
    pub fn deadline_propagation(&self) -> bool {
        self.settings.deadline_propagation
    }

    /// The transport.
    #[must_use]
    pub fn transport(&self) -> &T {
        &self.transport
    }

    fn configure(mut self, change: impl FnOnce(&mut Settings<T>)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    pub(crate) fn codec(&self) -> Result<&Codec, Error> {
        let name = self.config().codec();
        self.settings.codecs.get(name).ok_or_else(|| {
            let known: Vec<_> = self.settings.codecs.iter().map(Codec::name).collect();
            Error::internal(format!(
                "this client has no codec of the name {name:?}, it has {}; with_codecs adds one",
                known.join(", ")
            ))
        })
    }

    /// Makes a call of one request and one response message.
    ///
    /// # Errors
    ///
    /// The server's error, with the metadata of the response; or what went wrong on this side or between.
    pub async fn unary<L, Req, Res>(
        &self,
        spec: &Spec,
        request: Request<Req>,
    ) -> Result<Response<Res>, Error>
    where
        L: Encode<Req> + Decode<Res>,
    {
        self.observe_single(spec, request, |request| async move {
            let prepared = self.prepare_message::<L, Req>(spec, request)?;
            self.single_response::<L, Res>(prepared).await
        })
        .await
    }

    /// Makes a call of one request message and a stream of responses. It returns when the response begins; an error of
    /// the server's comes out of the stream.
    ///
    /// # Errors
    ///
    /// If the call fails before the response begins.
    pub async fn server_stream<L, Req, Res>(
        &self,
        spec: &Spec,
        request: Request<Req>,
    ) -> Result<Response<Streaming<Res, T::Body>>, Error>
    where
        L: Encode<Req> + Decode<Res>,
    {
        self.observe_stream(spec, request, |request| async move {
            let prepared = self.prepare_message::<L, Req>(spec, request)?;
            self.stream_response::<L, Res>(prepared).await
        })
        .await
    }

    /// Begins a call of a stream of requests and one response message, to be sent one by one. It returns at once; a
    /// call that cannot be made fails in its first method.
    pub fn client_stream<L, Req, Res>(
        &self,
        spec: &Spec,
        request: Request<()>,
    ) -> ClientStreamCall<Req, Res, T>
    where
        L: Encode<Req> + Decode<Res>,
    {
        ClientStreamCall::new(self.bidi_stream::<L, Req, Res>(spec, request))
    }

    /// Makes a call of a stream of requests, which is given whole, and one response message.
    ///
    /// # Errors
    ///
    /// As for [`unary`](Self::unary).
    pub async fn client_stream_from<L, Req, Res, S>(
        &self,
        spec: &Spec,
        request: Request<S>,
    ) -> Result<Response<Res>, Error>
    where
        L: Encode<Req> + Decode<Res>,
        S: Stream<Item = Req> + Send + 'static,
    {
        self.observe_single(spec, request, |request| async move {
            let prepared = self.prepare_stream::<L, Req, S>(spec, request)?;
            self.single_response::<L, Res>(prepared).await
        })
        .await
    }

    /// Begins a call of streams both ways, to be sent one by one. It returns at once, whoever speaks first; a call that
    /// cannot be made fails in its first method.
    pub fn bidi_stream<L, Req, Res>(
        &self,
        spec: &Spec,
        mut request: Request<()>,
    ) -> BidiCall<Req, Res, T>
    where
        L: Encode<Req> + Decode<Res>,
    {
        let call = self.begin(spec, &mut request);
        let codec = self.codec().cloned();
        let decoder = Decoder::new::<L>(codec.clone().unwrap_or(Codec::Proto), Side::Client);
        let started = in_scope(call.as_ref(), || {
            let codec = codec?;
            let (shared, prepared) = self.start_call_object(spec, request, codec.clone())?;
            Ok((shared, prepared, codec))
        });
        let (shared, exchange, codec) = match started {
            Ok((shared, prepared, codec)) => (
                shared,
                Exchange::new(prepared, &self.transport, call),
                codec,
            ),
            // Without its other end the sending side takes nothing, and the exchange says why.
            Err(error) => {
                let (shared, _) = Shared::payloads(Outbox::new(Codec::Proto));
                (shared, Exchange::failed(error, call), Codec::Proto)
            }
        };
        BidiCall::new::<L>(shared, exchange, codec, decoder)
    }

    /// Makes a call of streams both ways, of which the requests' is given whole. It returns when the response begins; an
    /// error of the server's comes out of the stream.
    ///
    /// # Errors
    ///
    /// If the call fails before the response begins.
    pub async fn bidi_stream_from<L, Req, Res, S>(
        &self,
        spec: &Spec,
        request: Request<S>,
    ) -> Result<Response<Streaming<Res, T::Body>>, Error>
    where
        L: Encode<Req> + Decode<Res>,
        S: Stream<Item = Req> + Send + 'static,
    {
        self.observe_stream(spec, request, |request| async move {
            let prepared = self.prepare_stream::<L, Req, S>(spec, request)?;
            self.stream_response::<L, Res>(prepared).await
        })
        .await
    }

    /// A call whose one message is at hand.
    fn prepare_message<L: Encode<Req>, Req>(
        &self,
        spec: &Spec,
        request: Request<Req>,
    ) -> Result<Prepared, Error> {
        let codec = self.codec()?;
        let (request, message) = request.into_parts();
        if let Some(chain) = &self.settings.chain {
            let payload = Payload::encode_with::<L, Req>(&message, codec.clone())?;
            return self.prepare_chain(chain, spec, request.map(|()| Payloads::once(payload)));
        }
        let mut started = self.start(spec, request)?;
        started.send_with(|send| send.send_message(|buffer| L::encode(&message, codec, buffer)))?;
        let (request, waiting) = started.finish()?;
        Ok(Prepared::Wire(request, waiting))
    }

    /// A call whose messages a stream yields.
    fn prepare_stream<L, Req, S>(&self, spec: &Spec, request: Request<S>) -> Result<Prepared, Error>
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
            return self.prepare_chain(chain, spec, request.map(|()| payloads));
        }
        let (request, waiting) = self.start(spec, request)?.produce(producer)?;
        Ok(Prepared::Wire(request, waiting))
    }

    /// A call whose messages the caller sends one by one.
    fn start_call_object(
        &self,
        spec: &Spec,
        request: Request<()>,
        codec: Codec,
    ) -> Result<(Arc<Shared>, Prepared), Error> {
        if let Some(chain) = &self.settings.chain {
            let (shared, consumer) = Shared::payloads(Outbox::new(codec));
            let payloads = Payloads::from_stream(Box::pin(consumer));
            let mut call = request.map(|()| payloads);
            call.extensions_mut().insert(HeadSent::of(&shared));
            let prepared = self.prepare_chain(chain, spec, call)?;
            return Ok((shared, prepared));
        }
        let (mut shared, observed) = (None, request.head.observed.clone());
        let (mut request, waiting) = self.start(spec, request)?.into_request(|send| {
            let (ours, consumer) = Shared::wire(send, observed);
            shared = Some(ours);
            CallBody::shared(consumer)
        })?;
        let shared = shared.ok_or_else(|| Error::internal("the request has no body"))?;
        request.extensions_mut().insert(HeadSent::of(&shared));
        Ok((shared, Prepared::Wire(request, waiting)))
    }

    /// A call that goes through the interceptors first. They have as much time as the call.
    fn prepare_chain(
        &self,
        chain: &Arc<Chain<T>>,
        spec: &Spec,
        mut call: Call,
    ) -> Result<Prepared, Error> {
        let head = &mut call.head;
        let remaining = head.deadline.as_ref().map(Deadline::remaining);
        let timeout = self.timeout(head.timeout, remaining)?;
        head.timeout = timeout;
        head.deadline = timeout.map(|timeout| Deadline::after(timeout, self.timer()));
        head.spec = Some(spec.clone());
        head.protocol = Some(self.config().protocol());
        if let (Some(observed), Some(deadline)) = (&head.observed, &head.deadline) {
            observed.set_deadline(deadline);
        }
        let deadline_timer = head.deadline.clone().map(DeadlineTimer::new);
        Ok(Prepared::Chain(chain.start(self, call), deadline_timer))
    }

    /// Waits for the response's head.
    async fn open(&self, prepared: Prepared) -> Result<Opened<T::Body>, Error> {
        match prepared {
            Prepared::Wire(request, mut waiting) => {
                let response = self.transport.send(request);
                match within_deadline(response, waiting.deadline_timer.as_mut()).await? {
                    Ok(response) => Ok(waiting.open(response)),
                    Err(error) => {
                        let error = prefer_deadline(error.into(), waiting.deadline_timer.as_ref());
                        Err(prefer_cause(error, waiting.cause.as_ref()))
                    }
                }
            }
            Prepared::Chain(reply, mut deadline_timer) => {
                let reply = within_deadline(reply, deadline_timer.as_mut()).await??;
                Ok(Opened::from_reply(reply, deadline_timer))
            }
        }
    }

    async fn single_response<L: Decode<Res>, Res>(
        &self,
        prepared: Prepared,
    ) -> Result<Response<Res>, Error> {
        let (response, bytes) = self.open(prepared).await?.into_single().await?;
        let message = L::decode(bytes, self.codec()?);
        let message = message.map_err(|error| error.into_error(Side::Client))?;
        Ok(response.map(|()| message))
    }

    async fn stream_response<L: Decode<Res>, Res>(
        &self,
        prepared: Prepared,
    ) -> Result<Response<Streaming<Res, T::Body>>, Error> {
        let (response, incoming) = self.open(prepared).await?.into_stream();
        let decoder = Decoder::new::<L>(self.codec()?.clone(), Side::Client);
        Ok(response.map(|()| Streaming::new(incoming, decoder)))
    }
}

/// A call that is ready to be sent.
#[allow(
    clippy::large_enum_variant,
    reason = "it is moved once, and a box would cost every call"
)]
pub(crate) enum Prepared {
    Wire(http::Request<CallBody>, Waiting),
    Chain(
        BoxFuture<'static, Result<Reply, Error>>,
        Option<DeadlineTimer>,
    ),
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

impl<T: Clone> Clone for Client<T> {
    fn clone(&self) -> Self {
        Self {
            transport: self.transport.clone(),
            settings: self.settings.clone(),
        }
    }
}

impl<T> Clone for Settings<T> {
    fn clone(&self) -> Self {
        Self {
            config: self.config.clone(),
            codecs: self.codecs.clone(),
            timer: self.timer.clone(),
            deadline_propagation: self.deadline_propagation,
            chain: self.chain.clone(),
            observers: self.observers.clone(),
        }
    }
}

impl<T> fmt::Debug for Client<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("config", &self.settings.config)
            .finish_non_exhaustive()
    }
}
