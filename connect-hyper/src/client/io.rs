//! A connection's bytes: read within a budget, the first ones looked at, written as HTTP/2 may write them.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::{
    large_trailers::{BlockTracker, LargeTrailers},
    remote::{FIRST_BYTES, Remote},
    sent_streams::{FrameTracker, Next, SentStreams},
    write_turn::WriteTurn,
};
use crate::{frames::poll_read_seen, read_budget::ReadBudget, runtime::BoxIo};

/// A connection for hyper, which reads only so much in one poll of the connection's task.
pub(super) struct ClientIo {
    io: BoxIo,
    budget: Arc<ReadBudget>,
    writes: WriteTurn,
    /// In cleartext, until the first bytes have come: whether another protocol speaks. To HTTP they are only noise.
    unseen: Option<Unseen>,
    /// Of HTTP/2: what is written, and what is read.
    frames: Option<FrameTracker>,
    blocks: Option<BlockTracker>,
}

struct Unseen {
    wants_http2: bool,
    remote: Arc<Remote>,
}

impl ClientIo {
    pub(super) fn tls(io: BoxIo) -> Self {
        Self {
            io,
            budget: Arc::new(ReadBudget::new()),
            writes: WriteTurn::default(),
            unseen: None,
            frames: None,
            blocks: None,
        }
    }

    pub(super) fn cleartext(io: BoxIo, wants_http2: bool, remote: Arc<Remote>) -> Self {
        Self {
            unseen: Some(Unseen {
                wants_http2,
                remote,
            }),
            ..Self::tls(io)
        }
    }

    /// The streams that HTTP/2 opens here. To be called before anything is written.
    pub(super) fn sent_streams(&mut self) -> SentStreams {
        let streams = SentStreams::default();
        self.frames = Some(FrameTracker::new(streams.clone()));
        streams
    }

    /// Looks for trailers of HTTP/2 that are too large. To be called before anything is read.
    pub(super) fn find_large_trailers(&mut self, large: LargeTrailers) {
        self.blocks = Some(BlockTracker::new(large));
    }

    /// How many reads are left, for the connection's task to refill at each poll.
    pub(super) fn read_budget(&self) -> Arc<ReadBudget> {
        Arc::clone(&self.budget)
    }

    /// Whose writes leave together, for the connection's task to begin at each poll; of one that never does, each leaves at once.
    pub(super) fn write_turn(&self) -> WriteTurn {
        self.writes.clone()
    }
}

impl Read for ClientIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.budget.poll_spend(cx));
        let this = &mut *self;
        if this.unseen.is_none() || buf.remaining() < FIRST_BYTES {
            let io = Pin::new(&mut this.io);
            let Some(blocks) = &mut this.blocks else {
                return io.poll_read(cx, buf);
            };
            let mut seen = Ok(());
            ready!(poll_read_seen(io, cx, buf, |bytes| seen = blocks.read(bytes)))?;
            return Poll::Ready(seen);
        }
        // What is read into the caller's buffer cannot be seen from here.
        let mut bytes = [0; FIRST_BYTES];
        let mut first = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut this.io).poll_read(cx, first.unfilled()))?;
        if let Some(blocks) = &mut this.blocks {
            blocks.read(first.filled())?;
        }
        if let Some(unseen) = this.unseen.take() {
            let remote = &unseen.remote;
            remote.note_first_bytes(first.filled(), unseen.wants_http2);
        }
        buf.put_slice(first.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for ClientIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writes.poll_others_first(cx));
        let this = &mut *self;
        let io = Pin::new(&mut this.io);
        let Some(frames) = &mut this.frames else {
            return io.poll_write(cx, buf);
        };
        match frames.next(buf) {
            Next::Withhold(count) => Poll::Ready(Ok(count)),
            Next::Write(count) => {
                let written = ready!(io.poll_write(cx, &buf[..count]))?;
                frames.wrote(buf, written);
                Poll::Ready(Ok(written))
            }
        }
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
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.writes.poll_others_first(cx));
        let this = &mut *self;
        if this.frames.as_ref().is_some_and(FrameTracker::withholds) {
            let first = bufs.iter().find(|buf| !buf.is_empty());
            return self.poll_write(cx, first.map_or(&[], |buf| buf));
        }
        let written = ready!(Pin::new(&mut this.io).poll_write_vectored(cx, bufs))?;
        if let Some(frames) = &mut this.frames {
            let mut rest = written;
            for buf in bufs {
                let count = rest.min(buf.len());
                frames.wrote(buf, count);
                rest -= count;
            }
        }
        Poll::Ready(Ok(written))
    }
}
