//! The server at the other end of a connection, and what its first bytes tell about it.

use std::{
    fmt, io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use crate::runtime::Io;

/// Whom a connection leads to. It shows as the address.
#[derive(Debug)]
pub(super) struct Remote {
    address: SocketAddr,
    mistaken: OnceLock<Mistaken>,
}

/// What a server speaks that was spoken to in another way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mistaken {
    /// TLS, to a client in cleartext.
    Tls,
    /// HTTP/1, to a client that speaks HTTP/2 with prior knowledge.
    Http1,
}

impl Remote {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self {
            address,
            mistaken: OnceLock::new(),
        }
    }

    /// What its first bytes were, if they were not what the client asked for.
    pub(super) fn mistaken(&self) -> Option<Mistaken> {
        self.mistaken.get().copied()
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

/// A cleartext connection that notices if the server's first bytes are of another protocol: to HTTP they are only noise.
pub(super) struct Cleartext<I> {
    io: I,
    http2: bool,
    remote: Arc<Remote>,
    is_new: bool,
}

impl<I> Cleartext<I> {
    pub(super) fn new(io: I, http2: bool, remote: Arc<Remote>) -> Self {
        Self {
            io,
            http2,
            remote,
            is_new: true,
        }
    }
}

/// The type and version of a TLS record, RFC 8446, section 5.1, tell it. Shorter than any first read needs to be.
const PREFIX: usize = 2;

impl<I: Io> Read for Cleartext<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.is_new || buf.remaining() < PREFIX {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        // What is read into the caller's buffer cannot be seen from here.
        let mut bytes = [0; PREFIX];
        let mut first = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.io).poll_read(cx, first.unfilled()))?;
        self.is_new = false;
        let mistaken = match first.filled() {
            // An alert or a handshake, of any version since SSL 3.
            [0x15 | 0x16, 0x03] => Some(Mistaken::Tls),
            // A status line. As HTTP/2 it would be a frame of 4 MiB, before any setting that allows one.
            b"HT" if self.http2 => Some(Mistaken::Http1),
            _ => None,
        };
        if let Some(mistaken) = mistaken {
            let _ = self.remote.mistaken.set(mistaken);
        }
        buf.put_slice(first.filled());
        Poll::Ready(Ok(()))
    }
}

impl<I: Io> Write for Cleartext<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
