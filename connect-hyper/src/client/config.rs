//! What a channel is set to.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    options::EndpointOptions,
    settings::{HttpVersion, Settings},
    target::TargetOptions,
    way::Way,
};
use crate::{
    runtime::{LONGEST, Runtime, Windows, frame_size},
    tls::TlsConnector,
};

/// How a channel behaves; made by [`Channel::builder`](super::Channel::builder).
#[must_use = "a builder does nothing until it builds"]
pub struct ChannelBuilder<R: Runtime> {
    pub(super) runtime: R,
    pub(super) uri: String,
    pub(super) target: TargetOptions,
    pub(super) way: Way,
    pub(super) endpoints: EndpointOptions,
    pub(super) tls: Option<Arc<dyn TlsConnector<R>>>,
    pub(super) settings: Settings,
}

/// Below that the attempts would be a burst of packets for each connection.
const SHORTEST_ATTEMPT_DELAY: Duration = Duration::from_millis(10);

impl<R: Runtime> ChannelBuilder<R> {
    pub(super) fn new(uri: String) -> Self {
        Self {
            runtime: R::default(),
            uri,
            target: TargetOptions::default(),
            way: Way::default(),
            endpoints: EndpointOptions::default(),
            tls: None,
            settings: Settings::default(),
        }
    }

    /// Runs connections on this runtime. Default: the adapter's own, [`Default::default`].
    pub fn with_runtime(mut self, runtime: R) -> Self {
        self.runtime = runtime;
        self
    }

    /// Speaks TLS, which `https` URIs need.
    pub fn with_tls(mut self, tls: impl TlsConnector<R>) -> Self {
        self.tls = Some(Arc::new(tls));
        self
    }

    /// Which HTTP to speak when a call does not demand HTTP/2. Default: [`HttpVersion::Auto`].
    pub fn with_http_version(mut self, version: HttpVersion) -> Self {
        self.settings.version = version;
        self
    }

    /// Set by [`with_http_version`](Self::with_http_version).
    #[must_use]
    pub fn http_version(&self) -> HttpVersion {
        self.settings.version
    }

    /// How long opening a connection may take, from the name's look-up to the end of the TLS handshake.
    /// Default: 20 seconds. A call that waits for it ends `unavailable`, or earlier at its own deadline.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.settings.connect_timeout = timeout;
        self
    }

    /// Set by [`with_connect_timeout`](Self::with_connect_timeout).
    #[must_use]
    pub fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// How long one address is tried alone; then the next is tried beside it, and the first that answers is taken. It holds for
    /// the addresses of a name, and with [`PickFirst`](super::PickFirst) for the endpoints of a list. After a failure the next
    /// begins at once. Default: 250 milliseconds. At least 10 (RFC 8305, section 5, "Connection Attempt Delay").
    pub fn with_attempt_delay(mut self, delay: Duration) -> Self {
        self.settings.attempt_delay = delay.clamp(SHORTEST_ATTEMPT_DELAY, LONGEST);
        self
    }

    /// Set by [`with_attempt_delay`](Self::with_attempt_delay).
    #[must_use]
    pub fn attempt_delay(&self) -> Duration {
        self.settings.attempt_delay
    }

    /// The longest wait between failed attempts to connect: up to 50 milliseconds after the first, twice as long after each
    /// further one, up to this. The wait itself is random, between zero and that. Default: 1 second. Zero: no wait.
    ///
    /// Only calls open connections. One that comes during the wait takes part in the next attempt, with all others that
    /// came, and so does not fail before its server has been asked again; or it ends at its own deadline.
    pub fn with_max_backoff(mut self, max: Duration) -> Self {
        self.settings.max_backoff = max;
        self
    }

    /// Set by [`with_max_backoff`](Self::with_max_backoff).
    #[must_use]
    pub fn max_backoff(&self) -> Duration {
        self.settings.max_backoff
    }

    /// How many HTTP/1.1 connections there may be, in use or not; a call more waits, up to its deadline, until another
    /// has ended. Default: 256. At least 1.
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.settings.max_connections = max.max(1);
        self
    }

    /// Set by [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.settings.max_connections
    }

    /// How many HTTP/2 connections there may be; a call more than they have room for waits, up to its deadline. Default: 16.
    /// At least 1.
    ///
    /// They are opened by demand, one after the other, so a figure that is too large costs nothing until it is needed. With a
    /// hundred calls on each, sixteen keep as many cores of a server busy, and are far from any limit of open files.
    pub fn with_max_http2_connections(mut self, max: usize) -> Self {
        self.settings.max_http2_connections = max.max(1);
        self
    }

    /// Set by [`with_max_http2_connections`](Self::with_max_http2_connections).
    #[must_use]
    pub fn max_http2_connections(&self) -> usize {
        self.settings.max_http2_connections
    }

    /// How many calls an HTTP/2 connection has at most, if its server allows as many; a further one is opened for more.
    /// Default: 100, which most servers allow. At least 1.
    pub fn with_streams_per_connection(mut self, max: usize) -> Self {
        self.settings.streams_per_connection = max.max(1);
        self
    }

    /// Set by [`with_streams_per_connection`](Self::with_streams_per_connection).
    #[must_use]
    pub fn streams_per_connection(&self) -> usize {
        self.settings.streams_per_connection
    }

    /// How many calls may wait for room on a connection, or for one to be opened: each up to its deadline, in the order in which
    /// they came. One more fails at once with `resource_exhausted`. Default: 10,000. At least 1. With many endpoints as many may
    /// wait for each, and for the first of them to be found and to have a connection.
    pub fn with_max_waiting_calls(mut self, max: usize) -> Self {
        self.settings.max_waiting_calls = max.max(1);
        self
    }

    /// Set by [`with_max_waiting_calls`](Self::with_max_waiting_calls).
    #[must_use]
    pub fn max_waiting_calls(&self) -> usize {
        self.settings.max_waiting_calls
    }

    /// How long an HTTP/2 connection is kept without a call. Default: 5 minutes.
    ///
    /// A server that closes it first says so by a GOAWAY, which costs no call; so this may be long, to spare calls that come
    /// now and then a TLS handshake. It is not longer because a connection keeps memory at both ends, and a client that has
    /// more than one by a burst of calls is to give them back.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.idle_timeout = timeout;
        self
    }

    /// Set by [`with_idle_timeout`](Self::with_idle_timeout).
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.settings.idle_timeout
    }

    /// How long an HTTP/1.1 connection is kept without a call. It should be shorter than the server's patience, so that
    /// no request meets a connection that is being closed. Default: 20 seconds, for servers that wait for 30 or longer.
    pub fn with_http1_idle_timeout(mut self, timeout: Duration) -> Self {
        self.settings.http1_idle_timeout = timeout;
        self
    }

    /// Set by [`with_http1_idle_timeout`](Self::with_http1_idle_timeout).
    #[must_use]
    pub fn http1_idle_timeout(&self) -> Duration {
        self.settings.http1_idle_timeout
    }

    /// How old an HTTP/2 connection becomes. Then it takes no more calls, and ends when those that it has have ended; the next
    /// call opens another, and so meets the servers that came since. Each ends up to a tenth earlier or later, at random, so
    /// that those of many clients do not end at once. Default: `None`, no limit. At least a millisecond.
    pub fn with_max_connection_age(mut self, max: impl Into<Option<Duration>>) -> Self {
        self.settings.max_connection_age = max
            .into()
            .map(|max| max.clamp(Duration::from_millis(1), LONGEST));
        self
    }

    /// Set by [`with_max_connection_age`](Self::with_max_connection_age).
    #[must_use]
    pub fn max_connection_age(&self) -> Option<Duration> {
        self.settings.max_connection_age
    }

    /// How many HTTP/1.1 connections are kept without a call; the oldest is closed for one more. Default:
    /// 128. 0 keeps none.
    pub fn with_max_idle_connections(mut self, max: usize) -> Self {
        self.settings.max_idle = max;
        self
    }

    /// Set by [`with_max_idle_connections`](Self::with_max_idle_connections).
    #[must_use]
    pub fn max_idle_connections(&self) -> usize {
        self.settings.max_idle
    }

    /// Pings the server of an HTTP/2 connection that was silent for the first time while calls are open, and gives the
    /// connection up when no answer comes within the second; `None` sends none. Default: 30 and 20 seconds, so that calls on a
    /// network that went silently end after 50 seconds at most. TCP's own keepalive, which the adapters turn on, finds out
    /// the same of connections without calls and of HTTP/1.1.
    ///
    /// Some servers count such pings as abuse: those of gRPC in Go and Java allow one in 5 minutes, and end the connection with
    /// `ENHANCE_YOUR_CALM` and the words `too_many_pings`. Then the connections that follow ping at most every 5 minutes and 10
    /// seconds.
    pub fn with_keep_alive(
        mut self,
        interval_and_timeout: impl Into<Option<(Duration, Duration)>>,
    ) -> Self {
        self.settings.http2.keep_alive = interval_and_timeout
            .into()
            .map(|(interval, timeout)| (interval.min(LONGEST), timeout.min(LONGEST)));
        self
    }

    /// Set by [`with_keep_alive`](Self::with_keep_alive).
    #[must_use]
    pub fn keep_alive(&self) -> Option<(Duration, Duration)> {
        self.settings.http2.keep_alive
    }

    /// How many bytes of HTTP/2 response bodies may be on their way that the program has not read: for one call, and for
    /// all calls of a connection. A call that is not read holds up others only when the connection's window is used up
    /// by such calls, so it should be that of many. Default: 1 MiB and 16 MiB.
    pub fn with_windows(mut self, call_bytes: u32, connection_bytes: u32) -> Self {
        self.settings.http2.windows = Windows::new(call_bytes, connection_bytes);
        self
    }

    /// Set by [`with_windows`](Self::with_windows).
    #[must_use]
    pub fn windows(&self) -> (u32, u32) {
        let windows = self.settings.http2.windows;
        (windows.stream, windows.connection)
    }

    /// How large the HTTP/2 frames may be that the server sends. A message that comes in one frame need not be put together by
    /// a copy; but nothing else of its connection comes while a frame does. And memory for all of a frame is reserved when its
    /// head comes, so that each connection may cost that much for nine bytes. Default: 64 KiB. HTTP/2 allows 16 KiB to 16 MiB,
    /// less one byte; the nearest of these counts.
    pub fn with_max_frame_size(mut self, bytes: u32) -> Self {
        self.settings.http2.max_frame_size = frame_size(bytes);
        self
    }

    /// Set by [`with_max_frame_size`](Self::with_max_frame_size).
    #[must_use]
    pub fn max_frame_size(&self) -> u32 {
        self.settings.http2.max_frame_size
    }

    /// How many bytes the headers of an HTTP/2 response may have: names, values and 32 bytes for each field (RFC 9113, section
    /// 6.5.2); its trailers may have a quarter of that. The server is told the whole number. A response with more fails, with
    /// its own code where that could be read, else with `resource_exhausted` or `internal`; other calls of the connection go
    /// on, up to four times the number. Default: 256 KiB, and so 64 KiB of trailers.
    ///
    /// The least is 8 KiB. (Of trailers only a quarter, because beyond the whole the library leaves out fields and does not
    /// say so: below a quarter it is sure that none is missing.)
    pub fn with_max_header_size(mut self, bytes: u32) -> Self {
        self.settings.http2.max_header_size = bytes.max(8 * 1024);
        self
    }

    /// Set by [`with_max_header_size`](Self::with_max_header_size).
    #[must_use]
    pub fn max_header_size(&self) -> u32 {
        self.settings.http2.max_header_size
    }

    /// How many headers an HTTP/1.1 response may have, and a proxy's answer; a call whose response has more ends `internal`. Default: 100. Another
    /// number costs an allocation for each call.
    pub fn with_max_headers(mut self, max: usize) -> Self {
        self.settings.http1.max_headers = max;
        self
    }

    /// Set by [`with_max_headers`](Self::with_max_headers).
    #[must_use]
    pub fn max_headers(&self) -> usize {
        self.settings.http1.max_headers
    }

    /// How large the buffers of an HTTP/1.1 connection may grow: one to read, one to write. A response's head must fit, and
    /// a proxy's answer; a call whose response has a larger one ends `internal`. Default: 400 KiB. At least 8 KiB.
    pub fn with_http1_buffer_size(mut self, bytes: usize) -> Self {
        self.settings.http1.buffer_size = bytes.max(8 * 1024);
        self
    }

    /// Set by [`with_http1_buffer_size`](Self::with_http1_buffer_size).
    #[must_use]
    pub fn http1_buffer_size(&self) -> usize {
        self.settings.http1.buffer_size
    }

    /// How many bytes of one HTTP/2 call's request are kept for a socket that takes none, beside the pieces of 64 KiB in which
    /// bodies are handed over. Default: 1 MiB.
    pub fn with_send_buffer_size(mut self, bytes: usize) -> Self {
        // HTTP/2 counts in 32 bits.
        self.settings.http2.send_buffer_size = bytes.clamp(1, u32::MAX as usize);
        self
    }

    /// Set by [`with_send_buffer_size`](Self::with_send_buffer_size).
    #[must_use]
    pub fn send_buffer_size(&self) -> usize {
        self.settings.http2.send_buffer_size
    }
}

impl<R: Runtime> fmt::Debug for ChannelBuilder<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChannelBuilder")
            .field("uri", &self.uri)
            .field("tls", &self.tls.is_some())
            .field("settings", &self.settings)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{client::Channel, test_runtime::NoRuntime};

    #[test]
    fn getters_read_what_setters_have_set() {
        let time = Duration::from_secs;
        let builder = Channel::<NoRuntime>::builder("http://example.com");
        assert_eq!(builder.connect_timeout(), time(20));
        assert_eq!(builder.attempt_delay(), Duration::from_millis(250));
        assert_eq!(builder.keep_alive(), Some((time(30), time(20))));
        let builder = builder
            .with_http_version(HttpVersion::Http2)
            .with_connect_timeout(time(1))
            .with_attempt_delay(Duration::ZERO)
            .with_max_backoff(time(2))
            .with_max_connections(0)
            .with_max_http2_connections(0)
            .with_streams_per_connection(0)
            .with_max_waiting_calls(0)
            .with_idle_timeout(time(3))
            .with_http1_idle_timeout(time(8))
            .with_max_connection_age(time(9))
            .with_max_idle_connections(4)
            .with_keep_alive((time(5), time(6)))
            .with_windows(7, u32::MAX)
            .with_max_frame_size(u32::MAX)
            .with_max_header_size(10)
            .with_max_headers(11)
            .with_http1_buffer_size(0)
            .with_send_buffer_size(0);
        assert_eq!(builder.http_version(), HttpVersion::Http2);
        assert_eq!(builder.attempt_delay(), Duration::from_millis(10));
        assert_eq!(builder.connect_timeout(), time(1));
        assert_eq!(builder.max_backoff(), time(2));
        assert_eq!(builder.max_connections(), 1);
        assert_eq!(builder.max_http2_connections(), 1);
        assert_eq!(builder.streams_per_connection(), 1);
        assert_eq!(builder.max_waiting_calls(), 1);
        assert_eq!(builder.idle_timeout(), time(3));
        assert_eq!(builder.http1_idle_timeout(), time(8));
        assert_eq!(builder.max_connection_age(), Some(time(9)));
        assert_eq!(builder.max_idle_connections(), 4);
        assert_eq!(builder.keep_alive(), Some((time(5), time(6))));
        assert_eq!(builder.windows(), (7, (1 << 31) - 1));
        assert_eq!(builder.max_frame_size(), (1 << 24) - 1);
        assert_eq!(builder.max_header_size(), 8 * 1024);
        assert_eq!(builder.max_headers(), 11);
        assert_eq!(builder.http1_buffer_size(), 8 * 1024);
        assert_eq!(builder.send_buffer_size(), 1);
        assert_eq!(builder.with_keep_alive(None).keep_alive(), None);
    }
}
