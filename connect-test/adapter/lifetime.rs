//! How long a server's connections live, and that no request is lost when one ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use connect_hyper::{CallTasks, HttpVersion, server::RequestBody};
use connect_tower::{CallBody, Transport, transport::Sent};
use http::Request;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    ACK, GOAWAY, HEADERS, HTTP2_PREFACE, PING, Running, ServiceFn, Socket, async_test, bind,
    body_channel, call, connect, echo, frame, http2_request, post, post_http2, read_until, spawn,
    start, text, within,
};
use crate::rt::{Channel, Server};

const SHORT: Duration = Duration::from_millis(20);
const STATUS_200: u8 = 0x88;

/// A service that counts its calls.
fn counting() -> (Arc<AtomicUsize>, impl connect_hyper::HttpService) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let service = ServiceFn(move |_: Request<RequestBody>| {
        counter.fetch_add(1, Ordering::SeqCst);
        async { text("fine") }
    });
    (count, service)
}

/// 20 at a time, over connections that end all the while.
async fn all_calls_are_served_once(server: Server, version: HttpVersion) {
    const CALLERS: usize = 20;
    const CALLS: usize = 25;
    let (count, service) = counting();
    let server = start(server, service);
    let channel = Channel::builder(server.uri()).with_http_version(version);
    let channel = channel.build().unwrap();
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let channel = channel.clone();
            spawn(async move {
                for _ in 0..CALLS {
                    // What surely was not begun, a client sends again.
                    let answer = loop {
                        match call(&channel, post(CallBody::full("hi"))).await {
                            Err(error) if error.sent() == Sent::No => {}
                            answer => break answer.unwrap(),
                        }
                    };
                    assert_eq!(answer.body(), "fine");
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    assert_eq!(count.load(Ordering::SeqCst), CALLERS * CALLS);
}

#[apply(async_test)]
async fn no_request_is_lost_when_connections_reach_their_age() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let age = Duration::from_millis(5);
            let server = bind().await.with_call_tasks(tasks);
            all_calls_are_served_once(server.with_max_connection_age(age), version).await;
        }
    }
}

#[apply(async_test)]
async fn no_request_is_lost_when_connections_have_had_their_requests() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let server = bind().await.with_max_requests_per_connection(5);
        all_calls_are_served_once(server, version).await;
    }
}

/// RFC 9113, section 6.8: a first GOAWAY allows all streams, so that what is on its way is served.
async fn ends_gracefully(socket: &mut Socket, last_stream: u32) {
    let goaway = read_until(socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[..8], b"\x7f\xff\xff\xff\0\0\0\0");
    // It was sent before the GOAWAY came.
    socket.write_all(&http2_request(last_stream)).await.unwrap();
    let answer = read_until(socket, HEADERS).await.unwrap();
    assert_eq!(answer.payload[0], STATUS_200);
}

#[apply(async_test)]
async fn at_its_age_an_http2_connection_ends_by_two_goaways() {
    let (_, service) = counting();
    let server = start(bind().await.with_max_connection_age(SHORT), service);
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    let goaway = read_until(&mut socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[..8], b"\x7f\xff\xff\xff\0\0\0\0");
    let ping = read_until(&mut socket, PING).await.unwrap();
    // It was sent before the GOAWAY had come.
    socket.write_all(&http2_request(1)).await.unwrap();
    let answer = read_until(&mut socket, HEADERS).await.unwrap();
    assert_eq!(answer.payload[0], STATUS_200);
    let pong = frame(PING, ACK, 0, &ping.payload);
    socket.write_all(&pong).await.unwrap();
    let goaway = read_until(&mut socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[..8], b"\0\0\0\x01\0\0\0\0");
    socket.read_to_end(&mut Vec::new()).await.unwrap();
}

#[apply(async_test)]
async fn after_its_requests_an_http2_connection_gets_a_goaway() {
    let (_, service) = counting();
    let server = start(bind().await.with_max_requests_per_connection(2), service);
    let mut socket = connect(server.address).await.unwrap();
    let requests = [HTTP2_PREFACE, &http2_request(1), &http2_request(3)].concat();
    socket.write_all(&requests).await.unwrap();
    ends_gracefully(&mut socket, 5).await;
}

const HTTP1_REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n";

async fn http1_call(socket: &mut Socket) -> String {
    socket.write_all(HTTP1_REQUEST).await.unwrap();
    http1_answer(socket).await
}

async fn http1_answer(socket: &mut Socket) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"fine") {
        answer.push(socket.read_u8().await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

#[apply(async_test)]
async fn the_last_answer_of_an_http1_connection_says_so() {
    let (_, service) = counting();
    let server = start(bind().await.with_max_requests_per_connection(3), service);
    let mut socket = connect(server.address).await.unwrap();
    for is_last in [false, false, true] {
        let answer = http1_call(&mut socket).await;
        assert_eq!(answer.contains("connection: close"), is_last, "{answer}");
    }
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0);
}

#[apply(async_test)]
async fn an_http1_connection_past_its_age_answers_once_more() {
    let (_, service) = counting();
    let server = start(bind().await.with_max_connection_age(SHORT), service);
    let mut socket = connect(server.address).await.unwrap();
    let mut answers = 0;
    while !http1_call(&mut socket).await.contains("connection: close") {
        answers += 1;
    }
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap(), 0, "{answers}");
}

#[apply(async_test)]
async fn calls_go_on_after_the_age_for_the_time_of_grace() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        for post in [post, post_http2] {
            let server = bind().await.with_call_tasks(tasks);
            let server = start(server.with_max_connection_age(10 * SHORT), echo());
            let channel = Channel::new(server.uri()).unwrap();
            let (chunks, body) = body_channel();
            let request = post(CallBody::foreign(body));
            let mut stream = channel.send(request).await.unwrap().into_body();
            for _ in 0..3 {
                let _ = within(5 * SHORT, std::future::pending::<()>()).await;
                chunks.send(Ok("x".into())).unwrap();
                let frame = stream.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), "x");
            }
            drop(chunks);
            assert_eq!(stream.collect().await.unwrap().to_bytes(), "");
        }
    }
}

#[apply(async_test)]
async fn calls_are_ended_when_the_grace_is_over() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        for post in [post, post_http2] {
            let server = bind()
                .await
                .with_call_tasks(tasks)
                .with_max_connection_age(10 * SHORT)
                .with_max_connection_age_grace(SHORT);
            let server = start(server, echo());
            let channel = Channel::new(server.uri()).unwrap();
            let (chunks, body) = body_channel();
            let request = post(CallBody::foreign(body));
            let stream = channel.send(request).await.unwrap().into_body();
            assert!(stream.collect().await.is_err(), "{tasks:?}");
            drop(chunks);
            server.stop().await.unwrap();
        }
    }
}

/// It is the drain that ends calls then, and not the grace after an age.
#[apply(async_test)]
async fn a_shutdown_leaves_calls_the_time_of_the_drain() {
    for post in [post, post_http2] {
        let server = bind().await.with_max_connection_age_grace(SHORT);
        let server = start(server, echo());
        let channel = Channel::new(server.uri()).unwrap();
        let (chunks, body) = body_channel();
        let request = post(CallBody::foreign(body));
        let stream = channel.send(request).await.unwrap().into_body();
        let stopping = server.stop();
        let _ = within(5 * SHORT, std::future::pending::<()>()).await;
        chunks.send(Ok("x".into())).unwrap();
        drop(chunks);
        assert_eq!(stream.collect().await.unwrap().to_bytes(), "x");
        stopping.await.unwrap();
    }
}

/// An answer of 10,000 bytes, of which the client has taken 1,000: the call is over for the server, but the rest waits for a
/// window.
async fn waiting_answer(set: impl FnOnce(Server) -> Server) -> (Running, Bytes, h2::RecvStream) {
    let service = ServiceFn(|_: Request<RequestBody>| std::future::ready(text("x".repeat(10_000))));
    let server = start(set(bind().await.with_idle_timeout(SHORT)), service);
    let socket = connect(server.address).await.unwrap();
    let builder = h2::client::Builder::new()
        .initial_window_size(1_000)
        .handshake::<_, Bytes>(socket);
    let (mut client, connection) = builder.await.unwrap();
    spawn(connection);
    let request = Request::post("http://server/").body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let first = body.data().await.unwrap().unwrap();
    (server, first, body)
}

#[apply(async_test)]
async fn an_answer_that_waits_for_its_client_is_not_cut() {
    let (_server, first, mut body) = waiting_answer(|server| server).await;
    let _ = within(10 * SHORT, std::future::pending::<()>()).await;
    let (mut total, mut len) = (0, first.len());
    while len > 0 {
        total += len;
        body.flow_control().release_capacity(len).unwrap();
        len = body.data().await.map_or(0, |data| data.unwrap().len());
    }
    assert_eq!(total, 10_000);
}

/// Though it answers pings.
#[apply(async_test)]
async fn an_answer_waits_for_its_client_no_longer_than_a_write() {
    let set = |server: Server| server.with_write_timeout(SHORT);
    let (_server, _first, mut body) = waiting_answer(set).await;
    assert!(body.data().await.unwrap().is_err());
}

/// The time for a head begins with the head.
#[apply(async_test)]
async fn the_time_for_a_head_does_not_count_between_requests() {
    async fn pause() {
        let _ = within(3 * SHORT, std::future::pending::<()>()).await;
    }
    let (_, service) = counting();
    let server = bind().await.with_header_read_timeout(SHORT);
    let mut socket = connect(server.local_addr().unwrap()).await.unwrap();
    // It has come before the server waits for it, and so do the others, each in one piece.
    socket.write_all(HTTP1_REQUEST).await.unwrap();
    let minutes = Duration::from_secs(600);
    let _server = start(server.with_linger_timeout(minutes), service);
    http1_answer(&mut socket).await;
    for _ in 0..2 {
        pause().await;
        http1_call(&mut socket).await;
    }
    // Its body comes after its answer has begun.
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n";
    socket.write_all(head).await.unwrap();
    http1_answer(&mut socket).await;
    socket.write_all(b"hi").await.unwrap();
    pause().await;
    http1_call(&mut socket).await;
    socket.write_all(b"POST / HT").await.unwrap();
    assert_eq!(socket.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[apply(async_test)]
async fn a_client_that_stops_in_the_middle_of_a_frame_is_closed() {
    let server = start(bind().await.with_keep_alive((SHORT, SHORT)), echo());
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    socket.write_all(&http2_request(1)[..10]).await.unwrap();
    socket.read_to_end(&mut Vec::new()).await.unwrap();
}
