//! Settings of a server that change while it serves.

use std::sync::{Arc, PoisonError, RwLock};

use crate::server::ServerTls;

/// A server's TLS settings that can be replaced while it serves. Clones share them: one goes to the server, another stays with
/// whatever learns that a certificate was renewed.
///
/// New handshakes use the new settings: certificate and key, the authorities of clients, the resolver, all of them. Open
/// connections go on with the old ones. Sessions of before are not resumed, so no client gets in by an authority that is not
/// trusted any more: each [`ServerTls`] that is made keeps its own. Two do not: a clone, which is the same settings, and a rustls
/// configuration of your own ([`ServerTls::from_rustls`]) with the session storage or the ticketer of the one before; there a client
/// whose certificate was accepted may resume its session without showing it again. New settings are made before they replace the old ones: if that fails, the old ones stay, and
/// [`TlsError`](crate::TlsError) says why.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use connect_rustls::{ReloadableTls, ServerTls, TlsError};
///
/// fn read() -> Result<ServerTls, Box<dyn std::error::Error>> {
///     let (chain, key) = (std::fs::read("server.pem")?, std::fs::read("server.key")?);
///     Ok(ServerTls::from_pem(chain, key)?)
/// }
///
/// let tls = ReloadableTls::new(read()?);
/// let for_the_server = tls.clone();
/// // Later, at a signal or once a day:
/// match read() {
///     Ok(new) => tls.replace(new),
///     Err(error) => eprintln!("the old certificate stays: {error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ReloadableTls {
    current: Arc<RwLock<ServerTls>>,
}

impl ReloadableTls {
    /// Settings to begin with.
    #[must_use]
    pub fn new(tls: ServerTls) -> Self {
        Self {
            current: Arc::new(RwLock::new(tls)),
        }
    }

    /// The settings of the next handshake.
    #[must_use]
    pub fn current(&self) -> ServerTls {
        // Nothing that can panic is done under the lock.
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Uses these settings from the next handshake on.
    pub fn replace(&self, tls: ServerTls) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = tls;
    }
}
