//! TLS: what a handshake gives, the seam for any implementation, and (feature `tls`) configuration by rustls.
//!
//! The handshake itself belongs to the runtime adapter, because the libraries that drive rustls are written
//! for one runtime each. [`ServerTls`] and [`ClientTls`] hold what does not depend on it: certificates, keys,
//! roots and ALPN. Another library, or a hardware key, comes in by implementing [`TlsAcceptor`] or
//! [`TlsConnector`].

#[cfg(feature = "tls")]
mod client;
#[cfg(feature = "tls")]
mod server;

use std::{fmt, future::Future, io, pin::Pin};

use bytes::Bytes;

use crate::runtime::BoxIo;

#[cfg(feature = "tls")]
pub use self::{client::ClientTls, server::ServerTls};

/// HTTP/2 in ALPN (RFC 9113, section 3.2).
pub const ALPN_HTTP2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN (RFC 7301, section 6).
pub const ALPN_HTTP1: &[u8] = b"http/1.1";

/// A handshake under way.
pub type Handshake = Pin<Box<dyn Future<Output = io::Result<TlsSession>> + Send>>;

/// The server's side of TLS on connections of type `I` of the runtime `R`.
pub trait TlsAcceptor<R, I>: Send + Sync + 'static {
    /// Shakes hands on a new connection. The server bounds its time.
    fn accept(&self, io: I) -> Handshake;
}

/// The client's side of TLS on connections of type `I` of the runtime `R`.
pub trait TlsConnector<R, I>: Send + Sync + 'static {
    /// Shakes hands on a new connection to a host, a name or an address in text, and offers these protocols
    /// by ALPN. The channel bounds its time.
    fn connect(&self, host: &str, alpn: &[&'static [u8]], io: I) -> Handshake;
}

/// A connection after its handshake.
pub struct TlsSession {
    io: BoxIo,
    alpn: Option<Box<[u8]>>,
    peer_certificates: Vec<Bytes>,
}

impl TlsSession {
    /// A connection whose bytes are deciphered by `io`.
    #[must_use]
    pub fn new(io: BoxIo) -> Self {
        Self {
            io,
            alpn: None,
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

    /// The certificates of the other side that were verified, in DER, its own first.
    #[must_use]
    pub fn with_peer_certificates(
        mut self,
        chain: impl IntoIterator<Item = impl Into<Bytes>>,
    ) -> Self {
        self.peer_certificates = chain.into_iter().map(Into::into).collect();
        self
    }

    /// Reads what a rustls connection agreed on, for an adapter's handshake: makes the session of its stream.
    #[cfg(feature = "tls")]
    pub fn from_rustls(connection: &rustls::CommonState) -> impl FnOnce(BoxIo) -> Self + use<> {
        let alpn = connection.alpn_protocol().map(<[u8]>::to_vec);
        let chain: Vec<Vec<u8>> = connection
            .peer_certificates()
            .unwrap_or_default()
            .iter()
            .map(|certificate| certificate.to_vec())
            .collect();
        move |io| {
            Self::new(io)
                .with_alpn(alpn.as_deref())
                .with_peer_certificates(chain)
        }
    }

    pub(crate) fn speaks(&self, protocol: &[u8]) -> bool {
        self.alpn.as_deref() == Some(protocol)
    }

    pub(crate) fn into_parts(self) -> (BoxIo, Vec<Bytes>) {
        (self.io, self.peer_certificates)
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

/// A TLS configuration that cannot be used: what is wrong with which part.
#[derive(Debug)]
pub struct TlsError {
    what: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[cfg(feature = "tls")]
impl TlsError {
    fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            source: None,
        }
    }

    fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// Shows what is wrong; why is in the [source](std::error::Error::source).
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// For handshakes, which fail with IO errors.
impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

impl std::error::Error for TlsError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What may help a client whose handshake has failed.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    #[cfg(feature = "tls")]
    if let Some(advice) = client::rustls_error(error).and_then(client::advice) {
        return advice;
    }
    let _ = error;
    "is the port a TLS port, is the server's authority trusted, and does the server want a client certificate?"
}

/// Whether the server ended the handshake because it speaks nothing that was offered by ALPN.
pub(crate) fn is_alpn_refusal(error: &io::Error) -> bool {
    #[cfg(feature = "tls")]
    if let Some(rustls::Error::AlertReceived(alert)) = client::rustls_error(error) {
        return *alert == rustls::AlertDescription::NoApplicationProtocol;
    }
    let _ = error;
    false
}

/// What both sides read from PEM.
#[cfg(feature = "tls")]
mod pem {
    use std::sync::Arc;

    use rustls::{RootCertStore, crypto::CryptoProvider};
    use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

    use super::TlsError;

    /// ring, named outright: no process-wide default is needed or changed.
    pub(super) fn provider() -> Arc<CryptoProvider> {
        Arc::new(rustls::crypto::ring::default_provider())
    }

    pub(super) fn certificates(
        what: &str,
        pem: &[u8],
    ) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| {
                TlsError::new(format!("{what} is not valid PEM")).with_source(error)
            })?;
        if chain.is_empty() {
            let what = format!("{what} holds no certificate (a PEM block \"CERTIFICATE\")");
            return Err(TlsError::new(what));
        }
        Ok(chain)
    }

    pub(super) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
            TlsError::new("the private key is not valid PEM (PKCS #8, PKCS #1 or SEC1)")
                .with_source(error)
        })
    }

    pub(super) fn add_roots(
        roots: &mut RootCertStore,
        what: &str,
        pem: &[u8],
    ) -> Result<(), TlsError> {
        for root in certificates(what, pem)? {
            roots.add(root).map_err(|error| {
                TlsError::new(format!("{what} cannot be trusted")).with_source(error)
            })?;
        }
        Ok(())
    }
}
