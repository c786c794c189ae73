//! What a handshake has agreed on.

/// What a handshake has agreed on: the protocol by ALPN, and the certificates of the other side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Negotiated {
    alpn: Option<Vec<u8>>,
    peer_certificates: Vec<Vec<u8>>,
}

impl Negotiated {
    /// Reads a connection whose handshake is complete; before that there is nothing to read.
    #[must_use]
    pub fn new(connection: &rustls::CommonState) -> Self {
        let peer_certificates = connection.peer_certificates().unwrap_or_default();
        Self {
            alpn: connection.alpn_protocol().map(<[u8]>::to_vec),
            peer_certificates: peer_certificates.iter().map(|der| der.to_vec()).collect(),
        }
    }

    /// The protocol that ALPN agreed on, if any, such as `h2`.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// The verified certificates of the other side in DER, its own first. Empty if it showed none.
    #[must_use]
    pub fn into_peer_certificates(self) -> Vec<Vec<u8>> {
        self.peer_certificates
    }
}
