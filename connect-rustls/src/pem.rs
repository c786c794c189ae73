//! Certificates and keys in PEM.

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use crate::error::TlsError;

/// A certificate chain, its own certificate first, and the private key of that certificate.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Identity {
    /// `what` names the certificate in errors.
    pub(crate) fn from_pem(what: &str, chain: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        Ok(Self {
            chain: certificates(what, chain)?,
            key: private_key(key)?,
        })
    }
}

/// Adds the certificates to those that are trusted. `what` names them in errors.
pub(crate) fn add_roots(roots: &mut RootCertStore, what: &str, pem: &[u8]) -> Result<(), TlsError> {
    for root in certificates(what, pem)? {
        roots.add(root).map_err(|error| {
            TlsError::new(format!("{what} cannot be trusted")).with_source(error)
        })?;
    }
    Ok(())
}

fn certificates(what: &str, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| TlsError::new(format!("{what} is not valid PEM")).with_source(error))?;
    if chain.is_empty() {
        return Err(TlsError::new(format!(
            "{what} holds no certificate (a PEM block \"CERTIFICATE\")"
        )));
    }
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| {
        TlsError::new("the private key is not valid PEM (PKCS #8, PKCS #1 or SEC1)")
            .with_source(error)
    })
}
