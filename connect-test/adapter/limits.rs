//! The server's limits: what a slow, silent or stubborn client can make it hold.

use std::{sync::Arc, time::Duration};

use connect_hyper::{CallTasks, ServerEvent, server::RequestBody};
use connect_tower::{CallBody, Transport};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

use super::support::{
    BoxError, HEADERS, HTTP2_PREFACE, ServiceFn, Socket, async_test, bind, body_channel, call,
    certs::Authority, connect, echo, full, post, post_http2, read_frame, spawn, start, text,
    within,
};
use crate::rt::{Channel, Server, ServerTls};

const SHORT: Duration = Duration::from_millis(20);

async fn read_all(socket: &mut Socket) -> String {
    let mut answer = Vec::new();
    // A reset ends it as well as a close.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

#[apply(async_test)]
async fn a_client_that_does_not_finish_its_head_is_closed() {
    let server = start(bind().await.with_header_read_timeout(SHORT), echo());
    for said in ["", "PRI * HT", "POST / HTTP/1.1\r\nhost:"] {
        let mut socket = connect(server.address).await.unwrap();
        socket.write_all(said.as_bytes()).await.unwrap();
        let answer = read_all(&mut socket).await;
        assert!(!answer.contains("200"), "{answer}");
    }
}

#[apply(async_test)]
async fn an_idle_http1_connection_is_closed() {
    let server = bind().await.with_idle_timeout(SHORT);
    let address = server.local_addr().unwrap();
    let mut socket = connect(address).await.unwrap();
    let request = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";
    socket.write_all(request).await.unwrap();
    // It has come before the server waits for it.
    let _server = start(server, echo());
    let answer = read_all(&mut socket).await;
    assert!(
        answer.starts_with("HTTP/1.1 200") && answer.ends_with("hi"),
        "{answer}"
    );
}

#[apply(async_test)]
async fn a_tls_handshake_has_its_time() {
    let identity = Authority::new().issue("localhost");
    let (events, mut failures) = mpsc::unbounded_channel();
    let server = bind()
        .await
        .with_tls(ServerTls::from_pem(&identity.chain, &identity.key).unwrap())
        .with_tls_handshake_timeout(SHORT)
        .with_observer(move |event| {
            if let ServerEvent::HandshakeFailed { error, .. } = event {
                let _ = events.send(error.kind());
            }
        });
    let server = start(server, echo());
    let mut socket = connect(server.address).await.unwrap();
    assert_eq!(read_all(&mut socket).await, "");
    assert_eq!(failures.recv().await, Some(std::io::ErrorKind::TimedOut));
}

#[apply(async_test)]
async fn streams_beyond_the_limit_wait_for_their_turn() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let running = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let (begin, wait) = (Arc::clone(&begin), Arc::clone(&wait));
        let running = Arc::clone(&running);
        async move {
            use std::sync::atomic::Ordering::SeqCst;
            let now = running.fetch_add(1, SeqCst) + 1;
            begin.notify_one();
            wait.notified().await;
            running.fetch_sub(1, SeqCst);
            text(now.to_string())
        }
    });
    let server = start(bind().await.with_max_concurrent_streams(1), service);
    let channel = Channel::builder(server.uri())
        .with_max_http2_connections(1)
        .build()
        .unwrap();
    go_on.notify_one();
    call(&channel, post_http2(CallBody::empty())).await.unwrap();
    begun.notified().await;
    let calls: Vec<_> = (0..3)
        .map(|_| {
            let channel = channel.clone();
            spawn(async move { call(&channel, post_http2(CallBody::empty())).await })
        })
        .collect();
    for _ in 0..3 {
        begun.notified().await;
        go_on.notify_one();
    }
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().body(), "1");
    }
}

/// Refuses a call without a look at its body.
fn refuse() -> impl connect_hyper::HttpService {
    ServiceFn(|_: Request<RequestBody>| async move {
        let mut response = Response::new(full("no"));
        *response.status_mut() = StatusCode::FORBIDDEN;
        response
    })
}

/// A client that only sends, and looks at the answer when it is done.
#[apply(async_test)]
async fn an_early_refusal_reaches_a_client_that_is_still_sending() {
    let server = start(bind().await, refuse());
    let mut socket = connect(server.address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000\r\n\r\n";
    socket.write_all(head).await.unwrap();
    for _ in 0..64 {
        socket.write_all(&[b'x'; 65536]).await.unwrap();
    }
    socket.shutdown().await.unwrap();
    let answer = read_all(&mut socket).await;
    assert!(
        answer.starts_with("HTTP/1.1 403") && answer.ends_with("no"),
        "{answer}"
    );
}

/// The connection of a client that goes on sending for ever ends too.
#[apply(async_test)]
async fn a_client_that_never_stops_sending_is_cut_off() {
    let server = start(bind().await.with_linger_timeout(SHORT), refuse());
    let mut socket = connect(server.address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 100000000000\r\n\r\n";
    socket.write_all(head).await.unwrap();
    while socket.write_all(&[b'x'; 65536]).await.is_ok() {}
}

/// Answers that do not announce the connection's end promise that it goes on.
#[apply(async_test)]
async fn an_unread_body_does_not_cost_the_connection() {
    // However long a busy machine takes for the body.
    let server = bind().await.with_linger_timeout(Duration::from_secs(600));
    let server = start(server, refuse());
    let mut socket = connect(server.address).await.unwrap();
    let sized = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n";
    let chunked = b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nF4240\r\n";
    for (head, tail) in [(&sized[..], ""), (chunked, "\r\n0\r\n\r\n"), (sized, "")] {
        socket.write_all(head).await.unwrap();
        // The answer comes before the body has: the client finishes its request, as it has announced.
        let mut answer = Vec::new();
        while !answer.ends_with(b"no") {
            answer.push(socket.read_u8().await.unwrap());
        }
        let answer = String::from_utf8(answer).unwrap();
        assert!(!answer.contains("connection: close"), "{answer}");
        socket.write_all(&vec![b'x'; 1_000_000]).await.unwrap();
        socket.write_all(tail.as_bytes()).await.unwrap();
    }
}

#[apply(async_test)]
async fn the_unread_body_has_a_limit_in_bytes_and_in_time() {
    let limited = bind()
        .await
        .with_max_unread_body(1000)
        .with_linger_timeout(SHORT);
    let server = start(limited, refuse());
    for (head, body) in [
        ("content-length: 1001", 0),
        ("transfer-encoding: chunked\r\n\r\n400", 1024),
        // Small enough, but it never comes.
        ("content-length: 10", 5),
    ] {
        let mut socket = connect(server.address).await.unwrap();
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\n{head}\r\n");
        let end = if body == 1024 { "" } else { "\r\n" };
        let body = "x".repeat(body);
        socket
            .write_all(format!("{head}{end}{body}").as_bytes())
            .await
            .unwrap();
        let answer = read_all(&mut socket).await;
        assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    }
}

/// RFC 9110, section 10.1.1: a client that waits for "100 Continue" and gets a refusal sends no body.
#[apply(async_test)]
async fn a_client_that_waits_to_be_asked_is_not_asked_for_an_unwanted_body() {
    let server = start(bind().await, refuse());
    let mut socket = connect(server.address).await.unwrap();
    let head = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\nexpect: 100-continue\r\n\r\n";
    socket.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
}

#[apply(async_test)]
async fn an_address_in_use_is_an_error_that_names_it() {
    let server = bind().await;
    let address = server.local_addr().unwrap();
    let error = Server::bind(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    for text in ["nonsense", "", "127.0.0.1", "localhost:70000"] {
        let error = Server::bind(text).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("with a port"), "{error}");
    }
    let by_name = Server::bind("localhost:0").await.unwrap();
    assert!(by_name.local_addr().unwrap().ip().is_loopback());
}

/// What HTTP/2 connections start with, then silence: no ping is answered.
#[apply(async_test)]
async fn a_client_that_answers_no_pings_is_closed() {
    let server = start(bind().await.with_keep_alive((SHORT, SHORT)), echo());
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    let frames = read_all(&mut socket).await;
    // A frame of type PING, 8 bytes long, was among what came before the end.
    assert!(frames.contains("\0\0\x08\x06\0"), "{frames:?}");
}

#[apply(async_test)]
async fn a_client_that_stops_in_the_middle_of_its_request_is_not_waited_for() {
    let server = start(bind().await.with_read_timeout(SHORT), router_of_lengths());
    let mut socket = connect(server.address).await.unwrap();
    let head =
        b"POST /test.v1.Test/Length HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n";
    socket.write_all(head).await.unwrap();
    socket
        .write_all(b"content-length: 10\r\n\r\n\x0a\x08x")
        .await
        .unwrap();
    let answer = read_all(&mut socket).await;
    assert!(answer.starts_with("HTTP/1.1 499"), "{answer}");
    assert!(answer.contains("canceled"), "{answer}");

    let socket = connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    spawn(connection);
    let request = Request::post("http://server/test.v1.Test/Length")
        .header("content-type", "application/proto")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data("\x0a\x08x".into(), false).unwrap();
    assert_eq!(
        response.await.unwrap().status(),
        StatusCode::from_u16(499).unwrap()
    );
}

fn router_of_lengths() -> crate::rt::Router {
    use crate::rt::{Request, Response, Router, Spec, StreamType};
    const LENGTH: Spec = Spec::new("/test.v1.Test/Length", StreamType::Unary);
    Router::new().unary(LENGTH, |request: Request<String>| async move {
        Ok(Response::new(request.message().len() as u64))
    })
}

/// HEADERS of stream 1, with its end: POST, http, the path `/` (RFC 7541, appendix A).
const HTTP2_REQUEST: &[u8] = &[0, 0, 3, HEADERS, 5, 0, 0, 0, 1, 0x83, 0x86, 0x84];
const STATUS_200: u8 = 0x88;

#[apply(async_test)]
async fn an_http2_connection_without_calls_is_closed_and_one_with_a_call_is_not() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let (begin, wait) = (Arc::clone(&begin), Arc::clone(&wait));
        async move {
            begin.notify_one();
            wait.notified().await;
            text("fine")
        }
    });
    for timeout in [SHORT, Duration::ZERO] {
        let server = bind().await.with_idle_timeout(timeout);
        let mut busy = connect(server.local_addr().unwrap()).await.unwrap();
        let request = [HTTP2_PREFACE, HTTP2_REQUEST].concat();
        busy.write_all(&request).await.unwrap();
        // The call has come before its connection can be idle.
        let server = start(server, service.clone());
        begun.notified().await;
        for _ in 0..2 {
            let mut socket = connect(server.address).await.unwrap();
            socket.write_all(HTTP2_PREFACE).await.unwrap();
            let frames = read_all(&mut socket).await;
            // A frame of type GOAWAY came before the end.
            assert!(frames.contains("\0\0\x08\x07\0"), "{frames:?}");
        }
        go_on.notify_one();
        let answer = loop {
            let frame = read_frame(&mut busy).await.unwrap();
            if frame.kind == HEADERS {
                break frame.payload;
            }
        };
        assert_eq!(answer[0], STATUS_200);
    }
}

#[apply(async_test)]
async fn no_limit_ends_a_call_in_which_both_sides_are_silent() {
    /// A client has this time to send a head.
    const LIMIT: Duration = Duration::from_millis(100);
    /// Longer than any of the limits.
    async fn pause() {
        let _ = within(2 * LIMIT, std::future::pending::<()>()).await;
    }
    // Long before its head, or an echo, in which the body is what is silent.
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        if request.headers().contains_key("x-late") {
            pause().await;
        }
        let body = request.into_body().map_err(BoxError::from);
        Response::new(body.boxed_unsync())
    });
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let server = bind()
            .await
            .with_header_read_timeout(LIMIT)
            .with_call_tasks(tasks);
        let server = server.with_idle_timeout(LIMIT).with_write_timeout(LIMIT);
        let server = start(server.with_linger_timeout(LIMIT), service.clone());
        let channel = Channel::new(server.uri()).unwrap();
        for post in [post, post_http2] {
            let (chunks, body) = body_channel();
            let mut request = post(CallBody::full("late"));
            let late = HeaderValue::from_static("yes");
            request.headers_mut().insert("x-late", late);
            let late = spawn({
                let channel = channel.clone();
                async move { call(&channel, request).await }
            });
            let silent = post(CallBody::foreign(body));
            let mut silent = channel.send(silent).await.unwrap().into_body();
            for word in ["one", "two"] {
                pause().await;
                chunks.send(Ok(word.into())).unwrap();
                let frame = silent.frame().await.unwrap().unwrap();
                assert_eq!(frame.into_data().unwrap(), word, "{tasks:?}");
            }
            drop(chunks);
            // HTTP/2 ends a stream by an empty frame.
            let rest = silent.collect().await.unwrap();
            assert_eq!(rest.to_bytes(), "");
            assert_eq!(late.await.unwrap().unwrap().body(), "late");
        }
    }
}

#[apply(async_test)]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let (served, mut order) = mpsc::unbounded_channel();
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let served = served.clone();
        async move {
            let _ = served.send(request.uri().path().to_owned());
            text("fine")
        }
    });
    let server = start(bind().await.with_max_connections(1), service);
    let mut first = connect(server.address).await.unwrap();
    let mut second = connect(server.address).await.unwrap();
    second
        .write_all(b"POST /second HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    for _ in 0..3 {
        first
            .write_all(b"POST /first HTTP/1.1\r\nhost: x\r\n\r\n")
            .await
            .unwrap();
        assert_eq!(order.recv().await.unwrap(), "/first");
    }
    drop(first);
    assert!(read_all(&mut second).await.ends_with("fine"));
}

#[apply(async_test)]
async fn an_observer_that_panics_costs_nothing_but_the_event() {
    let identity = Authority::new().issue("localhost");
    let (events, mut failures) = mpsc::unbounded_channel();
    let server = bind()
        .await
        .with_tls(ServerTls::from_pem(&identity.chain, &identity.key).unwrap())
        .with_observer(move |_| {
            let _ = events.send(());
            panic!("as the test asked");
        });
    let server = start(server, echo());
    for _ in 0..2 {
        let mut socket = connect(server.address).await.unwrap();
        socket.write_all(b"no TLS at all\r\n\r\n").await.unwrap();
        read_all(&mut socket).await;
        failures.recv().await.unwrap();
    }
    server.stop().await.unwrap();
}
