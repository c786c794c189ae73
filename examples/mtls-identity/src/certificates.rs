//! An authority for this program alone. A real one is your platform's: SPIRE, cert-manager, a cloud's private CA.

use std::error::Error;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, SanType};

/// Issues certificates.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub(crate) struct Pair {
    pub(crate) chain: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Result<Self, Box<dyn Error>> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self(issuer))
    }

    /// Its own certificate, in PEM.
    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a host.
    pub(crate) fn host(&self, name: &str) -> Result<Pair, Box<dyn Error>> {
        self.issue(SanType::DnsName(name.try_into()?))
    }

    /// A certificate for a workload, named by a URI.
    pub(crate) fn workload(&self, uri: &str) -> Result<Pair, Box<dyn Error>> {
        self.issue(SanType::URI(uri.try_into()?))
    }

    fn issue(&self, name: SanType) -> Result<Pair, Box<dyn Error>> {
        let mut params = CertificateParams::default();
        params.subject_alt_names.push(name);
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.0)?;
        Ok(Pair {
            chain: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}
