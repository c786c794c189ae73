//! What HTTP/1.1 asks of a server beside calls: a client that closes its sending side, broken chunks, `host`, and what a 415
//! tells.

use std::time::Duration;

use http::{Request, Response};
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    ResponseBody, ServiceFn, Socket, async_test, bind, body_channel, connect, echo, start, text,
    yield_now,
};
use crate::rt::{self, Router, Spec, StreamType};

const UNARY: Spec = Spec::new("/test.v1.Test/Unary", StreamType::Unary);
const STREAM: Spec = Spec::new("/test.v1.Test/Stream", StreamType::ClientStream);

fn router() -> Router {
    Router::new()
        .unary(UNARY, |request: rt::Request<String>| async move {
            Ok(rt::Response::new(request.into_message()))
        })
        .client_stream(
            STREAM,
            |request: rt::Request<rt::Streaming<String>>| async move {
                let mut messages = request.into_stream();
                let mut all = String::new();
                while let Some(message) = messages.message().await? {
                    all.push_str(&message);
                }
                Ok(rt::Response::new(all))
            },
        )
}

/// All that the server says to these bytes, until it closes.
async fn say(socket: &mut Socket, bytes: &[u8]) -> String {
    socket.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A reset ends it as well as a close.
    let _ = socket.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// Works for a while: so long that the end of the client's side is there before the answer.
async fn work() {
    for _ in 0..100 {
        yield_now().await;
    }
}

const REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";

#[apply(async_test)]
async fn a_client_that_closes_its_sending_side_gets_its_answer() {
    for (half_close, answer) in [(Some(Duration::from_secs(30)), "done"), (None, "")] {
        let server = bind().await.with_http1_half_close(half_close);
        let mut socket = connect(server.local_addr().unwrap()).await.unwrap();
        socket.write_all(REQUEST).await.unwrap();
        socket.shutdown().await.unwrap();
        // All of it has come before the server reads.
        let _server = start(
            server,
            ServiceFn(|_: Request<_>| async move {
                work().await;
                text("done")
            }),
        );
        let said = say(&mut socket, b"").await;
        assert_eq!(said.ends_with("done"), !answer.is_empty(), "{said}");
        assert_eq!(said.is_empty(), answer.is_empty(), "{said}");
    }
}

#[apply(async_test)]
async fn a_client_that_has_closed_its_side_is_not_waited_with_for_ever() {
    let (chunks, body) = body_channel();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let server = bind()
        .await
        .with_http1_half_close(Duration::from_millis(20));
    let server = start(
        server,
        ServiceFn(move |_: Request<connect_hyper::server::RequestBody>| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Response::new(http_body_util::BodyExt::boxed_unsync(body)) }
        }),
    );
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(REQUEST).await.unwrap();
    socket.shutdown().await.unwrap();
    chunks.send(Ok("begun".into())).unwrap();
    // Nothing more comes: the body of the answer is dropped, and the connection is closed.
    chunks.closed().await;
    let said = say(&mut socket, b"").await;
    assert!(said.contains("begun"), "{said}");
}

/// A flush looks ahead for a reset; what it reads then must not cut a body into pieces of that size.
#[apply(async_test)]
async fn a_large_body_comes_in_large_pieces() {
    const SIZE: usize = 1 << 20;
    let service = ServiceFn(
        |request: Request<connect_hyper::server::RequestBody>| async move {
            let mut body = request.into_body();
            let (mut pieces, mut bytes) = (0, 0);
            while let Some(frame) = http_body_util::BodyExt::frame(&mut body).await {
                pieces += 1;
                bytes += frame.unwrap().into_data().unwrap().len();
            }
            assert_eq!(bytes, SIZE);
            // As they lie in the socket when the server comes to read: seldom less than some KiB.
            text(if pieces < SIZE / 256 { "few" } else { "many" })
        },
    );
    let server = start(bind().await, service);
    let mut socket = connect(server.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {SIZE}\r\n\r\n"
    );
    let mut request = head.into_bytes();
    request.resize(request.len() + SIZE, b'x');
    let said = say(&mut socket, &request).await;
    assert!(said.ends_with("few"), "{said}");
}

#[apply(async_test)]
async fn a_call_whose_client_has_reset_the_connection_is_dropped() {
    let (chunks, body) = body_channel();
    let mut body = Some(body);
    let service = move |_: Request<connect_hyper::server::RequestBody>| {
        let body = body.take().map(http_body_util::BodyExt::boxed_unsync);
        async move { Response::<ResponseBody>::new(body.unwrap()) }
    };
    let service = std::sync::Arc::new(std::sync::Mutex::new(service));
    let server = start(
        bind().await,
        ServiceFn(move |request| (service.lock().unwrap())(request)),
    );
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(REQUEST).await.unwrap();
    chunks.send(Ok("begun".into())).unwrap();
    socket.read_exact(&mut [0; 8]).await.unwrap();
    // A socket that is closed with unread bytes is reset.
    drop(socket);
    chunks.closed().await;
}

fn chunked(spec: &Spec, content_type: &str, chunks: &str) -> Vec<u8> {
    format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n{chunks}",
        spec.procedure()
    )
    .into_bytes()
}

#[apply(async_test)]
async fn broken_chunks_are_an_invalid_argument() {
    let server = start(bind().await, router());
    for (chunks, words) in [
        ("zz\r\n\"\"\r\n0\r\n\r\n", "chunk size"),
        ("\r\n\"\"\r\n", "chunk size"),
        ("2\r\n\"abc\"\r\n0\r\n\r\n", "chunk body"),
        ("fffffffffffffffffff\r\n\"\"\r\n", "overflow"),
        ("2\r\n\"\"\r\n0\r\nbad name: x\r\n\r\n", "HTTP/1.1"),
    ] {
        let mut socket = connect(server.address).await.unwrap();
        let said = say(&mut socket, &chunked(&UNARY, "application/json", chunks)).await;
        assert!(said.starts_with("HTTP/1.1 400 "), "{chunks:?} {said}");
        assert!(said.contains("\"invalid_argument\""), "{chunks:?} {said}");
        assert!(said.contains(words), "{chunks:?} {said}");

        let mut socket = connect(server.address).await.unwrap();
        let stream = chunked(&STREAM, "application/connect+json", chunks);
        let said = say(&mut socket, &stream).await;
        assert!(said.contains("\"invalid_argument\""), "{chunks:?} {said}");
        assert!(said.contains(words), "{chunks:?} {said}");
    }
    // One that just ends is a client that has gone.
    let mut socket = connect(server.address).await.unwrap();
    let cut = chunked(&UNARY, "application/json", "5\r\n\"");
    socket.write_all(&cut).await.unwrap();
    socket.shutdown().await.unwrap();
    let said = say(&mut socket, b"").await;
    assert!(!said.contains("invalid_argument"), "{said}");
}

#[apply(async_test)]
async fn a_request_of_http1_has_one_host() {
    let server = start(bind().await, echo());
    for (version, hosts, status) in [
        ("1.1", "host: x\r\n", 200),
        ("1.1", "", 400),
        ("1.1", "host: x\r\nhost: y\r\n", 400),
        ("1.1", "host: x\r\nhost: x\r\n", 400),
        ("1.0", "", 200),
        ("1.0", "host: x\r\nhost: y\r\n", 400),
    ] {
        let mut socket = connect(server.address).await.unwrap();
        let request = format!(
            "POST / HTTP/{version}\r\n{hosts}connection: close\r\ncontent-length: 2\r\n\r\nhi"
        );
        let said = say(&mut socket, request.as_bytes()).await;
        let line = format!("HTTP/{version} {status} ");
        assert!(said.starts_with(&line), "{request:?} {said}");
        assert_eq!(said.contains("host header"), status == 400, "{said}");
    }
}

#[apply(async_test)]
async fn a_415_names_what_is_accepted() {
    let server = start(bind().await, router());
    for (spec, content_type, accepted) in [
        (&UNARY, "content-type: image/jpeg\r\n", "application/json"),
        (&UNARY, "", "application/grpc-web+proto"),
        (
            &UNARY,
            "content-type: application/xml\r\n",
            "application/proto",
        ),
        (
            &UNARY,
            "content-type: application/connect+json\r\n",
            "application/json",
        ),
        (
            &STREAM,
            "content-type: image/jpeg\r\n",
            "application/connect+json",
        ),
    ] {
        let mut socket = connect(server.address).await.unwrap();
        let request = format!(
            "POST {} HTTP/1.1\r\nhost: x\r\n{content_type}connection: close\r\ncontent-length: 0\r\n\r\n",
            spec.procedure()
        );
        let said = say(&mut socket, request.as_bytes()).await;
        assert!(said.starts_with("HTTP/1.1 415 "), "{content_type} {said}");
        let offered = said
            .lines()
            .find_map(|line| line.strip_prefix("accept-post: "));
        assert!(
            offered.is_some_and(|offered| offered.split(", ").any(|it| it == accepted)),
            "{content_type} {said}"
        );
    }
}
