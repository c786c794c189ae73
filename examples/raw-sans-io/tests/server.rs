//! The server as a peer sees it: bytes to its socket, and what comes back.

use std::{
    io::{Read, Write},
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
        (String::from("\r\n\r\n"), "not the head"),
        (SAY.replace("1.1", "1.0") + "\r\n", "not the head"),
        (SAY.replace("host: x\r\n", "") + "\r\n", "no host"),
        (format!("{SAY}host: y\r\n\r\n"), "more than one host"),
        (format!("{SAY}x: y\n\r\n"), "CRLF"),
        (format!("{SAY}x y\r\n\r\n"), "invalid header name"),
        (format!("{SAY}x: {long}\r\n\r\n"), "over 16384 bytes"),
        (format!("{SAY}{many}\r\n"), "too many headers"),
        (format!("{SAY}content-length: +5\r\n\r\n"), "unclear"),
        (format!("{SAY}content-length: -5\r\n\r\n"), "invalid digit"),
        (
            format!("{SAY}content-length: 99999999999999999999\r\n\r\n"),
            "too large",
        ),
        (
            format!("{SAY}content-length: 1\r\ncontent-length: 2\r\n\r\n"),
            "more than one content-length",
        ),
        (
            format!("{SAY}content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n"),
            "unclear",
        ),
        (format!("{SAY}transfer-encoding: gzip\r\n\r\n"), "unclear"),
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
            ["404", "no procedure"],
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
fn requests_may_be_cut_anywhere_and_follow_each_other() {
    let mut stream = connect(start());
    let chunked = "transfer-encoding: chunked\r\n\r\n3;ext=1\r\n{\"s\r\nE\r\nentence\": \"a\"}\r\n0\r\nx: y\r\n\r\n";
    let whole = "content-length: 17\r\nconnection: close\r\n\r\n{\"sentence\": \"b\"}";
    for byte in format!("{SAY}{JSON}{chunked}{SAY}{JSON}{whole}").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    let answer = read_all(&mut stream);
    assert_contains(
        &answer,
        &[r#"\"a\"?"}"#, r#"\"b\"?"}"#, "connection: close"],
    );
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 2, "{answer}");
    assert_eq!(answer.matches("content-length: 36").count(), 2, "{answer}");
}

#[test]
fn streams_leave_in_chunks_and_end_with_one() {
    let body = "\0\0\0\0\x0f{\"name\": \"Ada\"}";
    let answer = exchange(
        format!(
            "{INTRODUCE}content-type: application/connect+json\r\ncontent-length: 20\r\n\r\n{body}"
        )
        .as_bytes(),
    );
    assert_contains(
        &answer,
        &["HTTP/1.1 200 ", "transfer-encoding: chunked", "Hello, Ada."],
    );
    assert!(
        answer.ends_with("\x02\0\0\0\x02{}\r\n0\r\n\r\n"),
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
    let head = format!(
        "{SAY}{JSON}content-length: 17\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut interim = [0; 25];
    stream.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"{\"sentence\": \"a\"}").unwrap();
    assert_contains(&read_all(&mut stream), &["HTTP/1.1 200 "]);
}

#[test]
fn one_connection_too_many_is_closed() {
    let addr = start();
    let mut places: Vec<_> = (0..server::MAX_CONNECTIONS)
        .map(|_| connect(addr))
        .collect();
    assert_eq!(read_all(&mut connect(addr)), "");
    let request = format!("{SAY}{JSON}content-length: 2\r\nconnection: close\r\n\r\n{{}}");
    let last = places.last_mut().unwrap();
    last.write_all(request.as_bytes()).unwrap();
    assert_contains(&read_all(last), &["HTTP/1.1 200 "]);
}
