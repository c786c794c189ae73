//! Settings of a server that are replaced, and certificates by name, in handshakes in memory.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod common;

use std::sync::Arc;

use connect_rustls::{ClientTls, Negotiated, ReloadableTls, ServerTls};
use rustls::{HandshakeKind, server::ResolvesServerCertUsingSni, sign::CertifiedKey};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

use common::{Authority, H2, Identity, Pair};

fn shake_hands(client: &ClientTls, server: &ReloadableTls) -> Pair {
    let mut pair = Pair::new(client, &[H2], &server.current(), &[H2]);
    pair.shake_hands().unwrap();
    pair
}

fn shown(pair: &Pair) -> Vec<Vec<u8>> {
    Negotiated::new(&pair.client).into_peer_certificates()
}

#[test]
fn a_new_certificate_is_shown_from_the_next_handshake_on() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let (old, new) = (authority.issue("localhost"), authority.issue("localhost"));
    let tls = ReloadableTls::new(old.server());
    let for_the_server = tls.clone();
    assert_eq!(shown(&shake_hands(&client, &for_the_server)), [old.der]);
    tls.replace(new.server());
    assert_eq!(shown(&shake_hands(&client, &for_the_server)), [new.der]);
}

/// Nobody gets in by a session that an authority has vouched for which is not trusted any more.
#[test]
fn sessions_end_with_the_settings_that_they_began_with() {
    let authority = Authority::new("servers");
    let (before, now) = (Authority::new("before"), Authority::new("now"));
    let (server, me) = (authority.issue("localhost"), before.issue("me"));
    let client = ClientTls::new()
        .add_ca(authority.pem())
        .unwrap()
        .with_identity(&me.chain, &me.key)
        .unwrap();
    let demanding = |clients: &Authority| server.server().with_client_ca(clients.pem()).unwrap();
    let tls = ReloadableTls::new(demanding(&before));
    let kinds = [(); 2].map(|()| shake_hands(&client, &tls).client.handshake_kind().unwrap());
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
    tls.replace(demanding(&now));
    let mut pair = Pair::new(&client, &[H2], &tls.current(), &[H2]);
    assert!(pair.shake_hands().is_err());
}

#[test]
fn a_resolver_chooses_the_certificate_by_name() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let provider = Arc::clone(client.config(&[]).unwrap().crypto_provider());
    let (one, two) = (authority.issue("localhost"), authority.issue("two.example"));
    let mut by_name = ResolvesServerCertUsingSni::new();
    for (name, Identity { chain, key, .. }) in [("localhost", &one), ("two.example", &two)] {
        let chain = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let certified = CertifiedKey::from_der(vec![chain], key, &provider).unwrap();
        by_name.add(name, certified).unwrap();
    }
    let server = ReloadableTls::new(ServerTls::from_resolver(Arc::new(by_name)).unwrap());
    assert_eq!(shown(&shake_hands(&client, &server)), [one.der]);
    let client = client.with_server_name("two.example").unwrap();
    assert_eq!(shown(&shake_hands(&client, &server)), [two.der]);
    // And clients are asked for theirs as ever.
    let demanding = server.current().with_client_ca(authority.pem()).unwrap();
    let mut pair = Pair::new(&client, &[H2], &demanding, &[H2]);
    assert!(pair.shake_hands().is_err());
}
