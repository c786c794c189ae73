//! The limits of HTTP itself: sizes, numbers, and what the server announces of them.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use connect_hyper::{
    runtime::{Accepted, StreamListener},
    server::RequestBody,
};
use http::{Request, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::mpsc,
};

use super::support::{
    GOAWAY, HEADERS, HTTP2_PREFACE, RST_STREAM, SETTINGS, ServiceFn, WINDOW_UPDATE, async_test,
    bind, connect, echo, frame, http2_request, read_frame, read_until, spawn, start, text,
};
use crate::rt::Server;

/// The status of an HTTP/1.1 request with these headers, a line each.
async fn http1_status(server: Server, headers: &str) -> String {
    let server = start(server, echo());
    let mut socket = connect(server.address).await.unwrap();
    let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n{headers}\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    socket.read_exact(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[9..]).into_owned()
}

async fn http2_status(server: Server, size: usize) -> StatusCode {
    let server = start(server, echo());
    let socket = connect(server.address).await.unwrap();
    let (mut client, connection) = h2::client::handshake(socket).await.unwrap();
    spawn(connection);
    let request = Request::post("http://server/x").header("x-large", "x".repeat(size));
    let request = request.body(()).unwrap();
    let (response, _) = client.send_request(request, true).unwrap();
    response.await.unwrap().status()
}

#[apply(async_test)]
async fn the_headers_of_a_request_have_a_size() {
    for (limit, size, status) in [
        (None, 30_000, "200"),
        (None, 34_000, "431"),
        (Some(60_000), 59_000, "200"),
        (Some(60_000), 61_000, "431"),
        (Some(0), 800, "200"),
        (Some(0), 1100, "431"),
    ] {
        let server = || async {
            match limit {
                Some(limit) => bind().await.with_max_header_size(limit),
                None => bind().await,
            }
        };
        let headers = format!("x-large: {}\r\n", "x".repeat(size));
        assert_eq!(http1_status(server().await, &headers).await, status);
        let status2 = http2_status(server().await, size).await;
        assert_eq!(status2.as_str(), status, "{limit:?} {size}");
    }
}

#[apply(async_test)]
async fn an_http1_request_has_a_number_of_headers() {
    for (limit, headers, status) in [
        (100, 98, "200"),
        (100, 99, "431"),
        (102, 99, "200"),
        (3, 1, "200"),
        (3, 2, "431"),
    ] {
        let server = bind().await.with_max_headers(limit);
        let headers = "x: y\r\n".repeat(headers);
        assert_eq!(http1_status(server, &headers).await, status, "{limit}");
    }
}

#[apply(async_test)]
async fn the_buffer_of_http1_bounds_what_is_read_at_once() {
    const SENT: usize = 2_000_000;
    const BUFFER: usize = 8 * 1024;
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let seen = Arc::clone(&seen);
        async move {
            let (mut body, mut sum) = (request.into_body(), 0);
            while let Some(frame) = body.frame().await {
                let size = frame.unwrap().into_data().unwrap().len();
                seen.fetch_max(size, Ordering::SeqCst);
                sum += size;
            }
            text(sum.to_string())
        }
    });
    let server = bind().await.with_max_header_size(0);
    let server = start(server.with_http1_buffer_size(BUFFER), service);
    let mut socket = connect(server.address).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {SENT}\r\n\r\n"
    );
    let request = [head.as_bytes(), &[b'x'; SENT]].concat();
    socket.write_all(&request).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with(&SENT.to_string()), "{answer}");
    let largest = largest.load(Ordering::SeqCst);
    // What is allocated may be a little more.
    assert!(0 < largest && largest < 2 * BUFFER, "{largest}");
}

/// RFC 9113, section 6.5.2.
const HEADER_TABLE_SIZE: u16 = 1;
const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_FRAME_SIZE: u16 = 5;
const MAX_HEADER_LIST_SIZE: u16 = 6;

/// What a server announces of a setting.
async fn announced(server: Server, setting: u16) -> Option<u32> {
    let server = start(server, echo());
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    let settings = read_frame(&mut socket).await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    settings.payload.chunks(6).find_map(|entry| {
        let (id, value) = entry.split_first_chunk()?;
        let value = u32::from_be_bytes(value.try_into().ok()?);
        (u16::from_be_bytes(*id) == setting).then_some(value)
    })
}

#[apply(async_test)]
async fn the_limits_of_http2_are_announced() {
    type Set = fn(Server) -> Server;
    const KIB: u32 = 1024;
    let cases: [(Set, u16, Option<u32>); 11] = [
        (|s| s, MAX_CONCURRENT_STREAMS, Some(200)),
        (
            |s| s.with_max_concurrent_streams(0),
            MAX_CONCURRENT_STREAMS,
            Some(1),
        ),
        (|s| s, INITIAL_WINDOW_SIZE, Some(256 * KIB)),
        (
            |s| s.with_windows(70_000, 1),
            INITIAL_WINDOW_SIZE,
            Some(70_000),
        ),
        (
            |s| s.with_adaptive_windows(true),
            INITIAL_WINDOW_SIZE,
            Some(65_535),
        ),
        (|s| s, MAX_FRAME_SIZE, Some(64 * KIB)),
        (
            |s| s.with_max_frame_size(20_000),
            MAX_FRAME_SIZE,
            Some(20_000),
        ),
        (|s| s, MAX_HEADER_LIST_SIZE, Some(32 * KIB)),
        (
            |s| s.with_max_header_size(40_000),
            MAX_HEADER_LIST_SIZE,
            Some(40_000),
        ),
        (|s| s, HEADER_TABLE_SIZE, Some(4 * KIB)),
        (|s| s.with_header_table_size(0), HEADER_TABLE_SIZE, Some(0)),
    ];
    for (index, (set, setting, value)) in cases.into_iter().enumerate() {
        let announced = announced(set(bind().await), setting).await;
        assert_eq!(announced, value, "{index}");
    }
}

const ENHANCE_YOUR_CALM: &[u8] = &[0, 0, 0, 11];
const CANCEL: &[u8] = &[0, 0, 0, 8];

#[apply(async_test)]
async fn a_client_that_cancels_calls_before_they_begin_is_ended() {
    let server = start(bind().await.with_max_resets(3, 1000), echo());
    let mut socket = connect(server.address).await.unwrap();
    let mut sent = HTTP2_PREFACE.to_vec();
    for stream in [1, 3, 5, 7] {
        sent.extend(http2_request(stream));
        sent.extend(frame(RST_STREAM, 0, stream, CANCEL));
    }
    socket.write_all(&sent).await.unwrap();
    let goaway = read_until(&mut socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[4..8], ENHANCE_YOUR_CALM);
}

#[apply(async_test)]
async fn a_client_whose_calls_have_to_be_reset_is_ended() {
    let server = start(bind().await.with_max_resets(20, 3), echo());
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    for stream in [1, 3, 5, 7] {
        // `content-length: 5` and the end of the request (RFC 9113, section 8.1.1).
        let headers = [0x83, 0x86, 0x84, 0x0f, 0x0d, 1, b'5'];
        let request = frame(HEADERS, 5, stream, &headers);
        socket.write_all(&request).await.unwrap();
        if stream < 7 {
            read_until(&mut socket, RST_STREAM).await.unwrap();
        }
    }
    let goaway = read_until(&mut socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[4..8], ENHANCE_YOUR_CALM);
}

/// Ready without end. Counts its bytes, and tells when it is dropped.
struct Endless {
    bytes: Arc<AtomicUsize>,
    dropped: mpsc::UnboundedSender<()>,
}

impl Drop for Endless {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
        let data = Bytes::from_static(&[b'x'; 1024]);
        self.bytes.fetch_add(data.len(), Ordering::SeqCst);
        Poll::Ready(Some(Ok(http_body::Frame::data(data))))
    }
}

/// How many bytes of an answer are taken from its body for a client that opens all windows, and reads no more.
async fn taken_for_a_socket_that_is_full(send_buffer: Option<usize>) -> usize {
    let bytes = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&bytes);
    let (drops, mut dropped) = mpsc::unbounded_channel();
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let body = Endless {
            bytes: Arc::clone(&counter),
            dropped: drops.clone(),
        };
        async move { Response::new(body.map_err(|never| match never {}).boxed_unsync()) }
    });
    let (mut near, far) = duplex(1024);
    let accepted = std::io::Result::Ok(Accepted::new(TokioIo::new(far)));
    let connections = futures_util::stream::iter([accepted]);
    let server = Server::from_listener(StreamListener::new(connections));
    let server = server.with_write_timeout(Duration::from_millis(20));
    let server = match send_buffer {
        Some(bytes) => server.with_send_buffer_size(bytes),
        None => server,
    };
    spawn(server.serve(service));
    let largest = 0x7fff_ffff_u32.to_be_bytes();
    let window = [&INITIAL_WINDOW_SIZE.to_be_bytes()[..], &largest].concat();
    let settings = frame(SETTINGS, 0, 0, &window);
    let of_connection = frame(WINDOW_UPDATE, 0, 0, &0x7000_0000_u32.to_be_bytes());
    let request = http2_request(1);
    let sent = [HTTP2_PREFACE, &settings, &of_connection, &request].concat();
    near.write_all(&sent).await.unwrap();
    // The connection ends, as nobody reads.
    dropped.recv().await.unwrap();
    bytes.load(Ordering::SeqCst)
}

#[apply(async_test)]
async fn what_is_kept_for_a_full_socket_has_a_size() {
    const KIB: usize = 1024;
    for (send_buffer, most) in [(Some(1), 64), (None, 192), (Some(KIB * KIB), 1088)] {
        let taken = taken_for_a_socket_that_is_full(send_buffer).await / KIB;
        assert!(taken <= most, "{send_buffer:?} {taken}");
        let kept = send_buffer.unwrap_or(128 * KIB) / KIB;
        assert!(taken >= kept, "{send_buffer:?} {taken}");
    }
}
