//! Hostile and broken responses, one row a case: the code that the client reports, and words that say what was wrong.

mod common;

use bytes::Bytes;
use common::{Frame, feed, frame, headers, request};
use connect_proto::{
    CallOptions, ClientConfig, Code, Limits, Protocol, RecvEvent, Reset, StreamType,
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

fn client_half(
    protocol: Protocol,
    stream_type: StreamType,
    status: u16,
    pairs: &[(&'static str, &'static str)],
) -> connect_proto::RecvHalf {
    let client = ClientConfig::new().with_protocol(protocol).with_limits(
        Limits::default()
            .with_recv_message_bytes(64)
            .with_trailer_bytes(128),
    );
    let (_, expect) = request(
        &client,
        stream_type,
        CallOptions::default(),
        &[Bytes::new()],
    );
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = http::StatusCode::from_u16(status).unwrap();
    head.headers = headers(pairs);
    expect.recv_head(head)
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
            "does it speak gRPC?",
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
    assert_eq!(error.metadata()["foo"], "bar");

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
            let (_, expect) = request(
                &client,
                stream_type,
                CallOptions::default(),
                &[Bytes::new()],
            );
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
