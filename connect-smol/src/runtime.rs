//! smol, as connect-hyper wants a runtime.

#[cfg(unix)]
use std::path::Path;
use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

#[cfg(unix)]
use connect_hyper::runtime::BoxIo;
use connect_hyper::runtime::{
    Accepted, Epoch, ListenAddr, ListenOptions, Listener, Runtime, WorkerRuntime, keep_alive,
};
use connect_tower::{
    Peer, Time,
    rt::{Sleep, Timer},
};
#[cfg(unix)]
use smol::net::unix::{UnixListener, UnixStream};
use smol::{
    Executor,
    future::FutureExt,
    net::{TcpListener, TcpStream},
};
use socket2::SockRef;

use crate::FuturesIo;

/// The smol runtime: where tasks run. Sockets and timers need no executor: their reactor has its own thread.
///
/// The default is smol's global executor, that of [`smol::spawn`]: one thread, or as many as the environment variable
/// `SMOL_THREADS` says. For another executor, set it on the server or channel:
///
/// ```
/// use std::sync::Arc;
/// use connect_smol::{Channel, Router, Server, Smol};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let executor = Arc::new(smol::Executor::new());
/// smol::block_on(executor.run(async {
///     let server = Server::bind("127.0.0.1:0").await?.with_runtime(Smol::on(executor.clone()));
///     let uri = format!("http://{}", server.local_addr()?);
///     let serving = executor.spawn(server.serve(Router::new()));
///     let channel = Channel::builder(uri).with_runtime(Smol::on(executor.clone())).build()?;
///     # channel.connect().await?;
///     # drop(serving);
///     # Ok(())
/// }))
/// # }
/// ```
#[derive(Clone)]
pub struct Smol {
    /// None is smol's global executor.
    spawner: Option<Arc<Spawner>>,
    epoch: Epoch,
}

impl Default for Smol {
    fn default() -> Self {
        Self {
            spawner: None,
            epoch: Epoch::at(Instant::now()),
        }
    }
}

pub(crate) type Spawner = dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync;

impl Smol {
    /// Tasks on your own executor. They run while you run it.
    #[must_use]
    pub fn on(executor: Arc<Executor<'static>>) -> Self {
        Self::spawning(move |task| executor.spawn(task).detach())
    }

    /// Tasks wherever this function puts them: it is given each, to run in the background.
    ///
    /// For a single thread, without locks, that is a [`smol::LocalExecutor`] of the thread:
    ///
    /// ```
    /// use connect_smol::Smol;
    /// use smol::LocalExecutor;
    ///
    /// thread_local! {
    ///     static LOCAL: LocalExecutor<'static> = const { LocalExecutor::new() };
    /// }
    ///
    /// let runtime = Smol::spawning(|task| LOCAL.with(|local| local.spawn(task).detach()));
    /// ```
    #[must_use]
    pub fn spawning(
        spawner: impl Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
    ) -> Self {
        Self {
            spawner: Some(Arc::new(spawner)),
            ..Self::default()
        }
    }
}

impl Runtime for Smol {
    type Io = FuturesIo<TcpStream>;
    type Listener = TcpListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        match &self.spawner {
            None => smol::spawn(future).detach(),
            Some(spawner) => spawner(Box::pin(future)),
        }
    }

    async fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> io::Result<TcpListener> {
        TcpListener::try_from(options.bind(address)?)
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<Self::Io> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        keep_alive(&SockRef::from(&socket))?;
        Ok(FuturesIo::new(socket))
    }

    #[cfg(unix)]
    async fn connect_unix(&self, path: &Path) -> io::Result<BoxIo> {
        let socket = UnixStream::connect(path).await?;
        Ok(Box::new(FuturesIo::new(socket)))
    }

    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        smol::net::resolve((host, port)).await
    }
}

/// An executor of the thread's own. The reactor, of sockets and timers, is the process's.
impl WorkerRuntime for Smol {
    fn run_worker<F: Future<Output = ()>>(work: impl FnOnce(Self) -> F) -> io::Result<()> {
        smol::block_on(on_own_executor(|spawner| {
            work(Self {
                spawner: Some(spawner),
                ..Self::default()
            })
        }));
        Ok(())
    }
}

impl Listener<Smol> for TcpListener {
    type Io = FuturesIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, address) = Self::accept(self).await?;
        // Fails only on a socket that is gone, which its first read reports.
        let _ = socket.set_nodelay(true);
        let local = socket.local_addr().ok();
        let accepted = Accepted::new(FuturesIo::new(socket));
        Ok(accepted
            .with_peer(Peer::new(address))
            .with_local_addr(local))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Self::local_addr(self).ok().map(ListenAddr::Tcp)
    }
}

#[cfg(unix)]
impl Listener<Smol> for UnixListener {
    type Io = FuturesIo<UnixStream>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        let (socket, _) = Self::accept(self).await?;
        Ok(Accepted::new(FuturesIo::new(socket)))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        let address = Self::local_addr(self).ok()?;
        let path = address.as_pathname()?;
        Some(ListenAddr::Unix(path.to_owned()))
    }
}

impl Timer for Smol {
    fn now(&self) -> Time {
        self.epoch.time(Instant::now())
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        sleep_until(self.epoch.instant(at))
    }
}

impl fmt::Debug for Smol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let executor = match self.spawner {
            None => "global",
            Some(_) => "own",
        };
        f.debug_tuple("Smol").field(&executor).finish()
    }
}

/// Runs a worker's future on an executor that it has to itself, and tells it how to spawn there.
pub(crate) async fn on_own_executor<F: Future<Output = ()>>(work: impl FnOnce(Arc<Spawner>) -> F) {
    let executor = Arc::new(Executor::new());
    // The tasks hold the spawner, which must not hold their executor.
    let tasks = Arc::downgrade(&executor);
    let spawner: Arc<Spawner> = Arc::new(move |task| {
        if let Some(executor) = tasks.upgrade() {
            // A panic would leave the executor, and end its thread.
            let task = AssertUnwindSafe(task).catch_unwind();
            executor.spawn(task).detach();
        }
    });
    executor.run(work(spawner)).await;
}

/// A timer of async-io, the reactor below smol and async-std; without an instant it never ends.
pub(crate) fn sleep_until(instant: Option<Instant>) -> Sleep {
    match instant {
        Some(instant) => Box::pin(ReactorSleep(Some(smol::Timer::at(instant)))),
        None => Box::pin(std::future::pending()),
    }
}

/// None when it is over: unlike async-io's it stays ready, as other timers do.
struct ReactorSleep(Option<smol::Timer>);

impl Future for ReactorSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(timer) = &mut self.0 {
            if Pin::new(timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.0 = None;
        }
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_clients_are_kept_alive() {
        smol::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let connected = Smol::default().connect(address).await.unwrap();
            let socket = connected.into_inner();
            let socket = SockRef::from(&socket);
            assert!(socket.keepalive().unwrap());
            assert!(socket.tcp_nodelay().unwrap());
        });
    }
}
