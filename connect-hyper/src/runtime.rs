//! The few things an async runtime supplies: tasks, a clock, TCP and names.
//!
//! Everything else in this crate is written once over these traits. An adapter (such as
//! `connect-tokio`) implements them on a unit struct and names the types of this crate with it; it holds no
//! logic of its own.

mod byte_stream;
mod keep_alive;
mod listen;

use std::{
    fmt,
    future::Future,
    io,
    net::SocketAddr,
    path::Path,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use connect_proto::Time;
use connect_tower::rt::{SharedTimer, Sleep, Timer};

pub(crate) use self::listen::can_share_port;
pub use self::{
    byte_stream::{BoxIo, Io},
    keep_alive::keep_alive,
    listen::{Accepted, ListenAddr, ListenOptions, Listener, StreamListener},
};

/// An async runtime: how to spawn, to tell time and to open sockets.
///
/// The clock is the supertrait [`Timer`]; clones tell the same time.
pub trait Runtime: Timer + Clone + Default + fmt::Debug + Send + Sync + Unpin + 'static {
    /// A connected TCP socket, with `TCP_NODELAY` on. Those of [`connect`](Self::connect) have TCP's keepalive on too: see
    /// [`keep_alive`].
    type Io: Io;
    /// A bound TCP socket.
    type Listener: Listener<Self, Io = Self::Io>;

    /// Runs a future to its end, in the background.
    fn spawn<F>(&self, future: F)
    where
        F: Future<Output = ()> + Send + 'static;

    /// Listens on an address: [`ListenOptions::bind`], and the runtime's type of what that returns.
    fn listen(
        &self,
        address: SocketAddr,
        options: &ListenOptions,
    ) -> impl Future<Output = io::Result<Self::Listener>> + Send;

    /// Opens a connection.
    fn connect(&self, address: SocketAddr) -> impl Future<Output = io::Result<Self::Io>> + Send;

    /// Opens a connection to a Unix domain socket.
    ///
    /// # Errors
    ///
    /// Unless implemented: `Unsupported`, as on platforms without.
    fn connect_unix(&self, path: &Path) -> impl Future<Output = io::Result<BoxIo>> + Send {
        let _ = path;
        std::future::ready(Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "there are no Unix domain sockets here",
        )))
    }

    /// The addresses of a host, a name or an address in text, in the order in which to try them.
    fn resolve(
        &self,
        host: &str,
        port: u16,
    ) -> impl Future<Output = io::Result<Vec<SocketAddr>>> + Send;
}

/// A runtime that can have a thread to itself: what a server's workers are made of.
pub trait WorkerRuntime: Runtime {
    /// Makes a runtime of the calling thread alone, and on it drives the future that the function makes, to its end. Tasks
    /// that are spawned on what the function is given run on this thread too, and are dropped when the future ends.
    ///
    /// # Errors
    ///
    /// When the runtime cannot be made.
    fn run_worker<F: Future<Output = ()>>(work: impl FnOnce(Self) -> F) -> io::Result<()>;
}

/// The moment from which an adapter counts the [`Time`] of its clock, which has [`Instant`]s.
#[derive(Clone, Copy, Debug)]
pub struct Epoch(Instant);

impl Epoch {
    /// Time is counted from then.
    #[must_use]
    pub const fn at(instant: Instant) -> Self {
        Self(instant)
    }

    /// The time of this instant: zero for those before the epoch.
    #[must_use]
    pub fn time(self, instant: Instant) -> Time {
        Time::from_epoch(instant.saturating_duration_since(self.0))
    }

    /// The instant of this time; `None` beyond the end of the clock.
    #[must_use]
    pub fn instant(self, time: Time) -> Option<Instant> {
        self.0.checked_add(time.since_epoch())
    }
}

/// A timer as hyper wants it. Its instants mean something to hyper's connections alone.
#[derive(Clone, Debug)]
pub(crate) struct HyperTimer(Arc<TimerSince>);

#[derive(Debug)]
struct TimerSince {
    timer: SharedTimer,
    epoch: Epoch,
}

impl HyperTimer {
    pub(crate) fn new(timer: SharedTimer) -> Self {
        Self(Arc::new(TimerSince {
            timer,
            epoch: Epoch::at(Instant::now()),
        }))
    }
}

impl hyper::rt::Timer for HyperTimer {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn hyper::rt::Sleep>> {
        Box::pin(HyperSleep(self.0.timer.sleep(duration)))
    }

    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn hyper::rt::Sleep>> {
        let at = self.0.epoch.time(deadline);
        Box::pin(HyperSleep(self.0.timer.sleep_until(at)))
    }

    fn now(&self) -> Instant {
        let now = self.0.epoch.instant(self.0.timer.now());
        // A timer that stands at the end of time has no instant.
        now.unwrap_or(self.0.epoch.0)
    }
}

struct HyperSleep(Sleep);

impl hyper::rt::Sleep for HyperSleep {}

impl Future for HyperSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
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

/// The size of HTTP/2 frames that are received, unless set: a message of 16 KiB and its prefix come in one frame, and need
/// not be put together by a copy.
pub(crate) const MAX_FRAME_SIZE: u32 = 64 * 1024;

/// A size of frames as HTTP/2 allows it (RFC 9113, section 6.5.2).
pub(crate) fn frame_size(bytes: u32) -> u32 {
    bytes.clamp(1 << 14, (1 << 24) - 1)
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
pub(crate) async fn timeout<R: Runtime, F: Future>(
    runtime: &R,
    after: Duration,
    future: F,
) -> Option<F::Output> {
    match race(future, runtime.sleep(after)).await {
        Either::Left(output) => Some(output),
        Either::Right(()) => None,
    }
}

/// A time up to a tenth shorter or longer, by a number from 0 to 1: what began together is not to end together.
pub(crate) fn vary(time: Duration, random: f64) -> Duration {
    time.mul_f64(0.9 + 0.2 * random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_vary_by_a_tenth() {
        let time = Duration::from_secs;
        for (random, varied) in [(0.0, 90), (0.5, 100), (1.0, 110)] {
            assert_eq!(vary(time(100), random), time(varied));
        }
    }
}
