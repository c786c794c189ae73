//! A caller's identity, and the gate that takes it from the certificate.

use std::fmt;

use connect_tokio::{CallHead, CallPolicy, Error, Gate};
use rustls_pki_types::CertificateDer;
use webpki::EndEntityCert;

/// A workload, as its certificate names it in a URI: `spiffe://example.org/backup`.
///
/// The handshake has proven that the caller owns the certificate and that an authority of ours has issued it. What the
/// names in it are good for is this program's decision.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Identity {
    workload: String,
}

/// Whose names count.
const TRUST_DOMAIN: &str = "spiffe://example.org/";

impl Identity {
    pub(crate) fn is(&self, workload: &str) -> bool {
        self.workload == workload
    }

    /// The identity in a certificate, in DER.
    fn from_certificate(der: &[u8]) -> Result<Self, Error> {
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).map_err(|error| {
            Error::unauthenticated("the certificate cannot be read").with_source(error)
        })?;
        let workload = certificate
            .valid_uri_names()
            .find_map(|uri| uri.strip_prefix(TRUST_DOMAIN))
            .ok_or_else(|| {
                Error::unauthenticated(format!(
                    "the certificate names no workload: it has no URI that begins with {TRUST_DOMAIN}"
                ))
            })?;
        Ok(Self {
            workload: workload.to_owned(),
        })
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.workload)
    }
}

/// Leaves the caller's [`Identity`] to the handler, and refuses those that may not call a procedure, before anything of
/// their message is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ByCertificate;

impl Gate for ByCertificate {
    async fn gate(&self, head: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        let certificates = head.peer().map(|peer| peer.certificates());
        let Some(own) = certificates.and_then(<[_]>::first) else {
            return Err(Error::unauthenticated("call with a client certificate"));
        };
        let identity = Identity::from_certificate(own)?;
        if head.spec().method() == "Delete" && !identity.is("backup") {
            return Err(Error::permission_denied(format!(
                "{identity} may not delete"
            )));
        }
        head.extensions_mut().insert(identity);
        Ok(())
    }
}
