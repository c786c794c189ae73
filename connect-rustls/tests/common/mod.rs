//! Authorities, and handshakes in memory.
// Each test uses a part of this.
#![allow(dead_code)]

use connect_rustls::{
    ClientTls, ServerTls,
    rustls::{ClientConnection, Error, ServerConnection},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

pub(crate) const H2: &[u8] = b"h2";
pub(crate) const H3: &[u8] = b"h3";
pub(crate) const HTTP1: &[u8] = b"http/1.1";

pub(crate) struct Authority(pub(crate) CertifiedIssuer<'static, KeyPair>);

pub(crate) struct Identity {
    pub(crate) chain: String,
    pub(crate) key: String,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        Self(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    pub(crate) fn issue(&self, name: &str) -> Identity {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            chain: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().to_vec(),
        }
    }
}

impl Identity {
    pub(crate) fn server(&self) -> ServerTls {
        ServerTls::from_pem(&self.chain, &self.key).unwrap()
    }
}

/// Both sides of a connection to `localhost`.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    pub(crate) server: ServerConnection,
}

impl Pair {
    pub(crate) fn new(
        client: &ClientTls,
        offered: &[&[u8]],
        server: &ServerTls,
        accepted: &[&[u8]],
    ) -> Self {
        let name = client.server_name("localhost").unwrap();
        Self {
            client: ClientConnection::new(client.config(offered).unwrap(), name).unwrap(),
            server: ServerConnection::new(server.config(accepted).unwrap()).unwrap(),
        }
    }

    /// Carries bytes until neither side has more. The first error of either side ends it, once the other side has
    /// its alert: the client's error first.
    pub(crate) fn shake_hands(&mut self) -> Result<(), Error> {
        let mut failed = None;
        loop {
            let mut bytes = Vec::new();
            while self.client.wants_write() {
                self.client.write_tls(&mut bytes).unwrap();
            }
            let mut from_client = &bytes[..];
            while !from_client.is_empty() {
                self.server.read_tls(&mut from_client).unwrap();
                if let Err(error) = self.server.process_new_packets() {
                    failed = Some(error);
                }
            }
            let mut answer = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut answer).unwrap();
            }
            let mut from_server = &answer[..];
            while !from_server.is_empty() {
                self.client.read_tls(&mut from_server).unwrap();
                self.client.process_new_packets()?;
            }
            if bytes.is_empty() && answer.is_empty() {
                return failed.map_or(Ok(()), Err);
            }
        }
    }
}
