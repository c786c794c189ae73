//! TLS settings for ConnectRPC servers and clients, by [rustls] with the ring provider.
//!
//! - [`ServerTls`]: a server's certificate and key, and which client certificates it demands.
//! - [`ClientTls`]: which authorities a client trusts, and which certificate it shows.
//! - [`Negotiated`]: what a handshake has agreed on.
//! - [`TlsError`]: a setting that cannot be used. [`handshake_advice`] and [`is_alpn_refusal`] read the error of a
//!   handshake that failed.
//!
//! The handshake itself is not here: the libraries that drive rustls are each written for one runtime, so it belongs
//! to the runtime's adapter. Nothing here knows HTTP, a runtime or a transport: the caller names the protocols that
//! ALPN offers, and a transport over QUIC can use the same settings.
//!
//! No root certificates and no process-wide provider are used: the provider is named in each configuration.

mod client;
mod error;
mod negotiated;
mod pem;
mod server;

/// The version of rustls that [`ServerTls::from_rustls`] and [`ClientTls::from_rustls`] take.
pub use rustls;

pub use self::{
    client::ClientTls,
    error::{TlsError, handshake_advice, is_alpn_refusal},
    negotiated::Negotiated,
    server::ServerTls,
};
