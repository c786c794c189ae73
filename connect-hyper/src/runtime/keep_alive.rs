//! TCP's keepalive: the system's own probes of peers that are silent.

use std::{io, time::Duration};

use socket2::{SockRef, TcpKeepalive};

/// How long a client's connection is silent before its peer is probed.
const TIME: Duration = Duration::from_secs(30);

/// Between probes that are not answered.
const INTERVAL: Duration = Duration::from_secs(10);

/// Turns TCP's keepalive on for a client's connection: its peer is probed after 30 seconds of silence, and then every 10
/// seconds until it answers.
///
/// The system probes, so it costs the program nothing. Routers on the way keep such a connection, and one whose peer is gone
/// ends also if no call waits on it. Commonly about nine probes are sent. Systems that cannot be told the interval have
/// their own.
///
/// # Errors
///
/// Those of the system.
pub fn keep_alive(socket: &SockRef<'_>) -> io::Result<()> {
    set(socket, TIME, INTERVAL)
}

pub(super) fn set(socket: &SockRef<'_>, time: Duration, interval: Duration) -> io::Result<()> {
    let keepalive = TcpKeepalive::new().with_time(time);
    // Not all systems can be told.
    let _ = interval;
    #[cfg(any(
        target_os = "android",
        target_os = "freebsd",
        target_os = "ios",
        target_os = "linux",
        target_os = "macos",
        target_os = "windows"
    ))]
    let keepalive = keepalive.with_interval(interval);
    socket.set_tcp_keepalive(&keepalive)
}
