//! A program that has installed a provider for its process: a test alone in its process.

mod common;

use connect_rustls::ClientTls;
use rustls::{NamedGroup, crypto::ring};

use common::{Authority, H2, Pair};

#[test]
fn the_provider_of_the_process_goes_before_those_compiled_in() {
    let mut provider = ring::default_provider();
    provider.kx_groups = vec![ring::kx_group::SECP384R1];
    provider.install_default().unwrap();

    let authority = Authority::new("servers");
    let server = authority.issue("localhost").server();
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let mut pair = Pair::new(&client, &[H2], &server, &[H2]);
    pair.shake_hands().unwrap();
    let group = pair.client.negotiated_key_exchange_group().unwrap();
    assert_eq!(group.name(), NamedGroup::secp384r1);

    // And a named one before it.
    let named = client.with_provider(ring::default_provider()).unwrap();
    let config = named.config(&[H2]).unwrap();
    assert_eq!(config.crypto_provider().kx_groups.len(), 3);
}
