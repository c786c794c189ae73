//! tokio, as connect-hyper wants a runtime.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    time::{Duration, Instant},
};

use connect_hyper::runtime::{Listener, Runtime};
use hyper::rt::{Sleep, Timer};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

/// The tokio runtime that the program runs on.
///
/// Servers and channels name it in their types; there is nothing to do with it. They must be made and used
/// within a tokio runtime that has its IO and time drivers enabled; both flavours do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

impl Runtime for Tokio {
    type Io = TokioIo<TcpStream>;
    type Listener = TcpListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        tokio::spawn(future);
    }

    async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TokioIo<TcpStream>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        Ok(TokioIo::new(socket))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

impl Listener<Tokio> for TcpListener {
    type Io = TokioIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Option<SocketAddr>)> {
        let (socket, address) = Self::accept(self).await?;
        // Fails only on a socket that is gone, which its first read reports.
        let _ = socket.set_nodelay(true);
        Ok((TokioIo::new(socket), Some(address)))
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Self::local_addr(self)
    }
}

impl Timer for Tokio {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep(duration)
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        TokioTimer::new().sleep_until(deadline)
    }

    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: Instant) {
        TokioTimer::new().reset(sleep, deadline);
    }
}
