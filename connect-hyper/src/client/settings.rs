//! How a channel behaves, with the defaults.

use std::time::Duration;

use super::connection::{Http1Settings, Http2Settings};
use crate::runtime::{MAX_FRAME_SIZE, Windows};

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) version: HttpVersion,
    pub(super) connect_timeout: Duration,
    pub(super) attempt_delay: Duration,
    pub(super) max_backoff: Duration,
    pub(super) idle_timeout: Duration,
    pub(super) http1_idle_timeout: Duration,
    pub(super) max_connection_age: Option<Duration>,
    pub(super) max_idle: usize,
    pub(super) max_connections: usize,
    pub(super) max_http2_connections: usize,
    pub(super) streams_per_connection: usize,
    pub(super) max_waiting_calls: usize,
    pub(super) http1: Http1Settings,
    pub(super) http2: Http2Settings,
}

/// Which HTTP a channel speaks when a call does not demand HTTP/2.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum HttpVersion {
    /// Over TLS what the server prefers (ALPN), in the clear HTTP/1.1. The default.
    #[default]
    Auto,
    /// HTTP/1.1: one call at a time on each of several connections.
    Http1,
    /// HTTP/2: all calls on one connection; in the clear "with prior knowledge" (RFC 9113, section 3.3).
    Http2,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            version: HttpVersion::default(),
            connect_timeout: Duration::from_secs(20),
            // RFC 8305, section 5, recommends this.
            attempt_delay: Duration::from_millis(250),
            max_backoff: Duration::from_secs(1),
            idle_timeout: Duration::from_secs(5 * 60),
            http1_idle_timeout: Duration::from_secs(20),
            max_connection_age: None,
            max_idle: 128,
            max_connections: 256,
            max_http2_connections: 16,
            streams_per_connection: 100,
            max_waiting_calls: 10_000,
            http1: Http1Settings {
                max_headers: 100,
                buffer_size: 400 * 1024,
            },
            http2: Http2Settings {
                windows: Windows::new(1024 * 1024, 16 * 1024 * 1024),
                max_frame_size: MAX_FRAME_SIZE,
                max_header_size: 256 * 1024,
                keep_alive: Some((Duration::from_secs(30), Duration::from_secs(20))),
                send_buffer_size: 1024 * 1024,
            },
        }
    }
}
