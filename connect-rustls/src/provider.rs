//! The cryptography behind TLS.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

use crate::error::TlsError;

/// The provider of settings that name none: the process's own, if the program has installed one, or one that was
/// compiled in.
pub(crate) fn default_provider() -> Option<Arc<CryptoProvider>> {
    CryptoProvider::get_default().cloned().or_else(compiled_in)
}

/// Where both are compiled in it is aws-lc-rs: somebody has asked for it, while ring is on by default.
#[cfg(feature = "aws-lc-rs")]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
}

#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    Some(Arc::new(rustls::crypto::ring::default_provider()))
}

#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn compiled_in() -> Option<Arc<CryptoProvider>> {
    None
}

pub(crate) fn no_provider() -> TlsError {
    TlsError::new(
        "there is no cryptography for TLS: turn on the feature ring or aws-lc-rs, or name a provider with with_provider",
    )
}
