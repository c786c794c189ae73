//! Who is on the other end of the connection.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

/// The other end of the connection that a call came over.
///
/// The adapter that owns the connection sets it in [`Connection`](crate::Connection); handlers, gates and interceptors
/// read it by [`Request::peer`](crate::Request::peer) and
/// [`CallHead::peer`](crate::CallHead::peer). It is the peer of the connection: behind a proxy, that is the proxy.
/// A clone is cheap.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Peer {
    addr: Option<SocketAddr>,
    certificates: Option<Arc<[Bytes]>>,
}

impl Peer {
    /// A peer at this address.
    #[must_use]
    pub const fn new(addr: SocketAddr) -> Self {
        Self {
            addr: Some(addr),
            certificates: None,
        }
    }

    /// A peer without an address: one on a Unix socket, or in the same process.
    #[must_use]
    pub const fn without_addr() -> Self {
        Self {
            addr: None,
            certificates: None,
        }
    }

    /// Sets the certificates that the peer has proven to own in the TLS handshake, in DER, its own first.
    #[must_use]
    pub fn with_certificates(mut self, chain: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        self.certificates = Some(chain.into_iter().map(Into::into).collect());
        self
    }

    /// The address; `None` if the connection has none.
    #[must_use]
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// The certificates that the peer has proven to own, in DER, its own first; empty without client certificates.
    #[must_use]
    pub fn certificates(&self) -> &[Bytes] {
        self.certificates.as_deref().unwrap_or_default()
    }
}
