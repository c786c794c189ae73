//! A server connection's bytes: the first ones looked at and given back, the last ones read to the end.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_tower::{Connection, rt::Sleep};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::{
    drain::{Phase, PhaseReader},
    floods::{AnsweredFrames, Flood},
    lifetime::Activity,
    stall::{CallEnd, WriteTimeout},
};
use crate::{
    frames::{FrameReader, MAX_HEADER_LIST_SIZE, SETTINGS, Seen, poll_read_seen},
    read_budget::ReadBudget,
    runtime::{BoxIo, Io, Runtime},
};

/// What every HTTP/2 connection starts with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Reads of a closing connection in one poll, before other tasks run.
const LINGER_READS_PER_POLL: usize = 16;

/// A socket, in the clear or behind TLS.
pub(super) enum Transport<I> {
    Plain(I),
    Tls(BoxIo),
}

/// A connection for hyper.
///
/// - Bytes that were read to tell the HTTP version are read again.
/// - A shutdown lingers: after the write half is closed, what the client still sends is read and thrown away
///   until it closes too, for a bounded time. Else the kernel answers unread bytes with a reset, which can
///   overtake the response: a client that is refused in the middle of an upload would not learn why.
/// - An HTTP/1.1 client that has closed its writing side still gets its answer (RFC 9112, section 9.6). hyper does not read
///   while a call is on, then; so a flush looks whether the connection was reset.
/// - A write for which the socket has no room for too long is an error, and with it the connection ends.
pub(super) struct ServerIo<R, I> {
    io: Transport<I>,
    read_budget: ReadBudget,
    prefix: [u8; PREFACE.len()],
    prefix_start: usize,
    prefix_end: usize,
    /// HTTP/1.1: how long a client that has closed its writing side may wait for its answer, or for more of it.
    half_close: Option<Duration>,
    /// It has. To be read once more.
    at_eof: bool,
    /// Until it has waited for so long.
    wait: Option<Sleep>,
    /// HTTP/2: until the client's first settings were read.
    settings: Option<Box<FirstSettings>>,
    linger: Linger,
    linger_timeout: Duration,
    phase: PhaseReader,
    runtime: R,
    write_timeout: WriteTimeout<R>,
    /// HTTP/1.1: the end of the present call.
    call_end: CallEnd,
    activity: Arc<Activity>,
    /// HTTP/2: what the client makes the server answer.
    answered: Option<AnsweredFrames>,
    /// While the socket takes no bytes.
    stall: Option<Sleep>,
}

/// Reads what an HTTP/2 client takes in the settings that it must send first (RFC 9113, section 3.4).
struct FirstSettings {
    frames: FrameReader,
    connection: Connection,
    are_over: bool,
}

impl FirstSettings {
    fn read(&mut self, bytes: &[u8]) {
        self.frames.read(bytes, |seen| match seen {
            Seen::Setting {
                id: MAX_HEADER_LIST_SIZE,
                value,
            } if !self.are_over => {
                let bytes = usize::try_from(value).unwrap_or(usize::MAX);
                self.connection.note_header_limit(bytes);
            }
            Seen::Frame(head) if head.kind != SETTINGS => self.are_over = true,
            Seen::Setting { .. } | Seen::Frame(_) => {}
        });
    }
}

enum Linger {
    NotYet,
    Reading {
        until: Sleep,
        /// Whether the client has sent anything since.
        has_received: bool,
    },
    Done,
}

impl<R: Runtime, I: Io> ServerIo<R, I> {
    pub(super) fn new(
        io: Transport<I>,
        runtime: R,
        linger_timeout: Duration,
        phase: PhaseReader,
        write_timeout: WriteTimeout<R>,
        activity: Arc<Activity>,
    ) -> Self {
        Self {
            io,
            read_budget: ReadBudget::new(),
            prefix: [0; PREFACE.len()],
            prefix_start: 0,
            prefix_end: 0,
            half_close: None,
            at_eof: false,
            wait: None,
            settings: None,
            linger: Linger::NotYet,
            linger_timeout,
            phase,
            runtime,
            write_timeout,
            call_end: CallEnd::default(),
            activity,
            answered: None,
            stall: None,
        }
    }

    /// How many reads are left, for the connection's task to refill.
    pub(super) fn read_budget(&self) -> ReadBudget {
        self.read_budget.clone()
    }

    /// Lets the client close its writing side before it has its answer, and then take nothing for this long. hyper must have
    /// been told, too.
    pub(super) fn allow_half_close(&mut self, timeout: Duration) {
        self.half_close = Some(timeout);
    }

    /// Reads ahead, to learn of a reset while hyper does not read; the little that comes stays to be read.
    fn look_for_reset(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.at_eof || self.prefix_start < self.prefix_end {
            return Ok(());
        }
        let mut buf = ReadBuf::new(&mut self.prefix);
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf.unfilled()) {
            read?;
            let read = buf.filled().len();
            (self.prefix_start, self.prefix_end) = (0, read);
            self.at_eof = read == 0;
            // hyper may wait for these bytes, and the socket has no more to say.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// Whether a client that has closed its writing side goes on waiting. One that has gone looks the same, until something is
    /// sent to it.
    fn wait_at_eof(&mut self, cx: &mut Context<'_>, timeout: Duration) -> io::Result<()> {
        if !self.at_eof {
            return Ok(());
        }
        let wait = self.wait.get_or_insert_with(|| self.runtime.sleep(timeout));
        if wait.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        let text = "the client closed its side, and there was nothing to send to it for too long";
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Reads the client's HTTP/2 settings into what is known of its connection. To be called before hyper reads.
    pub(super) fn read_settings_for(&mut self, connection: &Connection) {
        self.settings = Some(Box::new(FirstSettings {
            frames: FrameReader::default(),
            connection: connection.clone(),
            are_over: false,
        }));
    }

    /// Ends the connection when these are too many. To be called before hyper writes.
    pub(super) fn count_answers(&mut self, answered: AnsweredFrames) {
        self.answered = Some(answered);
    }

    /// Notes what was written.
    ///
    /// # Errors
    ///
    /// When the client floods the connection. It is told, if the socket has room.
    fn note_written<'a>(
        &mut self,
        cx: &mut Context<'_>,
        written: &Poll<io::Result<usize>>,
        bufs: impl IntoIterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let (Some(answered), &Poll::Ready(Ok(mut count))) = (&mut self.answered, written) else {
            return Ok(());
        };
        let mut ends = false;
        for buf in bufs {
            let written = &buf[..count.min(buf.len())];
            count -= written.len();
            ends = answered.wrote(written, &self.runtime);
            if count == 0 {
                break;
            }
        }
        if !ends {
            return Ok(());
        }
        self.activity.set_flood(Flood::ControlFrames);
        let farewell = answered.farewell();
        let _ = Pin::new(&mut self.io).poll_write(cx, farewell);
        let _ = Pin::new(&mut self.io).poll_flush(cx);
        Err(io::Error::other(
            "the client sent too many frames that have to be answered",
        ))
    }

    /// Where a call puts its end.
    pub(super) fn call_end(&self) -> CallEnd {
        self.call_end.clone()
    }

    /// The outcome of a write, unless the client has taken nothing for too long.
    fn unless_stalled<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.activity.set_blocked(written.is_pending());
        if written.is_ready() {
            self.stall = None;
            return written;
        }
        let (write_timeout, end) = (&self.write_timeout, &self.call_end);
        let stall = self
            .stall
            .get_or_insert_with(|| write_timeout.start(end.get()));
        stall.as_mut().poll(cx).map(|()| {
            let text = "the client did not read its answer for too long";
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
    }

    /// Whether the client speaks HTTP/2, by its first bytes. They stay to be read.
    ///
    /// # Errors
    ///
    /// As reading; also when the client leaves before it said anything.
    pub(super) async fn starts_with_http2(&mut self) -> io::Result<bool> {
        poll_fn(|cx| {
            while self.prefix_end < PREFACE.len() {
                let mut buf = ReadBuf::new(&mut self.prefix[self.prefix_end..]);
                ready!(Pin::new(&mut self.io).poll_read(cx, buf.unfilled()))?;
                let read = buf.filled().len();
                let start = self.prefix_end;
                self.prefix_end += read;
                if self.prefix[start..self.prefix_end] != PREFACE[start..self.prefix_end] {
                    return Poll::Ready(Ok(false));
                }
                if read == 0 {
                    return Poll::Ready(match start {
                        0 => Err(io::ErrorKind::UnexpectedEof.into()),
                        _ => Ok(false),
                    });
                }
            }
            Poll::Ready(Ok(true))
        })
        .await
    }

    /// Reads and discards until the client closes or the time is up.
    fn poll_linger(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Linger::Reading {
            until,
            has_received,
        } = &mut self.linger
        else {
            return Poll::Ready(());
        };
        if until.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let mut scratch = [0; 4096];
        for _ in 0..LINGER_READS_PER_POLL {
            let mut buf = ReadBuf::new(&mut scratch);
            match Pin::new(&mut self.io).poll_read(cx, buf.unfilled()) {
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => *has_received = true,
                Poll::Ready(_) => return Poll::Ready(()),
                // A client that has nothing to say at a shutdown is idle: it loses nothing, and the drain
                // is quick.
                Poll::Pending if !*has_received && self.phase.phase() != Phase::Serving => {
                    return Poll::Ready(());
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl<R: Runtime, I: Io> Read for ServerIo<R, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.prefix_start < self.prefix_end {
            let len = buf.remaining().min(self.prefix_end - self.prefix_start);
            let end = self.prefix_start + len;
            buf.put_slice(&self.prefix[self.prefix_start..end]);
            self.prefix_start = end;
            self.activity.note_read();
            let looks_ahead = self.half_close.is_some() && !self.at_eof && buf.remaining() > 0;
            if looks_ahead && self.read_budget.poll_spend(cx).is_ready() {
                // A body goes on behind what was read ahead: without this it would come in pieces as small as that.
                if let Poll::Ready(Err(error)) = Pin::new(&mut self.io).poll_read(cx, buf) {
                    return Poll::Ready(Err(error));
                }
            }
            return Poll::Ready(Ok(()));
        }
        if self.at_eof {
            return Poll::Ready(Ok(()));
        }
        ready!(self.read_budget.poll_spend(cx));
        let this = &mut *self;
        let io = Pin::new(&mut this.io);
        let read = match &mut this.settings {
            Some(settings) => poll_read_seen(io, cx, buf, |bytes| settings.read(bytes)),
            None => io.poll_read(cx, buf),
        };
        if read.is_ready() {
            this.activity.note_read();
        }
        if this.settings.as_ref().is_some_and(|s| s.are_over) {
            this.settings = None;
        }
        read
    }
}

impl<R: Runtime, I: Io> Write for ServerIo<R, I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.wait = None;
        self.note_written(cx, &written, [buf])?;
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.unless_stalled(cx, flushed))?;
        if let Some(timeout) = self.half_close {
            self.look_for_reset(cx)?;
            self.wait_at_eof(cx, timeout)?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Linger::NotYet = self.linger {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.unless_stalled(cx, shut))?;
            self.linger = Linger::Reading {
                until: self.runtime.sleep(self.linger_timeout),
                has_received: false,
            };
        }
        ready!(self.poll_linger(cx));
        self.linger = Linger::Done;
        Poll::Ready(Ok(()))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.wait = None;
        self.note_written(cx, &written, bufs.iter().map(|buf| &**buf))?;
        self.unless_stalled(cx, written)
    }
}

impl<I: Io> Read for Transport<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl<I: Io> Write for Transport<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, buf),
            Self::Tls(io) => Pin::new(io).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Tls(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Tls(io) => Pin::new(io).poll_shutdown(cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(io) => io.is_write_vectored(),
            Self::Tls(io) => io.is_write_vectored(),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            Self::Tls(io) => Pin::new(io).poll_write_vectored(cx, bufs),
        }
    }
}
