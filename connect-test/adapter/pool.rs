//! Which connections a channel opens, keeps, shares and closes.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use connect_hyper::server::RequestBody;
use connect_hyper::{ChannelState, HttpVersion};
use connect_tower::{CallBody, Connection, Transport, transport::Sent};
use http::{Request, Response};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, Mutex},
};

use super::support::{
    Running, ServiceFn, accept, async_test, bind, body_channel, call, certs::Authority, connect,
    echo, full, listen, post, post_http2, spawn, start, text,
};
use crate::rt::{Channel, ClientTls, Server, ServerTls};

fn address_of_client(request: &Request<RequestBody>) -> SocketAddr {
    let connection = request.extensions().get::<Connection>().unwrap();
    connection.peer().addr().unwrap()
}

/// Answers with the client's address.
fn who() -> impl connect_hyper::HttpService {
    ServiceFn(|request: Request<RequestBody>| async move {
        text(address_of_client(&request).to_string())
    })
}

async fn address(channel: &Channel, request: Request<CallBody>) -> SocketAddr {
    let response = call(channel, request).await.unwrap();
    std::str::from_utf8(response.body())
        .unwrap()
        .parse()
        .unwrap()
}

#[apply(async_test)]
async fn calls_in_turn_share_an_http1_connection() {
    let server = start(bind().await, who());
    let channel = Channel::new(server.uri()).unwrap();
    let first = address(&channel, post(CallBody::full("x"))).await;
    for _ in 0..20 {
        assert_eq!(address(&channel, post(CallBody::full("x"))).await, first);
    }
}

#[apply(async_test)]
async fn a_connection_opened_early_is_used() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let server = start(bind().await, who());
        let (address, connections, _) = relay(server.address).await;
        let channel = Channel::builder(format!("http://{address}"))
            .with_http_version(version)
            .build()
            .unwrap();
        channel.connect().await.unwrap();
        assert_eq!(channel.state(), ChannelState::Ready);
        channel.connect().await.unwrap();
        call(&channel, post(CallBody::empty())).await.unwrap();
        assert_eq!(connections.load(Ordering::SeqCst), 1);
    }
}

/// Answers when as many calls have come as the barrier wants.
fn together(calls: usize) -> impl connect_hyper::HttpService {
    let barrier = Arc::new(Barrier::new(calls));
    ServiceFn(move |request: Request<RequestBody>| {
        let barrier = Arc::clone(&barrier);
        async move {
            let address = address_of_client(&request);
            barrier.wait().await;
            text(address.to_string())
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
            spawn(async move { address(&channel, request(CallBody::full("x"))).await })
        })
        .collect();
    let mut seen = std::collections::HashSet::new();
    for call in calls {
        seen.insert(call.await.unwrap());
    }
    seen.len()
}

#[apply(async_test)]
async fn calls_at_once_share_one_http2_connection() {
    let server = start(bind().await, together(30));
    let channel = Channel::new(server.uri()).unwrap();
    assert_eq!(addresses(&channel, 30, post_http2).await, 1);
}

#[apply(async_test)]
async fn calls_at_once_have_an_http1_connection_each() {
    let server = start(bind().await, together(5));
    let channel = Channel::new(server.uri()).unwrap();
    assert_eq!(addresses(&channel, 5, post).await, 5);
}

/// Trusts an authority, as a client must, that none of these servers has.
fn trusting() -> ClientTls {
    ClientTls::new().add_ca(Authority::new().pem()).unwrap()
}

async fn tls_server(
    alpn: &[&[u8]],
    service: impl connect_hyper::HttpService,
) -> (Running, ClientTls) {
    let authority = Authority::new();
    let identity = authority.issue("127.0.0.1");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let config = Arc::unwrap_or_clone(tls.config(alpn).unwrap());
    let server = bind().await.with_tls(ServerTls::from_rustls(config));
    (
        start(server, service),
        ClientTls::new().add_ca(authority.pem()).unwrap(),
    )
}

/// Before the first answer nobody knows what the server speaks.
#[apply(async_test)]
async fn calls_at_once_over_tls_take_what_the_server_speaks() {
    for (alpn, connections) in [(&b"h2"[..], 1), (b"http/1.1", 6)] {
        let (server, tls) = tls_server(&[alpn], together(6)).await;
        let uri = format!("https://{}", server.address);
        let channel = Channel::builder(uri).with_tls(tls).build().unwrap();
        assert_eq!(addresses(&channel, 6, post).await, connections);
    }
}

#[apply(async_test)]
async fn a_call_that_needs_http2_says_so_when_the_server_has_none() {
    let (server, tls) = tls_server(&[b"http/1.1"], who()).await;
    let uri = format!("https://{}", server.address);
    let channel = Channel::builder(uri).with_tls(tls).build().unwrap();
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
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let (sender, closed) = tokio::sync::mpsc::unbounded_channel();
    spawn(async move {
        loop {
            let mut socket = accept(&mut listener).await;
            let sender = sender.clone();
            spawn(async move {
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

#[apply(async_test)]
async fn idle_connections_are_closed_in_time() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::builder(format!("http://{address}"))
        .with_http1_idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    for _ in 0..2 {
        let response = call(&channel, post(CallBody::empty())).await.unwrap();
        assert_eq!(response.body(), "ok");
        closed.recv().await.unwrap();
    }
}

#[apply(async_test)]
async fn no_more_idle_connections_are_kept_than_allowed() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::builder(format!("http://{address}"))
        .with_max_idle_connections(1)
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
        .with_max_idle_connections(0)
        .build()
        .unwrap();
    call(&channel, post(CallBody::empty())).await.unwrap();
    closed.recv().await.unwrap();
}

#[apply(async_test)]
async fn dropping_the_channel_closes_its_connections() {
    let (address, mut closed) = one_answer_each().await;
    let channel = Channel::new(format!("http://{address}")).unwrap();
    call(&channel, post(CallBody::empty())).await.unwrap();
    drop(channel);
    closed.recv().await.unwrap();
}

/// A response that is complete before its request leaves a connection that cannot be used again.
#[apply(async_test)]
async fn a_connection_whose_request_is_unfinished_is_not_used_again() {
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        let peer = request
            .extensions()
            .get::<Connection>()
            .unwrap()
            .peer()
            .clone();
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

#[apply(async_test)]
async fn no_more_http1_connections_are_opened_than_allowed() {
    let server = start(bind().await, together(2));
    let channel = Channel::builder(server.uri())
        .with_max_connections(2)
        .build();
    assert_eq!(addresses(&channel.unwrap(), 10, post).await, 2);
}

/// A call that waits for a connection takes the place of one that was dropped, be it a call that waited too.
#[apply(async_test)]
async fn calls_that_wait_for_a_connection_come_in_turn() {
    let (address, _closed) = one_answer_each().await;
    let channel = Channel::builder(format!("http://{address}"))
        .with_max_connections(1)
        .build()
        .unwrap();
    let first = channel.send(post(CallBody::empty())).await.unwrap();
    assert_eq!(channel.state(), ChannelState::Ready);
    let mut waiting: Vec<_> = (0..3)
        .map(|_| channel.send(post(CallBody::empty())))
        .collect();
    for call in &mut waiting {
        assert!(is_pending(call).await);
    }
    // Gone before its turn, and in its turn.
    drop(waiting.remove(0));
    drop(first);
    drop(waiting.remove(0));
    let response = waiting.remove(0).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "ok"
    );
}

/// Polled once: it has begun.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

/// A listener that counts its connections and closes each, as soon as the lock can be had.
async fn closing() -> (SocketAddr, Arc<AtomicUsize>, Arc<Mutex<()>>) {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let lock = Arc::new(Mutex::new(()));
    let (seen, free) = (Arc::clone(&count), Arc::clone(&lock));
    spawn(async move {
        loop {
            let socket = accept(&mut listener).await;
            seen.fetch_add(1, Ordering::SeqCst);
            let _free = free.lock().await;
            drop(socket);
        }
    });
    (address, count, lock)
}

#[apply(async_test)]
async fn after_a_failure_all_calls_share_one_attempt() {
    for version in [HttpVersion::Http1, HttpVersion::Auto] {
        let (address, connections, lock) = closing().await;
        let channel = Channel::builder(format!("https://{address}"))
            .with_tls(trusting())
            .with_http_version(version)
            .build()
            .unwrap();
        call(&channel, post(CallBody::empty())).await.unwrap_err();
        assert_eq!(connections.load(Ordering::SeqCst), 1);
        assert_eq!(channel.state(), ChannelState::Failed);
        // The attempt does not end before all calls have begun.
        let held = lock.lock().await;
        let mut waiting: Vec<_> = (0..20)
            .map(|_| channel.send(post(CallBody::empty())))
            .collect();
        for call in &mut waiting {
            assert!(is_pending(call).await);
        }
        assert_eq!(channel.state(), ChannelState::Connecting);
        drop(held);
        for call in waiting {
            assert_eq!(call.await.unwrap_err().sent(), Sent::No);
        }
        assert_eq!(connections.load(Ordering::SeqCst), 2);
    }
}

#[apply(async_test)]
async fn the_wait_between_attempts_has_a_maximum() {
    let (address, connections, _) = closing().await;
    let channel = Channel::builder(format!("https://{address}"))
        .with_tls(trusting())
        .with_max_backoff(Duration::ZERO)
        .build()
        .unwrap();
    // Doubled every time it would take longer than the universe has existed.
    for _ in 0..80 {
        call(&channel, post(CallBody::empty())).await.unwrap_err();
    }
    assert_eq!(connections.load(Ordering::SeqCst), 80);
}

/// Calls that need HTTP/2 learn once that the server has none, and do not stand in the way of others.
#[apply(async_test)]
async fn a_server_without_http2_is_asked_for_it_once() {
    let (server, tls) = tls_server(&[b"http/1.1"], who()).await;
    let (address, connections, lock) = relay(server.address).await;
    let channel = Channel::builder(format!("https://{address}"))
        .with_tls(tls)
        .build()
        .unwrap();
    // The attempt does not end before all calls have begun.
    let held = lock.lock().await;
    let mut waiting: Vec<_> = (0..20)
        .map(|_| channel.send(post_http2(CallBody::empty())))
        .collect();
    for call in &mut waiting {
        assert!(is_pending(call).await);
    }
    drop(held);
    for call in waiting {
        let error = call.await.unwrap_err();
        assert!(error.to_string().contains("chose HTTP/1.1"), "{error}");
    }
    for _ in 0..20 {
        call(&channel, post_http2(CallBody::empty()))
            .await
            .unwrap_err();
    }
    // One that offered both, one that offered HTTP/2 alone.
    assert_eq!(connections.load(Ordering::SeqCst), 2);
    // The first is used by calls that can.
    call(&channel, post(CallBody::empty())).await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 2);
}

/// A port that leads to another as soon as the lock can be had, and how many connections it took.
async fn relay(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>, Arc<Mutex<()>>) {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let lock = Arc::new(Mutex::new(()));
    let (seen, free) = (Arc::clone(&count), Arc::clone(&lock));
    spawn(async move {
        loop {
            let mut near = accept(&mut listener).await;
            seen.fetch_add(1, Ordering::SeqCst);
            drop(free.lock().await);
            spawn(async move {
                let mut far = connect(to).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (address, count, lock)
}

/// One call of several that wait for a connection goes away.
#[apply(async_test)]
async fn a_call_that_is_dropped_while_connecting_takes_nothing_from_others() {
    let listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut first = channel.send(post_http2(CallBody::full("1")));
    assert!(is_pending(&mut first).await);
    let second = spawn({
        let channel = channel.clone();
        async move { call(&channel, post_http2(CallBody::full("2"))).await }
    });
    drop(first);
    spawn(Server::from_listener(listener).serve(echo()));
    assert_eq!(second.await.unwrap().unwrap().body(), "2");
}

/// A call whose deadline is shorter than connecting takes does not make the next one begin again.
#[apply(async_test)]
async fn what_a_call_left_while_connecting_is_used_by_the_next() {
    let (server, tls) = tls_server(&[b"http/1.1"], who()).await;
    let mut listener = listen().await;
    let channel = Channel::builder(format!("https://{}", listener.local_addr().unwrap()))
        .with_tls(tls)
        .with_http_version(HttpVersion::Http1)
        .build()
        .unwrap();
    // Nobody answers the handshake yet, so it does not end before the call.
    let mut first = channel.send(post(CallBody::empty()));
    assert!(is_pending(&mut first).await);
    drop(first);
    let mut near = accept(&mut listener).await;
    let second = spawn({
        let channel = channel.clone();
        async move { call(&channel, post(CallBody::empty())).await }
    });
    let mut far = connect(server.address).await.unwrap();
    spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
    // Nobody would answer another one.
    second.await.unwrap().unwrap();
}
