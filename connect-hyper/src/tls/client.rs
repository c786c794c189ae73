//! Whom a client trusts, and who it is.

use std::{io, sync::Arc};

use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::{ALPN_HTTP1, ALPN_HTTP2, TlsError, pem};

/// TLS for a channel: TLS 1.2 and 1.3 by rustls.
///
/// No root certificates come with it: name the authorities to trust by [`ca`](Self::ca), or bring a rustls
/// configuration with the roots of the web or of the operating system by
/// [`from_rustls`](Self::from_rustls) (crates `webpki-roots`, `rustls-native-certs`, `rustls-platform-verifier`).
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use connect_hyper::ClientTls;
///
/// let tls = ClientTls::new()
///     .ca(std::fs::read("ca.pem")?)?
///     .identity(std::fs::read("client.pem")?, std::fs::read("client.key")?)?; // only for mutual TLS
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ClientTls {
    configs: Configs,
    parts: Option<Parts>,
    server_name: Option<ServerName<'static>>,
}

/// One configuration for each offer of a channel's, so that a handshake makes none.
#[derive(Clone, Debug)]
struct Configs([Arc<ClientConfig>; 3]);

const OFFERS: [&[&[u8]]; 3] = [&[ALPN_HTTP2, ALPN_HTTP1], &[ALPN_HTTP2], &[ALPN_HTTP1]];

impl Configs {
    fn new(config: ClientConfig) -> Self {
        let [both, http2, http1] = OFFERS;
        Self([
            with_alpn(config.clone(), both),
            with_alpn(config.clone(), http2),
            with_alpn(config, http1),
        ])
    }

    fn get(&self, alpn: &[&[u8]]) -> Arc<ClientConfig> {
        match OFFERS.iter().position(|offer| *offer == alpn) {
            Some(index) => Arc::clone(&self.0[index]),
            None => with_alpn(ClientConfig::clone(&self.0[0]), alpn),
        }
    }
}

/// Resumption and its store are shared by the copies.
fn with_alpn(mut config: ClientConfig, alpn: &[&[u8]]) -> Arc<ClientConfig> {
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Arc::new(config)
}

#[derive(Clone, Debug)]
struct Parts {
    roots: RootCertStore,
    identity: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
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
        // ring has a suite for every TLS version, so that this cannot fail; were it to, nobody is trusted.
        let config = ClientConfig::builder_with_provider(pem::provider())
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .expect("ring supports every TLS version")
            .with_root_certificates(RootCertStore::empty())
            .with_no_client_auth();
        Self {
            configs: Configs::new(config),
            parts: Some(Parts {
                roots: RootCertStore::empty(),
                identity: None,
            }),
            server_name: None,
        }
    }

    /// Trusts servers whose certificate one of these authorities (PEM) issued, besides those named before.
    ///
    /// # Errors
    ///
    /// When this is not valid PEM, or the configuration came from [`from_rustls`](Self::from_rustls).
    pub fn ca(self, ca: impl AsRef<[u8]>) -> Result<Self, TlsError> {
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
    pub fn identity(
        self,
        chain: impl AsRef<[u8]>,
        key: impl AsRef<[u8]>,
    ) -> Result<Self, TlsError> {
        self.rebuild(|parts| {
            let chain = pem::certificates("the client's certificate", chain.as_ref())?;
            parts.identity = Some(Arc::new((chain, pem::key(key.as_ref())?)));
            Ok(())
        })
    }

    /// Expects the server to own this name, not the host of the URI it is reached by.
    ///
    /// # Errors
    ///
    /// When this is neither a DNS name nor an IP address.
    pub fn server_name(mut self, name: &str) -> Result<Self, TlsError> {
        self.server_name = Some(parse_name(name)?);
        Ok(self)
    }

    /// A client with any rustls configuration. Its ALPN protocols are replaced: the channel sets them.
    #[must_use]
    pub fn from_rustls(config: ClientConfig) -> Self {
        Self {
            configs: Configs::new(config),
            parts: None,
            server_name: None,
        }
    }

    /// The rustls configuration that offers these protocols, for an adapter's handshake.
    #[must_use]
    pub fn config(&self, alpn: &[&'static [u8]]) -> Arc<ClientConfig> {
        self.configs.get(alpn)
    }

    /// The name to verify when connecting to this host, for an adapter's handshake.
    ///
    /// # Errors
    ///
    /// When the host is neither a DNS name nor an IP address.
    pub fn verified_name(&self, host: &str) -> Result<ServerName<'static>, TlsError> {
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
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .map_err(|error| {
                    TlsError::new("the client's certificate and key cannot be used")
                        .with_source(error)
                })?,
        };
        Ok(Self {
            configs: Configs::new(config),
            parts: Some(parts),
            server_name: self.server_name,
        })
    }
}

fn parse_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    // An IPv6 host stands in brackets in a URI.
    let name = name.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(name.to_owned()).map_err(|error| {
        TlsError::new(format!("{name:?} is neither a DNS name nor an IP address"))
            .with_source(error)
    })
}

/// rustls' error in that of a handshake.
pub(super) fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

/// What may help against the errors that people meet first.
pub(super) fn advice(error: &rustls::Error) -> Option<&'static str> {
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the port seems not to speak TLS: use an http URI")
        }
        rustls::Error::InvalidCertificate(why) => certificate_advice(why),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => Some("the server wants a client certificate that it trusts: ClientTls::identity"),
        _ => None,
    }
}

fn certificate_advice(why: &CertificateError) -> Option<&'static str> {
    match why {
        CertificateError::UnknownIssuer => {
            Some("trust the authority that issued the server's certificate: ClientTls::ca")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(
                "call the server by a name of its certificate, or say which: ClientTls::server_name",
            )
        }
        // webpki's error, whose type is not rustls'.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Some(
            "the server's certificate is an authority's, as `openssl req -x509` makes them: add \
             `-addext basicConstraints=critical,CA:FALSE`, or have an authority issue one",
        ),
        _ => None,
    }
}
