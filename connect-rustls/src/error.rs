//! Settings that cannot be used, and how to read the error of a failed handshake.

use std::{error::Error, fmt, io};

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// A TLS setting that cannot be used: which one, and what is wrong with it.
#[derive(Debug)]
pub struct TlsError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl TlsError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }
}

/// Shows what is wrong. The underlying error is the [source](Error::source).
impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for TlsError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// For handshakes, which fail with IO errors.
impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// What a client can do about the error of its handshake, where the error says enough.
#[must_use]
pub fn handshake_advice(error: &io::Error) -> Option<&'static str> {
    match rustls_error(error)? {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            Some("the port seems not to speak TLS: use an http URI")
        }
        rustls::Error::InvalidCertificate(reason) => certificate_advice(reason),
        rustls::Error::AlertReceived(
            AlertDescription::CertificateRequired
            | AlertDescription::BadCertificate
            | AlertDescription::UnknownCA,
        ) => Some("the server wants a client certificate that it trusts: ClientTls::with_identity"),
        _ => None,
    }
}

/// Whether the server ended the handshake because it speaks none of the protocols that ALPN offered
/// (RFC 7301, section 3.2).
#[must_use]
pub fn is_alpn_refusal(error: &io::Error) -> bool {
    matches!(
        rustls_error(error),
        Some(rustls::Error::AlertReceived(
            AlertDescription::NoApplicationProtocol
        ))
    )
}

/// The libraries that drive rustls put its errors into IO errors.
fn rustls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn certificate_advice(reason: &CertificateError) -> Option<&'static str> {
    match reason {
        CertificateError::UnknownIssuer => {
            Some("trust the authority that issued the server's certificate: ClientTls::add_ca")
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            Some(
                "call the server by a name in its certificate, or expect another: ClientTls::with_server_name",
            )
        }
        // An error of webpki's, which rustls has no variant for.
        CertificateError::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => Some(
            "the server's certificate is that of an authority, as `openssl req -x509` makes them: add \
             `-addext basicConstraints=critical,CA:FALSE`, or have an authority issue one",
        ),
        _ => None,
    }
}
