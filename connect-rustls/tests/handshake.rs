//! Settings that cannot be used, and handshakes in memory: what they agree on, and what their errors advise.
#![cfg(any(feature = "ring", feature = "aws-lc-rs"))]

mod common;

use std::{io, sync::Arc};

use connect_rustls::{
    ClientTls, Negotiated, ServerTls, handshake_advice, is_alpn_refusal,
    rustls::{ClientConfig, ClientConnection, Error, HandshakeKind},
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

use common::{Authority, H2, H3, HTTP1, Pair};

/// As the libraries that drive rustls hand it on.
fn io_error(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn advice(client: &ClientTls, server: &ServerTls) -> Option<&'static str> {
    let error = Pair::new(client, &[H2], server, &[H2])
        .shake_hands()
        .unwrap_err();
    handshake_advice(&io_error(error))
}

#[test]
fn both_sides_learn_the_protocol_and_the_certificates() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let (server_identity, client_identity) = (servers.issue("localhost"), clients.issue("me"));
    let server = server_identity
        .server()
        .with_client_ca(clients.pem())
        .unwrap();
    let client = ClientTls::new()
        .add_ca(servers.pem())
        .unwrap()
        .with_identity(&client_identity.chain, &client_identity.key)
        .unwrap();
    // The server's preference decides, and the protocols are the caller's: HTTP/3's name is as good as any.
    for (offered, accepted, agreed) in [
        (&[HTTP1, H2][..], &[H2, HTTP1][..], Some(H2)),
        (&[HTTP1], &[H2, HTTP1], Some(HTTP1)),
        (&[H3], &[H3], Some(H3)),
        (&[], &[H2], None),
        (&[H2], &[], None),
    ] {
        let mut pair = Pair::new(&client, offered, &server, accepted);
        pair.shake_hands().unwrap();
        let at_client = Negotiated::new(&pair.client);
        let at_server = Negotiated::new(&pair.server);
        assert_eq!((at_client.alpn(), at_server.alpn()), (agreed, agreed));
        assert_eq!(
            at_client.into_peer_certificates(),
            std::slice::from_ref(&server_identity.der)
        );
        assert_eq!(
            at_server.into_peer_certificates(),
            std::slice::from_ref(&client_identity.der)
        );
    }
}

#[test]
fn a_client_without_a_certificate_shows_none() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let server = authority.issue("localhost").server();
    let mut pair = Pair::new(&client, &[H2], &server, &[H2]);
    pair.shake_hands().unwrap();
    let at_server = Negotiated::new(&pair.server);
    assert!(at_server.into_peer_certificates().is_empty());
}

#[test]
fn protocols_of_a_rustls_configuration_stay_on_a_server_only() {
    let authority = Authority::new("servers");
    let identity = authority.issue("localhost");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let mut config = Arc::unwrap_or_clone(identity.server().config(&[HTTP1]).unwrap());
    let server = ServerTls::from_rustls(config.clone());
    let client = ClientTls::from_rustls(Arc::unwrap_or_clone(client.config(&[H3]).unwrap()));
    let mut pair = Pair::new(&client, &[H2, HTTP1], &server, &[H2, HTTP1]);
    pair.shake_hands().unwrap();
    assert_eq!(Negotiated::new(&pair.client).alpn(), Some(HTTP1));

    config.alpn_protocols.clear();
    let server = ServerTls::from_rustls(config);
    let mut pair = Pair::new(&client, &[H2, HTTP1], &server, &[H2, HTTP1]);
    pair.shake_hands().unwrap();
    assert_eq!(Negotiated::new(&pair.client).alpn(), Some(H2));
}

/// RFC 8446, section 8: what is sent in the first flight can be replayed by others.
#[test]
fn no_early_data_is_taken() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let mut eager = ClientConfig::clone(&client.config(&[H2]).unwrap());
    eager.enable_early_data = true;
    let client = ClientTls::from_rustls(eager);
    let server = authority.issue("localhost").server();
    for expected in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut pair = Pair::new(&client, &[H2], &server, &[H2]);
        // The tickets of the first allow none to the second.
        assert!(pair.client.early_data().is_none());
        pair.shake_hands().unwrap();
        assert!(pair.server.early_data().is_none());
        assert_eq!(pair.client.handshake_kind(), Some(expected));
    }
}

/// Each handshake takes a configuration of its own, and yet they share what is remembered of sessions.
#[test]
fn a_second_handshake_resumes_the_session_of_the_first() {
    let authority = Authority::new("servers");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let server = authority.issue("localhost").server();
    let kinds = [&[H2, HTTP1][..], &[H2]].map(|offered| {
        let mut pair = Pair::new(&client, offered, &server, &[H2, HTTP1]);
        pair.shake_hands().unwrap();
        pair.client.handshake_kind().unwrap()
    });
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed]);
}

#[test]
fn the_name_is_that_of_the_host_by_default() {
    let authority = Authority::new("servers");
    let server = authority.issue("example.com").server();
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let advised = advice(&client, &server).unwrap();
    assert!(advised.contains("with_server_name"), "{advised}");
    let client = client.with_server_name("example.com").unwrap();
    Pair::new(&client, &[H2], &server, &[H2])
        .shake_hands()
        .unwrap();
}

/// As a URI has them.
#[test]
fn a_host_may_be_an_address() {
    let client = ClientTls::new();
    for (host, name) in [
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]", "::1"),
        ("a.example", "a.example"),
    ] {
        assert_eq!(client.server_name(host).unwrap().to_str(), name);
    }
    assert!(client.server_name("no host").is_err());
}

#[test]
fn the_error_of_an_unknown_authority_says_to_add_it() {
    let server = Authority::new("servers").issue("localhost").server();
    let others = Authority::new("others");
    let client = ClientTls::new().add_ca(others.pem()).unwrap();
    let advised = advice(&client, &server).unwrap();
    assert!(advised.contains("ClientTls::add_ca"), "{advised}");
}

#[test]
fn a_client_that_trusts_nobody_is_refused_with_advice() {
    let client = ClientTls::new();
    let error = client.check().unwrap_err().to_string();
    assert!(error.contains("ClientTls::add_ca"), "{error}");
    assert_eq!(client.config(&[H2]).unwrap_err().to_string(), error);
    let identity = Authority::new("clients").issue("me");
    let client = client
        .with_identity(&identity.chain, &identity.key)
        .unwrap();
    assert!(client.check().is_err());
    let client = client.add_ca(Authority::new("servers").pem()).unwrap();
    client.check().unwrap();
}

#[test]
fn authorities_add_up() {
    let (one, two) = (Authority::new("one"), Authority::new("two"));
    let client = ClientTls::new()
        .add_ca(one.pem())
        .unwrap()
        .add_ca(two.pem())
        .unwrap();
    for authority in [&one, &two] {
        let server = authority.issue("localhost").server();
        Pair::new(&client, &[H2], &server, &[H2])
            .shake_hands()
            .unwrap();
    }
}

#[test]
fn a_server_that_demands_a_certificate_says_so() {
    let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
    let server = servers
        .issue("localhost")
        .server()
        .with_client_ca(clients.pem())
        .unwrap();
    let none = ClientTls::new().add_ca(servers.pem()).unwrap();
    let stranger = servers.issue("stranger");
    let wrong = none
        .clone()
        .with_identity(&stranger.chain, &stranger.key)
        .unwrap();
    for client in [none, wrong] {
        let advised = advice(&client, &server).unwrap();
        assert!(advised.contains("ClientTls::with_identity"), "{advised}");
    }
}

#[test]
fn a_refusal_by_alpn_has_an_error_of_its_own() {
    let authority = Authority::new("servers");
    let server = authority.issue("localhost").server();
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let error = Pair::new(&client, &[H2], &server, &[HTTP1])
        .shake_hands()
        .unwrap_err();
    assert!(is_alpn_refusal(&io_error(error)));

    let others = Authority::new("others");
    let untrusting = ClientTls::new().add_ca(others.pem()).unwrap();
    let error = Pair::new(&untrusting, &[H2], &server, &[H2])
        .shake_hands()
        .unwrap_err();
    assert!(!is_alpn_refusal(&io_error(error)));
    assert!(!is_alpn_refusal(&io::Error::other("no rustls here")));
    assert_eq!(handshake_advice(&io::Error::other("no rustls here")), None);
}

#[test]
fn a_port_without_tls_is_advised_to_be_called_by_http() {
    let tls = ClientTls::new()
        .add_ca(Authority::new("servers").pem())
        .unwrap();
    let name = tls.server_name("localhost").unwrap();
    let mut client = ClientConnection::new(tls.config(&[H2]).unwrap(), name).unwrap();
    let mut answer = &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..];
    client.read_tls(&mut answer).unwrap();
    let error = client.process_new_packets().unwrap_err();
    let advised = handshake_advice(&io_error(error)).unwrap();
    assert!(advised.contains("http URI"), "{advised}");
}

/// `openssl req -x509` makes such certificates.
#[test]
fn the_certificate_of_an_authority_does_for_no_server() {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    let server = ServerTls::from_pem(&certificate, key.serialize_pem()).unwrap();
    let client = ClientTls::new().add_ca(&certificate).unwrap();
    let advised = advice(&client, &server).unwrap();
    assert!(advised.contains("CA:FALSE"), "{advised}");
}

#[test]
fn a_rustls_configuration_is_not_mixed_with_settings() {
    let authority = Authority::new("servers");
    let identity = authority.issue("localhost");
    let client = ClientTls::new().add_ca(authority.pem()).unwrap();
    let client = Arc::unwrap_or_clone(client.config(&[]).unwrap());
    let provider = Arc::clone(client.crypto_provider());
    let client = ClientTls::from_rustls(client);
    let server = Arc::unwrap_or_clone(identity.server().config(&[]).unwrap());
    let server = ServerTls::from_rustls(server);
    for error in [
        client.clone().add_ca(authority.pem()).unwrap_err(),
        client
            .with_identity(&identity.chain, &identity.key)
            .unwrap_err(),
        server.clone().with_provider(provider).unwrap_err(),
        server.with_client_ca(authority.pem()).unwrap_err(),
    ] {
        assert!(error.to_string().contains("set them there"), "{error}");
    }
}

/// The cause is a source, and is not said twice.
#[test]
fn an_error_of_pem_has_its_cause_as_source() {
    let good = Authority::new("servers").issue("localhost");
    let error = ServerTls::from_pem(&good.chain, "-----BEGIN PRIVATE KEY-----").unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(!error.to_string().contains(&cause), "{error}");
}

#[test]
fn each_kind_of_bad_pem_has_its_own_error() {
    let good = Authority::new("servers").issue("localhost");
    let other = Authority::new("servers").issue("localhost");
    let explain = |chain: &str, key: &str| ServerTls::from_pem(chain, key).unwrap_err().to_string();
    for (error, part) in [
        (explain("", &good.key), "holds no certificate"),
        (explain(&good.key, &good.key), "holds no certificate"),
        (explain(&good.chain, ""), "private key"),
        (explain(&good.chain, &good.chain), "private key"),
        (explain(&good.chain, &other.key), "cannot be used"),
        (
            ClientTls::new().add_ca("x").unwrap_err().to_string(),
            "holds no certificate",
        ),
        (
            ClientTls::new()
                .with_identity(&good.chain, &other.key)
                .unwrap_err()
                .to_string(),
            "cannot be used",
        ),
        (
            ClientTls::new()
                .with_server_name("no name")
                .unwrap_err()
                .to_string(),
            "neither a DNS name",
        ),
    ] {
        assert!(error.contains(part), "{error}");
    }
}
