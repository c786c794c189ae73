//! A `futures-io` stream as hyper wants it.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

#[cfg(feature = "tls")]
use hyper::rt::ReadBuf;
use hyper::rt::{Read, ReadBufCursor, Write};
use smol::io::{AsyncRead, AsyncWrite};

/// Any stream of `futures-io`, as hyper wants it: for your own listener.
///
/// hyper shuts a connection down by the stream's `poll_close`, which must close the writing side.
#[derive(Clone, Copy, Debug, Default)]
pub struct FuturesIo<T>(T);

impl<T> FuturesIo<T> {
    /// Wraps a stream.
    pub const fn new(stream: T) -> Self {
        Self(stream)
    }

    /// The stream.
    pub fn into_inner(self) -> T {
        self.0
    }
}

/// How many bytes one read takes at most.
const READ: usize = 64 * 1024;

thread_local! {
    /// Where sockets read into: without `unsafe` hyper's buffers can only be copied into, and so no connection needs a
    /// buffer of its own. Empty until the first read.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl<T: AsyncRead + Unpin> Read for FuturesIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        SCRATCH.with(|cell| {
            // Taken out while it is in use: a stream that reads from another such stream gets one of its own.
            let mut scratch = cell.take();
            if scratch.is_empty() {
                scratch.resize(READ, 0);
            }
            let room = buf.remaining().min(READ);
            let polled = Pin::new(&mut self.0).poll_read(cx, &mut scratch[..room]);
            if let Poll::Ready(Ok(read)) = polled {
                buf.put_slice(&scratch[..read]);
            }
            cell.set(scratch);
            polled.map_ok(|_| ())
        })
    }
}

impl<T: AsyncWrite + Unpin> Write for FuturesIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
}

/// The other way: a connection of hyper as a stream of `futures-io`, for TLS.
#[cfg(feature = "tls")]
pub(crate) struct HyperIo<T>(pub(crate) T);

#[cfg(feature = "tls")]
impl<T: Read + Unpin> AsyncRead for HyperIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        let read = Pin::new(&mut self.0).poll_read(cx, buf.unfilled());
        read.map_ok(|()| buf.filled().len())
    }
}

#[cfg(feature = "tls")]
impl<T: Write + Unpin> AsyncWrite for HyperIo<T> {
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
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
