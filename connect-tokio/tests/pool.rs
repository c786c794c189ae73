//! Which connections a channel opens, keeps, shares and closes.

mod support;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use connect_hyper::HttpVersion;
use connect_hyper::server::RequestBody;
use connect_tokio::{Channel, ClientTls, ServerTls};
use connect_tower::{CallBody, Peer, Transport};
use http::{Request, Response};
use http_body_util::BodyExt;
use support::{
    Running, ServiceFn, bind, body_channel, call, certs::Authority, full, post, post_http2, start,
    text,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::Barrier,
};

/// Answers with the client's address.
fn who() -> impl connect_hyper::HttpService + Sync {
    ServiceFn(|request: Request<RequestBody>| async move {
        let peer = request.extensions().get::<Peer>().unwrap().clone();
        text(peer.addr().unwrap().to_string())
    })
}

async fn address(channel: &Channel, request: Request<CallBody>) -> SocketAddr {
    let response = call(channel, request).await.unwrap();
    std::str::from_utf8(response.body())
        .unwrap()
        .parse()
        .unwrap()
}

#[tokio::test]
async fn calls_in_turn_share_an_http1_connection() {
    let server = start(bind().await, who());
    let channel = Channel::new(server.uri()).unwrap();
    let first = address(&channel, post(CallBody::full("x"))).await;
    for _ in 0..20 {
        assert_eq!(address(&channel, post(CallBody::full("x"))).await, first);
    }
}

#[tokio::test]
async fn a_connection_opened_early_is_used() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let channel = Channel::builder(uri).http_version(version).build().unwrap();
        channel.connect().await.unwrap();
        channel.connect().await.unwrap();
        let server = tokio::spawn(connect_tokio::Server::from_listener(listener).serve(who()));
        call(&channel, post(CallBody::empty())).await.unwrap();
        server.abort();
    }
}

/// Answers when as many calls have come as the barrier wants.
fn together(calls: usize) -> impl connect_hyper::HttpService + Sync {
    let barrier = Arc::new(Barrier::new(calls));
    ServiceFn(move |request: Request<RequestBody>| {
        let barrier = Arc::clone(&barrier);
        async move {
            let peer = request.extensions().get::<Peer>().unwrap().clone();
            barrier.wait().await;
            text(peer.addr().unwrap().to_string())
        }
    })
}

async fn addresses(
    channel: &Channel,
    calls: usize,
    request: fn(CallBody) -> Request<CallBody>,
) -> usize {
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let channel = channel.clone();
            tokio::spawn(async move { address(&channel, request(CallBody::full("x"))).await })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    for call in calls {
        seen.insert(call.await.unwrap());
    }
    seen.len()
}

#[tokio::test]
async fn calls_at_once_share_one_http2_connection() {
    let server = start(bind().await, together(30));
    let channel = Channel::new(server.uri()).unwrap();
    assert_eq!(addresses(&channel, 30, post_http2).await, 1);
}

#[tokio::test]
async fn calls_at_once_have_an_http1_connection_each() {
    let server = start(bind().await, together(5));
    let channel = Channel::new(server.uri()).unwrap();
    assert_eq!(addresses(&channel, 5, post).await, 5);
}

async fn tls_server(
    alpn: &[&[u8]],
    service: impl connect_hyper::HttpService + Sync,
) -> (Running, ClientTls) {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let mut config = tokio_rustls::rustls::ServerConfig::clone(tls.config());
    config.alpn_protocols = alpn.iter().map(|alpn| alpn.to_vec()).collect();
    let server = bind().await.tls(ServerTls::from_rustls(config));
    (
        start(server, service),
        ClientTls::new().ca(authority.pem()).unwrap(),
    )
}

/// Before the first answer nobody knows what the server speaks.
#[tokio::test]
async fn calls_at_once_over_tls_take_what_the_server_speaks() {
    for (alpn, connections) in [(&b"h2"[..], 1), (b"http/1.1", 6)] {
        let (server, tls) = tls_server(&[alpn], together(6)).await;
        let uri = format!("https://{}", server.address);
        let channel = Channel::builder(uri).tls(tls).build().unwrap();
        assert_eq!(addresses(&channel, 6, post).await, connections);
    }
}

#[tokio::test]
async fn a_call_that_needs_http2_says_so_when_the_server_has_none() {
    let (server, tls) = tls_server(&[b"http/1.1"], who()).await;
    let uri = format!("https://{}", server.address);
    let channel = Channel::builder(uri).tls(tls).build().unwrap();
    let (plain, http2) = tokio::join!(
        call(&channel, post(CallBody::empty())),
        call(&channel, post_http2(CallBody::empty())),
    );
    plain.unwrap();
    let error = http2.unwrap_err();
    assert_eq!(error.error().code(), connect_proto::Code::Unavailable);
    assert!(error.to_string().starts_with("TLS handshake"), "{error}");
}

/// Accepts connections, answers one request on each, and then waits for the client to close it.
async fn one_answer_each() -> (SocketAddr, tokio::sync::mpsc::UnboundedReceiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, closed) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(socket.read_u8().await.unwrap());
                }
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                socket.write_all(answer).await.unwrap();
                let _ = socket.read(&mut [0]).await;
                let _ = sender.send(());
            });
        }
    });
    (address, closed)
}

#[tokio::test]
async fn idle_connections_are_closed_in_time() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::builder(format!("http://{address}"))
        .idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    for _ in 0..2 {
        let response = call(&channel, post(CallBody::empty())).await.unwrap();
        assert_eq!(response.body(), "ok");
        closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::builder(format!("http://{address}"))
        .max_idle_connections(1)
        .build()
        .unwrap();
    let one = channel.send(post(CallBody::empty())).await.unwrap();
    let two = channel.send(post(CallBody::empty())).await.unwrap();
    one.into_body().collect().await.unwrap();
    two.into_body().collect().await.unwrap();
    // The older one makes room.
    closed.recv().await.unwrap();
    assert!(closed.is_empty());

    let channel = Channel::builder(format!("http://{address}"))
        .max_idle_connections(0)
        .build()
        .unwrap();
    call(&channel, post(CallBody::empty())).await.unwrap();
    closed.recv().await.unwrap();
}

#[tokio::test]
async fn dropping_the_channel_closes_its_connections() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::new(format!("http://{address}")).unwrap();
    call(&channel, post(CallBody::empty())).await.unwrap();
    drop(channel);
    closed.recv().await.unwrap();
}

/// A response that is complete before its request leaves a connection that cannot be used again.
#[tokio::test]
async fn a_connection_whose_request_is_unfinished_is_not_used_again() {
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        let peer = request.extensions().get::<Peer>().unwrap().clone();
        Response::new(full(peer.addr().unwrap().to_string()))
    });
    let server = start(bind().await, service);
    let channel = Channel::new(server.uri()).unwrap();
    let (chunks, body) = body_channel();
    let first = address(&channel, post(CallBody::foreign(body))).await;
    chunks.closed().await;
    let second = address(&channel, post(CallBody::empty())).await;
    assert_ne!(first, second);
}

/// One call of several that wait for a connection goes away.
#[tokio::test]
async fn a_call_that_is_dropped_while_connecting_takes_nothing_from_others() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut first = channel.send(post_http2(CallBody::full("1")));
    // Polled once: it has begun to connect.
    let polled =
        std::future::poll_fn(|cx| std::task::Poll::Ready(first.as_mut().poll(cx).is_pending()));
    assert!(polled.await);
    let second = tokio::spawn({
        let channel = channel.clone();
        async move { call(&channel, post_http2(CallBody::full("2"))).await }
    });
    drop(first);
    tokio::spawn(connect_tokio::Server::from_listener(listener).serve(support::echo()));
    assert_eq!(second.await.unwrap().unwrap().body(), "2");
}
