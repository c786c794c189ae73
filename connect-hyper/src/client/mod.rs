//! The client: a channel to one server, over HTTP/1.1 and HTTP/2.
//!
//! A channel connects when the first call needs it, keeps connections, and replaces those that broke.
//! What it may not do is guess: a request is sent a second time only if the server surely did not process
//! the first, and every error says whether it could have.

mod address;
mod backoff;
mod connect;
mod connection;
mod connector;
mod dial;
mod error;
mod io;
mod pool;
mod proxy;
mod reach;
mod remote;
mod request_body;
mod response_body;
mod send;
mod sent_streams;
mod target;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use connect_proto::Error;
use connect_tower::{CallBody, Transport, rt::SharedTimer, transport::TransportError};
use http::{Request, Response};

pub use self::{
    address::EndpointAddress,
    connector::{Connect, Connecting},
    response_body::ChannelBody,
};
use self::{
    connect::Want,
    connection::Http2Settings,
    connector::Connector,
    pool::{Connection, Pool},
    reach::Way,
    target::{Target, TargetOptions},
};
use crate::{
    runtime::{LONGEST, MAX_FRAME_SIZE, Runtime, Windows, frame_size},
    tls::TlsConnector,
};

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

struct Inner<R: Runtime> {
    runtime: R,
    timer: SharedTimer,
    target: Target,
    connector: Connector,
    tls: Option<Arc<dyn TlsConnector<R>>>,
    settings: Settings,
    pool: Pool<R>,
}

/// How a channel behaves; made by [`Channel::builder`].
#[must_use = "a builder does nothing until it builds"]
pub struct ChannelBuilder<R: Runtime> {
    runtime: R,
    uri: String,
    target: TargetOptions,
    way: Way,
    tls: Option<Arc<dyn TlsConnector<R>>>,
    settings: Settings,
}

#[derive(Clone, Debug)]
struct Settings {
    version: HttpVersion,
    connect_timeout: Duration,
    max_backoff: Duration,
    idle_timeout: Duration,
    max_idle: usize,
    max_connections: usize,
    http2: Http2Settings,
}

/// Which HTTP a channel speaks when a call does not demand HTTP/2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpVersion {
    /// Over TLS what the server prefers (ALPN), in the clear HTTP/1.1. The default.
    #[default]
    Auto,
    /// HTTP/1.1: one call at a time on each of several connections.
    Http1,
    /// HTTP/2: all calls on one connection; in the clear "with prior knowledge" (RFC 9113, section 3.3).
    Http2,
}

/// Whether a channel has a connection, for balancers and health pages.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ChannelState {
    /// No connection: none was needed yet, or the last was closed.
    Idle,
    /// A connection is being opened.
    Connecting,
    /// A connection is open.
    Ready,
    /// The latest attempt to connect failed. The next call tries again.
    Failed,
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
        ChannelBuilder {
            runtime: R::default(),
            uri: uri.into(),
            target: TargetOptions::default(),
            way: Way::default(),
            tls: None,
            settings: Settings::default(),
        }
    }

    /// Whether there is a connection now.
    #[must_use]
    pub fn state(&self) -> ChannelState {
        self.inner.pool.state()
    }

    /// Opens a connection, unless one is open: for programs that want to fail early, and for balancers.
    ///
    /// # Errors
    ///
    /// As a call without a connection.
    pub async fn connect(&self) -> Result<(), TransportError> {
        let want = self.inner.want(http::Version::HTTP_11);
        match self.inner.check_out(want, false).await? {
            Connection::Http2(_) => {}
            Connection::Http1(connection) => self.inner.check_in(connection),
        }
        Ok(())
    }
}

impl<R: Runtime> ChannelBuilder<R> {
    /// Runs connections on this runtime. Default: the adapter's own, [`Default::default`].
    pub fn with_runtime(mut self, runtime: R) -> Self {
        self.runtime = runtime;
        self
    }

    /// Speaks TLS, which `https` URIs need.
    pub fn with_tls(mut self, tls: impl TlsConnector<R>) -> Self {
        self.tls = Some(Arc::new(tls));
        self
    }

    /// Which HTTP to speak when a call does not demand HTTP/2. Default: [`HttpVersion::Auto`].
    pub fn with_http_version(mut self, version: HttpVersion) -> Self {
        self.settings.version = version;
        self
    }

    /// Set by [`with_http_version`](Self::with_http_version).
    #[must_use]
    pub fn http_version(&self) -> HttpVersion {
        self.settings.version
    }

    /// How long opening a connection may take, from the name's look-up to the end of the TLS handshake.
    /// Default: 20 seconds. A call that waits for it ends `unavailable`, or earlier at its own deadline.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Set by [`with_connect_timeout`](Self::with_connect_timeout).
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// The longest wait between failed attempts to connect: up to 50 milliseconds after the first, twice as long after each
    /// further one, up to this. The wait itself is random, between zero and that. Default: 1 second. Zero: no wait.
    ///
    /// Only calls open connections. One that comes during the wait takes part in the next attempt, with all others that
    /// came, and so does not fail before its server has been asked again; or it ends at its own deadline.
    pub fn with_max_backoff(mut self, max: Duration) -> Self {
        self.settings.max_backoff = max;
        self
    }

    /// Set by [`with_max_backoff`](Self::with_max_backoff).
    #[must_use]
    pub fn max_backoff(&self) -> Duration {
        self.settings.max_backoff
    }

    /// How many HTTP/1.1 connections there may be, in use or not; a call more waits, up to its deadline, until another
    /// has ended. Default: 256. At least 1.
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.settings.max_connections = max.max(1);
        self
    }

    /// Set by [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.settings.max_connections
    }

    /// How long an HTTP/1.1 connection is kept without a call. It should be shorter than the server's patience, so that
    /// no request meets a connection that is being closed. Default: 20 seconds, for servers that wait for 30 or longer.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// Set by [`with_idle_timeout`](Self::with_idle_timeout).
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.settings.idle_timeout
    }

    /// How many HTTP/1.1 connections are kept without a call; the oldest is closed for one more. Default:
    /// 128. 0 keeps none.
    pub fn with_max_idle_connections(mut self, max: usize) -> Self {
        self.settings.max_idle = max;
        self
    }

    /// Set by [`with_max_idle_connections`](Self::with_max_idle_connections).
    #[must_use]
    pub fn max_idle_connections(&self) -> usize {
        self.settings.max_idle
    }

    /// Pings the server of an HTTP/2 connection that was silent for `interval` while calls are open, and
    /// gives the connection up when no answer comes within `timeout`. Default: off.
    pub fn with_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.settings.http2.keep_alive = Some((interval.min(LONGEST), timeout.min(LONGEST)));
        self
    }

    /// Set by [`with_keep_alive`](Self::with_keep_alive).
    #[must_use]
    pub fn keep_alive(&self) -> Option<(Duration, Duration)> {
        self.settings.http2.keep_alive
    }

    /// How many bytes of HTTP/2 response bodies may be on their way that the program has not read: for one call, and for
    /// all calls of a connection. A call that is not read holds up others only when the connection's window is used up
    /// by such calls, so it should be that of many. Default: 1 MiB and 16 MiB.
    pub fn with_windows(mut self, call_bytes: u32, connection_bytes: u32) -> Self {
        self.settings.http2.windows = Windows::new(call_bytes, connection_bytes);
        self
    }

    /// Set by [`with_windows`](Self::with_windows).
    #[must_use]
    pub fn windows(&self) -> (u32, u32) {
        let windows = self.settings.http2.windows;
        (windows.stream, windows.connection)
    }

    /// How large the HTTP/2 frames may be that the server sends. A message that comes in one frame need not be put together by
    /// a copy; but nothing else of its connection comes while a frame does. And memory for all of a frame is reserved when its
    /// head comes, so that each connection may cost that much for nine bytes. Default: 64 KiB. HTTP/2 allows 16 KiB to 16 MiB,
    /// less one byte; the nearest of these counts.
    pub fn with_max_frame_size(mut self, bytes: u32) -> Self {
        self.settings.http2.max_frame_size = frame_size(bytes);
        self
    }

    /// Set by [`with_max_frame_size`](Self::with_max_frame_size).
    #[must_use]
    pub fn max_frame_size(&self) -> u32 {
        self.settings.http2.max_frame_size
    }

    /// The channel. It has no connection yet.
    ///
    /// # Errors
    ///
    /// `invalid_argument` when the URI is not one to call, or is `https` without [`with_tls`](Self::with_tls), or `http` with it; or when
    /// no handshake can be made with these TLS settings, as [`TlsConnector::check`] says.
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
        let runtime = self.runtime;
        Ok(Channel {
            inner: Arc::new(Inner {
                timer: Arc::new(runtime.clone()),
                runtime,
                target,
                connector,
                tls: self.tls,
                pool: Pool::new(),
                settings: self.settings,
            }),
        })
    }
}

impl<R: Runtime> Inner<R> {
    /// Which HTTP a request of this version is to go over.
    fn want(&self, version: http::Version) -> Want {
        if version == http::Version::HTTP_2 {
            return Want::Http2;
        }
        match self.settings.version {
            HttpVersion::Http1 => Want::Http1,
            HttpVersion::Http2 => Want::Http2,
            HttpVersion::Auto if self.target.is_tls() => Want::Either,
            HttpVersion::Auto => Want::Http1,
        }
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
        Some(SharedTimer::clone(&self.inner.timer))
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

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: HttpVersion::default(),
            connect_timeout: Duration::from_secs(20),
            max_backoff: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(20),
            max_idle: 128,
            max_connections: 256,
            http2: Http2Settings {
                windows: Windows::new(1024 * 1024, 16 * 1024 * 1024),
                max_frame_size: MAX_FRAME_SIZE,
                keep_alive: None,
            },
        }
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
            .field("target", &format_args!("{}", self.target))
            .field("settings", &self.settings)
            .field("state", &self.pool.state())
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> fmt::Debug for ChannelBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("uri", &self.uri)
            .field("tls", &self.tls.is_some())
            .field("settings", &self.settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_runtime::NoRuntime;

    #[test]
    fn getters_read_what_setters_have_set() {
        let time = Duration::from_secs;
        let builder = Channel::<NoRuntime>::builder("http://example.com");
        assert_eq!(builder.connect_timeout(), time(20));
        assert_eq!(builder.keep_alive(), None);
        let builder = builder
            .with_http_version(HttpVersion::Http2)
            .with_connect_timeout(time(1))
            .with_max_backoff(time(2))
            .with_max_connections(0)
            .with_idle_timeout(time(3))
            .with_max_idle_connections(4)
            .with_keep_alive(time(5), time(6))
            .with_windows(7, u32::MAX)
            .with_max_frame_size(u32::MAX);
        assert_eq!(builder.http_version(), HttpVersion::Http2);
        assert_eq!(builder.connect_timeout(), time(1));
        assert_eq!(builder.max_backoff(), time(2));
        assert_eq!(builder.max_connections(), 1);
        assert_eq!(builder.idle_timeout(), time(3));
        assert_eq!(builder.max_idle_connections(), 4);
        assert_eq!(builder.keep_alive(), Some((time(5), time(6))));
        assert_eq!(builder.windows(), (7, (1 << 31) - 1));
        assert_eq!(builder.max_frame_size(), (1 << 24) - 1);
    }
}
