//! A server's certificate, key and demands on clients.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{ALPN_HTTP1, ALPN_HTTP2, TlsError, pem};

/// TLS for a server: TLS 1.2 and 1.3 by rustls, HTTP/2 and HTTP/1.1 by ALPN.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use connect_hyper::ServerTls;
///
/// let tls = ServerTls::from_pem(std::fs::read("server.pem")?, std::fs::read("server.key")?)?
///     .client_ca(std::fs::read("clients-ca.pem")?)?; // only for client certificates
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    identity: Option<Arc<Identity>>,
}

#[derive(Debug)]
struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl ServerTls {
    /// A server with this certificate chain, its own certificate first, and private key, in PEM.
    ///
    /// # Errors
    ///
    /// When either is not valid PEM, or the key does not belong to the certificate.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let identity = Identity {
            chain: pem::certificates("the server's certificate", chain.as_ref())?,
            key: pem::key(key.as_ref())?,
        };
        Ok(Self {
            config: build(&identity, WebPkiClientVerifier::no_client_auth())?,
            identity: Some(Arc::new(identity)),
        })
    }

    /// Demands a client certificate that one of these authorities (PEM) issued; other clients are refused in
    /// the handshake. Handlers find the certificate in [`Peer::certificates`](connect_tower::Peer::certificates).
    ///
    /// # Errors
    ///
    /// When this is not valid PEM, or the configuration came from [`from_rustls`](Self::from_rustls), which
    /// brings its own verifier.
    pub fn client_ca(self, ca: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let Some(identity) = self.identity else {
            return Err(TlsError::new(
                "a rustls configuration brings its own client verifier: set it there",
            ));
        };
        let mut roots = RootCertStore::empty();
        pem::add_roots(&mut roots, "the clients' authority", ca.as_ref())?;
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), pem::provider())
                .build()
                .map_err(|error| {
                    TlsError::new("the clients' authority cannot be used").with_source(error)
                })?;
        Ok(Self {
            config: build(&identity, verifier)?,
            identity: Some(identity),
        })
    }

    /// A server with any rustls configuration. ALPN is set to HTTP/2 and HTTP/1.1 if it is empty.
    #[must_use]
    pub fn from_rustls(mut config: ServerConfig) -> Self {
        if config.alpn_protocols.is_empty() {
            config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
        }
        Self {
            config: Arc::new(config),
            identity: None,
        }
    }

    /// The rustls configuration, for an adapter's handshake.
    #[must_use]
    pub const fn config(&self) -> &Arc<ServerConfig> {
        &self.config
    }
}

fn build(
    identity: &Identity,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = ServerConfig::builder_with_provider(pem::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new("no TLS version can be used").with_source(error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(|error| {
            TlsError::new("the server's certificate and key cannot be used").with_source(error)
        })?;
    config.alpn_protocols = vec![ALPN_HTTP2.to_vec(), ALPN_HTTP1.to_vec()];
    Ok(Arc::new(config))
}
