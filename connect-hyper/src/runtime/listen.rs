//! Where a server's connections come from: the trait, TCP sockets with their options, and streams of connections.

use std::{
    fmt,
    future::{Future, pending, poll_fn},
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    pin::Pin,
    time::Duration,
};

use connect_tower::Peer;
use futures_core::Stream;
use socket2::{Domain, Protocol, SockRef, Socket, Type};

use super::{byte_stream::Io, keep_alive};

/// A source of connections for a server: a TCP or Unix listener, or a user's own.
pub trait Listener<R>: Send + 'static {
    /// A connection.
    type Io: Io;

    /// Waits for the next connection. Must be cancel-safe: a dropped future loses no connection.
    ///
    /// An error does not end the server: it waits a little and asks again.
    fn accept(&mut self) -> impl Future<Output = io::Result<Accepted<Self::Io>>> + Send;

    /// Where clients connect to; `None` if that has no name.
    fn local_addr(&self) -> Option<ListenAddr>;
}

/// A connection that has come in.
#[derive(Debug)]
pub struct Accepted<I> {
    pub(crate) io: I,
    pub(crate) peer: Peer,
    pub(crate) local_addr: Option<SocketAddr>,
}

impl<I> Accepted<I> {
    /// A connection whose peer has no address.
    #[must_use]
    pub const fn new(io: I) -> Self {
        Self {
            io,
            peer: Peer::without_addr(),
            local_addr: None,
        }
    }

    /// Sets who is on the other end: its address, for example.
    #[must_use]
    pub fn with_peer(mut self, peer: Peer) -> Self {
        self.peer = peer;
        self
    }

    /// Sets the address of this end.
    #[must_use]
    pub fn with_local_addr(mut self, address: Option<SocketAddr>) -> Self {
        self.local_addr = address;
        self
    }

    /// The connection's bytes.
    #[must_use]
    pub fn into_io(self) -> I {
        self.io
    }
}

/// Where a server listens.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ListenAddr {
    /// On a TCP port.
    Tcp(SocketAddr),
    /// On a Unix socket in the file system.
    Unix(PathBuf),
    /// Elsewhere: what the listener says of it.
    Other(String),
}

impl ListenAddr {
    /// The TCP address, if it is one.
    #[must_use]
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Other(_) => None,
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Other(text) => f.write_str(text),
        }
    }
}

/// How a TCP socket listens. The system gives what is set here to each connection that is accepted.
///
/// ```
/// use connect_hyper::runtime::ListenOptions;
///
/// let options = ListenOptions::new().with_reuse_port(true).with_backlog(4096);
/// let listener = options.bind(([127, 0, 0, 1], 0).into())?;
/// // A second one on the same port: the kernel deals connections out to both.
/// let second = options.bind(listener.local_addr()?)?;
/// # drop(second);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenOptions {
    reuse_port: bool,
    backlog: u32,
    ipv6_only: Option<bool>,
    tcp_keep_alive: Option<Duration>,
}

impl Default for ListenOptions {
    fn default() -> Self {
        Self {
            reuse_port: false,
            backlog: 1024,
            ipv6_only: None,
            tcp_keep_alive: Some(Duration::from_secs(30)),
        }
    }
}

impl ListenOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether other sockets of the same user may listen on the same port, so that the kernel deals connections out to them
    /// (`SO_REUSEPORT`): for a listener per thread. Default: no, so that a second server on a port is an error. Systems
    /// without it ignore this.
    #[must_use]
    pub fn with_reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Set by [`with_reuse_port`](Self::with_reuse_port).
    #[must_use]
    pub fn reuse_port(&self) -> bool {
        self.reuse_port
    }

    /// How many connections may wait to be accepted. The system may allow fewer. Default: 1024.
    #[must_use]
    pub fn with_backlog(mut self, connections: u32) -> Self {
        self.backlog = connections;
        self
    }

    /// Set by [`with_backlog`](Self::with_backlog).
    #[must_use]
    pub fn backlog(&self) -> u32 {
        self.backlog
    }

    /// Whether a socket on `[::]` takes IPv6 alone, so that another may listen on `0.0.0.0` (`IPV6_V6ONLY`). Default: `None`,
    /// the system's; on Linux it takes both.
    #[must_use]
    pub fn with_ipv6_only(mut self, ipv6_only: impl Into<Option<bool>>) -> Self {
        self.ipv6_only = ipv6_only.into();
        self
    }

    /// Set by [`with_ipv6_only`](Self::with_ipv6_only).
    #[must_use]
    pub fn ipv6_only(&self) -> Option<bool> {
        self.ipv6_only
    }

    /// After what silence the system asks whether the client is still there, and then at such intervals (`SO_KEEPALIVE`). It
    /// finds out clients that vanished where HTTP has no pings, on HTTP/1.1. Default: 30 seconds; `None` does not ask.
    #[must_use]
    pub fn with_tcp_keep_alive(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.tcp_keep_alive = interval.into();
        self
    }

    /// Set by [`with_tcp_keep_alive`](Self::with_tcp_keep_alive).
    #[must_use]
    pub fn tcp_keep_alive(&self) -> Option<Duration> {
        self.tcp_keep_alive
    }

    /// Listens on an address, without blocking. Port 0 takes a free one. For a runtime's own listener give this to its
    /// `from_std`.
    ///
    /// # Errors
    ///
    /// Those of the system: the address is in use, or not this machine's.
    pub fn bind(&self, address: SocketAddr) -> io::Result<TcpListener> {
        let domain = Domain::for_address(address);
        let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
        // As the standard library does: without it a port stays in use for minutes after a restart. On Windows it would
        // allow two servers on one port.
        #[cfg(not(windows))]
        socket.set_reuse_address(true)?;
        #[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
        // What `can_share_port` says.
        socket.set_reuse_port(self.reuse_port)?;
        if let (Some(ipv6_only), true) = (self.ipv6_only, address.is_ipv6()) {
            socket.set_only_v6(ipv6_only)?;
        }
        socket.set_tcp_nodelay(true)?;
        if let Some(interval) = self.tcp_keep_alive {
            keep_alive::set(&SockRef::from(&socket), interval, interval)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        socket.listen(i32::try_from(self.backlog).unwrap_or(i32::MAX))?;
        Ok(socket.into())
    }
}

/// Whether the system lets several sockets listen on one port.
pub(crate) const fn can_share_port() -> bool {
    cfg!(all(
        unix,
        not(any(target_os = "solaris", target_os = "illumos"))
    ))
}

/// A listener of connections that come from elsewhere: a channel, another protocol, tests without sockets.
///
/// The stream's end is not the server's: it waits for its other listeners, or its shutdown.
///
/// ```
/// use connect_hyper::runtime::{Accepted, StreamListener};
/// # use connect_hyper::runtime::Io;
/// # use futures_core::Stream;
///
/// # fn listener<I: Io>(connections: impl Stream<Item = std::io::Result<Accepted<I>>> + Unpin) {
/// let listener = StreamListener::new(connections);
/// # }
/// ```
#[derive(Debug)]
pub struct StreamListener<S> {
    stream: S,
}

impl<S> StreamListener<S> {
    /// Accepts what the stream yields.
    pub const fn new(stream: S) -> Self {
        Self { stream }
    }
}

impl<R, S, I> Listener<R> for StreamListener<S>
where
    S: Stream<Item = io::Result<Accepted<I>>> + Unpin + Send + 'static,
    I: Io,
{
    type Io = I;

    async fn accept(&mut self) -> io::Result<Accepted<I>> {
        match poll_fn(|cx| Pin::new(&mut self.stream).poll_next(cx)).await {
            Some(accepted) => accepted,
            None => pending().await,
        }
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use socket2::SockRef;

    use super::*;

    fn loopback() -> SocketAddr {
        ([127, 0, 0, 1], 0).into()
    }

    #[test]
    fn getters_read_what_setters_have_set() {
        let options = ListenOptions::new();
        assert_eq!((options.reuse_port(), options.backlog()), (false, 1024));
        assert_eq!(options.ipv6_only(), None);
        let options = options
            .with_reuse_port(true)
            .with_backlog(7)
            .with_ipv6_only(true)
            .with_tcp_keep_alive(None);
        assert_eq!((options.reuse_port(), options.backlog()), (true, 7));
        assert_eq!(options.ipv6_only(), Some(true));
        assert_eq!(options.tcp_keep_alive(), None);
    }

    #[test]
    fn accepted_sockets_have_the_options_of_their_listener() {
        let interval = Duration::from_secs(7);
        for (set, expected) in [
            (None, Some(Duration::from_secs(30))),
            (Some(Some(interval)), Some(interval)),
            (Some(None), None),
        ] {
            let options = ListenOptions::new();
            let options = match set {
                Some(set) => options.with_tcp_keep_alive(set),
                None => options,
            };
            let listener = options.bind(loopback()).unwrap();
            listener.set_nonblocking(false).unwrap();
            let _client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (accepted, _) = listener.accept().unwrap();
            let socket = SockRef::from(&accepted);
            assert!(socket.tcp_nodelay().unwrap());
            assert_eq!(socket.keepalive().unwrap(), expected.is_some());
            if let Some(expected) = expected {
                #[cfg(target_os = "linux")]
                assert_eq!(socket.tcp_keepalive_time().unwrap(), expected);
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_port_is_shared_only_when_asked() {
        let shared = ListenOptions::new().with_reuse_port(true);
        let first = shared.bind(loopback()).unwrap();
        let address = first.local_addr().unwrap();
        shared.bind(address).unwrap();
        let error = ListenOptions::new().bind(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn ipv6_alone_leaves_the_port_to_ipv4() {
        let options = ListenOptions::new().with_ipv6_only(true);
        let any_v6 = SocketAddr::from(([0; 16], 0));
        let Ok(listener) = options.bind(any_v6) else {
            // A machine without IPv6.
            return;
        };
        let port = listener.local_addr().unwrap().port();
        options.bind(([0, 0, 0, 0], port).into()).unwrap();
    }

    #[test]
    fn addresses_are_shown_as_one_writes_them() {
        let tcp = ListenAddr::Tcp(([127, 0, 0, 1], 80).into());
        assert_eq!(tcp.to_string(), "127.0.0.1:80");
        assert_eq!(tcp.tcp(), Some(([127, 0, 0, 1], 80).into()));
        let unix = ListenAddr::Unix("/run/a.sock".into());
        assert_eq!(
            (unix.to_string(), unix.tcp()),
            ("unix:/run/a.sock".into(), None)
        );
        assert_eq!(ListenAddr::Other("here".into()).to_string(), "here");
    }
}
