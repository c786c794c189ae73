//! A server's handle: to shut it down, and to see how it is, from elsewhere.

use std::{fmt, sync::Arc};

use connect_tower::ServerStats;

use super::drain::{DrainHandle, Shutdown};
use crate::runtime::ListenAddr;

/// Shuts a server down and tells of it, from any task or thread. Cloned, it is the same server's.
///
/// [`Server::handle`](super::Server::handle) makes one, before the server serves.
#[derive(Clone)]
pub struct ServerHandle {
    pub(super) drain: DrainHandle,
    pub(super) local_addrs: Arc<[ListenAddr]>,
}

impl ServerHandle {
    /// Begins the graceful shutdown, as the signal of
    /// [`serve_with_shutdown`](super::Server::serve_with_shutdown) does. A server that does not serve yet will end at once
    /// when it does. Called again, it does nothing.
    ///
    /// With a [`drain_delay`](super::Server::with_drain_delay) the server goes on as before for that long, and tells its observer at
    /// once ([`ServerEvent::ShuttingDown`](super::ServerEvent::ShuttingDown)); only then it closes its listeners and drains, for at most its
    /// [`drain_timeout`](super::Server::with_drain_timeout).
    pub fn shutdown(&self) {
        self.drain.reach(Shutdown::Asked);
    }

    /// Waits until the server has ended: it was shut down and its drain is over, or its future was dropped. Any number
    /// may wait.
    pub async fn ended(&self) {
        self.drain.reached(Shutdown::Over).await;
    }

    /// How many connections are open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.drain.connections()
    }

    /// How it is now, in numbers, for gauges and health pages. It looks at each open connection for a moment.
    #[must_use]
    pub fn stats(&self) -> ServerStats {
        self.drain.stats()
    }

    /// Where the server listens, in the order of its listeners; those without a name are left out.
    #[must_use]
    pub fn local_addrs(&self) -> &[ListenAddr] {
        &self.local_addrs
    }
}

impl fmt::Debug for ServerHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerHandle")
            .field("local_addrs", &self.local_addrs)
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
