//! A runtime without sockets and tasks, whose time stands still or is over at once, for unit tests.

use std::{
    future::{Future, pending, ready},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use connect_tower::{
    Time,
    rt::{Sleep, Timer},
};
use hyper::rt::ReadBufCursor;

use crate::runtime::{Accepted, ListenAddr, ListenOptions, Listener, Runtime};

#[derive(Clone, Debug, Default)]
pub(crate) struct NoRuntime {
    /// Sleeps up to this time are over at once, others never.
    slept: Time,
}

impl NoRuntime {
    /// The port where connections are refused.
    pub(crate) const REFUSES: u16 = 1;
    /// The port where nobody answers.
    pub(crate) const SILENT: u16 = 2;
    /// The port that takes connections.
    pub(crate) const TAKES: u16 = 3;

    /// Every sleep is over when it begins.
    pub(crate) fn with_time_over() -> Self {
        Self { slept: Time::MAX }
    }

    /// Sleeps from the beginning of time are over when they last no longer than this.
    pub(crate) fn with_sleeps_of(time: Duration) -> Self {
        Self {
            slept: Time::ZERO.saturating_add(time),
        }
    }
}

impl Runtime for NoRuntime {
    type Io = NoIo;
    type Listener = NoListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(future);
    }

    async fn listen(&self, _: SocketAddr, _: &ListenOptions) -> io::Result<NoListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, address: SocketAddr) -> io::Result<NoIo> {
        match address.port() {
            Self::TAKES => Ok(NoIo),
            Self::SILENT => pending().await,
            _ => Err(io::ErrorKind::ConnectionRefused.into()),
        }
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Timer for NoRuntime {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        match at <= self.slept {
            true => Box::pin(ready(())),
            false => Box::pin(pending()),
        }
    }
}

#[derive(Debug)]
pub(crate) struct NoListener;

impl Listener<NoRuntime> for NoListener {
    type Io = NoIo;

    async fn accept(&mut self) -> io::Result<Accepted<NoIo>> {
        pending().await
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        None
    }
}

/// A connection on which nothing happens.
#[derive(Debug)]
pub(crate) struct NoIo;

impl hyper::rt::Read for NoIo {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}

impl hyper::rt::Write for NoIo {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Pending
    }
}
