//! The server: one listener for HTTP/1.1 and HTTP/2, with or without TLS.
//!
//! A connection is one task. Over TLS, ALPN says which HTTP it speaks; without, its first bytes do. A service
//! sees plain `http` requests, of either version, with a [`Connection`](connect_tower::Connection) in their extensions: the
//! peer, the runtime's timer and the limits of what is received.

mod accept;
mod config;
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

use self::config::Config;
pub use self::{config::CallTasks, request_body::RequestBody, service::HttpService};
use crate::{
    runtime::{Listener, Runtime},
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
    /// The time for a graceful shutdown is up: these connections are ended with calls in flight.
    DrainExpired {
        /// The number of connections.
        connections: usize,
    },
}

impl<R: Runtime> Server<R> {
    /// Binds a TCP socket and listens on it: `"127.0.0.1:8080"`, `"[::]:0"`, a [`SocketAddr`]. Port 0 takes a
    /// free port; [`local_addr`](Self::local_addr) returns it.
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

    /// Calls this function with what goes wrong on connections, for logs and counters. It runs on the tasks of
    /// connections and must not block; when it panics, only the event is lost. Default: none.
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
                write!(f, "the drain timed out: ending {connections} connections")
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
            None => f.write_str("a peer without an address"),
        }
    }
}
