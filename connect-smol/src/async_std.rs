//! The same on async-std: its executor and its sockets.
//!
//! To move a program here, write `connect_smol::async_std` for the crate's name. async-std is not maintained any more
//! (RUSTSEC-2025-0052) and points to smol; this module is for programs that are not there yet.
//!
//! ```
//! use connect_smol::async_std::{Channel, Router, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! async_std::task::block_on(async {
//!     let server = Server::bind("127.0.0.1:0").await?;
//!     let uri = format!("http://{}", server.local_addr()?);
//!     async_std::task::spawn(server.serve(Router::new())); // Router::new().add_service(…)
//!
//!     let channel = Channel::new(uri)?; // connects when the first call needs it
//!     # drop(channel);
//!     # Ok(())
//! })
//! # }
//! ```

#[cfg(unix)]
use std::path::Path;
use std::{
    fmt,
    future::Future,
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Instant,
};

use ::async_std::net::{TcpListener, TcpStream, ToSocketAddrs};
#[cfg(unix)]
use ::async_std::os::unix::net::{UnixListener, UnixStream};
#[cfg(any(unix, feature = "tls"))]
use connect_hyper::runtime::BoxIo;
use connect_hyper::runtime::{Accepted, Epoch, Listener, Runtime, WorkerRuntime, keep_alive};
#[cfg(feature = "tls")]
use connect_hyper::tls::{Handshake, TlsAcceptor, TlsConnector};
use connect_tower::rt::{Sleep, Timer};
use smol::io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

#[cfg(feature = "health")]
#[doc(no_inline)]
pub use connect_health as health;
pub use connect_hyper::{
    CallTasks, EndpointAddress, Flood, HttpService, HttpVersion, ServerEvent, ServerHandle,
    client::{
        Balance, Candidate, Connect, Connecting, Ejection, HealthCheck, LeastOutstanding,
        PickFirst, Resolve, Resolving, RoundRobin,
    },
    runtime::{ListenAddr, ListenOptions, StreamListener},
};
#[cfg(feature = "reflection")]
#[doc(no_inline)]
pub use connect_reflection as reflection;
#[cfg(feature = "tls")]
pub use connect_rustls::{ClientTls, ReloadableTls, ServerTls, TlsError, rustls};
#[doc(no_inline)]
pub use connect_tower::*;

pub use crate::FuturesIo;
use crate::runtime::{self, Spawner};

/// async-std's clock, as [`crate::timer`] is smol's.
#[must_use]
pub fn timer() -> rt::SharedTimer {
    Arc::new(AsyncStd::default())
}

/// A server on async-std; see [`connect_hyper::Server`] for what it can do.
///
/// `L` is the listener: an `async_std::net::TcpListener`, or any [`connect_hyper::runtime::Listener`]; `M` are those that
/// [`add_listener`](connect_hyper::Server::add_listener) added.
pub type Server<L = TcpListener, M = ()> = connect_hyper::Server<AsyncStd, L, M>;

/// A client's way to one server, on async-std; see [`connect_hyper::Channel`] for what it can do.
pub type Channel = connect_hyper::Channel<AsyncStd>;

/// A [`Channel`] that others may drop, by [`downgrade`](connect_hyper::Channel::downgrade).
pub type WeakChannel = connect_hyper::WeakChannel<AsyncStd>;

/// Makes a [`Channel`]; see [`connect_hyper::ChannelBuilder`] for what can be chosen.
pub type ChannelBuilder = connect_hyper::ChannelBuilder<AsyncStd>;

/// The async-std runtime: its global executor.
///
/// Servers and channels name it in their types; there is nothing to do with it.
#[derive(Clone)]
pub struct AsyncStd {
    /// None is the global executor; a server's workers have their own.
    spawner: Option<Arc<Spawner>>,
    epoch: Epoch,
}

impl Default for AsyncStd {
    fn default() -> Self {
        Self {
            spawner: None,
            epoch: Epoch::at(Instant::now()),
        }
    }
}

impl Runtime for AsyncStd {
    type Io = FuturesIo<Socket>;
    type Listener = TcpListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        match &self.spawner {
            None => drop(::async_std::task::spawn(future)),
            Some(spawner) => spawner(Box::pin(future)),
        }
    }

    async fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<TcpListener> {
        Ok(options.bind(address)?.into())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Io> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        keep_alive(&SockRef::from(&socket))?;
        Ok(FuturesIo::new(Socket(socket)))
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: &Path) -> io::Result<BoxIo> {
        // async-std's own does not end the sending side when it is closed; this one runs on the same reactor.
        let socket = smol::net::unix::UnixStream::connect(path).await?;
        Ok(Box::new(FuturesIo::new(socket)))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok((host, port).to_socket_addrs().await?.collect())
    }
}

/// An executor of the thread's own. The reactor, of sockets and timers, is the process's.
impl WorkerRuntime for AsyncStd {
    fn run_worker<F: Future<Output = ()>>(work: impl FnOnce(Self) -> F) -> io::Result<()> {
        ::async_std::task::block_on(runtime::on_own_executor(|spawner| {
            work(Self {
                spawner: Some(spawner),
                ..Self::default()
            })
        }));
        Ok(())
    }
}

impl Listener<AsyncStd> for TcpListener {
    type Io = FuturesIo<Socket>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, address) = Self::accept(self).await?;
        // Fails only on a socket that is gone, which its first read reports.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().ok();
        let accepted = Accepted::new(FuturesIo::new(Socket(socket)));
        Ok(accepted
            .with_peer(Peer::new(address))
            .with_local_addr(local))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Self::local_addr(self).ok().map(ListenAddr::Tcp)
    }
}

#[cfg(unix)]
impl Listener<AsyncStd> for UnixListener {
    type Io = FuturesIo<Socket<UnixStream>>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, _) = Self::accept(self).await?;
        Ok(Accepted::new(FuturesIo::new(Socket(socket))))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        let address = Self::local_addr(self).ok()?;
        let path = address.as_pathname()?;
        Some(ListenAddr::Unix(path.to_owned()))
    }
}

impl Timer for AsyncStd {
    fn now(&self) -> Time {
        self.epoch.time(Instant::now())
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        // async-std's timers are those of smol's reactor, which it runs on.
        runtime::sleep_until(self.epoch.instant(at))
    }
}

impl fmt::Debug for AsyncStd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AsyncStd").finish_non_exhaustive()
    }
}

#[cfg(feature = "tls")]
impl<I> TlsAcceptor<AsyncStd, FuturesIo<I>> for ServerTls
where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    fn accept(&self, alpn: &[&'static [u8]], io: FuturesIo<I>) -> Handshake {
        crate::tls::accept(self, alpn, io)
    }
}

#[cfg(feature = "tls")]
impl TlsConnector<AsyncStd> for ClientTls {
    fn check(&self) -> io::Result<()> {
        Ok(Self::check(self)?)
    }

    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: BoxIo) -> Handshake {
        crate::tls::connect(self, host, alpn, io)
    }
}

/// A socket of async-std. To close async-std's own only flushes it, and the peer would wait for the end.
#[derive(Clone, Debug)]
pub struct Socket<S = TcpStream>(S);

/// What can close one direction alone.
trait CloseWrite {
    fn close_write(&self) -> io::Result<()>;
}

impl CloseWrite for TcpStream {
    fn close_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

#[cfg(unix)]
impl CloseWrite for UnixStream {
    fn close_write(&self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

#[allow(private_bounds, reason = "the sockets above")]
impl<S: AsyncWrite + CloseWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Poll::Ready(self.0.close_write())
    }
}
