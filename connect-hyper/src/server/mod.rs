//! The server: one listener for HTTP/1.1 and HTTP/2, with or without TLS.
//!
//! A connection is one task. Over TLS, ALPN says which HTTP it speaks; without, its first bytes do. A service
//! sees plain `http` requests, of either version, with the [`Peer`] and the runtime's
//! [`SharedTimer`](connect_tower::rt::SharedTimer) in their extensions.

mod accept;
mod connection;
mod drain;
mod io;
mod lifetime;
mod placement;
mod request_body;
mod service;
mod stall;

use std::{fmt, future::Future, net::SocketAddr, sync::Arc, time::Duration};

use connect_tower::Peer;

pub use self::{placement::CallTasks, request_body::RequestBody, service::HttpService};
use crate::{
    runtime::{LONGEST, Listener, Runtime, Windows},
    tls::TlsAcceptor,
};

/// A server on a listener of type `L`.
///
/// Adapters name it with their runtime: `connect_tokio::Server`. Each limit has a default, given at its setter.
///
/// Accept errors, such as too many open files, never end the server: it waits, up to a second, and goes on.
#[must_use = "a server does nothing until it serves"]
pub struct Server<R: Runtime, L: Listener<R> = <R as Runtime>::Listener> {
    runtime: R,
    listener: L,
    tls: Option<Arc<dyn TlsAcceptor<R, L::Io>>>,
    config: Config,
    observer: Option<Observer>,
}

type Observer = Arc<dyn Fn(&ServerEvent<'_>) + Send + Sync>;

/// What every connection of a server goes by.
#[derive(Clone, Debug)]
struct Config {
    header_read_timeout: Duration,
    tls_handshake_timeout: Duration,
    drain_timeout: Duration,
    linger_timeout: Duration,
    write_timeout: Duration,
    read_timeout: Option<Duration>,
    message_timeout: Option<Duration>,
    connection_receive_budget: usize,
    server_receive_budget: usize,
    idle_timeout: Duration,
    max_connections: usize,
    max_unread_body: u64,
    max_concurrent_streams: u32,
    windows: Windows,
    keep_alive: Option<(Duration, Duration)>,
    call_tasks: CallTasks,
}

/// Something that went wrong on a connection and that no call can report.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// The listener failed to accept a connection; the server tries again after the pause.
    AcceptFailed {
        /// What the listener said.
        error: &'a std::io::Error,
        /// How long the server waits.
        pause: Duration,
    },
    /// A TLS handshake failed or took too long.
    HandshakeFailed {
        /// Who connected.
        peer: &'a Peer,
        /// Why it failed.
        error: &'a std::io::Error,
    },
    /// A connection ended with an error of HTTP or of its socket.
    ConnectionFailed {
        /// Who connected.
        peer: &'a Peer,
        /// Why it failed.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
    },
    /// The time for a graceful shutdown is over: these connections are ended with calls in flight.
    DrainExpired {
        /// The number of connections.
        connections: usize,
    },
}

impl<R: Runtime> Server<R> {
    /// Binds a TCP socket and listens on it: `"127.0.0.1:8080"`, `"[::]:0"`, a [`SocketAddr`]. Port 0 takes a
    /// free port; [`local_addr`](Self::local_addr) tells it.
    ///
    /// A name in place of an address, as in `"localhost:8080"`, is looked up by the runtime; the first of its addresses
    /// that can be bound is taken.
    ///
    /// # Errors
    ///
    /// When the text is no address and no name with a port, or none of the addresses can be bound.
    pub async fn bind(address: impl fmt::Display) -> std::io::Result<Self> {
        let text = address.to_string();
        drop(address);
        let runtime = R::default();
        let addresses = resolve(&runtime, &text).await.map_err(|error| {
            let text = format!("cannot listen on {text}: {error}");
            std::io::Error::new(error.kind(), text)
        })?;
        let mut failure = None;
        for address in addresses {
            match runtime.listen(address).await {
                Ok(listener) => return Ok(Self::from_listener(listener)),
                Err(error) => {
                    let text = format!("cannot listen on {address}: {error}");
                    failure = Some(std::io::Error::new(error.kind(), text));
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            let text = format!("cannot listen on {text}: the name has no address");
            std::io::Error::new(std::io::ErrorKind::InvalidInput, text)
        }))
    }
}

/// The addresses that a text names.
async fn resolve<R: Runtime>(runtime: &R, text: &str) -> std::io::Result<Vec<SocketAddr>> {
    if let Ok(address) = text.parse() {
        return Ok(vec![address]);
    }
    let named = text
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host, port.parse().ok()?)));
    let Some((host, port)) = named else {
        let text = "neither an address nor a name, with a port as in \"127.0.0.1:8080\"";
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, text));
    };
    runtime.resolve(host, port).await
}

impl<R: Runtime, L: Listener<R>> Server<R, L> {
    /// Serves on a listener that is bound already.
    pub fn from_listener(listener: L) -> Self {
        Self {
            runtime: R::default(),
            listener,
            tls: None,
            config: Config::default(),
            observer: None,
        }
    }

    /// Runs on this runtime. Default: the adapter's own, [`Default::default`].
    pub fn with_runtime(mut self, runtime: R) -> Self {
        self.runtime = runtime;
        self
    }

    /// The address that the server listens on.
    ///
    /// # Errors
    ///
    /// When the listener has none.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Speaks TLS on every connection. Default: cleartext.
    pub fn with_tls(mut self, tls: impl TlsAcceptor<R, L::Io>) -> Self {
        self.tls = Some(Arc::new(tls));
        self
    }

    /// How long a client may take to show its HTTP version and, on HTTP/1.1, to send a request's head. The
    /// wait for the next request on an open HTTP/1.1 connection counts too. Default: 30 seconds.
    pub fn with_header_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.header_read_timeout = timeout.min(LONGEST);
        self
    }

    /// How long a TLS handshake may take. Default: 10 seconds.
    pub fn with_tls_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.tls_handshake_timeout = timeout;
        self
    }

    /// How long calls may go on after a shutdown began; then their connections are ended. Default: 25 seconds,
    /// less than the 30 that Kubernetes waits before it kills.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// How long the server reads on what nobody wants. On HTTP/1.1 that is the rest of a request which is
    /// answered already; on any connection that the server closes, what the client still sends: a socket
    /// closed with unread bytes is reset, and the answer lost. Default: 2 seconds.
    pub fn with_linger_timeout(mut self, timeout: Duration) -> Self {
        self.config.linger_timeout = timeout;
        self
    }

    /// How long a client may take nothing of an answer that is ready: the socket takes no byte (the connection is closed),
    /// or the window of an HTTP/2 call has no room (the call is reset). A call with a deadline ends there half a second
    /// after its deadline, if that is earlier. A client that works long on each message of a stream takes nothing
    /// meanwhile. Default: 5 minutes; [`Duration::MAX`] waits for ever.
    pub fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout.min(LONGEST);
        self
    }

    /// How long a call of one request message (unary and server-streaming procedures) may receive no byte of it; then it
    /// fails with `deadline_exceeded`, over either HTTP version. Streams of requests may be silent for as long as they like.
    /// connect-tower's router keeps it; other services do not. Default: 60 seconds; `None` or zero waits for ever.
    pub fn with_message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.message_timeout = timeout.into().filter(|timeout| !timeout.is_zero());
        self
    }

    /// How many bytes of messages that are not complete the calls of one connection may hold together, and those of all
    /// connections; a call that brings more fails with `resource_exhausted`. The first 16 KiB of each message are not
    /// counted. What is counted is bytes that came; the memory for them can be twice that. A message larger than
    /// this cannot be received, whatever the router's limits. connect-tower's router keeps it; other services do not.
    /// Default: 64 MiB and 512 MiB; [`usize::MAX`] bounds nothing.
    pub fn with_receive_budget(mut self, connection_bytes: usize, server_bytes: usize) -> Self {
        self.config.connection_receive_budget = connection_bytes;
        self.config.server_receive_budget = server_bytes;
        self
    }

    /// How long a call may wait for more of its request while the client sends nothing of it; then the call fails with
    /// `canceled`. It counts while a handler reads, for streams too. Default: for ever, as a stream of requests may
    /// be silent for as long as it likes; for others there is [`with_message_timeout`](Self::with_message_timeout).
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.read_timeout = Some(timeout.min(LONGEST));
        self
    }

    /// How long an HTTP/2 connection may stay open without a call. It is looked at at such intervals, so an idle connection
    /// is closed after one to two of them; its client is told, and connects anew when it needs to. Default: 5 minutes, as
    /// clients that vanish are not noticed otherwise; [`Duration::MAX`] keeps them. Idle HTTP/1.1 connections have
    /// [`with_header_read_timeout`](Self::with_header_read_timeout).
    ///
    /// 0 counts as a millisecond.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        // Without any pause the connection would look without end.
        self.config.idle_timeout = timeout.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// How many connections may be open at once. With as many, no more are accepted until one ends: clients wait in the
    /// listener's queue. Default: no limit but the process's open files, which are not the server's to know; at that limit
    /// too clients wait.
    ///
    /// 0 counts as 1.
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.config.max_connections = max.max(1);
        self
    }

    /// How many bytes of a request that its handler did not read are read and thrown away to keep an HTTP/1.1
    /// connection; with more to come it is closed. Default: 8 MiB, more than sockets commonly buffer, so that
    /// a client which has sent all of its request can rely on the connection.
    pub fn with_max_unread_body(mut self, bytes: u64) -> Self {
        self.config.max_unread_body = bytes;
        self
    }

    /// How many calls one HTTP/2 connection may have open at once; more are refused. Default: 200.
    pub fn with_max_concurrent_streams(mut self, max: u32) -> Self {
        self.config.max_concurrent_streams = max;
        self
    }

    /// How many bytes of HTTP/2 request bodies may be on their way that handlers have not read: for one call, and for all
    /// calls of a connection. A call that is not read holds up others only when the connection's window is used up by
    /// such calls, so it should be that of many. Default: 256 KiB and 4 MiB.
    pub fn with_windows(mut self, call_bytes: u32, connection_bytes: u32) -> Self {
        self.config.windows = Windows::new(call_bytes, connection_bytes);
        self
    }

    /// Pings HTTP/2 clients that were silent for `interval`, and closes the connection when no answer comes
    /// within `timeout`. Default: off; 20 seconds suit both.
    pub fn with_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.config.keep_alive = Some((interval.min(LONGEST), timeout.min(LONGEST)));
        self
    }

    /// Where the calls of an HTTP/2 connection run. Default: [`CallTasks::OnConnection`].
    pub fn with_call_tasks(mut self, tasks: CallTasks) -> Self {
        self.config.call_tasks = tasks;
        self
    }

    /// Tells of what goes wrong on connections, for logs and counters. It is called on the tasks of
    /// connections and must not block; when it panics, the event is lost and nothing else. Default: nobody is told.
    pub fn with_observer(
        mut self,
        observer: impl Fn(&ServerEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Serves until the future is dropped, which ends all connections at once. It does not end by itself: accept errors are
    /// waited out.
    pub async fn serve<S: HttpService>(self, service: S) {
        accept::run(self, service, std::future::pending()).await;
    }

    /// Serves until the signal comes, and then shuts down gracefully: the listener is closed, HTTP/2 clients
    /// get GOAWAY, HTTP/1.1 connections close after their call, and calls in flight have
    /// [`with_drain_timeout`](Self::with_drain_timeout) to end. Returns when all connections have ended. Accept errors are
    /// waited out.
    pub async fn serve_with_shutdown<S: HttpService>(
        self,
        service: S,
        signal: impl Future<Output = ()> + Send,
    ) {
        accept::run(self, service, signal).await;
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(25),
            linger_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5 * 60),
            read_timeout: None,
            message_timeout: Some(Duration::from_secs(60)),
            connection_receive_budget: 64 * 1024 * 1024,
            server_receive_budget: 512 * 1024 * 1024,
            idle_timeout: Duration::from_secs(5 * 60),
            max_connections: usize::MAX,
            max_unread_body: 8 * 1024 * 1024,
            max_concurrent_streams: 200,
            windows: Windows::new(256 * 1024, 4 * 1024 * 1024),
            keep_alive: None,
            call_tasks: CallTasks::default(),
        }
    }
}

impl<R: Runtime, L: Listener<R>> fmt::Debug for Server<R, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addr", &self.listener.local_addr().ok())
            .field("tls", &self.tls.is_some())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for ServerEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { error, pause } => {
                write!(f, "accept failed, waiting {pause:?}: {error}")
            }
            Self::HandshakeFailed { peer, error } => {
                write!(f, "TLS handshake with {} failed: {error}", Name(peer))
            }
            Self::ConnectionFailed { peer, error } => {
                let error = crate::reset::chain(*error);
                write!(f, "connection from {} failed: {error}", Name(peer))
            }
            Self::DrainExpired { connections } => {
                write!(
                    f,
                    "the drain's time is over: ending {connections} connections"
                )
            }
        }
    }
}

/// A peer's address, or that there is none.
struct Name<'a>(&'a Peer);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
            Some(address) => address.fmt(f),
            None => f.write_str("an unnamed peer"),
        }
    }
}
