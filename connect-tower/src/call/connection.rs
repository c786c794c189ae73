//! The connection of a call.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect_proto::Limits;
use http::Extensions;

use crate::call::{peer::Peer, receive::ReceiveLimits, rt::SharedTimer};

/// The connection that a request came over, in the request's extensions: an HTTP server puts it there for a
/// [`Router`](crate::Router).
///
/// Adapters make one for each connection and insert a clone, which is cheap.
///
/// ```
/// use connect_tower::{Connection, Peer};
///
/// let connection = Connection::new(Peer::new(([192, 0, 2, 1], 50_000).into()));
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(connection.clone());
/// ```
#[derive(Clone, Debug)]
pub struct Connection(Arc<Facts>);

#[derive(Clone, Debug)]
struct Facts {
    peer: Peer,
    local_addr: Option<SocketAddr>,
    /// In a box: in the clear there is none.
    tls: Option<Box<Tls>>,
    timer: Option<SharedTimer>,
    receive_limits: ReceiveLimits,
    header_limit: HeaderLimit,
}

/// What a TLS handshake has said.
#[derive(Clone, Debug, Default)]
struct Tls {
    server_name: Option<Box<str>>,
    alpn: Option<Box<[u8]>>,
}

/// `NOT_SAID` until the other end has said it.
#[derive(Debug)]
struct HeaderLimit(AtomicUsize);

const NOT_SAID: usize = usize::MAX;

impl Clone for HeaderLimit {
    fn clone(&self) -> Self {
        Self(AtomicUsize::new(self.0.load(Ordering::Relaxed)))
    }
}

impl Facts {
    fn tls(&mut self) -> &mut Tls {
        self.tls.get_or_insert_default()
    }
}

impl Connection {
    /// A connection with this peer, without a timer and without limits.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(Arc::new(Facts {
            peer,
            local_addr: None,
            tls: None,
            timer: None,
            receive_limits: ReceiveLimits::default(),
            header_limit: HeaderLimit(AtomicUsize::new(NOT_SAID)),
        }))
    }

    /// Sets the timer for the deadlines of calls. A router with a timer of its own uses that one.
    #[must_use]
    pub fn with_timer(mut self, timer: SharedTimer) -> Self {
        Arc::make_mut(&mut self.0).timer = Some(timer);
        self
    }

    /// Sets the bounds of what is received. Default: none but those of the router.
    #[must_use]
    pub fn with_receive_limits(mut self, limits: ReceiveLimits) -> Self {
        Arc::make_mut(&mut self.0).receive_limits = limits;
        self
    }

    /// Sets the address of this end, if it has one.
    #[must_use]
    pub fn with_local_addr(mut self, address: Option<SocketAddr>) -> Self {
        Arc::make_mut(&mut self.0).local_addr = address;
        self
    }

    /// Sets the name that the client asked for in the TLS handshake, if it did.
    #[must_use]
    pub fn with_server_name(mut self, name: Option<&str>) -> Self {
        Arc::make_mut(&mut self.0).tls().server_name = name.map(Into::into);
        self
    }

    /// Sets the protocol that ALPN agreed on, if there was any.
    #[must_use]
    pub fn with_alpn(mut self, protocol: Option<&[u8]>) -> Self {
        Arc::make_mut(&mut self.0).tls().alpn = protocol.map(Into::into);
        self
    }

    /// The address of this end that the client has reached; `None` if the connection has none.
    #[must_use]
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.0.local_addr
    }

    /// The name that the client asked for in the TLS handshake (SNI; RFC 6066, section 3); `None` in the clear.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.tls.as_ref()?.server_name.as_deref()
    }

    /// The protocol that ALPN agreed on, such as `h2` (RFC 7301); `None` in the clear.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.0.tls.as_ref()?.alpn.as_deref()
    }

    /// The other end.
    #[must_use]
    pub fn peer(&self) -> &Peer {
        &self.0.peer
    }

    /// The timer for the deadlines of calls.
    #[must_use]
    pub fn timer(&self) -> Option<&SharedTimer> {
        self.0.timer.as_ref()
    }

    /// The bounds of what is received.
    pub fn receive_limits(&self) -> &ReceiveLimits {
        &self.0.receive_limits
    }

    /// Notes how many bytes of header fields the other end takes in one head, or in trailers: HTTP/2's
    /// `SETTINGS_MAX_HEADER_LIST_SIZE` (RFC 9113, section 6.5.2). For all clones of this value, until one of them is changed.
    pub fn note_header_limit(&self, bytes: usize) {
        self.0.header_limit.0.store(bytes, Ordering::Relaxed);
    }

    /// How many bytes of header fields the other end takes; `None` if it has not said, and on HTTP/1.1. A router keeps
    /// its answers within it, or else within [`Limits::with_sent_header_bytes`](connect_proto::Limits::with_sent_header_bytes).
    #[must_use]
    pub fn header_limit(&self) -> Option<usize> {
        let bytes = self.0.header_limit.0.load(Ordering::Relaxed);
        (bytes != NOT_SAID).then_some(bytes)
    }

    /// These limits, with what the client of a request with these extensions takes of header fields, if it has said that.
    pub(crate) fn sent_limits(extensions: &Extensions, limits: Limits) -> Limits {
        let said = extensions.get().and_then(Self::header_limit);
        said.map_or(limits, |bytes| limits.with_sent_header_bytes(bytes))
    }

    /// The other end of the connection of a request with these extensions.
    pub(crate) fn peer_of(extensions: &Extensions) -> Option<&Peer> {
        extensions.get().map(Self::peer)
    }
}
