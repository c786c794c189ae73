//! The interface to TLS: handshakes, and what they return.
//!
//! The handshake belongs to the runtime adapter, because the libraries that drive TLS are written for one runtime
//! each. The adapters use rustls; its settings are [`ServerTls`] and [`ClientTls`] (feature `tls`, crate
//! connect-rustls). Another library, or a hardware key, comes in by implementing [`TlsAcceptor`] or
//! [`TlsConnector`].

use std::{fmt, future::Future, io, pin::Pin};

use bytes::Bytes;
#[cfg(feature = "tls")]
pub use connect_rustls::{ClientTls, Negotiated, ReloadableTls, ServerTls, TlsError};
use connect_tower::{Connection, Peer};

use crate::runtime::BoxIo;

/// HTTP/2 in ALPN (RFC 9113, section 3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301, section 6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// A handshake under way.
pub type Handshake = Pin<Box<dyn Future<Output = io::Result<TlsSession>> + Send>>;

/// The server's side of TLS on connections of type `I` of the runtime `R`.
pub trait TlsAcceptor<R, I>: Send + Sync + 'static {
    /// Does the handshake on a new connection, and accepts these protocols by ALPN, the preferred one first. The server
    /// bounds its time.
    fn accept(&self, alpn: &[&'static [u8]], io: I) -> Handshake;
}

/// The client's side of TLS on the runtime `R`.
pub trait TlsConnector<R>: Send + Sync + 'static {
    /// Whether handshakes can be made with these settings at all. It is asked when a channel is built, which then fails
    /// instead of each call. Default: yes.
    ///
    /// # Errors
    ///
    /// What is missing, and how to set it.
    fn check(&self) -> io::Result<()> {
        Ok(())
    }

    /// Does the handshake on a new connection to a host, a name or an address in text, and offers these protocols
    /// by ALPN. The channel bounds its time. The connection is a socket, a tunnel of a proxy, or what a user's
    /// [`Connect`](crate::client::Connect) returned.
    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: BoxIo) -> Handshake;
}

/// Each handshake by the settings of its moment.
#[cfg(feature = "tls")]
impl<R, I> TlsAcceptor<R, I> for ReloadableTls
where
    ServerTls: TlsAcceptor<R, I>,
{
    fn accept(&self, alpn: &[&'static [u8]], io: I) -> Handshake {
        self.current().accept(alpn, io)
    }
}

/// A connection after its handshake.
pub struct TlsSession {
    io: BoxIo,
    alpn: Option<Box<[u8]>>,
    server_name: Option<Box<str>>,
    peer_certificates: Vec<Bytes>,
}

impl TlsSession {
    /// A connection whose bytes `io` decrypts.
    #[must_use]
    pub fn new(io: BoxIo) -> Self {
        Self {
            io,
            alpn: None,
            server_name: None,
            peer_certificates: Vec::new(),
        }
    }

    /// The protocol that ALPN agreed on, if any. Without one a server looks at the first bytes, and a client
    /// speaks HTTP/1.1.
    #[must_use]
    pub fn with_alpn(mut self, protocol: Option<&[u8]>) -> Self {
        self.alpn = protocol.map(Into::into);
        self
    }

    /// The name that the client asked for (SNI; RFC 6066, section 3), on a server.
    #[must_use]
    pub fn with_server_name(mut self, name: Option<&str>) -> Self {
        self.server_name = name.map(Into::into);
        self
    }

    /// The certificates of the other side that were verified, in DER, its own first.
    #[must_use]
    pub fn with_peer_certificates(
        mut self,
        chain: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Self {
        self.peer_certificates = chain.into_iter().map(Into::into).collect();
        self
    }

    /// The protocol and the certificates that a handshake of rustls has agreed on.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn with_negotiated(self, negotiated: Negotiated) -> Self {
        self.with_alpn(negotiated.alpn())
            .with_peer_certificates(negotiated.into_peer_certificates())
    }

    pub(crate) fn speaks(&self, protocol: &[u8]) -> bool {
        self.alpn.as_deref() == Some(protocol)
    }

    pub(crate) fn into_parts(self) -> (BoxIo, Vec<Bytes>) {
        (self.io, self.peer_certificates)
    }

    /// The bytes, and what a server tells of the connection with this peer.
    pub(crate) fn into_server_parts(self, mut peer: Peer) -> (BoxIo, Connection) {
        if !self.peer_certificates.is_empty() {
            peer = peer.with_certificates(self.peer_certificates);
        }
        let connection = Connection::new(peer)
            .with_alpn(self.alpn.as_deref())
            .with_server_name(self.server_name.as_deref());
        (self.io, connection)
    }
}

impl fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSession")
            .field(
                "alpn",
                &self
                    .alpn
                    .as_deref()
                    .map(|alpn| alpn.escape_ascii().to_string()),
            )
            .field("peer_certificates", &self.peer_certificates.len())
            .finish_non_exhaustive()
    }
}

/// What a client can do about a handshake that failed.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    #[cfg(feature = "tls")]
    if let Some(advice) = connect_rustls::handshake_advice(error) {
        return advice;
    }
    let _ = error;
    "is the port a TLS port, is the server's authority trusted, and does the server want a client certificate?"
}

/// Whether the server ended the handshake because it speaks nothing that ALPN offered.
pub(crate) fn is_alpn_refusal(error: &io::Error) -> bool {
    #[cfg(feature = "tls")]
    if connect_rustls::is_alpn_refusal(error) {
        return true;
    }
    let _ = error;
    false
}
