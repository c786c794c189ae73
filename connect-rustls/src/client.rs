//! Which authorities a client trusts, and which certificate it shows.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider};
use rustls_pki_types::ServerName;

use crate::{
    error::TlsError,
    pem::{self, Identity},
    provider::{default_provider, no_provider},
};

/// TLS for a client: TLS 1.2 and 1.3 by rustls.
///
/// A client trusts nobody until it is told: by [`add_ca`](Self::add_ca) the authorities of your own servers, by
/// `with_webpki_roots` (feature `webpki-roots`) those of the web, by `with_native_roots` (feature `native-roots`) those of
/// the operating system, or any of these together.
/// Versions, cipher suites and everything else are those of rustls, or of a configuration of your own, by
/// [`from_rustls`](Self::from_rustls).
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
    /// Sessions to resume are kept in here, so it is built by the setters and not for each handshake. `None` as long as
    /// there is no provider.
    config: Option<Arc<ClientConfig>>,
    /// What `config` is built from; `None` if it came from the user.
    parts: Option<Parts>,
    server_name: Option<ServerName<'static>>,
}

#[derive(Clone, Debug)]
struct Parts {
    roots: RootCertStore,
    identity: Option<Arc<Identity>>,
    provider: Option<Arc<CryptoProvider>>,
}

impl Default for ClientTls {
    fn default() -> Self {
        Self::new()
    }
}

impl ClientTls {
    /// A client that trusts nobody yet, and cannot be used before it does.
    ///
    /// Its cryptography is that of the process, if the program has installed a
    /// [default](rustls::crypto::CryptoProvider::install_default); else aws-lc-rs, if that feature is on; else ring. No
    /// process-wide default is set.
    #[must_use]
    pub fn new() -> Self {
        let parts = Parts {
            roots: RootCertStore::empty(),
            identity: None,
            provider: default_provider(),
        };
        Self {
            // Fails only for a process-wide provider without a usable TLS version; the next setter then says so.
            config: parts.build().ok().flatten(),
            parts: Some(parts),
            server_name: None,
        }
    }

    /// A client with any rustls configuration. Its ALPN protocols are replaced: the transport chooses them.
    #[must_use]
    pub fn from_rustls(config: ClientConfig) -> Self {
        Self {
            config: Some(Arc::new(config)),
            parts: None,
            server_name: None,
        }
    }

    /// Does its cryptography with this provider, in place of the one that [`new`](Self::new) names.
    ///
    /// # Errors
    ///
    /// When it can do nothing with the private key, has the cipher suites of no TLS version, or the configuration came from
    /// [`from_rustls`](Self::from_rustls).
    pub fn with_provider(self, provider: impl Into<Arc<CryptoProvider>>) -> Result<Self, TlsError> {
        self.rebuild(|parts| {
            parts.provider = Some(provider.into());
            Ok(())
        })
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

    /// Trusts, besides those added before, the authorities that Mozilla trusts for the web. They are compiled in: no file is
    /// needed, as in an empty container, and only a new build brings new ones.
    ///
    /// # Errors
    ///
    /// When the configuration came from [`from_rustls`](Self::from_rustls).
    #[cfg(feature = "webpki-roots")]
    pub fn with_webpki_roots(self) -> Result<Self, TlsError> {
        self.rebuild(|parts| {
            parts
                .roots
                .extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
            Ok(())
        })
    }

    /// Trusts, besides those added before, the authorities that the operating system trusts; or those in the files and folders
    /// that the variables `SSL_CERT_FILE` and `SSL_CERT_DIR` name. They are read now, which blocks for some milliseconds;
    /// those that cannot be read are left out.
    ///
    /// They are a list: revocation and the policies of the operating system are not asked. Who wants that gives a
    /// configuration of `rustls-platform-verifier` to [`from_rustls`](Self::from_rustls).
    ///
    /// # Errors
    ///
    /// When there is none that can be read, or the configuration came from [`from_rustls`](Self::from_rustls).
    #[cfg(feature = "native-roots")]
    pub fn with_native_roots(self) -> Result<Self, TlsError> {
        self.rebuild(|parts| {
            let found = rustls_native_certs::load_native_certs();
            let (added, _) = parts.roots.add_parsable_certificates(found.certs);
            if added > 0 {
                return Ok(());
            }
            let error = TlsError::new(
                "the operating system trusts no authority: install its package of certificates (ca-certificates), or set \
                 SSL_CERT_FILE",
            );
            Err(match found.errors.into_iter().next() {
                Some(cause) => error.with_source(cause),
                None => error,
            })
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

    /// Whether handshakes can be made with these settings: a channel asks once, when it is built.
    ///
    /// # Errors
    ///
    /// When no authority is trusted, or there is no provider.
    pub fn check(&self) -> Result<(), TlsError> {
        self.usable().map(drop)
    }

    /// For an adapter's handshake: the rustls configuration that offers these protocols by ALPN. Sessions are resumed
    /// whichever protocols are offered.
    ///
    /// # Errors
    ///
    /// As of [`check`](Self::check).
    pub fn config(&self, alpn: &[&[u8]]) -> Result<Arc<ClientConfig>, TlsError> {
        // A copy shares everything but these names. Its cost is small next to a handshake.
        let mut config = ClientConfig::clone(self.usable()?);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(Arc::new(config))
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

    fn usable(&self) -> Result<&ClientConfig, TlsError> {
        if self
            .parts
            .as_ref()
            .is_some_and(|parts| parts.roots.is_empty())
        {
            return Err(TlsError::new(
                "no authority is trusted, so no server could be: name one with ClientTls::add_ca, with_webpki_roots or \
                 with_native_roots",
            ));
        }
        self.config.as_deref().ok_or_else(no_provider)
    }

    fn rebuild(
        self,
        change: impl FnOnce(&mut Parts) -> Result<(), TlsError>,
    ) -> Result<Self, TlsError> {
        let Some(mut parts) = self.parts else {
            return Err(TlsError::new(
                "a rustls configuration brings its own provider, roots and identity: set them there",
            ));
        };
        change(&mut parts)?;
        Ok(Self {
            config: parts.build()?,
            parts: Some(parts),
            server_name: self.server_name,
        })
    }
}

impl Parts {
    fn build(&self) -> Result<Option<Arc<ClientConfig>>, TlsError> {
        let Some(provider) = &self.provider else {
            return Ok(None);
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("no TLS version can be used").with_source(error))?
            .with_root_certificates(self.roots.clone());
        let config = match self.identity.as_deref() {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| {
                    TlsError::new("the client's certificate and key cannot be used")
                        .with_source(error)
                })?,
        };
        Ok(Some(Arc::new(config)))
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
