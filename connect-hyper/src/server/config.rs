//! What a server is set to, with the defaults.

use std::time::Duration;

use super::{CallTasks, Server};
use crate::runtime::{LONGEST, Listener, MAX_FRAME_SIZE, Runtime, Windows, frame_size};

/// The settings of a server's connections.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) header_read_timeout: Duration,
    pub(super) tls_handshake_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) linger_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) read_timeout: Option<Duration>,
    pub(super) message_timeout: Option<Duration>,
    pub(super) connection_receive_budget: usize,
    pub(super) server_receive_budget: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_unread_body: u64,
    pub(super) max_concurrent_streams: u32,
    pub(super) windows: Windows,
    pub(super) max_frame_size: u32,
    pub(super) keep_alive: Option<(Duration, Duration)>,
    pub(super) call_tasks: CallTasks,
}

impl<R: Runtime, L: Listener<R>> Server<R, L> {
    /// How long a client may take to show its HTTP version and, on HTTP/1.1, to send a request's head. The
    /// wait for the next request on an open HTTP/1.1 connection counts too. Default: 30 seconds.
    pub fn with_header_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.header_read_timeout = timeout.min(LONGEST);
        self
    }

    /// Set by [`with_header_read_timeout`](Self::with_header_read_timeout).
    #[must_use]
    pub fn header_read_timeout(&self) -> Duration {
        self.config.header_read_timeout
    }

    /// How long a TLS handshake may take. Default: 10 seconds.
    pub fn with_tls_handshake_timeout(mut self, timeout: Duration) -> Self {
        self.config.tls_handshake_timeout = timeout;
        self
    }

    /// Set by [`with_tls_handshake_timeout`](Self::with_tls_handshake_timeout).
    #[must_use]
    pub fn tls_handshake_timeout(&self) -> Duration {
        self.config.tls_handshake_timeout
    }

    /// How long calls may go on after a shutdown began; then their connections are ended. Default: 25 seconds,
    /// less than the 30 that Kubernetes waits before it kills.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// Set by [`with_drain_timeout`](Self::with_drain_timeout).
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.config.drain_timeout
    }

    /// How long the server goes on to read what it only discards. On HTTP/1.1 that is the rest of a request which is
    /// answered already; on any connection that the server closes, what the client still sends: a socket
    /// closed with unread bytes is reset, and the client may lose the answer. Default: 2 seconds.
    pub fn with_linger_timeout(mut self, timeout: Duration) -> Self {
        self.config.linger_timeout = timeout;
        self
    }

    /// Set by [`with_linger_timeout`](Self::with_linger_timeout).
    #[must_use]
    pub fn linger_timeout(&self) -> Duration {
        self.config.linger_timeout
    }

    /// How long a client may take nothing of an answer that is ready: the socket takes no byte (the connection is closed),
    /// or the window of an HTTP/2 call has no room (the call is reset). A call with a deadline ends there half a second
    /// after its deadline, if that is earlier. A client that works long on each message of a stream takes nothing
    /// meanwhile. Default: 5 minutes; [`Duration::MAX`] sets no limit.
    pub fn with_write_timeout(mut self, timeout: Duration) -> Self {
        self.config.write_timeout = timeout.min(LONGEST);
        self
    }

    /// Set by [`with_write_timeout`](Self::with_write_timeout).
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        self.config.write_timeout
    }

    /// How long a call of one request message (unary and server-streaming procedures) may receive no byte of it; then it
    /// fails with `deadline_exceeded`, over either HTTP version. Streams of requests may be silent for as long as they like.
    /// connect-tower's router keeps it; other services do not. Default: 60 seconds; `None` or zero sets no limit.
    pub fn with_message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.config.message_timeout = timeout.into().filter(|timeout| !timeout.is_zero());
        self
    }

    /// Set by [`with_message_timeout`](Self::with_message_timeout).
    #[must_use]
    pub fn message_timeout(&self) -> Option<Duration> {
        self.config.message_timeout
    }

    /// How many bytes of messages that are not complete the calls of one connection may hold together, and those of all
    /// connections; a call that brings more fails with `resource_exhausted`. The first 16 KiB of each message are not
    /// counted. What is counted is bytes that came; the memory for them can be twice that. A message larger than
    /// this cannot be received, whatever the router's limits. connect-tower's router keeps it; other services do not.
    /// Default: 64 MiB and 512 MiB; [`usize::MAX`] bounds nothing.
    pub fn with_receive_budget(mut self, connection_bytes: usize, server_bytes: usize) -> Self {
        self.config.connection_receive_budget = connection_bytes;
        self.config.server_receive_budget = server_bytes;
        self
    }

    /// Set by [`with_receive_budget`](Self::with_receive_budget).
    #[must_use]
    pub fn receive_budget(&self) -> (usize, usize) {
        let config = &self.config;
        (
            config.connection_receive_budget,
            config.server_receive_budget,
        )
    }

    /// How long a call may wait for more of its request while the client sends nothing of it; then the call fails with
    /// `canceled`. It counts while a handler reads, for streams too. Default: no limit, as a stream of requests may
    /// be silent for as long as it likes; for others there is [`with_message_timeout`](Self::with_message_timeout).
    pub fn with_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.read_timeout = Some(timeout.min(LONGEST));
        self
    }

    /// Set by [`with_read_timeout`](Self::with_read_timeout).
    #[must_use]
    pub fn read_timeout(&self) -> Option<Duration> {
        self.config.read_timeout
    }

    /// How long an HTTP/2 connection may stay open without a call. The server checks at such intervals, so an idle connection
    /// is closed after one to two of them; its client gets a GOAWAY, and connects again when it needs to. Default: 5 minutes, as
    /// clients that vanish are not noticed otherwise; [`Duration::MAX`] keeps them. Idle HTTP/1.1 connections have
    /// [`with_header_read_timeout`](Self::with_header_read_timeout).
    ///
    /// 0 counts as a millisecond.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        // Without any pause the connection would look without end.
        self.config.idle_timeout = timeout.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// Set by [`with_idle_timeout`](Self::with_idle_timeout).
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.config.idle_timeout
    }

    /// How many connections may be open at once. With as many, no more are accepted until one ends: clients wait in the
    /// listener's queue. Default: no limit but the process's open files, which the server does not know; at that limit
    /// clients wait too.
    ///
    /// 0 counts as 1.
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.config.max_connections = max.max(1);
        self
    }

    /// Set by [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.config.max_connections
    }

    /// How many bytes of a request that its handler did not read are read and thrown away to keep an HTTP/1.1
    /// connection; with more to come it is closed. Default: 8 MiB, more than sockets commonly buffer, so that
    /// a client which has sent all of its request can rely on the connection.
    pub fn with_max_unread_body(mut self, bytes: u64) -> Self {
        self.config.max_unread_body = bytes;
        self
    }

    /// Set by [`with_max_unread_body`](Self::with_max_unread_body).
    #[must_use]
    pub fn max_unread_body(&self) -> u64 {
        self.config.max_unread_body
    }

    /// How many calls one HTTP/2 connection may have open at once; more are refused. Default: 200.
    pub fn with_max_concurrent_streams(mut self, max: u32) -> Self {
        self.config.max_concurrent_streams = max;
        self
    }

    /// Set by [`with_max_concurrent_streams`](Self::with_max_concurrent_streams).
    #[must_use]
    pub fn max_concurrent_streams(&self) -> u32 {
        self.config.max_concurrent_streams
    }

    /// How many bytes of HTTP/2 request bodies may be on their way that handlers have not read: for one call, and for all
    /// calls of a connection. A call that is not read holds up others only when the connection's window is used up by
    /// such calls, so it should be that of many. Default: 256 KiB and 4 MiB.
    pub fn with_windows(mut self, call_bytes: u32, connection_bytes: u32) -> Self {
        self.config.windows = Windows::new(call_bytes, connection_bytes);
        self
    }

    /// Set by [`with_windows`](Self::with_windows).
    #[must_use]
    pub fn windows(&self) -> (u32, u32) {
        let windows = self.config.windows;
        (windows.stream, windows.connection)
    }

    /// How large the HTTP/2 frames may be that the client sends. A message that comes in one frame need not be put together by
    /// a copy; but nothing else of its connection comes while a frame does. And memory for all of a frame is reserved when its
    /// head comes, so that each connection may cost that much for nine bytes. Default: 64 KiB. HTTP/2 allows 16 KiB to 16 MiB,
    /// less one byte; the nearest of these counts.
    pub fn with_max_frame_size(mut self, bytes: u32) -> Self {
        self.config.max_frame_size = frame_size(bytes);
        self
    }

    /// Set by [`with_max_frame_size`](Self::with_max_frame_size).
    #[must_use]
    pub fn max_frame_size(&self) -> u32 {
        self.config.max_frame_size
    }

    /// Pings HTTP/2 clients that were silent for `interval`, and closes the connection when no answer comes
    /// within `timeout`. Default: off; 20 seconds suit both.
    pub fn with_keep_alive(mut self, interval: Duration, timeout: Duration) -> Self {
        self.config.keep_alive = Some((interval.min(LONGEST), timeout.min(LONGEST)));
        self
    }

    /// Set by [`with_keep_alive`](Self::with_keep_alive).
    #[must_use]
    pub fn keep_alive(&self) -> Option<(Duration, Duration)> {
        self.config.keep_alive
    }

    /// Where the calls of an HTTP/2 connection run. Default: [`CallTasks::OnConnection`].
    pub fn with_call_tasks(mut self, tasks: CallTasks) -> Self {
        self.config.call_tasks = tasks;
        self
    }

    /// Set by [`with_call_tasks`](Self::with_call_tasks).
    #[must_use]
    pub fn call_tasks(&self) -> CallTasks {
        self.config.call_tasks
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(25),
            linger_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5 * 60),
            read_timeout: None,
            message_timeout: Some(Duration::from_secs(60)),
            connection_receive_budget: 64 * 1024 * 1024,
            server_receive_budget: 512 * 1024 * 1024,
            idle_timeout: Duration::from_secs(5 * 60),
            max_connections: usize::MAX,
            max_unread_body: 8 * 1024 * 1024,
            max_concurrent_streams: 200,
            windows: Windows::new(256 * 1024, 4 * 1024 * 1024),
            max_frame_size: MAX_FRAME_SIZE,
            keep_alive: None,
            call_tasks: CallTasks::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_runtime::{NoListener, NoRuntime};

    #[test]
    fn getters_read_what_setters_have_set() {
        let time = Duration::from_secs;
        let server = Server::<NoRuntime, _>::from_listener(NoListener);
        assert_eq!(server.drain_timeout(), time(25));
        assert_eq!(server.read_timeout(), None);
        let server = server
            .with_header_read_timeout(time(1))
            .with_tls_handshake_timeout(time(2))
            .with_drain_timeout(time(3))
            .with_linger_timeout(time(4))
            .with_write_timeout(Duration::MAX)
            .with_message_timeout(Duration::ZERO)
            .with_receive_budget(6, 7)
            .with_read_timeout(time(8))
            .with_idle_timeout(Duration::ZERO)
            .with_max_connections(0)
            .with_max_unread_body(9)
            .with_max_concurrent_streams(10)
            .with_windows(11, u32::MAX)
            .with_max_frame_size(0)
            .with_keep_alive(time(12), time(13))
            .with_call_tasks(CallTasks::Spawned);
        assert_eq!(server.header_read_timeout(), time(1));
        assert_eq!(server.tls_handshake_timeout(), time(2));
        assert_eq!(server.drain_timeout(), time(3));
        assert_eq!(server.linger_timeout(), time(4));
        assert_eq!(server.write_timeout(), LONGEST);
        assert_eq!(server.message_timeout(), None);
        assert_eq!(server.receive_budget(), (6, 7));
        assert_eq!(server.read_timeout(), Some(time(8)));
        assert_eq!(server.idle_timeout(), Duration::from_millis(1));
        assert_eq!(server.max_connections(), 1);
        assert_eq!(server.max_unread_body(), 9);
        assert_eq!(server.max_concurrent_streams(), 10);
        assert_eq!(server.windows(), (11, (1 << 31) - 1));
        assert_eq!(server.max_frame_size(), 16 * 1024);
        assert_eq!(server.keep_alive(), Some((time(12), time(13))));
        assert_eq!(server.call_tasks(), CallTasks::Spawned);
    }
}
