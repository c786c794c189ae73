//! Clients: calls of all four stream types over any transport.

mod bidi;
mod call;
mod exchange;
mod generated;
mod intercepted;
mod observed;
mod open;
pub(crate) mod policy;
pub(crate) mod retry;

use std::{fmt, sync::Arc};

use connect_codec::{Codec, Codecs, Decode, Encode};
use connect_proto::{ClientConfig, Error, Side, Spec};
use futures_core::Stream;

pub use self::bidi::{BidiCall, BidiReceiver, BidiSender, ClientStreamCall};
use self::{
    call::Opened,
    exchange::Exchange,
    intercepted::Chain,
    policy::{
        config::{MethodConfig, Policies, ServiceConfig},
        rules::RetryPolicy,
        throttle::Budget,
    },
    retry::resends::Resends,
};
use crate::{
    call::observe::{Observer, in_scope},
    call::rt::{SharedTimer, no_timer},
    call::shared::Shared,
    call::sink::Outbox,
    interceptor::Interceptor,
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
    resends: Resends,
    max_replay_bytes: usize,
    policies: Option<Arc<Policies>>,
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
                resends: Resends::new(),
                max_replay_bytes: MAX_REPLAY_BYTES,
                policies: None,
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
    /// [`Deadline::current`](crate::Deadline::current) knows of those. What they spawn takes the deadline along in its
    /// requests, by [`Request::with_deadline`].
    #[must_use]
    pub fn with_deadline_propagation(self, propagate: bool) -> Self {
        self.configure(|settings| settings.deadline_propagation = propagate)
    }

    /// Sets how often a request is sent again that the server did not begin; see [`Resends`] for the defaults.
    #[must_use]
    pub fn with_resends(self, resends: Resends) -> Self {
        self.configure(|settings| settings.resends = resends)
    }

    /// Sets how many bytes of a stream of requests are kept to be sent again, until the response begins, or with a
    /// [`RetryPolicy`] until there is no further attempt: 64 KiB by default. A call that has sent more before is not sent
    /// again, and fails with what it meets; with 0 none is that has sent anything. A message that is given whole is sent
    /// again whatever its size.
    #[must_use]
    pub fn with_max_replay_bytes(self, bytes: usize) -> Self {
        self.configure(|settings| settings.max_replay_bytes = bytes)
    }

    /// Sets, by procedure, service or for all calls, what is retried or hedged, what waits for a connection, and timeouts; see
    /// [`ServiceConfig`]. Default: nothing. The clones of this client share the budget of retries.
    #[must_use]
    pub fn with_service_config(self, config: ServiceConfig) -> Self {
        self.configure(|settings| settings.policies = Some(Arc::new(Policies::new(config))))
    }

    /// Retries calls by this policy: short for a [`ServiceConfig`] whose default is that.
    #[must_use]
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        let method = MethodConfig::new().with_retry(policy);
        self.with_service_config(ServiceConfig::new().with_default(method))
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
        self.known_timer().unwrap_or_else(|| no_timer().clone())
    }

    /// The same, if there is one to wait with.
    pub(crate) fn known_timer(&self) -> Option<SharedTimer> {
        let own = self.settings.timer.clone();
        own.or_else(|| self.transport.timer())
    }

    /// Set by [`with_service_config`](Self::with_service_config).
    #[must_use]
    pub fn service_config(&self) -> Option<&ServiceConfig> {
        self.settings.policies.as_ref().map(|it| &it.config)
    }

    /// What the service config says of a procedure.
    pub(crate) fn method_config(&self, spec: &Spec) -> Option<&MethodConfig> {
        self.service_config()?.find(spec)
    }

    /// The budget of retries and hedges.
    pub(crate) fn budget(&self) -> Option<&Budget> {
        self.settings.policies.as_ref()?.budget.as_ref()
    }

    /// Set by [`with_resends`](Self::with_resends).
    #[must_use]
    pub fn resends(&self) -> &Resends {
        &self.settings.resends
    }

    /// Set by [`with_max_replay_bytes`](Self::with_max_replay_bytes).
    #[must_use]
    pub fn max_replay_bytes(&self) -> usize {
        self.settings.max_replay_bytes
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
            let opened = self.open_message::<L, Req>(spec, request).await?;
            self.single_response::<L, Res>(opened).await
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
            let opened = self.open_message::<L, Req>(spec, request).await?;
            self.stream_response::<L, Res>(opened)
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
            let opened = self.open_stream::<L, Req, S>(spec, request).await?;
            self.single_response::<L, Res>(opened).await
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
        let decoder = Decoder::new::<L>(codec.clone().unwrap_or_default(), Side::Client);
        let started = in_scope(call.as_ref(), || {
            let codec = codec?;
            let (shared, state) = self.start_call_object(spec, request, codec.clone())?;
            Ok((shared, state, codec))
        });
        let (shared, exchange, codec) = match started {
            Ok((shared, state, codec)) => (shared, Exchange::new(state, call), codec),
            // Without its other end the sending side takes nothing, and the exchange says why.
            Err(error) => {
                let (shared, _) = Shared::payloads(Outbox::new(Codec::default()));
                (shared, Exchange::failed(error, call), Codec::default())
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
            let opened = self.open_stream::<L, Req, S>(spec, request).await?;
            self.stream_response::<L, Res>(opened)
        })
        .await
    }

    async fn single_response<L: Decode<Res>, Res>(
        &self,
        opened: Opened<T::Body>,
    ) -> Result<Response<Res>, Error> {
        let (response, bytes) = opened.into_single().await?;
        let message = L::decode(bytes, self.codec()?);
        let message = message.map_err(|error| error.into_error(Side::Client))?;
        Ok(response.map(|()| message))
    }

    fn stream_response<L: Decode<Res>, Res>(
        &self,
        opened: Opened<T::Body>,
    ) -> Result<Response<Streaming<Res, T::Body>>, Error> {
        let (response, incoming) = opened.into_stream();
        let decoder = Decoder::new::<L>(self.codec()?.clone(), Side::Client);
        Ok(response.map(|()| Streaming::new(incoming, decoder)))
    }
}

/// How many bytes of a stream of requests a client keeps by default.
const MAX_REPLAY_BYTES: usize = 64 * 1024;

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
            resends: self.resends,
            max_replay_bytes: self.max_replay_bytes,
            policies: self.policies.clone(),
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
