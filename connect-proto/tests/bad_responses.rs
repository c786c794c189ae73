//! Hostile and broken responses, one row a case: the code that the client reports, and words that say what was wrong.

mod common;

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use common::{Frame, feed, frame, headers, request};
use connect_proto::{
    CallOptions, ClientConfig, Code, Compression, Error, Gzip, Limits, Protocol, RecvEvent, Reset,
    StreamType, Time,
};
use http::HeaderMap;

/// gRPC, "Errors": what a client makes of a reset.
#[test]
fn reset_codes_on_a_client() {
    let table = [
        (Reset::Http2(0), Code::Internal),
        (Reset::Http2(1), Code::Internal),
        (Reset::Http2(7), Code::Unavailable),
        (Reset::Http2(8), Code::Canceled),
        (Reset::Http2(11), Code::ResourceExhausted),
        (Reset::Http2(12), Code::PermissionDenied),
        (Reset::Http2(999), Code::Internal),
        (Reset::ConnectionLost, Code::Unavailable),
    ];
    for (reset, code) in table {
        let mut recv = client_half(
            Protocol::Grpc,
            StreamType::ServerStream,
            200,
            &[("content-type", "application/grpc")],
        );
        recv.recv_reset(reset);
        let error = recv.poll_event().unwrap().unwrap_err();
        assert_eq!(error.code(), code, "{reset:?}");
    }
}

/// A limit of its own bounds the end of a stream: advice on that of messages would be of no help.
#[test]
fn an_end_of_stream_that_decompresses_past_its_limit_is_called_that() {
    let mut bomb = BytesMut::new();
    Gzip::new().compress(&[b' '; 10_000], &mut bomb).unwrap();
    let mut recv = client_half(
        Protocol::Connect,
        StreamType::ServerStream,
        200,
        &[
            ("content-type", "application/connect+proto"),
            ("connect-content-encoding", "gzip"),
        ],
    );
    recv.recv_data(Bytes::from(frame(3, &bomb)));
    let error = recv.poll_event().unwrap().unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    assert_eq!(
        error.message(),
        "after gzip decompression the end of the stream is larger than the limit of 128 bytes"
    );
}

fn client_half(
    protocol: Protocol,
    stream_type: StreamType,
    status: u16,
    pairs: &[(&'static str, &'static str)],
) -> connect_proto::RecvHalf {
    client_half_with(protocol, stream_type, &CallOptions::new(), status, pairs)
}

/// A unary call with a deadline of one second.
fn deadline_half(
    protocol: Protocol,
    status: u16,
    pairs: &[(&'static str, &'static str)],
) -> connect_proto::RecvHalf {
    let options = CallOptions::new().with_timeout(Duration::from_secs(1));
    client_half_with(protocol, StreamType::Unary, &options, status, pairs)
}

fn client_half_with(
    protocol: Protocol,
    stream_type: StreamType,
    options: &CallOptions,
    status: u16,
    pairs: &[(&'static str, &'static str)],
) -> connect_proto::RecvHalf {
    let client = ClientConfig::new().with_protocol(protocol).with_limits(
        Limits::default()
            .with_recv_message_bytes(64)
            .with_trailer_bytes(128),
    );
    let (_, expect) = request(&client, stream_type, options, &[Bytes::new()]);
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = http::StatusCode::from_u16(status).unwrap();
    head.headers = headers(pairs);
    expect.recv_head(head)
}

/// A body without envelopes that is announced to be too large is refused by its head alone.
#[test]
fn an_announced_length_over_the_limit_is_refused_at_once() {
    for (length, refused) in [("64", false), ("65", true), ("much", false)] {
        let pairs = [
            ("content-type", "application/proto"),
            ("content-length", length),
        ];
        let mut recv = client_half(Protocol::Connect, StreamType::Unary, 200, &pairs);
        let error = recv.poll_event().map(Result::unwrap_err);
        let code = error.map(|error| error.code());
        assert_eq!(code, refused.then_some(Code::ResourceExhausted), "{length}");
        assert_eq!(recv.wants_data(), !refused, "{length}");
    }
}

/// Responses that are wrong: the code that the client reports, and why.
#[test]
fn responses_that_are_wrong() {
    use Protocol::{Connect, Grpc, GrpcWeb};
    use StreamType::{ServerStream, Unary};
    const CONNECT: (&str, &str) = ("content-type", "application/connect+proto");
    const UNARY: (&str, &str) = ("content-type", "application/proto");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const GRPC: (&str, &str) = ("content-type", "application/grpc");
    const WEB: (&str, &str) = ("content-type", "application/grpc-web+proto");
    type Row<'a> = (
        &'a str,
        Protocol,
        StreamType,
        u16,
        Vec<(&'static str, &'static str)>,
        Vec<u8>,
        Code,
        &'a str,
    );
    let end = |json: &str| frame(2, json.as_bytes());
    let table: Vec<Row<'_>> = vec![
        (
            "content type",
            Connect,
            Unary,
            200,
            vec![("content-type", "image/jpeg")],
            vec![],
            Code::Unknown,
            "image/jpeg",
        ),
        (
            "no content type",
            Grpc,
            Unary,
            200,
            vec![],
            vec![],
            Code::Unknown,
            "no content type",
        ),
        (
            "another protocol",
            Grpc,
            Unary,
            200,
            vec![WEB],
            vec![],
            Code::Unknown,
            "the address of a gRPC server",
        ),
        (
            "another codec",
            Connect,
            Unary,
            200,
            vec![JSON],
            b"{}".to_vec(),
            Code::Internal,
            "\"json\"",
        ),
        (
            "another codec in a stream",
            Grpc,
            Unary,
            200,
            vec![("content-type", "application/grpc+json")],
            vec![],
            Code::Internal,
            "\"json\"",
        ),
        (
            "unknown compression",
            Connect,
            Unary,
            200,
            vec![UNARY, ("content-encoding", "lzw")],
            vec![],
            Code::Internal,
            "lzw",
        ),
        (
            "unknown grpc compression",
            Grpc,
            Unary,
            200,
            vec![GRPC, ("grpc-encoding", "lzw")],
            vec![],
            Code::Internal,
            "lzw",
        ),
        (
            "HTTP status",
            Connect,
            Unary,
            503,
            vec![("content-type", "text/html")],
            b"<html>".to_vec(),
            Code::Unavailable,
            "503",
        ),
        (
            "HTTP status of a stream",
            Connect,
            ServerStream,
            404,
            vec![CONNECT],
            vec![],
            Code::Unimplemented,
            "404",
        ),
        (
            "HTTP status of grpc",
            Grpc,
            Unary,
            401,
            vec![],
            vec![],
            Code::Unauthenticated,
            "401",
        ),
        (
            "error that is not JSON",
            Connect,
            Unary,
            403,
            vec![JSON],
            b"{".to_vec(),
            Code::PermissionDenied,
            "403",
        ),
        (
            "error over the limit",
            Connect,
            Unary,
            403,
            vec![JSON],
            vec![b' '; 129],
            Code::PermissionDenied,
            "403",
        ),
        (
            "error without code",
            Connect,
            Unary,
            429,
            vec![JSON],
            br#"{"message":"slow"}"#.to_vec(),
            Code::Unavailable,
            "slow",
        ),
        (
            "over the limit",
            Connect,
            Unary,
            200,
            vec![UNARY],
            vec![0; 65],
            Code::ResourceExhausted,
            "64",
        ),
        (
            "no end of stream",
            Connect,
            ServerStream,
            200,
            vec![CONNECT],
            vec![],
            Code::Internal,
            "EndStreamResponse",
        ),
        (
            "end of stream not JSON",
            Connect,
            ServerStream,
            200,
            vec![CONNECT],
            end("no"),
            Code::Internal,
            "JSON",
        ),
        (
            "bytes after the end",
            Connect,
            ServerStream,
            200,
            vec![CONNECT],
            [end("{}"), vec![0]].concat(),
            Code::Internal,
            "after the end",
        ),
        (
            "end over the limit",
            Connect,
            ServerStream,
            200,
            vec![CONNECT],
            frame(2, &[b' '; 129]),
            Code::ResourceExhausted,
            "129",
        ),
        (
            "message missing",
            Connect,
            StreamType::ClientStream,
            200,
            vec![CONNECT],
            end("{}"),
            Code::Unimplemented,
            "no message",
        ),
        (
            "message twice",
            Connect,
            StreamType::ClientStream,
            200,
            vec![CONNECT],
            [frame(0, b""), frame(0, b""), end("{}")].concat(),
            Code::Unimplemented,
            "more than one",
        ),
        (
            "no trailers",
            Grpc,
            ServerStream,
            200,
            vec![GRPC],
            vec![],
            Code::Internal,
            "trailers",
        ),
        (
            "status in the head beside a body",
            Grpc,
            ServerStream,
            200,
            vec![GRPC, ("grpc-status", "0")],
            frame(0, b"")[..5].to_vec(),
            Code::Internal,
            "trailers",
        ),
        (
            "no trailer frame",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            vec![],
            Code::Internal,
            "trailer frame",
        ),
        (
            "trailer frame not headers",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            frame(128, b"no colon"),
            Code::Internal,
            "no colon",
        ),
        (
            "trailer frame without status",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            frame(128, b"a: b\r\n"),
            Code::Unknown,
            "grpc-status",
        ),
        (
            "bytes after the trailers",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            [frame(128, b"grpc-status: 0"), frame(0, b"")].concat(),
            Code::Internal,
            "after the end",
        ),
        (
            "unknown status",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            frame(128, b"grpc-status: 77"),
            Code::Unknown,
            "77",
        ),
        (
            "two statuses",
            GrpcWeb,
            ServerStream,
            200,
            vec![WEB],
            frame(128, b"grpc-status: 0\r\ngrpc-status: 13"),
            Code::Unknown,
            "\"0, 13\"",
        ),
        (
            "two content types",
            Grpc,
            Unary,
            200,
            vec![GRPC, WEB],
            vec![],
            Code::Unknown,
            "\"application/grpc, application/grpc-web+proto\"",
        ),
        (
            "two compressions",
            Grpc,
            Unary,
            200,
            vec![
                GRPC,
                ("grpc-encoding", "identity"),
                ("grpc-encoding", "gzip"),
            ],
            vec![],
            Code::Internal,
            "\"identity, gzip\"",
        ),
        (
            "unary without message",
            GrpcWeb,
            Unary,
            200,
            vec![WEB, ("grpc-status", "0")],
            vec![],
            Code::Unimplemented,
            "no message",
        ),
    ];
    for (case, protocol, stream_type, status, pairs, body, code, words) in table {
        let frames = [Frame::Data(Bytes::from(body)), Frame::Eof];
        let outcomes = [1, usize::MAX].map(|cut| {
            let mut recv = client_half(protocol, stream_type, status, &pairs);
            let mut events = feed(&mut recv, &frames, cut);
            // What came before the ending is not this test's business.
            events.pop().expect("an ending")
        });
        assert_eq!(outcomes[0], outcomes[1], "{case}");
        let error = outcomes[0].as_ref().expect_err(case);
        assert_eq!(error.code(), code, "{case}: {error}");
        assert!(error.message().contains(words), "{case}: {error}");
    }
}

/// gRPC, "Responses": without a status, with one in the head only, with one in both places.
#[test]
fn grpc_status_comes_from_the_trailers() {
    let head = [("content-type", "application/grpc"), ("grpc-status", "8")];
    let mut recv = client_half(Protocol::Grpc, StreamType::ServerStream, 200, &head);
    let trailers = headers(&[("grpc-status", "9"), ("foo", "bar")]);
    let events = feed(&mut recv, &[Frame::Trailers(trailers)], 1);
    let error = events[0].as_ref().unwrap_err();
    assert_eq!(error.code(), Code::FailedPrecondition);
    assert_eq!(error.received().unwrap()["foo"], "bar");

    let mut recv = client_half(Protocol::Grpc, StreamType::ServerStream, 503, &head);
    let events = feed(&mut recv, &[Frame::Eof], 1);
    assert_eq!(
        events[0].as_ref().unwrap_err().code(),
        Code::ResourceExhausted
    );

    let mut recv = client_half(Protocol::Grpc, StreamType::ServerStream, 200, &head[..1]);
    let events = feed(&mut recv, &[Frame::Trailers(HeaderMap::new())], 1);
    assert_eq!(events[0].as_ref().unwrap_err().code(), Code::Unknown);
}

/// A response whose end is known stays ended that way, whatever the connection does next.
#[test]
fn a_known_end_outlives_the_connection() {
    let head = [("content-type", "application/connect+proto")];
    let mut recv = client_half(Protocol::Connect, StreamType::ServerStream, 200, &head);
    recv.recv_data(Bytes::from(frame(2, b"{}")));
    assert_eq!(recv.poll_event(), None, "the body is still open");
    recv.recv_reset(Reset::ConnectionLost);
    assert_eq!(
        recv.poll_event(),
        Some(Ok(RecvEvent::End(HeaderMap::new())))
    );

    // Nor does broken HTTP after it matter.
    let mut recv = client_half(Protocol::Connect, StreamType::ServerStream, 200, &head);
    recv.recv_data(Bytes::from(frame(2, b"{}")));
    assert_eq!(recv.poll_event(), None);
    recv.fail(Error::internal("a chunk has no size"));
    assert_eq!(
        recv.poll_event(),
        Some(Ok(RecvEvent::End(HeaderMap::new())))
    );

    // A server that goes on after the end of its stream does not.
    let mut recv = client_half(Protocol::Connect, StreamType::ServerStream, 200, &head);
    recv.recv_data(Bytes::from(frame(2, b"{}")));
    assert_eq!(recv.poll_event(), None);
    recv.recv_data(Bytes::from_static(b"more"));
    assert_eq!(
        recv.poll_event().unwrap().unwrap_err().code(),
        Code::Internal
    );
}

/// In text mode too nothing may follow the end of the stream, whole groups of base64 or not.
#[test]
fn text_after_the_end_is_an_error() {
    let end = b"gAAAABBncnBjLXN0YXR1czogMA0K";
    for (rest, clean) in [("", true), ("!!!!", false), ("AA", false), ("AAAA", false)] {
        for cut in [1, 5, usize::MAX] {
            let client = ClientConfig::new()
                .with_protocol(Protocol::GrpcWeb)
                .with_grpc_web_text(true);
            let stream_type = StreamType::ServerStream;
            let (_, expect) = request(&client, stream_type, &CallOptions::new(), &[Bytes::new()]);
            let (mut head, ()) = http::Response::new(()).into_parts();
            head.headers = headers(&[("content-type", "application/grpc-web-text+proto")]);
            let mut recv = expect.recv_head(head);
            let body = Bytes::from([&end[..], rest.as_bytes()].concat());
            let events = feed(&mut recv, &[Frame::Data(body), Frame::Eof], cut);
            assert_eq!(events.len(), 1, "{rest:?}");
            assert_eq!(events[0].is_ok(), clean, "{rest:?} {cut}: {events:?}");
        }
    }
}

/// An error whose body cannot be read on still has the code that its HTTP status tells.
#[test]
fn an_error_in_broken_http_keeps_its_status() {
    let head = [("content-type", "application/json")];
    let mut recv = client_half(Protocol::Connect, StreamType::Unary, 503, &head);
    recv.recv_data(Bytes::from_static(b"{\"code\":\"aborted\""));
    recv.fail(Error::internal("a chunk has no size"));
    let error = recv.poll_event().unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable, "{error}");
}

/// What a proxy or another server says is shown, cut and made printable, however it comes. The HTTP status gives the code.
#[test]
fn a_response_that_is_no_rpc_is_quoted() {
    const LONG: &str = "0123456789abcdefghij";
    let long = LONG.repeat(11);
    let cut = format!("; the response says {:?}…", LONG.repeat(10));
    let rows = [
        (
            404,
            "text/plain",
            "404 page not found\n",
            "\"404 page not found\"",
        ),
        (404, "text/plain", "", "or a proxy may have answered"),
        (
            502,
            "Text/Plain; charset=utf-8",
            "bad \r\n gateway",
            "\"bad gateway\"",
        ),
        (
            503,
            "text/plain",
            "\u{1b}[2J\u{202e}boo",
            "\"\\u{1b}[2J\\u{202e}boo\"",
        ),
        (503, "text/plain", long.as_str(), cut.as_str()),
        (401, "application/problem+json", "{}", "\"{}\""),
        (
            404,
            "application/json",
            "{\"status\":404}",
            r#""{\"status\":404}""#,
        ),
        (502, "text/html", "<html>", "or a proxy may have answered"),
        (200, "text/plain", "welcome", "\"welcome\""),
    ];
    for protocol in Protocol::ALL {
        for (status, content_type, body, words) in rows {
            for cut in [1, 7, usize::MAX] {
                let pairs = [("content-type", content_type)];
                let mut recv = client_half(protocol, StreamType::Unary, status, &pairs);
                let case = format!("{protocol}, {status} {content_type}, cut {cut}");
                for chunk in body.as_bytes().chunks(cut.min(body.len().max(1))) {
                    assert!(recv.error().is_none());
                    recv.recv_data(Bytes::copy_from_slice(chunk));
                }
                recv.recv_eof();
                let error = recv.poll_event().unwrap().unwrap_err();
                let message = error.message();
                let http = http::StatusCode::from_u16(status).unwrap();
                assert_eq!(error.code(), Code::from_http_status(http), "{case}");
                assert!(message.ends_with(words), "{case}: {message}");
                assert!(message.contains("/test.v1.Test/"), "{case}: {message}");
                assert_eq!(
                    error.received().unwrap()["content-type"],
                    content_type,
                    "{case}"
                );
                assert!(recv.poll_event().is_none());
            }
        }
    }
}

/// A server that has answered so is believed, even if its words never end, or end early.
#[test]
fn the_words_of_a_response_that_is_no_rpc_are_not_waited_for() {
    for protocol in Protocol::ALL {
        for end in 0..4 {
            let pairs = [("content-type", "text/plain")];
            let mut recv = deadline_half(protocol, 404, &pairs);
            recv.recv_data(Bytes::from_static(b"not "));
            assert!(recv.poll_event().is_none());
            match end {
                0 => recv.handle_timeout(Time::from_epoch(Duration::from_secs(9))),
                1 => recv.recv_reset(Reset::ConnectionLost),
                2 => recv.fail(Error::internal("a chunk has no size")),
                _ => recv.recv_data(Bytes::from(vec![b'x'; 1000])),
            }
            assert!(!recv.wants_data());
            let error = recv.poll_event().unwrap().unwrap_err();
            assert_eq!(error.code(), Code::Unimplemented);
            assert!(
                error.message().contains("the response says \"not"),
                "{error}"
            );
            assert!(error.message().len() < 500, "{error}");
        }
    }
}
