//! The limits of HTTP/1.1 and HTTP/2.

use std::time::Duration;

use super::super::Server;
use crate::runtime::{LONGEST, Listener, Runtime, Windows, frame_size};

impl<R: Runtime, L: Listener<R>, M> Server<R, L, M> {
    /// How long a client may take to show its HTTP version and, on HTTP/1.1, from the first byte of a request's head to
    /// its last. Default: 30 seconds. Between two requests there is [`with_idle_timeout`](Self::with_idle_timeout).
    pub fn with_header_read_timeout(mut self, timeout: Duration) -> Self {
        self.config.header_read_timeout = timeout.min(LONGEST);
        self
    }

    /// Set by [`with_header_read_timeout`](Self::with_header_read_timeout).
    #[must_use]
    pub fn header_read_timeout(&self) -> Duration {
        self.config.header_read_timeout
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

    /// How long an HTTP/1.1 client that has closed its sending side after its request is waited with (RFC 9112, section 9.6):
    /// until there is something to send to it, and from then on anew. Default: 30 seconds. A client that has gone looks the same, and
    /// is noticed after this long, when something is sent, or at once if the connection is reset. With `None` the call of
    /// such a client is dropped at once, and one that only closed its sending side gets no answer. HTTP/2 clients cancel
    /// their calls by resets.
    pub fn with_http1_half_close(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        let timeout = timeout.into();
        self.config.http1_half_close = timeout.map(|timeout| timeout.min(LONGEST));
        self
    }

    /// Set by [`with_http1_half_close`](Self::with_http1_half_close).
    #[must_use]
    pub fn http1_half_close(&self) -> Option<Duration> {
        self.config.http1_half_close
    }

    /// How many calls one HTTP/2 connection may have open at once; more are refused. Default: 200.
    ///
    /// 0 counts as 1.
    pub fn with_max_concurrent_streams(mut self, max: u32) -> Self {
        self.config.max_concurrent_streams = max.max(1);
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

    /// Whether the windows of HTTP/2 grow as the network needs, from 64 KiB up to 16 MiB, in place of those of
    /// [`with_windows`](Self::with_windows); one call may then use all of its connection's. Pings measure the way while data
    /// comes. Default: off, as it is not stated then what a connection may hold; on for uploads over long distances.
    pub fn with_adaptive_windows(mut self, adaptive: bool) -> Self {
        self.config.adaptive_windows = adaptive;
        self
    }

    /// Set by [`with_adaptive_windows`](Self::with_adaptive_windows).
    #[must_use]
    pub fn adaptive_windows(&self) -> bool {
        self.config.adaptive_windows
    }

    /// How many bytes the headers of a request may have, on HTTP/1.1 with its first line. HTTP/2 counts 32 more for each
    /// (RFC 9113, section 6.5.2), and announces the limit. A larger request is answered with 431, and the other calls of its
    /// connection go on; beyond four times the limit HTTP/2 ends the connection. Default: 32 KiB, twice what many proxies let
    /// through.
    ///
    /// The least is 1 KiB, as much as the headers of a call can need.
    pub fn with_max_header_size(mut self, bytes: u32) -> Self {
        self.config.max_header_size = bytes.max(1024);
        self
    }

    /// Set by [`with_max_header_size`](Self::with_max_header_size).
    #[must_use]
    pub fn max_header_size(&self) -> u32 {
        self.config.max_header_size
    }

    /// How many headers an HTTP/1.1 request may have; one with more is answered with 431. On HTTP/2 their size limits their
    /// number. Default: 100. Another number costs an allocation for each request.
    pub fn with_max_headers(mut self, max: usize) -> Self {
        self.config.max_headers = max;
        self
    }

    /// Set by [`with_max_headers`](Self::with_max_headers).
    #[must_use]
    pub fn max_headers(&self) -> usize {
        self.config.max_headers
    }

    /// How large the buffers of an HTTP/1.1 connection may grow: one to read, one to write. They grow when much comes at once.
    /// Default: 400 KiB.
    ///
    /// The least is 8 KiB, or [`max_header_size`](Self::max_header_size), which must fit.
    pub fn with_http1_buffer_size(mut self, bytes: usize) -> Self {
        self.config.http1_buffer_size = bytes;
        self
    }

    /// Set by [`with_http1_buffer_size`](Self::with_http1_buffer_size).
    #[must_use]
    pub fn http1_buffer_size(&self) -> usize {
        self.config.http1_buffer_size()
    }

    /// How many bytes of the answer to one HTTP/2 call are kept for a socket that takes none. Bodies are handed over in
    /// pieces of 64 KiB; so with the default of 128 KiB one is sent while the next is made. A client that opens all windows and
    /// reads nothing makes a connection hold this for each of its calls.
    pub fn with_send_buffer_size(mut self, bytes: usize) -> Self {
        // HTTP/2 counts in 32 bits.
        self.config.send_buffer_size = bytes.clamp(1, u32::MAX as usize);
        self
    }

    /// Set by [`with_send_buffer_size`](Self::with_send_buffer_size).
    #[must_use]
    pub fn send_buffer_size(&self) -> usize {
        self.config.send_buffer_size
    }

    /// How many bytes of headers an HTTP/2 client may have the server remember, to name them shortly later (RFC 7541,
    /// section 4). Default: 4 KiB, that of HTTP/2.
    pub fn with_header_table_size(mut self, bytes: u32) -> Self {
        self.config.header_table_size = bytes;
        self
    }

    /// Set by [`with_header_table_size`](Self::with_header_table_size).
    #[must_use]
    pub fn header_table_size(&self) -> u32 {
        self.config.header_table_size
    }

    /// How many HTTP/2 calls a client may have canceled before the server has looked at them, and how many it may have
    /// made, in the life of a connection, that the server had to reset for an error of the client. One more of either
    /// ends the connection with `ENHANCE_YOUR_CALM`. Default: 20 and 1024.
    pub fn with_max_resets(mut self, not_begun: usize, by_errors: usize) -> Self {
        self.config.max_resets = (not_begun, by_errors);
        self
    }

    /// Set by [`with_max_resets`](Self::with_max_resets).
    #[must_use]
    pub fn max_resets(&self) -> (usize, usize) {
        self.config.max_resets
    }

    /// How many frames that have to be answered an HTTP/2 client may send within a minute while no call of its connection
    /// moves: PING, SETTINGS, and calls beyond [`max_concurrent_streams`](Self::max_concurrent_streams). One more ends the
    /// connection with `ENHANCE_YOUR_CALM`, and the observer gets [`ServerEvent::Flooded`](super::super::ServerEvent::Flooded).
    /// Headers or data of a call in either direction begin the count anew, so that clients which measure the network by pings
    /// while data comes are not meant. Default: 1000, far more than clients send to keep a connection, and little work.
    /// `None` counts nothing. 0 counts as 1: the settings that every client begins with are such a frame.
    ///
    /// Empty DATA frames (100 of a connection) and CONTINUATION frames beyond what
    /// [`max_header_size`](Self::max_header_size) needs are bounded by h2, not settably.
    pub fn with_max_control_frames(mut self, max: impl Into<Option<usize>>) -> Self {
        self.config.max_control_frames = max.into().map(|max| max.max(1));
        self
    }

    /// Set by [`with_max_control_frames`](Self::with_max_control_frames).
    #[must_use]
    pub fn max_control_frames(&self) -> Option<usize> {
        self.config.max_control_frames
    }

    /// How many calls an HTTP/2 client may cancel within ten seconds before they have an answer. One more ends the connection
    /// with its calls, and the observer gets [`ServerEvent::Flooded`](super::super::ServerEvent::Flooded). Calls whose client's deadline
    /// passed are among them, so the default is generous: 10,000, which a gateway may need when a server is too slow, and which
    /// cost a small part of a core. `None` counts nothing.
    pub fn with_max_canceled_calls(mut self, max: impl Into<Option<usize>>) -> Self {
        self.config.max_canceled_calls = max.into();
        self
    }

    /// Set by [`with_max_canceled_calls`](Self::with_max_canceled_calls).
    #[must_use]
    pub fn max_canceled_calls(&self) -> Option<usize> {
        self.config.max_canceled_calls
    }
}
