//! The connection of a call.

use std::sync::Arc;

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
    timer: Option<SharedTimer>,
    receive_limits: ReceiveLimits,
}

impl Connection {
    /// A connection with this peer, without a timer and without limits.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(Arc::new(Facts {
            peer,
            timer: None,
            receive_limits: ReceiveLimits::default(),
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

    /// The other end of the connection of a request with these extensions.
    pub(crate) fn peer_of(extensions: &Extensions) -> Option<&Peer> {
        extensions.get().map(Self::peer)
    }
}
