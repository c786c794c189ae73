//! Which cryptography is used, and what a program without any is told.

mod common;

use connect_rustls::{ClientTls, ServerTls};
use rustls::{NamedGroup, crypto::ring};

use common::{Authority, H2, Pair};

/// The group of the key exchange that a handshake of these agrees on.
fn group(client: &ClientTls, server: &ServerTls) -> NamedGroup {
    let mut pair = Pair::new(client, &[H2], server, &[H2]);
    pair.shake_hands().unwrap();
    let group = pair.client.negotiated_key_exchange_group().unwrap().name();
    let at_server = pair.server.negotiated_key_exchange_group().unwrap();
    assert_eq!(at_server.name(), group);
    group
}

#[test]
#[cfg(any(feature = "ring", feature = "aws-lc-rs"))]
fn the_key_exchange_is_post_quantum_with_aws_lc_rs_also_beside_ring() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let server = authority.issue("localhost").server();
    let expected = if cfg!(feature = "aws-lc-rs") {
        NamedGroup::X25519MLKEM768
    } else {
        NamedGroup::X25519
    };
    assert_eq!(group(&client, &server), expected);
    // Either side may lack it.
    let client = client.with_provider(ring::default_provider()).unwrap();
    assert_eq!(group(&client, &server), NamedGroup::X25519);
}

/// Whichever features are on; with none, these settings had no cryptography before.
#[test]
fn a_named_provider_is_used() {
    let mut provider = ring::default_provider();
    provider.kx_groups = vec![ring::kx_group::SECP384R1];
    let authority = Authority::new("servers");
    let identity = authority.issue("localhost");
    let client = ClientTls::new()
        .with_provider(provider.clone())
        .unwrap()
        .add_ca(authority.pem())
        .unwrap();
    let server = ServerTls::from_pem(&identity.chain, &identity.key)
        .unwrap()
        .with_provider(provider)
        .unwrap()
        .with_client_ca(authority.pem())
        .unwrap();
    let client = client
        .with_identity(&identity.chain, &identity.key)
        .unwrap();
    assert_eq!(group(&client, &server), NamedGroup::secp384r1);
}

#[test]
fn a_provider_without_a_version_of_tls_is_an_error() {
    let mut provider = ring::default_provider();
    provider.cipher_suites.clear();
    let error = ClientTls::new()
        .with_provider(provider.clone())
        .unwrap_err();
    assert_eq!(error.to_string(), "no TLS version can be used");
    let identity = Authority::new("servers").issue("localhost");
    let server = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    assert!(server.with_provider(provider).is_err());
}

#[test]
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
fn without_a_provider_settings_say_what_is_missing() {
    let authority = Authority::new("servers");
    let identity = authority.issue("localhost");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let server = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    for error in [client.check().unwrap_err(), server.config(&[]).unwrap_err()] {
        assert!(error.to_string().contains("with_provider"), "{error}");
    }
}
