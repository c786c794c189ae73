//! What a server is set to, with the defaults.

mod connections;
mod http;

use std::time::Duration;

use super::Server;
use crate::runtime::{LONGEST, Listener, MAX_FRAME_SIZE, Runtime, Windows};

/// Where the calls of an HTTP/2 connection run.
///
/// Calls of HTTP/1.1 always run on the connection's task: there is one at a time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum CallTasks {
    /// On the connection's task while they are short, the default, and each in a task of its own otherwise.
    ///
    /// The server takes the time of every poll of a call. After one of 100 µs or more the calls of the same path, on all
    /// connections, become tasks before they are polled next, those that have begun too, until 100 polls in a row were
    /// shorter. So a connection uses all threads of the runtime, and a handler that computes holds up its neighbours once.
    #[default]
    Adaptive,
    /// On the connection's task: least overhead, and the answers that are ready at once leave in one write. Calls of one
    /// connection do not run in parallel; a handler that computes long between two awaits holds up the others of its
    /// connection.
    OnConnection,
    /// Each in a task of its own, short ones too.
    Spawned,
}

/// The settings of a server's connections.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) header_read_timeout: Duration,
    pub(super) tls_handshake_timeout: Duration,
    pub(super) drain_timeout: Duration,
    pub(super) drain_delay: Duration,
    pub(super) linger_timeout: Duration,
    pub(super) write_timeout: Duration,
    pub(super) read_timeout: Option<Duration>,
    pub(super) message_timeout: Option<Duration>,
    pub(super) connection_receive_budget: usize,
    pub(super) server_receive_budget: usize,
    pub(super) idle_timeout: Duration,
    pub(super) max_connections: usize,
    pub(super) max_connections_per_address: Option<usize>,
    pub(super) max_unread_body: u64,
    pub(super) http1_half_close: Option<Duration>,
    pub(super) max_concurrent_streams: u32,
    pub(super) windows: Windows,
    pub(super) max_frame_size: u32,
    pub(super) adaptive_windows: bool,
    pub(super) max_header_size: u32,
    pub(super) max_headers: usize,
    pub(super) http1_buffer_size: usize,
    pub(super) send_buffer_size: usize,
    pub(super) header_table_size: u32,
    pub(super) max_resets: (usize, usize),
    pub(super) max_control_frames: Option<usize>,
    pub(super) max_canceled_calls: Option<usize>,
    pub(super) keep_alive: Option<(Duration, Duration)>,
    pub(super) max_connection_age: Option<Duration>,
    pub(super) max_connection_age_grace: Duration,
    pub(super) max_requests_per_connection: Option<usize>,
    pub(super) call_tasks: CallTasks,
}

impl<R: Runtime, L: Listener<R>, M> Server<R, L, M> {
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
    ///
    /// Clients that have gone without a word do not use it up: an HTTP/2 connection without calls is ended after five
    /// seconds, and one whose client does not answer the ping that comes with the shutdown within the timeout of
    /// [`with_keep_alive`](Self::with_keep_alive), with its calls. HTTP/1.1 has no ping: the call of such a client ends by itself, or
    /// with the drain.
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.config.drain_timeout = timeout;
        self
    }

    /// Set by [`with_drain_timeout`](Self::with_drain_timeout).
    #[must_use]
    pub fn drain_timeout(&self) -> Duration {
        self.config.drain_timeout
    }

    /// How long the server goes on as before when a shutdown begins, connections are accepted too: time for load balancers to
    /// notice, once the health service says so (on
    /// [`ServerEvent::ShuttingDown`](super::ServerEvent::ShuttingDown)). The drain timeout counts after it: both together should be
    /// less than what is waited before the process is killed. Default: none.
    pub fn with_drain_delay(mut self, delay: Duration) -> Self {
        self.config.drain_delay = delay;
        self
    }

    /// Set by [`with_drain_delay`](Self::with_drain_delay).
    #[must_use]
    pub fn drain_delay(&self) -> Duration {
        self.config.drain_delay
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
    ///
    /// It does not end an HTTP/2 call whose whole answer was handed over, which is at most
    /// [`send_buffer_size`](Self::send_buffer_size), and waits for the window: that counts as over, and its connection, when it has no
    /// other calls, is closed by the [idle timeout](Self::with_idle_timeout), and ended when its client takes nothing for this time
    /// more.
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
    ///
    /// Any call over HTTP/2 with `expect: 100-continue` has this time for the first byte of its request, whatever the service: the
    /// server sends no 100 over HTTP/2, and a client that waits for nothing else gets `invalid_argument` and is told so.
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

    /// Where the calls of an HTTP/2 connection run. Default: [`CallTasks::Adaptive`].
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

impl Config {
    /// hyper takes no less than 8 KiB, and a head must fit.
    pub(super) fn http1_buffer_size(&self) -> usize {
        let head = usize::try_from(self.max_header_size).unwrap_or(usize::MAX);
        self.http1_buffer_size.max(head).max(8 * 1024)
    }
}

/// hyper's own limit, which it has room for on its stack.
pub(super) const MAX_HEADERS: usize = 100;

impl Default for Config {
    fn default() -> Self {
        Self {
            header_read_timeout: Duration::from_secs(30),
            tls_handshake_timeout: Duration::from_secs(10),
            drain_timeout: Duration::from_secs(25),
            drain_delay: Duration::ZERO,
            linger_timeout: Duration::from_secs(2),
            write_timeout: Duration::from_secs(5 * 60),
            read_timeout: None,
            message_timeout: Some(Duration::from_secs(60)),
            connection_receive_budget: 64 * 1024 * 1024,
            server_receive_budget: 512 * 1024 * 1024,
            idle_timeout: Duration::from_secs(5 * 60),
            max_connections: 65_536,
            max_connections_per_address: None,
            max_unread_body: 8 * 1024 * 1024,
            http1_half_close: Some(Duration::from_secs(30)),
            max_concurrent_streams: 200,
            windows: Windows::new(256 * 1024, 4 * 1024 * 1024),
            max_frame_size: MAX_FRAME_SIZE,
            adaptive_windows: false,
            max_header_size: 32 * 1024,
            max_headers: MAX_HEADERS,
            http1_buffer_size: 400 * 1024,
            send_buffer_size: 128 * 1024,
            header_table_size: 4 * 1024,
            max_resets: (20, 1024),
            max_control_frames: Some(1000),
            max_canceled_calls: Some(10_000),
            keep_alive: Some((Duration::from_secs(60), Duration::from_secs(20))),
            max_connection_age: None,
            max_connection_age_grace: Duration::from_secs(5 * 60),
            max_requests_per_connection: None,
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
            .with_drain_delay(time(19))
            .with_linger_timeout(time(4))
            .with_write_timeout(Duration::MAX)
            .with_message_timeout(Duration::ZERO)
            .with_receive_budget(6, 7)
            .with_read_timeout(time(8))
            .with_idle_timeout(Duration::ZERO)
            .with_max_connections(0)
            .with_max_unread_body(9)
            .with_http1_half_close(time(20))
            .with_max_concurrent_streams(10)
            .with_windows(11, u32::MAX)
            .with_max_frame_size(0)
            .with_keep_alive((time(12), time(13)));
        assert_eq!(server.header_read_timeout(), time(1));
        assert_eq!(server.tls_handshake_timeout(), time(2));
        assert_eq!(server.drain_timeout(), time(3));
        assert_eq!(server.drain_delay(), time(19));
        assert_eq!(server.linger_timeout(), time(4));
        assert_eq!(server.write_timeout(), LONGEST);
        assert_eq!(server.message_timeout(), None);
        assert_eq!(server.receive_budget(), (6, 7));
        assert_eq!(server.read_timeout(), Some(time(8)));
        assert_eq!(server.idle_timeout(), Duration::from_millis(1));
        assert_eq!(server.max_connections(), 1);
        assert_eq!(server.max_unread_body(), 9);
        assert_eq!(server.http1_half_close(), Some(time(20)));
        assert_eq!(server.max_concurrent_streams(), 10);
        assert_eq!(server.windows(), (11, (1 << 31) - 1));
        assert_eq!(server.max_frame_size(), 16 * 1024);
        assert_eq!(server.keep_alive(), Some((time(12), time(13))));
        assert_eq!(server.with_keep_alive(None).keep_alive(), None);
    }

    #[test]
    fn getters_read_what_setters_of_limits_have_set() {
        let time = Duration::from_secs;
        let server = Server::<NoRuntime, _>::from_listener(NoListener);
        assert_eq!(server.max_connections(), 65_536);
        assert_eq!(server.max_connections_per_address(), None);
        let server = server
            .with_adaptive_windows(true)
            .with_max_header_size(0)
            .with_max_headers(14)
            .with_http1_buffer_size(0)
            .with_send_buffer_size(0)
            .with_header_table_size(15)
            .with_max_resets(16, 17)
            .with_max_control_frames(20)
            .with_max_canceled_calls(None)
            .with_max_connection_age(time(18))
            .with_max_connection_age_grace(Duration::MAX)
            .with_max_requests_per_connection(0)
            .with_max_connections_per_address(0)
            .with_call_tasks(CallTasks::Spawned);
        assert!(server.adaptive_windows());
        assert_eq!(server.max_header_size(), 1024);
        assert_eq!(server.max_headers(), 14);
        assert_eq!(server.http1_buffer_size(), 8 * 1024);
        assert_eq!(server.send_buffer_size(), 1);
        assert_eq!(server.header_table_size(), 15);
        assert_eq!(server.max_resets(), (16, 17));
        assert_eq!(server.max_control_frames(), Some(20));
        let server = server.with_max_control_frames(0);
        assert_eq!(server.max_control_frames(), Some(1));
        assert_eq!(server.max_canceled_calls(), None);
        assert_eq!(server.max_connection_age(), Some(time(18)));
        assert_eq!(server.max_connection_age_grace(), LONGEST);
        assert_eq!(server.max_requests_per_connection(), Some(1));
        assert_eq!(server.max_connections_per_address(), Some(1));
        assert_eq!(server.call_tasks(), CallTasks::Spawned);
        let server = server.with_max_header_size(20_000);
        assert_eq!(server.http1_buffer_size(), 20_000);
    }
}
