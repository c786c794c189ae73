//! The accept loop of a listener, its pauses when that fails, and who is let in.

use std::{
    convert::Infallible,
    fmt,
    io::{self, ErrorKind},
    sync::Arc,
    time::Duration,
};

use connect_tower::Peer;

use super::{
    addresses::{AddressSlot, Addresses, Full},
    connection,
    context::ServerContext,
    drain::{DrainHandle, OpenConnection},
    event::ServerEvent,
    service::HttpService,
};
use crate::{
    runtime::{Listener, Runtime, yield_now},
    tls::TlsAcceptor,
};

/// The first pause after a failed accept; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What the accept loops of a server share.
#[expect(unnameable_types, reason = "of a trait that nobody else implements")]
pub struct Accepting<R> {
    pub(super) context: Arc<ServerContext<R>>,
    pub(super) drain: DrainHandle,
    pub(super) addresses: Option<Addresses>,
}

/// Accepts the connections of one listener without end.
pub(super) async fn accept<R, L, S>(
    listener: &mut L,
    tls: Option<&Arc<dyn TlsAcceptor<R, L::Io>>>,
    accepting: &Accepting<R>,
    service: S,
) -> Infallible
where
    R: Runtime,
    L: Listener<R>,
    S: HttpService,
{
    let context = &accepting.context;
    let mut pause = FIRST_PAUSE;
    let mut aborted = 0;
    let mut in_a_row = 0;
    loop {
        in_a_row += 1;
        if in_a_row == ACCEPTS_IN_A_ROW {
            in_a_row = 0;
            yield_now().await;
        }
        accepting.room().await;
        match listener.accept().await {
            Ok(accepted) => {
                (pause, aborted) = (FIRST_PAUSE, 0);
                if let Some(connection) = accepting.admit(&accepted.peer).await {
                    context.runtime.spawn(connection::serve(
                        Arc::clone(context),
                        accepted,
                        tls.cloned(),
                        service.clone(),
                        connection,
                    ));
                }
            }
            Err(error) if is_of_one_connection(&error) && aborted < MAX_ABORTED_IN_A_ROW => {
                aborted += 1;
            }
            Err(error) => {
                context.report(&ServerEvent::AcceptFailed {
                    error: &error,
                    pause,
                });
                context.runtime.sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                aborted = 0;
            }
        }
    }
}

impl<R> fmt::Debug for Accepting<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting")
            .field("drain", &self.drain)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

impl<R: Runtime> Accepting<R> {
    /// Waits for room for one more connection.
    async fn room(&self) {
        let max = self.context.config.max_connections;
        if self.drain.connections() >= max {
            let connections = max;
            self.context
                .report(&ServerEvent::ConnectionsFull { connections });
            self.drain.at_most(max - 1).await;
        }
    }

    /// A place for a new connection, unless its address has as many as it may.
    async fn admit(&self, peer: &Peer) -> Option<OpenConnection> {
        let max = self.context.config.max_connections;
        loop {
            let address = self.enter_address(peer).ok()?;
            if let Some(connection) = self.drain.enter_connection(address, max) {
                return Some(connection);
            }
            // Another listener has taken the place.
            self.room().await;
        }
    }

    fn enter_address(&self, peer: &Peer) -> Result<Option<AddressSlot>, Full> {
        let (Some(addresses), Some(address)) = (&self.addresses, peer.addr()) else {
            return Ok(None);
        };
        let entered = addresses.enter(address.ip());
        if matches!(&entered, Err(full) if full.is_first) {
            self.context.report(&ServerEvent::AddressFull { peer });
        }
        entered.map(Some)
    }

    /// The same for a worker.
    pub(super) fn on_worker(&self, runtime: R) -> Self {
        Self {
            context: Arc::new(self.context.on_worker(runtime)),
            drain: self.drain.clone(),
            addresses: self.addresses.clone(),
        }
    }
}

/// Accepts before other tasks run: a listener with a long queue is ready each time.
const ACCEPTS_IN_A_ROW: u32 = 32;

/// With more connections in a row that ended before they were accepted, the listener counts as failing.
const MAX_ABORTED_IN_A_ROW: u32 = 64;

/// Whether the connection ended before it was accepted, while the listener is fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}
