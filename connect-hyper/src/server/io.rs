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
    drain::Phase,
    floods::{AnsweredFrames, Flood},
    lifetime::Activity,
    stall::CallEnd,
};
use crate::{
    frames::{FrameReader, MAX_HEADER_LIST_SIZE, SETTINGS, Seen, poll_read_seen},
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
    activity: Arc<Activity<R>>,
    /// What was read ahead.
    prefix: Prefix,
    /// The client has closed its writing side. To be read once more.
    at_eof: bool,
    version: IoVersion,
    /// While the socket takes no bytes.
    stall: Option<Sleep>,
    linger: Linger,
}

/// Bytes that were read and are to be read again. Small: every connection has room for them.
#[derive(Default)]
struct Prefix {
    bytes: [u8; PREFACE.len()],
    start: u8,
    end: u8,
}

/// What the version of HTTP asks of its connection's bytes.
enum IoVersion {
    /// Still to be told, by the first bytes.
    Unknown,
    Http1(Box<Http1Io>),
    Http2 {
        /// Until the client's first settings were read.
        settings: Option<Box<FirstSettings>>,
        /// What the client makes the server answer.
        answered: AnsweredFrames,
    },
}

#[derive(Default)]
struct Http1Io {
    /// The end of the present call.
    call_end: CallEnd,
    /// Until a client that has closed its writing side has waited for too long.
    wait: Option<Sleep>,
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

impl Prefix {
    fn unread(&self) -> &[u8] {
        &self.bytes[usize::from(self.start)..usize::from(self.end)]
    }

    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// So many bytes are to be read.
    fn fill(&mut self, len: usize) {
        self.start = 0;
        // There is room for fewer than 256.
        self.end = u8::try_from(len).unwrap_or(u8::MAX);
    }

    /// The next bytes, up to a number.
    fn take(&mut self, max: usize) -> &[u8] {
        let start = usize::from(self.start);
        let len = self.unread().len().min(max);
        self.start += u8::try_from(len).unwrap_or(u8::MAX);
        &self.bytes[start..start + len]
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
    pub(super) fn new(io: Transport<I>, activity: Arc<Activity<R>>) -> Self {
        Self {
            io,
            activity,
            prefix: Prefix::default(),
            at_eof: false,
            version: IoVersion::Unknown,
            stall: None,
            linger: Linger::NotYet,
        }
    }

    /// It speaks HTTP/1.1. Returns the place where a call puts its end.
    pub(super) fn speak_http1(&mut self) -> CallEnd {
        let version = Box::<Http1Io>::default();
        let call_end = version.call_end.clone();
        self.version = IoVersion::Http1(version);
        call_end
    }

    /// It speaks HTTP/2. The client's settings are read into what is known of its connection. To be called before hyper reads.
    pub(super) fn speak_http2(&mut self, connection: &Connection) {
        self.version = IoVersion::Http2 {
            settings: Some(Box::new(FirstSettings {
                frames: FrameReader::default(),
                connection: connection.clone(),
                are_over: false,
            })),
            answered: AnsweredFrames::default(),
        };
    }

    /// HTTP/1.1: how long a client that has closed its writing side may wait for its answer, or for more of it.
    fn half_close(&self) -> Option<Duration> {
        match self.version {
            IoVersion::Http1(_) => self.activity.server.config.http1_half_close,
            IoVersion::Unknown | IoVersion::Http2 { .. } => None,
        }
    }

    /// Reads ahead, to learn of a reset while hyper does not read; the little that comes stays to be read.
    fn look_for_reset(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.at_eof || !self.prefix.is_empty() {
            return Ok(());
        }
        let mut buf = ReadBuf::new(&mut self.prefix.bytes);
        if let Poll::Ready(read) = Pin::new(&mut self.io).poll_read(cx, buf.unfilled()) {
            read?;
            let read = buf.filled().len();
            self.prefix.fill(read);
            self.at_eof = read == 0;
            // hyper may wait for these bytes, and the socket has no more to say.
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    /// HTTP/1.1, after a flush: whether the client is there. One that has closed its writing side may wait for its answer, or for
    /// more of it, for some time. One that has gone looks the same, until something is sent to it.
    fn look_for_client(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(timeout) = self.half_close() else {
            return Ok(());
        };
        // Between calls hyper reads. On some runtimes each look is a system call.
        if !self.activity.has_calls() {
            return Ok(());
        }
        self.look_for_reset(cx)?;
        let (IoVersion::Http1(version), true) = (&mut self.version, self.at_eof) else {
            return Ok(());
        };
        let runtime = &self.activity.server.runtime;
        let wait = version.wait.get_or_insert_with(|| runtime.sleep(timeout));
        if wait.as_mut().poll(cx).is_pending() {
            return Ok(());
        }
        let text = "the client closed its side, and there was nothing to send to it for too long";
        Err(io::Error::new(io::ErrorKind::TimedOut, text))
    }

    /// Notes the outcome of a write.
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
        let server = &self.activity.server;
        let (answered, max) = match (&mut self.version, server.config.max_control_frames) {
            (IoVersion::Http2 { answered, .. }, Some(max)) => (answered, max),
            (IoVersion::Http1(version), _) => {
                version.wait = None;
                return Ok(());
            }
            (IoVersion::Unknown | IoVersion::Http2 { .. }, _) => return Ok(()),
        };
        let &Poll::Ready(Ok(mut count)) = written else {
            return Ok(());
        };
        let mut ends = false;
        for buf in bufs {
            let written = &buf[..count.min(buf.len())];
            count -= written.len();
            ends = answered.wrote(written, max, &server.runtime);
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
        let call_end = match &self.version {
            IoVersion::Http1(version) => version.call_end.get(),
            IoVersion::Unknown | IoVersion::Http2 { .. } => None,
        };
        let server = &self.activity.server;
        let stall = self
            .stall
            .get_or_insert_with(|| server.write_timer(call_end));
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
            while self.prefix.unread().len() < PREFACE.len() {
                let start = self.prefix.unread().len();
                let mut buf = ReadBuf::new(&mut self.prefix.bytes[start..]);
                ready!(Pin::new(&mut self.io).poll_read(cx, buf.unfilled()))?;
                let read = buf.filled().len();
                self.prefix.fill(start + read);
                if !PREFACE.starts_with(self.prefix.unread()) {
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
                Poll::Pending => {
                    let is_idle = !*has_received;
                    return match is_idle && self.activity.connection.phase() != Phase::Serving {
                        true => Poll::Ready(()),
                        false => Poll::Pending,
                    };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Reads, and notes what the client says in its first settings, up to their end.
fn poll_read_settings(
    io: Pin<&mut impl Read>,
    cx: &mut Context<'_>,
    buf: ReadBufCursor<'_>,
    settings: &mut Option<Box<FirstSettings>>,
) -> Poll<io::Result<()>> {
    let read = poll_read_seen(io, cx, buf, |bytes| {
        if let Some(settings) = settings {
            settings.read(bytes);
        }
    });
    if settings.as_ref().is_some_and(|settings| settings.are_over) {
        *settings = None;
    }
    read
}

impl<R: Runtime, I: Io> Read for ServerIo<R, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.prefix.is_empty() {
            buf.put_slice(self.prefix.take(buf.remaining()));
            self.activity.note_read();
            let looks_ahead = self.half_close().is_some() && !self.at_eof && buf.remaining() > 0;
            if looks_ahead && self.activity.reads.poll_spend(cx).is_ready() {
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
        ready!(self.activity.reads.poll_spend(cx));
        let this = &mut *self;
        let io = Pin::new(&mut this.io);
        let read = match &mut this.version {
            IoVersion::Http2 { settings, .. } if settings.is_some() => {
                poll_read_settings(io, cx, buf, settings)
            }
            _ => io.poll_read(cx, buf),
        };
        if read.is_ready() {
            this.activity.note_read();
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
        self.note_written(cx, &written, [buf])?;
        self.unless_stalled(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        ready!(self.unless_stalled(cx, flushed))?;
        Poll::Ready(self.look_for_client(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Linger::NotYet = self.linger {
            let shut = Pin::new(&mut self.io).poll_shutdown(cx);
            ready!(self.unless_stalled(cx, shut))?;
            let server = &self.activity.server;
            self.linger = Linger::Reading {
                until: server.runtime.sleep(server.config.linger_timeout),
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
