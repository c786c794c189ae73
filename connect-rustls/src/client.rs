//! Which authorities a client trusts, and which certificate it shows.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::ServerName;

use crate::{
    error::TlsError,
    pem::{self, Identity},
};

/// TLS for a client: TLS 1.2 and 1.3 by rustls.
///
/// No root certificates come with it. Name the authorities to trust by [`add_ca`](Self::add_ca), or bring a rustls
/// configuration with the roots of the web or of the operating system by
/// [`from_rustls`](Self::from_rustls) (crates `webpki-roots`, `rustls-native-certs`, `rustls-platform-verifier`).
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use connect_rustls::ClientTls;
///
/// let tls = ClientTls::new()
///     .add_ca(std::fs::read("ca.pem")?)?
///     .with_identity(std::fs::read("client.pem")?, std::fs::read("client.key")?)?; // only for mutual TLS
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    /// Sessions to resume are kept in here, so it is built by the setters and not for each handshake.
    config: Arc<ClientConfig>,
    /// What `config` is built from; `None` if it came from the user.
    parts: Option<Parts>,
    server_name: Option<ServerName<'static>>,
}

#[derive(Clone, Debug)]
struct Parts {
    roots: RootCertStore,
    identity: Option<Arc<Identity>>,
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientTls {
    /// A client that trusts nobody yet.
    #[must_use]
    pub fn new() -> Self {
        let config = ClientConfig::builder_with_provider(pem::provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("ring supports every TLS version")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Self {
            config: Arc::new(config),
            parts: Some(Parts {
                roots: RootCertStore::empty(),
                identity: None,
            }),
            server_name: None,
        }
    }

    /// A client with any rustls configuration. Its ALPN protocols are replaced: the transport chooses them.
    #[must_use]
    pub fn from_rustls(config: ClientConfig) -> Self {
        Self {
            config: Arc::new(config),
            parts: None,
            server_name: None,
        }
    }

    /// Trusts servers whose certificate one of these authorities (PEM) issued, besides those added before.
    ///
    /// # Errors
    ///
    /// When this is not valid PEM, or the configuration came from [`from_rustls`](Self::from_rustls).
    pub fn add_ca(self, ca: impl AsRef<[u8]>) -> Result<Self, TlsError> {
        self.rebuild(|parts| {
            pem::add_roots(&mut parts.roots, "the servers' authority", ca.as_ref())
        })
    }

    /// Shows this certificate chain, its own certificate first, to servers that ask; with its private key, in PEM.
    ///
    /// # Errors
    ///
    /// When either is not valid PEM, the key does not belong to the certificate, or the configuration came
    /// from [`from_rustls`](Self::from_rustls).
    pub fn with_identity(
        self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        let what = "the client's certificate";
        self.rebuild(|parts| {
            let identity = Identity::from_pem(what, chain.as_ref(), key.as_ref())?;
            parts.identity = Some(Arc::new(identity));
            Ok(())
        })
    }

    /// Expects this name in the server's certificate. The default is the host of the URI.
    ///
    /// # Errors
    ///
    /// When this is neither a DNS name nor an IP address.
    pub fn with_server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse_name(name)?);
        Ok(self)
    }

    /// For an adapter's handshake: the rustls configuration that offers these protocols by ALPN. Sessions are resumed
    /// whichever protocols are offered.
    #[must_use]
    pub fn config(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        // A copy shares everything but these names. Its cost is small next to a handshake.
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Arc::new(config)
    }

    /// For an adapter's handshake: the name to expect in the certificate of the server at this host.
    ///
    /// # Errors
    ///
    /// When the host is neither a DNS name nor an IP address.
    pub fn server_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
        self.server_name
            .as_ref()
            .map_or_else(|| parse_name(host), |name| Ok(name.clone()))
    }

    fn rebuild(
        self,
        change: impl FnOnce(&mut Parts) -> Result<(), TlsError>,
    ) -> Result<Self, TlsError> {
        let Some(mut parts) = self.parts else {
            return Err(TlsError::new(
                "a rustls configuration brings its own roots and identity: set them there",
            ));
        };
        change(&mut parts)?;
        let builder = ClientConfig::builder_with_provider(pem::provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("no TLS version can be used").with_source(error))?
            .with_root_certificates(parts.roots.clone());
        let config = match parts.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| {
                    TlsError::new("the client's certificate and key cannot be used")
                        .with_source(error)
                })?,
        };
        Ok(Self {
            config: Arc::new(config),
            parts: Some(parts),
            server_name: self.server_name,
        })
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // In a URI an IPv6 address is in brackets.
    let name = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).map_err(|error| {
        TlsError::new(format!("{name:?} is neither a DNS name nor an IP address"))
            .with_source(error)
    })
}
