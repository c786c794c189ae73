//! A server's certificate and key, and which client certificates it demands.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
};

use crate::{
    error::TlsError,
    pem::{self, Identity},
};

/// TLS for a server: TLS 1.2 and 1.3 by rustls.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use connect_rustls::ServerTls;
///
/// let tls = ServerTls::from_pem(std::fs::read("server.pem")?, std::fs::read("server.key")?)?
///     .with_client_ca(std::fs::read("clients-ca.pem")?)?; // only for client certificates
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    /// What `config` is built from; `None` if it came from the user.
    identity: Option<Arc<Identity>>,
}

impl ServerTls {
    /// A server with this certificate chain, its own certificate first, and private key, in PEM.
    ///
    /// # Errors
    ///
    /// When either is not valid PEM, or the key does not belong to the certificate.
    pub fn from_pem(chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let what = "the server's certificate";
        let identity = Identity::from_pem(what, chain.as_ref(), key.as_ref())?;
        Ok(Self {
            config: build(&identity, WebPkiClientVerifier::no_client_auth())?,
            identity: Some(Arc::new(identity)),
        })
    }

    /// A server with any rustls configuration. ALPN protocols that it names stay; if it names none, the transport's
    /// are used.
    #[must_use]
    pub fn from_rustls(config: ServerConfig) -> Self {
        Self {
            config: Arc::new(config),
            identity: None,
        }
    }

    /// Demands a client certificate that one of these authorities (PEM) issued. Other clients are refused in the
    /// handshake. Handlers find the certificate in `Peer::certificates`.
    ///
    /// # Errors
    ///
    /// When this is not valid PEM, or the configuration came from [`from_rustls`](Self::from_rustls), which
    /// brings its own verifier.
    pub fn with_client_ca(self, ca: impl AsRef<[u8]>) -> Result<Self, TlsError> {
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

    /// For an adapter's handshake: the rustls configuration that accepts these protocols by ALPN, the preferred one
    /// first. Sessions are resumed whichever protocols are accepted.
    #[must_use]
    pub fn config(&self, alpn: &[&[u8]]) -> Arc<ServerConfig> {
        if !self.config.alpn_protocols.is_empty() {
            return Arc::clone(&self.config);
        }
        // A copy shares everything but these names. Its cost is small next to a handshake.
        let mut config = ServerConfig::clone(&self.config);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }
}

fn build(
    identity: &Identity,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<Arc<ServerConfig>, TlsError> {
    let config = ServerConfig::builder_with_provider(pem::provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsError::new("no TLS version can be used").with_source(error))?
        .with_client_cert_verifier(verifier)
        .with_single_cert(identity.chain.clone(), identity.key.clone_key())
        .map_err(|error| {
            TlsError::new("the server's certificate and key cannot be used").with_source(error)
        })?;
    Ok(Arc::new(config))
}
