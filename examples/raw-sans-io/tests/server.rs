//! The server as a peer sees it: bytes to its socket, and what comes back.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use raw_sans_io::server;

const SAY: &str = "POST /connectrpc.eliza.v1.ElizaService/Say HTTP/1.1\r\nhost: x\r\n";
const INTRODUCE: &str = "POST /connectrpc.eliza.v1.ElizaService/Introduce HTTP/1.1\r\nhost: x\r\n";
const JSON: &str = "content-type: application/json\r\n";

/// A server on a port of its own, for as long as the tests run.
fn start() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || server::serve(&listener));
    addr
}

/// A connection that fails a test instead of waiting for ever.
fn connect(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    let patience = Duration::from_secs(20);
    stream.set_read_timeout(Some(patience)).unwrap();
    stream.set_write_timeout(Some(patience)).unwrap();
    stream
}

/// All that comes until the server closes.
fn read_all(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

/// What the server answers to these bytes, after which the client has no more.
fn exchange(bytes: &[u8]) -> String {
    let mut stream = connect(start());
    stream.write_all(bytes).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    read_all(&mut stream)
}

fn assert_contains(answer: &str, parts: &[&str]) {
    for part in parts {
        assert!(answer.contains(part), "no {part:?} in {answer}");
    }
}

#[test]
fn heads_that_are_broken_get_a_400_that_says_how() {
    let (long, many) = ("x".repeat(20_000), "x-many: 1\r\n".repeat(101));
    let cases = [
        (String::from("HELLO\r\n\r\n"), "invalid"),
        (String::from("\r\n\r\n"), "end of file"),
        (SAY.replace("1.1", "1.0") + "\r\n", "not HTTP/1.1"),
        (SAY.replace("host: x\r\n", "") + "\r\n", "one host"),
        (format!("{SAY}host: y\r\n\r\n"), "one host"),
        (format!("{SAY}x y\r\n\r\n"), "invalid header name"),
        (format!("{SAY}x: {long}\r\n\r\n"), "too long"),
        (format!("{SAY}{many}\r\n"), "too many headers"),
        (format!("{SAY}content-length: +5\r\n\r\n"), "unclear"),
        (format!("{SAY}content-length: -5\r\n\r\n"), "unclear"),
        (format!("{SAY}content-length: \r\n\r\n"), "empty"),
        (
            format!("{SAY}content-length: 99999999999999999999\r\n\r\n"),
            "too large",
        ),
        (
            format!("{SAY}content-length: 1\r\ncontent-length: 1\r\n\r\n"),
            "unclear",
        ),
        (
            format!("{SAY}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
            "unclear",
        ),
        (
            format!("{SAY}transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n"),
            "unclear",
        ),
        (format!("{SAY}transfer-encoding: gzip\r\n\r\n"), "unclear"),
        (
            format!("{SAY}transfer-encoding: gzip, chunked\r\n\r\n"),
            "unclear",
        ),
    ];
    for (head, reason) in cases {
        let answer = exchange(head.as_bytes());
        let parts = ["HTTP/1.1 400 ", "connection: close", reason];
        assert!(
            parts.iter().all(|part| answer.contains(part)),
            "{head}\n{answer}"
        );
    }
}

#[test]
fn requests_that_cannot_be_served_are_answered_whole() {
    for (request, parts) in [
        (
            format!("{SAY}content-type: text/plain\r\n\r\n"),
            ["415", "text/plain"],
        ),
        (
            format!("{SAY}content-type: application/grpc\r\n\r\n"),
            ["505", "gRPC needs HTTP/2"],
        ),
        (
            format!("{SAY}content-type: application/xml\r\n\r\n"),
            ["415", "accept-post"],
        ),
        (
            format!("{SAY}{JSON}connect-timeout-ms: soon\r\n\r\n"),
            ["400", "invalid_argument"],
        ),
        (
            format!("{SAY}{JSON}content-encoding: x\r\n\r\n"),
            ["501", "unimplemented"],
        ),
        (
            SAY.replace("Say", "Nope") + JSON + "\r\n",
            ["404", "nothing is served"],
        ),
        (
            SAY.replace("Say", "Nope") + "\r\n",
            ["404", "nothing is served"],
        ),
    ] {
        assert_contains(&exchange(request.as_bytes()), &parts);
    }
    let head = exchange(format!("{}\r\n", SAY.replace("POST", "HEAD")).as_bytes());
    assert!(head.ends_with("\r\n\r\n"), "a body after HEAD: {head}");
}

#[test]
fn requests_may_be_cut_anywhere() {
    let chunked = "transfer-encoding: chunked\r\n\r\n3;ext=1\r\n{\"s\r\nE\r\nentence\": \"a\"}\r\n0\r\nx: y\r\n\r\n";
    let whole = "content-length: 17\r\n\r\n{\"sentence\": \"a\"}";
    for rest in [chunked, whole] {
        let mut stream = connect(start());
        for byte in format!("{SAY}{JSON}{rest}").bytes() {
            stream.write_all(&[byte]).unwrap();
        }
        let parts = [
            "HTTP/1.1 200 ",
            "connection: close",
            "content-length: 36",
            r#"\"a\"?"}"#,
        ];
        assert_contains(&read_all(&mut stream), &parts);
    }
}

#[test]
fn what_follows_a_request_is_no_other_one() {
    let request = format!("{SAY}{JSON}content-length: 2\r\n\r\n{{}}");
    let answer = exchange(request.repeat(2).as_bytes());
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
}

#[test]
fn streams_end_with_the_connection() {
    let body = "\0\0\0\0\x0f{\"name\": \"Ada\"}";
    let answer = exchange(
        format!(
            "{INTRODUCE}content-type: application/connect+json\r\ncontent-length: 20\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    assert_contains(
        &answer,
        &["HTTP/1.1 200 ", "connection: close", "Hello, Ada."],
    );
    assert!(
        answer.ends_with("\x02\0\0\0\x02{}") && !answer.contains("content-length"),
        "{answer:?}"
    );
}

#[test]
fn bodies_that_are_broken_are_the_clients_fault() {
    let too_long = "3\r\n{\"sentence\": \"a\"}\r\n0\r\n\r\n";
    for body in [
        too_long,
        "x\r\n",
        "\r\n",
        ";\r\n",
        "fffffffffffffffff\r\n",
        "1\n",
        "0x\r\n",
        &format!("1;{}\r\n", "x".repeat(20_000)),
    ] {
        let request = format!("{SAY}{JSON}transfer-encoding: chunked\r\n\r\n{body}");
        let answer = exchange(request.as_bytes());
        assert_contains(
            &answer,
            &["HTTP/1.1 400 ", "invalid_argument", "connection: close"],
        );
    }
}

#[test]
fn a_body_that_ends_early_ends_its_call() {
    let answer = exchange(format!("{SAY}{JSON}content-length: 17\r\n\r\n{{\"sent").as_bytes());
    assert_contains(
        &answer,
        &[
            "canceled",
            "before the request was complete",
            "connection: close",
        ],
    );
}

#[test]
fn a_body_that_does_not_come_in_time_ends_its_call() {
    let mut stream = connect(start());
    let head = format!("{SAY}{JSON}content-length: 17\r\nconnect-timeout-ms: 20\r\n\r\n{{\"sent");
    stream.write_all(head.as_bytes()).unwrap();
    assert_contains(
        &read_all(&mut stream),
        &["HTTP/1.1 504 ", "deadline_exceeded", "connection: close"],
    );
}

#[test]
fn a_message_over_the_limit_is_refused_and_the_answer_arrives() {
    let mut stream = connect(start());
    let head = format!("{SAY}{JSON}content-length: 5000000\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    // The server closes before all of it is sent.
    let _ = stream.write_all(&[b' '; 4_300_000]);
    assert_contains(
        &read_all(&mut stream),
        &["HTTP/1.1 429 ", "resource_exhausted", "connection: close"],
    );
}

#[test]
fn clients_that_ask_before_they_send_are_told_to_go_on() {
    let mut stream = connect(start());
    let head = format!("{SAY}{JSON}content-length: 17\r\nexpect: 100-continue\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{\"sentence\": \"a\"}").unwrap();
    assert_contains(&read_all(&mut stream), &["HTTP/1.1 200 "]);
}

#[test]
fn a_body_that_drips_does_not_outlive_its_call() {
    let mut stream = connect(start());
    let head = format!("{SAY}{JSON}content-length: 4000000\r\nconnect-timeout-ms: 20\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut drip = stream.try_clone().unwrap();
    let dripping = thread::spawn(move || while drip.write_all(b" ").is_ok() {});
    let mut status = [0; 13];
    stream.read_exact(&mut status).unwrap();
    assert_eq!(&status, b"HTTP/1.1 504 ");
    stream.shutdown(Shutdown::Both).unwrap();
    dripping.join().unwrap();
}

#[test]
fn a_connection_too_many_waits_for_its_turn() {
    let addr = start();
    let places: Vec<_> = (0..server::MAX_CONNECTIONS)
        .map(|_| connect(addr))
        .collect();
    let mut late = connect(addr);
    let request = format!("{SAY}{JSON}content-length: 2\r\n\r\n{{}}");
    late.write_all(request.as_bytes()).unwrap();
    late.set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let error = late.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
    drop(places);
    late.set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    assert_contains(&read_all(&mut late), &["HTTP/1.1 200 "]);
}
