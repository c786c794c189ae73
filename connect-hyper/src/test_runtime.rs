//! A runtime without sockets, tasks or a clock that moves, for unit tests.

use std::{
    future::{Future, pending},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use hyper::rt::{ReadBufCursor, Sleep, Timer};

use crate::runtime::{Listener, Runtime};

#[derive(Clone, Debug, Default)]
pub(crate) struct NoRuntime;

impl Runtime for NoRuntime {
    type Io = NoIo;
    type Listener = NoListener;

    fn spawn<F: Future<Output = ()> + Send + 'static>(&self, future: F) {
        drop(future);
    }

    async fn listen(&self, _: SocketAddr) -> io::Result<NoListener> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, _: SocketAddr) -> io::Result<NoIo> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Timer for NoRuntime {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }

    fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Never)
    }
}

struct Never;

impl Sleep for Never {}

impl Future for Never {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

#[derive(Debug)]
pub(crate) struct NoListener;

impl Listener<NoRuntime> for NoListener {
    type Io = NoIo;

    async fn accept(&mut self) -> io::Result<(NoIo, Option<SocketAddr>)> {
        pending().await
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
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
