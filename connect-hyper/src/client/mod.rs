//! The client: a channel to one server, over HTTP/1.1 and HTTP/2.
//!
//! A channel connects when the first call needs it, keeps connections, and replaces those that broke.
//! It sends each request once, and every error says whether the server can have begun it: whether it goes out again is for
//! the call to decide, in connect-tower.

mod address;
mod balance;
mod config;
mod connect;
mod connection;
mod connector;
mod dial;
mod endpoint;
mod endpoints;
mod error;
mod exchange;
mod group;
mod health_check;
mod io;
mod large_trailers;
mod options;
mod proxy;
mod reach;
mod remote;
mod request_body;
mod resolve;
mod response_body;
mod send;
mod sent_streams;
mod settings;
mod shared;
mod staggered;
mod target;
mod way;
mod write_turn;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll},
};

use connect_proto::Error;
pub use connect_tower::transport::ChannelState;
use connect_tower::{
    CallBody, Transport,
    rt::SharedTimer,
    transport::{ChannelStats, TransportError},
};
use http::{Request, Response, uri::Authority};

pub use self::{
    address::EndpointAddress,
    balance::{Balance, Candidate, Ejection, LeastOutstanding, PickFirst, RoundRobin},
    config::ChannelBuilder,
    connector::{Connect, Connecting},
    health_check::HealthCheck,
    resolve::{Resolve, Resolving},
    response_body::ChannelBody,
    settings::HttpVersion,
};
use self::{endpoints::Endpoints, shared::Shared, target::Target};
use crate::runtime::Runtime;

/// A client's way to one server: an origin, `http://host:port` or `https://host:port`, and the connections
/// to it.
///
/// A clone is cheap and shares them. Adapters name the type with their runtime: `connect_tokio::Channel`.
/// It is a [`Transport`] for generated clients, and a [`tower_service::Service`] for stacks of layers.
///
/// # Which HTTP
///
/// A request whose version is `HTTP_2` goes over HTTP/2: gRPC demands that. For all others the channel's
/// [`with_http_version`](ChannelBuilder::with_http_version) says.
///
/// # Errors
///
/// A failure before the response's head is a [`TransportError`] whose message names the phase (`resolve`,
/// `connect`, `TLS handshake`, `request`), the peer's address and what may help, and which says whether the
/// request was sent. Without a connection, also when it took too long, the code is `unavailable`; a reset
/// stream has the code that gRPC's table gives it.
pub struct Channel<R: Runtime> {
    inner: Arc<Inner<R>>,
}

/// A [`Channel`] that others may drop, by [`Channel::downgrade`].
pub struct WeakChannel<R: Runtime> {
    inner: Weak<Inner<R>>,
}

struct Inner<R: Runtime> {
    shared: Arc<Shared<R>>,
    endpoints: Endpoints<R>,
}

impl<R: Runtime> Channel<R> {
    /// A channel to this URI: `http://host:port`, with a path if the server's services lie below one. It
    /// connects when first used.
    ///
    /// # Errors
    ///
    /// `invalid_argument` when the URI is not one to call. `https` needs [`builder`](Self::builder), because
    /// no authority is trusted unless named.
    pub fn new(uri: impl Into<String>) -> Result<Self, Error> {
        Self::builder(uri).build()
    }

    /// A channel to this URI, to be configured.
    pub fn builder(uri: impl Into<String>) -> ChannelBuilder<R> {
        ChannelBuilder::new(uri.into())
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.inner.endpoints.state()
    }

    /// Waits until [`state`](Self::state) is another than this, and returns it.
    pub async fn changed(&self, since: ChannelState) -> ChannelState {
        self.inner.endpoints.changed(since).await
    }

    /// How many calls have a connection or wait for one.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.inner.endpoints.outstanding()
    }

    /// How it is now, in numbers, for gauges and health pages. It takes the lock of each endpoint for a moment.
    #[must_use]
    pub fn stats(&self) -> ChannelStats {
        ChannelStats {
            authority: self.inner.shared.target.authority().to_string(),
            ..self.inner.endpoints.stats()
        }
    }

    /// The channel, for those who look at it and do not need it: its connections close when the last [`Channel`] is dropped.
    ///
    /// ```no_run
    /// # fn watch<R: connect_hyper::Runtime>(channel: &connect_hyper::Channel<R>) {
    /// let channel = channel.downgrade();
    /// let stats = move || Some(channel.upgrade()?.stats());
    /// # let _ = stats;
    /// # }
    /// ```
    #[must_use]
    pub fn downgrade(&self) -> WeakChannel<R> {
        WeakChannel {
            inner: Arc::downgrade(&self.inner),
        }
    }

    /// Takes no more calls, on any clone, and ends when the last one has ended. Calls that wait for a connection, and those that
    /// come later, end `unavailable`.
    pub async fn drain(&self) {
        self.inner.endpoints.drain().await;
    }

    /// Opens a connection, unless one is open: for programs that want to fail early, and for balancers.
    ///
    /// # Errors
    ///
    /// As a call without a connection.
    pub async fn connect(&self) -> Result<(), TransportError> {
        let want = self.inner.shared.want(http::Version::HTTP_11);
        self.inner.endpoints.check_out(want, false).await.map(drop)
    }
}

impl<R: Runtime> WeakChannel<R> {
    /// The channel, as long as somebody else has it.
    #[must_use]
    pub fn upgrade(&self) -> Option<Channel<R>> {
        let inner = self.inner.upgrade()?;
        Some(Channel { inner })
    }
}

impl<R: Runtime> ChannelBuilder<R> {
    /// The channel. It has no connection yet.
    ///
    /// # Errors
    ///
    /// `invalid_argument` when the URI is not one to call, or is `https` without [`with_tls`](Self::with_tls), or `http` with it; or when
    /// no handshake can be made with these TLS settings, as [`TlsConnector::check`](crate::tls::TlsConnector::check) says.
    pub fn build(self) -> Result<Channel<R>, Error> {
        let target = Target::parse(&self.uri, self.target)?;
        let connector = self.way.connector(&target)?;
        if target.is_tls() && self.tls.is_none() {
            return Err(Error::invalid_argument(format!(
                "{target} needs TLS: name the authority to trust with Channel::builder(uri).with_tls(ClientTls::new().add_ca(pem)?)"
            )));
        }
        if !target.is_tls() && self.tls.is_some() {
            return Err(Error::invalid_argument(format!(
                "{target} would be called in the clear although TLS is set: write https, or leave with_tls out"
            )));
        }
        if let Some(Err(error)) = self.tls.as_ref().map(|tls| tls.check()) {
            let text = format!("{target} cannot be called with these TLS settings: {error}");
            return Err(Error::invalid_argument(text));
        }
        let shared = Arc::new(Shared {
            timer: Arc::new(self.runtime.clone()),
            runtime: self.runtime,
            target,
            connector,
            tls: self.tls,
            settings: self.settings,
        });
        let endpoints = self.endpoints.endpoints(&shared)?;
        Ok(Channel {
            inner: Arc::new(Inner { shared, endpoints }),
        })
    }
}

/// A call on a channel, up to the response's head. Dropping it cancels the call: HTTP/2 resets the stream
/// with `CANCEL`, HTTP/1.1 closes the connection.
pub type CallFuture =
    Pin<Box<dyn Future<Output = Result<Response<ChannelBody>, TransportError>> + Send>>;

impl<R: Runtime> Transport for Channel<R> {
    type Body = ChannelBody;
    type Future = CallFuture;

    fn send(&self, request: Request<CallBody>) -> CallFuture {
        Box::pin(send::send(Arc::clone(&self.inner), request))
    }

    fn timer(&self) -> Option<SharedTimer> {
        Some(SharedTimer::clone(&self.inner.shared.timer))
    }

    fn authority(&self) -> Option<&Authority> {
        Some(self.inner.shared.target.authority())
    }
}

/// Always ready: a call itself waits for a connection, so that calls which come at once open one together.
/// [`Channel::state`] tells balancers the truth.
impl<R: Runtime> tower_service::Service<Request<CallBody>> for Channel<R> {
    type Response = Response<ChannelBody>;
    type Error = TransportError;
    type Future = CallFuture;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<CallBody>) -> CallFuture {
        self.send(request)
    }
}

impl<R: Runtime> Clone for Channel<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<R: Runtime> Clone for WeakChannel<R> {
    fn clone(&self) -> Self {
        Self {
            inner: Weak::clone(&self.inner),
        }
    }
}

impl<R: Runtime> fmt::Debug for WeakChannel<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakChannel").finish_non_exhaustive()
    }
}

impl<R: Runtime> fmt::Debug for Channel<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<R: Runtime> fmt::Debug for Inner<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel")
            .field("target", &format_args!("{}", self.shared.target))
            .field("settings", &self.shared.settings)
            .field("state", &self.endpoints.state())
            .finish_non_exhaustive()
    }
}
