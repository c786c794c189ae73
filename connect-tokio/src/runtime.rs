//! tokio, as connect-hyper wants a runtime.

#[cfg(unix)]
use std::path::Path;
use std::{future::Future, io, net::SocketAddr};

#[cfg(unix)]
use connect_hyper::runtime::BoxIo;
use connect_hyper::runtime::{
    Accepted, Epoch, ListenAddr, ListenOptions, Listener, Runtime, WorkerRuntime, keep_alive,
};
use connect_tower::{
    Peer, Time,
    rt::{Sleep, Timer},
};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
#[cfg(unix)]
use tokio::net::{UnixListener, UnixStream};

/// The tokio runtime that the program runs on.
///
/// Servers and channels name it in their types; there is nothing to do with it. They must be made and used
/// within a tokio runtime that has its IO and time drivers enabled; both flavours do.
#[derive(Clone, Copy, Debug)]
pub struct Tokio {
    epoch: Epoch,
}

impl Default for Tokio {
    fn default() -> Self {
        Self {
            // tokio's own clock, which a test may stop.
            epoch: Epoch::at(tokio::time::Instant::now().into_std()),
        }
    }
}

impl Runtime for Tokio {
    type Io = TokioIo<TcpStream>;
    type Listener = TcpListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        tokio::spawn(future);
    }

    async fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<TcpListener> {
        TcpListener::from_std(options.bind(address)?)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<TokioIo<TcpStream>> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        keep_alive(&SockRef::from(&socket))?;
        Ok(TokioIo::new(socket))
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: &Path) -> io::Result<BoxIo> {
        let socket = UnixStream::connect(path).await?;
        Ok(Box::new(TokioIo::new(socket)))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

/// tokio's current-thread runtime.
impl WorkerRuntime for Tokio {
    fn run_worker<F: Future<Output = ()>>(work: impl FnOnce(Self) -> F) -> io::Result<()> {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_io().enable_time().build()?;
        runtime.block_on(async { work(Self::default()).await });
        // What a handler left to `spawn_blocking` must not hold up the shutdown.
        runtime.shutdown_background();
        Ok(())
    }
}

impl Listener<Tokio> for TcpListener {
    type Io = TokioIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, address) = Self::accept(self).await?;
        // Fails only on a socket that is gone, which its first read reports.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().ok();
        let accepted = Accepted::new(TokioIo::new(socket));
        Ok(accepted
            .with_peer(Peer::new(address))
            .with_local_addr(local))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Self::local_addr(self).ok().map(ListenAddr::Tcp)
    }
}

#[cfg(unix)]
impl Listener<Tokio> for UnixListener {
    type Io = TokioIo<UnixStream>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, _) = Self::accept(self).await?;
        Ok(Accepted::new(TokioIo::new(socket)))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        let address = Self::local_addr(self).ok()?;
        let path = address.as_pathname()?;
        Some(ListenAddr::Unix(path.to_owned()))
    }
}

impl Timer for Tokio {
    fn now(&self) -> Time {
        self.epoch.time(tokio::time::Instant::now().into_std())
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        match self.epoch.instant(at) {
            Some(at) => Box::pin(tokio::time::sleep_until(at.into())),
            None => Box::pin(std::future::pending()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_of_clients_are_kept_alive() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connected = Tokio::default().connect(address).await.unwrap();
        let socket = connected.into_inner();
        let socket = SockRef::from(&socket);
        assert!(socket.keepalive().unwrap());
        assert!(socket.tcp_nodelay().unwrap());
    }
}
