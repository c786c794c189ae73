//! A server's certificate and key, and which client certificates it demands.

use std::sync::Arc;

use rustls::{
    RootCertStore, ServerConfig,
    crypto::CryptoProvider,
    server::{ResolvesServerCert, WebPkiClientVerifier},
};

use crate::{
    error::TlsError,
    pem::{self, Identity},
    provider::{default_provider, no_provider},
};

/// TLS for a server: TLS 1.2 and 1.3 by rustls.
///
/// Its cryptography is that of the process, if the program has installed a
/// [default](rustls::crypto::CryptoProvider::install_default); else aws-lc-rs, if that feature is on; else ring; or what
/// [`with_provider`](Self::with_provider) says. Versions, cipher suites and everything else are those of rustls, or of a
/// configuration of your own, by [`from_rustls`](Self::from_rustls).
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
    /// Sessions to resume are kept in here. `None` as long as there is no provider.
    config: Option<Arc<ServerConfig>>,
    /// What `config` is built from; `None` if it came from the user.
    parts: Option<Parts>,
}

#[derive(Clone, Debug)]
struct Parts {
    certificates: Certificates,
    client_roots: Option<Arc<RootCertStore>>,
    provider: Option<Arc<CryptoProvider>>,
}

#[derive(Clone, Debug)]
enum Certificates {
    One(Arc<Identity>),
    ByName(Arc<dyn ResolvesServerCert>),
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
        Parts::new(Certificates::One(Arc::new(identity))).build()
    }

    /// A server that chooses its certificate in each handshake: by the name that the client asks for (SNI, RFC 6066,
    /// section 3), as rustls' [`ResolvesServerCertUsingSni`](rustls::server::ResolvesServerCertUsingSni) does.
    ///
    /// # Errors
    ///
    /// When the process-wide provider has the cipher suites of no TLS version.
    pub fn from_resolver(resolver: Arc<dyn ResolvesServerCert>) -> Result<Self, TlsError> {
        Parts::new(Certificates::ByName(resolver)).build()
    }

    /// A server with any rustls configuration. ALPN protocols that it names stay; if it names none, the transport's
    /// are used.
    #[must_use]
    pub fn from_rustls(config: ServerConfig) -> Self {
        Self {
            config: Some(Arc::new(config)),
            parts: None,
        }
    }

    /// Does its cryptography with this provider.
    ///
    /// # Errors
    ///
    /// When it can do nothing with the private key, has the cipher suites of no TLS version, or the configuration came from
    /// [`from_rustls`](Self::from_rustls).
    pub fn with_provider(self, provider: impl Into<Arc<CryptoProvider>>) -> Result<Self, TlsError> {
        let mut parts = self.into_parts()?;
        parts.provider = Some(provider.into());
        parts.build()
    }

    /// Demands a client certificate that one of these authorities (PEM) issued. Other clients are refused in the
    /// handshake. Handlers find the certificate in `Peer::certificates`.
    ///
    /// # Errors
    ///
    /// When this is not valid PEM, or the configuration came from [`from_rustls`](Self::from_rustls), which
    /// brings its own verifier.
    pub fn with_client_ca(self, ca: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        let mut parts = self.into_parts()?;
        let mut roots = RootCertStore::empty();
        pem::add_roots(&mut roots, "the clients' authority", ca.as_ref())?;
        parts.client_roots = Some(Arc::new(roots));
        parts.build()
    }

    /// For an adapter's handshake: the rustls configuration that accepts these protocols by ALPN, the preferred one
    /// first. Sessions are resumed whichever protocols are accepted.
    ///
    /// # Errors
    ///
    /// When there is no provider.
    pub fn config(&self, alpn: &[&[u8]]) -> Result<Arc<ServerConfig>, TlsError> {
        let config = self.config.as_ref().ok_or_else(no_provider)?;
        if !config.alpn_protocols.is_empty() {
            return Ok(Arc::clone(config));
        }
        // A copy shares everything but these names. Its cost is small next to a handshake.
        let mut config = ServerConfig::clone(config);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
    }

    fn into_parts(self) -> Result<Parts, TlsError> {
        self.parts.ok_or_else(|| {
            TlsError::new(
                "a rustls configuration brings its own provider and client verifier: set them there",
            )
        })
    }
}

impl Parts {
    fn new(certificates: Certificates) -> Self {
        Self {
            certificates,
            client_roots: None,
            provider: default_provider(),
        }
    }

    fn build(self) -> Result<ServerTls, TlsError> {
        let config = match &self.provider {
            Some(provider) => Some(Arc::new(self.config(provider)?)),
            None => None,
        };
        Ok(ServerTls {
            config,
            parts: Some(self),
        })
    }

    fn config(&self, provider: &Arc<CryptoProvider>) -> Result<ServerConfig, TlsError> {
        let verifier = match &self.client_roots {
            None => WebPkiClientVerifier::no_client_auth(),
            Some(roots) => {
                let (roots, provider) = (Arc::clone(roots), Arc::clone(provider));
                WebPkiClientVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| {
                        TlsError::new("the clients' authority cannot be used").with_source(error)
                    })?
            }
        };
        let builder = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("no TLS version can be used").with_source(error))?
            .with_client_cert_verifier(verifier);
        match &self.certificates {
            Certificates::ByName(resolver) => Ok(builder.with_cert_resolver(Arc::clone(resolver))),
            Certificates::One(identity) => builder
                .with_single_cert(identity.chain.clone(), identity.key.clone_key())
                .map_err(|error| {
                    TlsError::new("the server's certificate and key cannot be used")
                        .with_source(error)
                }),
        }
    }
}
