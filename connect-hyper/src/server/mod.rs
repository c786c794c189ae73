//! The server: listeners for HTTP/1.1 and HTTP/2, each with or without TLS.
//!
//! A connection is one task. Over TLS, ALPN says which HTTP it speaks; without, its first bytes do. A service
//! sees plain `http` requests, of either version, with a [`Connection`](connect_tower::Connection) in their extensions: the
//! peer, the runtime's timer and the limits of what is received.

mod accept;
mod addresses;
mod config;
mod connection;
mod context;
mod drain;
mod event;
mod floods;
mod handle;
mod io;
mod lifetime;
mod listeners;
mod pace;
mod placement;
mod request_body;
mod run;
mod service;
mod stall;
mod workers;

use std::{fmt, future::Future, net::SocketAddr, sync::Arc};

pub use self::{
    config::CallTasks,
    event::ServerEvent,
    floods::Flood,
    handle::ServerHandle,
    listeners::{Bound, MoreListeners},
    request_body::RequestBody,
    service::HttpService,
};
use self::{config::Config, drain::Drain, event::Observer, listeners::Sockets};
use crate::{
    runtime::{ListenAddr, ListenOptions, Listener, Runtime, WorkerRuntime},
    tls::TlsAcceptor,
};

/// A server on a listener of type `L`, and on those of `M`, which [`add_listener`](Self::add_listener) adds.
///
/// Adapters name it with their runtime: `connect_tokio::Server`. Each limit has a default, given at its setter.
///
/// Accept errors, such as too many open files, never end the server: it waits, up to a second, and goes on.
#[must_use = "a server does nothing until it serves"]
pub struct Server<R: Runtime, L: Listener<R> = <R as Runtime>::Listener, M = ()> {
    runtime: R,
    first: Bound<R, L>,
    more: M,
    config: Config,
    observer: Option<Observer>,
    drain: Drain,
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
        Self::bind_with(address, ListenOptions::new()).await
    }

    /// Binds a TCP socket with these options; see [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub async fn bind_with(
        address: impl fmt::Display,
        options: ListenOptions,
    ) -> std::io::Result<Self> {
        let text = address.to_string();
        drop(address);
        let runtime = R::default();
        let listener = bind(&runtime, &text, &options).await?;
        Ok(Self::from_listener(listener))
    }
}

impl<R: WorkerRuntime> Server<R> {
    /// Listens with workers: threads that each have a runtime, a TCP socket on this address, and the connections that
    /// come in by it, whose calls never leave it. `None` starts as many as [`std::thread::available_parallelism`] says.
    ///
    /// Everything else is as with [`bind`](Self::bind): settings, limits, TLS and handle are those of all workers together,
    /// and the same handlers run there. What a handler spawns runs on its worker, and ends with it at the end of the
    /// shutdown. The future of [`serve`](Self::serve) does nothing but wait, and serves on the listeners that were added.
    ///
    /// For many connections with short calls: workers share no scheduler and no caches. The kernel deals out connections, by
    /// a hash of their addresses, and each stays where it is: a client with one connection loads one worker. So
    /// it does on Linux; macOS and the BSDs share the port too, but may give all connections to one worker.
    ///
    /// The port is shared by `SO_REUSEPORT`: another server of the same user that asks for that too is no error.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), for any of the workers; [`InvalidInput`](std::io::ErrorKind::InvalidInput) for a number of
    /// zero; [`Unsupported`](std::io::ErrorKind::Unsupported) on systems without `SO_REUSEPORT`, such as Windows; when a
    /// thread or a runtime cannot be started.
    pub async fn bind_workers(
        address: impl fmt::Display,
        workers: impl Into<Option<usize>>,
    ) -> std::io::Result<Self> {
        Self::bind_workers_with(address, workers, ListenOptions::new()).await
    }

    /// Listens with workers, each with these options, and `SO_REUSEPORT` whatever they say of it; see
    /// [`bind_workers`](Self::bind_workers).
    ///
    /// # Errors
    ///
    /// As [`bind_workers`](Self::bind_workers).
    pub async fn bind_workers_with(
        address: impl fmt::Display,
        workers: impl Into<Option<usize>>,
        options: ListenOptions,
    ) -> std::io::Result<Self> {
        let (text, number) = (address.to_string(), workers.into());
        drop(address);
        let drain = Drain::default();
        let workers = workers::start(text, number, options, &drain.handle()).await?;
        let first = Bound {
            sockets: Sockets::Workers(workers),
            tls: None,
        };
        Ok(Self::new(first, drain))
    }

    /// How many workers it has; `None` without [`bind_workers`](Self::bind_workers).
    #[must_use]
    pub fn workers(&self) -> Option<usize> {
        match &self.first.sockets {
            Sockets::Workers(workers) => Some(workers.len()),
            Sockets::Here(_) => None,
        }
    }
}

/// Listens on the first address of a text that can be bound.
async fn bind<R: Runtime>(
    runtime: &R,
    text: &str,
    options: &ListenOptions,
) -> std::io::Result<R::Listener> {
    let addresses = resolve(runtime, text).await.map_err(|error| {
        let text = format!("cannot listen on {text}: {error}");
        std::io::Error::new(error.kind(), text)
    })?;
    let mut failure = None;
    for address in addresses {
        match runtime.listen(address, options).await {
            Ok(listener) => return Ok(listener),
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
    /// Serves on a listener that is bound already: a TCP or Unix listener of the runtime, a
    /// [`StreamListener`](crate::runtime::StreamListener), or your own.
    pub fn from_listener(listener: L) -> Self {
        Self::new(Bound::here(listener), Drain::default())
    }

    fn new(first: Bound<R, L>, drain: Drain) -> Self {
        Self {
            runtime: R::default(),
            first,
            more: (),
            config: Config::default(),
            observer: None,
            drain,
        }
    }
}

impl<R: Runtime, L: Listener<R>, M: MoreListeners<R>> Server<R, L, M> {
    /// Serves on one more listener, in the clear. All listeners share the server's limits, its shutdown and its handle.
    pub fn add_listener<N: Listener<R>>(self, listener: N) -> Server<R, L, (M, Bound<R, N>)> {
        self.add_bound(Bound::here(listener))
    }

    /// Serves on one more listener, with TLS.
    pub fn add_tls_listener<N: Listener<R>>(
        self,
        listener: N,
        tls: impl TlsAcceptor<R, N::Io>,
    ) -> Server<R, L, (M, Bound<R, N>)> {
        self.add_bound(Bound {
            tls: Some(Arc::new(tls)),
            ..Bound::here(listener)
        })
    }

    fn add_bound<N: Listener<R>>(self, bound: Bound<R, N>) -> Server<R, L, (M, Bound<R, N>)> {
        Server {
            runtime: self.runtime,
            first: self.first,
            more: (self.more, bound),
            config: self.config,
            observer: self.observer,
            drain: self.drain,
        }
    }

    /// A handle of this server, with the listeners that it has now.
    #[must_use]
    pub fn handle(&self) -> ServerHandle {
        ServerHandle {
            drain: self.drain.handle(),
            local_addrs: self.local_addrs().into(),
        }
    }

    /// Where the server listens: its first listener, then those that were added; those without a name are left out.
    #[must_use]
    pub fn local_addrs(&self) -> Vec<ListenAddr> {
        let mut addresses = Vec::from_iter(self.first.local_addr());
        self.more.add_local_addrs(&mut addresses);
        addresses
    }

    /// The first TCP address that the server listens on.
    ///
    /// # Errors
    ///
    /// When none of its listeners has one.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        let addresses = self.local_addrs();
        addresses.iter().find_map(ListenAddr::tcp).ok_or_else(|| {
            let text = "the server listens on no TCP address: see local_addrs()";
            std::io::Error::new(std::io::ErrorKind::AddrNotAvailable, text)
        })
    }

    /// Runs on this runtime. Default: the adapter's own, [`Default::default`]. Workers have their own all the same.
    pub fn with_runtime(mut self, runtime: R) -> Self {
        self.runtime = runtime;
        self
    }

    /// Speaks TLS on every connection of the first listener. Default: cleartext. For another see
    /// [`add_tls_listener`](Self::add_tls_listener).
    pub fn with_tls(mut self, tls: impl TlsAcceptor<R, L::Io>) -> Self {
        self.first.tls = Some(Arc::new(tls));
        self
    }

    /// Calls this function with what happens to the server and its connections, for logs and counters. It runs on their
    /// tasks and must not block; when it panics, only the event is lost. Default: none.
    pub fn with_observer(
        mut self,
        observer: impl Fn(&ServerEvent<'_>) + Send + Sync + 'static,
    ) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Serves until a [`handle`](Self::handle) shuts the server down. Dropping the future ends all connections at once.
    /// It does not end by itself: accept errors are waited out.
    pub async fn serve<S: HttpService>(self, service: S) {
        run::run(self, service, std::future::pending()).await;
    }

    /// Serves until the signal comes or a [`handle`](Self::handle) shuts the server down, and then shuts down
    /// gracefully: the listeners are closed, HTTP/2 clients get GOAWAY, HTTP/1.1 connections close after their call, and
    /// calls in flight have [`with_drain_timeout`](Self::with_drain_timeout) to end. Returns when all connections have ended.
    /// Accept errors are waited out.
    pub async fn serve_with_shutdown<S: HttpService>(
        self,
        service: S,
        signal: impl Future<Output = ()> + Send,
    ) {
        run::run(self, service, signal).await;
    }
}

impl<R: Runtime, L: Listener<R>, M: MoreListeners<R>> fmt::Debug for Server<R, L, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("local_addrs", &self.local_addrs())
            .field("tls", &self.first.tls.is_some())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
