//! TLS settings for ConnectRPC servers and clients, by [rustls].
//!
//! - [`ServerTls`]: a server's certificate and key, and which client certificates it demands.
//! - [`ReloadableTls`]: the same, replaced while the server serves.
//! - [`ClientTls`]: which authorities a client trusts, and which certificate it shows.
//! - [`Negotiated`]: what a handshake has agreed on.
//! - [`TlsError`]: a setting that cannot be used. [`handshake_advice`] and [`is_alpn_refusal`] read the error of a
//!   handshake that failed.
//!
//! The handshake itself is not here: the libraries that drive rustls are each written for one runtime, so it belongs
//! to the runtime's adapter. Nothing here knows HTTP, a runtime or a transport: the caller names the protocols that
//! ALPN offers, and a transport over QUIC can use the same settings.
//!
//! # Features
//!
//! - `ring` (default), `aws-lc-rs`: the cryptography of settings that name no provider. A default that the program has installed
//!   for its process goes before them, and aws-lc-rs before ring. With neither, name one with
//!   [`ServerTls::with_provider`] and [`ClientTls::with_provider`]. No process-wide default is set. With aws-lc-rs, the
//!   post-quantum key exchange X25519MLKEM768 is offered first; its library in C, AWS-LC, is compiled with it.
//! - `webpki-roots`, `native-roots`: authorities for clients to trust, Mozilla's or the operating system's, by
//!   `ClientTls::with_webpki_roots` and `ClientTls::with_native_roots`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod client;
mod error;
mod negotiated;
mod pem;
mod provider;
mod reload;
mod server;

/// The version of rustls that [`ServerTls::from_rustls`] and [`ClientTls::from_rustls`] take.
pub use rustls;

pub use self::{
    client::ClientTls,
    error::{TlsError, handshake_advice, is_alpn_refusal},
    negotiated::Negotiated,
    reload::ReloadableTls,
    server::ServerTls,
};
