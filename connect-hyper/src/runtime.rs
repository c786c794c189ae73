//! The few things an async runtime supplies: tasks, a clock, TCP and names.
//!
//! Everything else in this crate is written once over these traits. An adapter (such as
//! `connect-tokio`) implements them on a unit struct and names the types of this crate with it; it holds no
//! logic of its own.

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use connect_proto::Time;
use connect_tower::rt::SharedTimer;
use hyper::rt::{Read, Sleep, Timer, Write};
use pin_project_lite::pin_project;

/// A byte stream as hyper wants it, that may move between threads. Implemented for all that qualifies.
pub trait Io: Read + Write + Unpin + Send + 'static {}

impl<T: Read + Write + Unpin + Send + 'static> Io for T {}

/// Any [`Io`] behind one pointer.
pub type BoxIo = Box<dyn Io>;

/// An async runtime: how to spawn, to tell time and to open sockets.
///
/// The clock is the supertrait [`hyper::rt::Timer`]: a runtime serves as hyper's timer as it is.
pub trait Runtime: Timer + Clone + Default + fmt::Debug + Send + Sync + Unpin + 'static {
    /// A connected TCP socket, with `TCP_NODELAY` on.
    type Io: Io;
    /// A bound TCP socket.
    type Listener: Listener<Self, Io = Self::Io>;

    /// Runs a future to its end, in the background.
    fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Binds a socket and listens. Port 0 takes a free one.
    fn listen(
        &self,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Opens a connection.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// The addresses of a host, a name or an address in text, in the order in which to try them.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// A source of connections for a server: a TCP listener, or a user's own.
pub trait Listener<R>: Send + 'static {
    /// A connection.
    type Io: Io;

    /// Waits for the next connection. Must be cancel-safe: a dropped future loses no connection.
    ///
    /// An error does not end the server: it waits a little and asks again.
    fn accept(&mut self)
    -> impl Future<Output = io::Result<(Self::Io, Option<SocketAddr>)>> + Send;

    /// The address clients connect to.
    ///
    /// # Errors
    ///
    /// When the listener has no IP address.
    fn local_addr(&self) -> io::Result<SocketAddr>;
}

/// The runtime's clock as calls see it, for routers and transports that no server or channel of this runtime drives: in
/// process, or mounted in another HTTP server. Its epoch is now.
pub fn call_timer<R: Runtime>(runtime: &R) -> SharedTimer {
    Arc::new(CallTimer {
        epoch: runtime.now(),
        runtime: runtime.clone(),
    })
}

#[derive(Debug)]
struct CallTimer<R> {
    runtime: R,
    epoch: Instant,
}

impl<R: Runtime> connect_tower::rt::Timer for CallTimer<R> {
    fn now(&self) -> Time {
        Time::from_epoch(self.runtime.now().saturating_duration_since(self.epoch))
    }

    fn sleep_until(&self, at: Time) -> connect_tower::rt::Sleep {
        match self.epoch.checked_add(at.since_epoch()) {
            Some(at) => Box::pin(self.runtime.sleep_until(at)),
            // Beyond the end of the clock: it never comes.
            None => Box::pin(std::future::pending()),
        }
    }
}

/// The flow-control windows of an HTTP/2 connection, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Windows {
    pub(crate) stream: u32,
    pub(crate) connection: u32,
}

impl Windows {
    /// RFC 9113, section 6.9.1: at most 2^31 - 1 bytes.
    pub(crate) fn new(stream: u32, connection: u32) -> Self {
        const MAX: u32 = (1 << 31) - 1;
        Self {
            stream: stream.min(MAX),
            connection: connection.min(MAX),
        }
    }
}

/// Timeouts are cut to this: "never" must not overflow hyper's clock.
pub(crate) const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The first of two futures to end; of two that are ready the left.
pub(crate) enum Either<A, B> {
    Left(A),
    Right(B),
}

/// Drives both until one ends, and drops the other.
pub(crate) async fn race<A: Future, B: Future>(left: A, right: B) -> Either<A::Output, B::Output> {
    let (mut left, mut right) = (pin!(left), pin!(right));
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = left.as_mut().poll(cx) {
            return Poll::Ready(Either::Left(output));
        }
        right.as_mut().poll(cx).map(Either::Right)
    })
    .await
}

/// Lets other tasks run.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The future's output, or `None` once the time is over.
pub(crate) fn timeout<R: Runtime, F: Future>(
    runtime: &R,
    after: Duration,
    future: F,
) -> Timeout<F> {
    Timeout {
        future,
        // A deadline beyond the end of the clock is none: nothing waits that long.
        sleep: runtime
            .now()
            .checked_add(after)
            .map(|deadline| runtime.sleep_until(deadline)),
    }
}

pin_project! {
    pub(crate) struct Timeout<F> {
        #[pin]
        future: F,
        sleep: Option<Pin<Box<dyn Sleep>>>,
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Option<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Some(output));
        }
        match this.sleep {
            Some(sleep) => sleep.as_mut().poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    }
}
