//! What a server tells its observer.

use std::{fmt, sync::Arc, time::Duration};

use connect_tower::Peer;

use super::floods::Flood;

pub(super) type Observer = Arc<dyn Fn(&ServerEvent<'_>) + Send + Sync>;

/// Something that happened to a server or a connection and that no call can report.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServerEvent<'a> {
    /// The listener failed to accept a connection; the server tries again after the pause.
    AcceptFailed {
        /// What the listener said.
        error: &'a std::io::Error,
        /// How long the server waits.
        pause: Duration,
    },
    /// A TLS handshake failed or took too long.
    HandshakeFailed {
        /// Who connected.
        peer: &'a Peer,
        /// Why it failed.
        error: &'a std::io::Error,
    },
    /// A connection ended with an error of HTTP or of its socket.
    ConnectionFailed {
        /// Who connected.
        peer: &'a Peer,
        /// Why it failed.
        error: &'a (dyn std::error::Error + Send + Sync + 'static),
    },
    /// A connection was ended because its client flooded it.
    Flooded {
        /// Who connected.
        peer: &'a Peer,
        /// By what.
        flood: Flood,
    },
    /// As many connections are open as may be: no more are accepted until one ends. Told once each time.
    ConnectionsFull {
        /// How many: [`Server::max_connections`](super::Server::max_connections).
        connections: usize,
    },
    /// A connection was closed because its address has as many as it may. Told once, until there was room again.
    AddressFull {
        /// Who connected.
        peer: &'a Peer,
    },
    /// A graceful shutdown begins: after the delay no connection is accepted any more. The moment to tell load balancers by
    /// the health service.
    ShuttingDown {
        /// How long the server goes on as before: [`Server::drain_delay`](super::Server::drain_delay).
        delay: Duration,
    },
    /// The time for a graceful shutdown is up: these connections are ended with calls in flight.
    DrainExpired {
        /// The number of connections.
        connections: usize,
    },
}

impl fmt::Display for ServerEvent<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AcceptFailed { error, pause } => {
                write!(f, "accept failed, waiting {pause:?}: {error}")
            }
            Self::HandshakeFailed { peer, error } => {
                write!(f, "TLS handshake with {} failed: {error}", Name(peer))
            }
            Self::ConnectionFailed { peer, error } => {
                let error = crate::reset::chain(*error);
                write!(f, "connection from {} failed: {error}", Name(peer))
            }
            Self::Flooded { peer, flood } => {
                let what = match flood {
                    Flood::ControlFrames => {
                        "frames that have to be answered, without a call that moves"
                    }
                    Flood::CanceledCalls => "calls that it cancels",
                };
                write!(
                    f,
                    "ended the connection from {}: too many {what}",
                    Name(peer)
                )
            }
            Self::ConnectionsFull { connections } => {
                write!(
                    f,
                    "{connections} connections are open: no more are accepted"
                )
            }
            Self::AddressFull { peer } => {
                write!(f, "{} has as many connections as it may", Name(peer))
            }
            Self::ShuttingDown { delay } => {
                write!(
                    f,
                    "shutting down, no connections are accepted after {delay:?}"
                )
            }
            Self::DrainExpired { connections } => {
                write!(f, "the drain timed out: ending {connections} connections")
            }
        }
    }
}

/// A peer's address, or that there is none.
struct Name<'a>(&'a Peer);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.addr() {
            Some(address) => address.fmt(f),
            None => f.write_str("a peer without an address"),
        }
    }
}
