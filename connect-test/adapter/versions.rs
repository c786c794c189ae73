//! HTTP/1.1 and HTTP/2 on one port, in the clear and over TLS.

use connect_hyper::HttpVersion;
use connect_tower::CallBody;
use macro_rules_attribute::apply;

use super::support::{async_test, bind, call, certs, echo, post, post_http2, start};
use crate::rt::{Channel, ClientTls, ServerTls};

#[apply(async_test)]
async fn one_cleartext_port_serves_both_versions() {
    let server = start(bind().await, echo());
    let channel = Channel::new(server.uri()).unwrap();

    let response = call(&channel, post(CallBody::full("one"))).await.unwrap();
    assert_eq!(response.headers()["x-version"], "HTTP/1.1");
    assert_eq!(response.body(), "one");

    let response = call(&channel, post_http2(CallBody::full("two")))
        .await
        .unwrap();
    assert_eq!(response.headers()["x-version"], "HTTP/2.0");
    assert_eq!(response.body(), "two");
}

#[apply(async_test)]
async fn the_channel_decides_when_the_request_does_not() {
    let server = start(bind().await, echo());
    for (version, expected) in [
        (HttpVersion::Auto, "HTTP/1.1"),
        (HttpVersion::Http1, "HTTP/1.1"),
        (HttpVersion::Http2, "HTTP/2.0"),
    ] {
        let channel = Channel::builder(server.uri())
            .with_http_version(version)
            .build()
            .unwrap();
        let response = call(&channel, post(CallBody::empty())).await.unwrap();
        assert_eq!(response.headers()["x-version"], expected, "{version:?}");
    }
}

#[apply(async_test)]
async fn tls_agrees_on_the_version_by_alpn() {
    let authority = certs::Authority::new();
    let identity = authority.issue("localhost");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let server = start(bind().await.with_tls(tls), echo());
    let uri = format!("https://localhost:{}", server.address.port());

    for (version, expected) in [
        (HttpVersion::Auto, "HTTP/2.0"),
        (HttpVersion::Http1, "HTTP/1.1"),
        (HttpVersion::Http2, "HTTP/2.0"),
    ] {
        let trust = ClientTls::new().add_ca(authority.pem()).unwrap();
        let channel = Channel::builder(&uri)
            .with_tls(trust)
            .with_http_version(version)
            .build()
            .unwrap();
        let response = call(&channel, post(CallBody::full("secret")))
            .await
            .unwrap();
        assert_eq!(response.headers()["x-version"], expected, "{version:?}");
        assert_eq!(response.body(), "secret");
    }
}
