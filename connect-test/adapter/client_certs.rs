//! Certificates of both sides: who is trusted, who is refused, and what handlers see.

use std::sync::{Arc, Mutex};

use connect_hyper::ServerEvent;
use connect_hyper::server::RequestBody;
use connect_proto::Code;
use connect_tower::{
    CallBody, Connection,
    transport::{Sent, TransportError},
};
use http::Request;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::support::{
    Running, ServiceFn, accept, async_test, bind, call,
    certs::{Authority, self_signed},
    echo, listen, post, post_http2, spawn, start, text,
};
use crate::rt::{Channel, ClientTls, HttpVersion, ReloadableTls, Server, ServerTls};

fn uri(server: &Running) -> String {
    format!("https://localhost:{}", server.address.port())
}

async fn call_with(server: &Running, tls: ClientTls) -> Result<String, TransportError> {
    let channel = Channel::builder(uri(server)).with_tls(tls).build().unwrap();
    let response = call(&channel, post(CallBody::empty())).await?;
    Ok(String::from_utf8(response.into_body().to_vec()).unwrap())
}

/// A server that demands client certificates and answers with the caller's, in hex.
async fn mutual(
    servers: &Authority,
    clients: &Authority,
) -> (Running, mpsc::UnboundedReceiver<String>) {
    let identity = servers.issue("localhost");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key)
        .unwrap()
        .with_client_ca(clients.pem())
        .unwrap();
    let (failed, failures) = mpsc::unbounded_channel();
    let server: Server = bind().await.with_tls(tls).with_observer(move |event| {
        if let ServerEvent::HandshakeFailed { .. } = event {
            let _ = failed.send(event.to_string());
        }
    });
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        let peer = request.extensions().get::<Connection>().unwrap().peer();
        assert!(peer.addr().unwrap().ip().is_loopback());
        text(format!("{:x?}", peer.certificates()[0]))
    });
    (start(server, service), failures)
}

#[apply(async_test)]
async fn a_client_with_the_right_certificate_is_known_to_the_handler() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let (server, _) = mutual(&servers, &clients).await;
    let me = clients.issue("me");
    let tls = ClientTls::new()
        .add_ca(servers.pem())
        .unwrap()
        .with_identity(&me.chain, &me.key)
        .unwrap();
    let seen = call_with(&server, tls).await.unwrap();
    assert_eq!(seen, format!("{:x?}", bytes::Bytes::from(me.der)));
}

#[apply(async_test)]
async fn clients_without_the_right_certificate_are_refused() {
    let (servers, clients) = (Authority::new(), Authority::new());
    let (server, mut failures) = mutual(&servers, &clients).await;
    let stranger = Authority::new().issue("stranger");
    let none = ClientTls::new().add_ca(servers.pem()).unwrap();
    let wrong = none
        .clone()
        .with_identity(&stranger.chain, &stranger.key)
        .unwrap();
    for tls in [none, wrong] {
        let error = call_with(&server, tls).await.unwrap_err();
        assert_eq!(error.error().code(), Code::Unavailable, "{error}");
        let failure = failures.recv().await.unwrap();
        assert!(
            failure.starts_with("TLS handshake with 127.0.0.1:"),
            "{failure}"
        );
    }
}

#[apply(async_test)]
async fn a_server_that_is_not_trusted_is_never_sent_the_request() {
    let authority = Authority::new();
    let identity = authority.issue("localhost");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let server = start(bind().await.with_tls(tls), echo());
    let other = Authority::new();
    for (tls, why) in [
        (
            ClientTls::new().add_ca(other.pem()).unwrap(),
            "UnknownIssuer",
        ),
        (
            ClientTls::new()
                .add_ca(authority.pem())
                .unwrap()
                .with_server_name("example.com")
                .unwrap(),
            "not valid for name",
        ),
    ] {
        let error = call_with(&server, tls).await.unwrap_err();
        assert_eq!(error.sent(), Sent::No);
        assert_eq!(error.error().code(), Code::Unavailable);
        let message = error.to_string();
        assert!(
            message.starts_with("TLS handshake with 127.0.0.1:"),
            "{message}"
        );
        assert!(message.contains(why), "{message}");
    }
}

#[apply(async_test)]
async fn cleartext_on_a_tls_port_is_an_error_on_both_sides() {
    let authority = Authority::new();
    let identity = authority.issue("localhost");
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let server = bind().await.with_tls(tls).with_observer(move |event| {
        if let ServerEvent::HandshakeFailed { .. } = event {
            seen.lock().unwrap().push(event.to_string());
        }
    });
    let server = start(server, echo());
    let channel = Channel::new(server.uri()).unwrap();
    for (request, phase) in [
        (post as fn(_) -> _, "request to"),
        (post_http2, "start HTTP with"),
    ] {
        let error = call(&channel, request(CallBody::empty()))
            .await
            .unwrap_err();
        let shown = error.to_string();
        assert!(shown.starts_with(&format!("{phase} 127.0.0.1:")), "{shown}");
        assert!(shown.contains("use an https URI"), "{shown}");
        assert_eq!(error.error().code(), Code::Unavailable);
    }
    server.stop().await.unwrap();
    assert_eq!(events.lock().unwrap().len(), 2);
}

#[apply(async_test)]
async fn tls_on_a_cleartext_port_says_so() {
    // HTTP/1.1, as anything but TLS might answer.
    let mut listener = listen().await;
    let uri = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    spawn(async move {
        let mut socket = accept(&mut listener).await;
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let tls = ClientTls::new().add_ca(Authority::new().pem()).unwrap();
    let channel = Channel::builder(uri).with_tls(tls).build().unwrap();
    let error = call(&channel, post(CallBody::empty())).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    assert!(error.to_string().contains("use an http URI"), "{error}");
}

/// What `openssl req -x509` makes: an authority's certificate, which no server may show.
#[apply(async_test)]
async fn an_authority_in_the_place_of_a_server_is_explained() {
    let authority = Authority::new();
    let tls = ServerTls::from_pem(authority.pem(), authority.key()).unwrap();
    let server = start(bind().await.with_tls(tls), echo());
    let error = call_with(&server, ClientTls::new().add_ca(authority.pem()).unwrap())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("CA:FALSE"), "{error}");
}

#[apply(async_test)]
async fn a_client_that_trusts_nobody_gets_no_channel() {
    let error = Channel::builder("https://localhost:1")
        .with_tls(ClientTls::new())
        .build()
        .unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    let message = error.to_string();
    assert!(message.contains("https://localhost:1"), "{message}");
    assert!(message.contains("ClientTls::add_ca"), "{message}");
}

/// New connections see the new certificate and the new authority of clients; an open one goes on.
#[apply(async_test)]
async fn certificates_are_replaced_while_the_server_serves() {
    let (servers, before, now) = (Authority::new(), Authority::new(), Authority::new());
    let demanding = |clients: &Authority| {
        let identity = servers.issue("localhost");
        let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
        (tls.with_client_ca(clients.pem()).unwrap(), identity)
    };
    let showing = |clients: &Authority| {
        let me = clients.issue("me");
        let tls = ClientTls::new().add_ca(servers.pem()).unwrap();
        tls.with_identity(&me.chain, &me.key).unwrap()
    };
    let tls = ReloadableTls::new(demanding(&before).0);
    let server = start(bind().await.with_tls(tls.clone()), echo());
    let open = Channel::builder(uri(&server))
        .with_tls(showing(&before))
        .with_http_version(HttpVersion::Http2)
        .build()
        .unwrap();
    call(&open, post(CallBody::empty())).await.unwrap();

    // What cannot be used never gets there.
    let (_, identity) = demanding(&now);
    assert!(ServerTls::from_pem(&identity.chain, "no key").is_err());
    call_with(&server, showing(&before)).await.unwrap();

    tls.replace(demanding(&now).0);
    call_with(&server, showing(&now)).await.unwrap();
    let error = call_with(&server, showing(&before)).await.unwrap_err();
    assert_eq!(error.error().code(), Code::Unavailable, "{error}");
    call(&open, post(CallBody::empty())).await.unwrap();
}

/// What the advice comes to: a certificate of its own that is no authority's.
#[apply(async_test)]
async fn a_self_signed_certificate_is_trusted_when_named() {
    let (chain, key) = self_signed("localhost");
    let server = bind()
        .await
        .with_tls(ServerTls::from_pem(&chain, key).unwrap());
    let server = start(server, echo());
    call_with(&server, ClientTls::new().add_ca(chain).unwrap())
        .await
        .unwrap();
}
