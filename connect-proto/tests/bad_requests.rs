//! Hostile and broken requests, one row a case: the HTTP status, the code, and words that say what was wrong.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Frame, accept, feed, frame, get, headers, post, respond, spec};
use connect_proto::{
    Code, Compression, DeadlinePolicy, Error, Gzip, Limits, RecvEvent, Reset, ServerConfig,
    StreamType, Time, detect,
};
use http::{HeaderMap, HeaderValue, Method, Version, request::Parts};

/// The codecs of the server.
const OFFERED: [&str; 2] = ["proto", "json"];

/// The answer to a head that cannot be served.
fn refused(
    head: &Parts,
    stream_type: StreamType,
    config: &ServerConfig,
) -> (u16, Error, HeaderMap) {
    let rejection = match detect(head) {
        Err(rejection) => rejection,
        Ok(detected) if !OFFERED.contains(&detected.codec()) => {
            detected.unsupported_codec(head, &spec(stream_type), OFFERED)
        }
        Ok(detected) => detected
            .accept(head, &spec(stream_type), config, Time::ZERO)
            .expect_err("the head must be refused"),
    };
    let error = rejection.error().clone();
    let response = rejection.into_response();
    (
        response.status().as_u16(),
        error,
        response.headers().clone(),
    )
}

fn with(content_type: &str, pairs: &[(&'static str, &'static str)]) -> Parts {
    let mut head = post(content_type);
    head.headers.extend(headers(pairs));
    head
}

/// Connect, "Unary-Request", "Unary-Get-Request", "Streaming-Request"; gRPC, "Requests".
#[test]
fn heads_that_cannot_be_served() {
    use StreamType::{BidiStream, Unary};
    let table: Vec<(&str, Parts, StreamType, u16, Code, &str)> = vec![
        (
            "content type",
            post("image/jpeg"),
            Unary,
            415,
            Code::Unknown,
            "image/jpeg",
        ),
        (
            "charset",
            post("application/json; charset=latin1"),
            Unary,
            415,
            Code::Unknown,
            "latin1",
        ),
        (
            "codec",
            post("application/xml"),
            Unary,
            415,
            Code::Unknown,
            "application/json",
        ),
        (
            "grpc codec",
            post("application/grpc+thrift"),
            Unary,
            415,
            Code::Unknown,
            "application/grpc+proto",
        ),
        (
            "unary body to a stream",
            post("application/proto"),
            BidiStream,
            415,
            Code::Unknown,
            "connect+proto",
        ),
        (
            "stream body to unary",
            post("application/connect+proto"),
            Unary,
            415,
            Code::Unknown,
            "application/proto",
        ),
        (
            "GET without parameters",
            get(""),
            Unary,
            415,
            Code::Unknown,
            "encoding",
        ),
        (
            "GET to a stream",
            get("encoding=json&message="),
            BidiStream,
            405,
            Code::Unknown,
            "POST",
        ),
        (
            "GET without message",
            get("encoding=json"),
            Unary,
            400,
            Code::InvalidArgument,
            "message",
        ),
        (
            "GET with bad base64",
            get("encoding=proto&base64=1&message=!"),
            Unary,
            400,
            Code::InvalidArgument,
            "base64",
        ),
        (
            "GET with bad escapes",
            get("encoding=json&message=%2"),
            Unary,
            400,
            Code::InvalidArgument,
            "percent",
        ),
        (
            "GET with bad version",
            get("connect=v2&encoding=json&message="),
            Unary,
            400,
            Code::InvalidArgument,
            "v1",
        ),
        (
            "GET with bad compression",
            get("compression=x&encoding=json&message="),
            Unary,
            501,
            Code::Unimplemented,
            "gzip",
        ),
        (
            "version",
            with("application/json", &[("connect-protocol-version", "2")]),
            Unary,
            400,
            Code::InvalidArgument,
            "\"1\"",
        ),
        (
            "compression",
            with("application/json", &[("content-encoding", "lzw")]),
            Unary,
            501,
            Code::Unimplemented,
            "identity, gzip",
        ),
        (
            "stream compression",
            with(
                "application/connect+json",
                &[("connect-content-encoding", "lzw")],
            ),
            BidiStream,
            200,
            Code::Unimplemented,
            "lzw",
        ),
        (
            "grpc compression",
            with("application/grpc", &[("grpc-encoding", "lzw")]),
            Unary,
            200,
            Code::Unimplemented,
            "lzw",
        ),
        (
            "connect timeout",
            with("application/json", &[("connect-timeout-ms", "12345678901")]),
            Unary,
            400,
            Code::InvalidArgument,
            "connect-timeout-ms",
        ),
        (
            "connect timeout text",
            with("application/json", &[("connect-timeout-ms", "soon")]),
            Unary,
            400,
            Code::InvalidArgument,
            "connect-timeout-ms",
        ),
        (
            "grpc timeout",
            with("application/grpc", &[("grpc-timeout", "123456789S")]),
            Unary,
            200,
            Code::InvalidArgument,
            "grpc-timeout",
        ),
        (
            "grpc timeout unit",
            with("application/grpc-web", &[("grpc-timeout", "5x")]),
            Unary,
            200,
            Code::InvalidArgument,
            "grpc-timeout",
        ),
    ];
    for (case, head, stream_type, status, code, words) in table {
        let config = ServerConfig::new();
        let (actual, error, _) = refused(&head, stream_type, &config);
        assert_eq!((actual, error.code()), (status, code), "{case}: {error}");
        assert!(error.message().contains(words), "{case}: {error}");
    }
}

/// RFC 9110, section 5.3: a header that has one value and came with several has none, whichever of them comes first.
#[test]
fn several_fields_where_there_is_one_value() {
    let table = [
        (
            "application/json",
            ("content-type", "application/grpc"),
            415,
            "\"application/json, application/grpc\"",
        ),
        (
            "application/json; x=y",
            ("content-type", "application/grpc"),
            415,
            "\"application/json; x=y, application/grpc\"",
        ),
        (
            "application/json",
            ("connect-timeout-ms", "2000"),
            400,
            "\"1, 2000\"",
        ),
        ("application/grpc", ("grpc-timeout", "2S"), 200, "\"1, 2S\""),
        (
            "application/json",
            ("connect-protocol-version", "2"),
            400,
            "\"1, 2\"",
        ),
        (
            "application/json",
            ("content-encoding", "gzip"),
            501,
            "\"1, gzip\"",
        ),
        (
            "application/grpc",
            ("grpc-encoding", "gzip"),
            200,
            "\"1, gzip\"",
        ),
    ];
    for (content_type, (name, second), status, words) in table {
        let mut head = post(content_type);
        if name != "content-type" {
            head.headers.append(name, HeaderValue::from_static("1"));
        }
        head.headers.append(name, HeaderValue::from_static(second));
        let (actual, error, _) = refused(&head, StreamType::Unary, &ServerConfig::new());
        assert_eq!(actual, status, "{name}: {error}");
        assert!(error.message().contains(words), "{name}: {error}");
    }
    // Said twice is said once.
    let mut head = with("application/json", &[("connect-timeout-ms", "7")]);
    head.headers
        .append("connect-timeout-ms", HeaderValue::from_static("7"));
    let detected = detect(&head).unwrap();
    assert_eq!(detected.timeout(), Some(Duration::from_millis(7)));
}

/// RFC 9110, sections 15.5.6 and 12.5.1: what would be allowed is said.
#[test]
fn refusals_say_what_is_allowed() {
    let config = ServerConfig::new();
    let mut head = post("application/proto");
    head.method = Method::DELETE;
    let (status, _, answer) = refused(&head, StreamType::Unary, &config);
    assert_eq!(
        (status, &answer["allow"]),
        (405, &HeaderValue::from_static("GET, POST"))
    );
    let (status, _, answer) = refused(&head, StreamType::ClientStream, &config);
    assert_eq!(
        (status, &answer["allow"]),
        (405, &HeaderValue::from_static("POST"))
    );
    let (_, _, answer) = refused(&post("application/xml"), StreamType::Unary, &config);
    assert!(
        answer["accept-post"]
            .to_str()
            .unwrap()
            .contains("application/json")
    );
    // gRPC, "Compression": the answer lists the algorithms that are accepted.
    let head = with("application/grpc", &[("grpc-encoding", "lzw")]);
    let (_, _, answer) = refused(&head, StreamType::Unary, &config);
    assert!(
        answer["grpc-accept-encoding"]
            .to_str()
            .unwrap()
            .starts_with("gzip")
    );
}

/// Connect, "Unary-Request": "Servers and proxies may reject traffic without this header".
#[test]
fn the_protocol_version_can_be_required() {
    let config = ServerConfig::new().with_require_protocol_version(true);
    for head in [post("application/json"), get("encoding=json&message=")] {
        let (status, error, _) = refused(&head, StreamType::Unary, &config);
        assert_eq!((status, error.code()), (400, Code::InvalidArgument));
    }
    let head = with("application/json", &[("connect-protocol-version", "1")]);
    accept(&head, StreamType::Unary, &config);
    accept(&post("application/grpc"), StreamType::Unary, &config);
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut out = bytes::BytesMut::new();
    // As small as can be, for bombs.
    let gzip = Gzip::new().with_level(9);
    gzip.compress(data, &mut out).unwrap();
    out.to_vec()
}

/// Bodies of requests, each fed byte by byte and whole: the same one error both times.
#[test]
fn request_bodies_that_are_wrong() {
    use StreamType::{ClientStream, ServerStream, Unary};
    type Row<'a> = (&'a str, Parts, StreamType, Vec<u8>, Code, &'a str);
    let limit = 64;
    let config = ServerConfig::new().with_limits(Limits::default().with_recv_message_bytes(limit));
    let bomb = gzip(&vec![0; 1 << 20]);
    let enveloped = [
        "application/grpc",
        "application/grpc-web",
        "application/connect+proto",
    ];
    let mut table: Vec<Row<'_>> = vec![
        (
            "unary over the limit",
            post("application/json"),
            Unary,
            vec![b' '; limit + 1],
            Code::ResourceExhausted,
            "64 bytes",
        ),
        (
            "unary bomb",
            with("application/json", &[("content-encoding", "gzip")]),
            Unary,
            bomb.clone(),
            Code::ResourceExhausted,
            "decompression",
        ),
        (
            "unary not gzip",
            with("application/json", &[("content-encoding", "gzip")]),
            Unary,
            b"plain".to_vec(),
            Code::InvalidArgument,
            "decompress",
        ),
        (
            "end of stream from a client",
            post("application/connect+proto"),
            ClientStream,
            frame(2, b"{}"),
            Code::InvalidArgument,
            "flags",
        ),
        (
            "trailers from a client",
            post("application/grpc-web"),
            ClientStream,
            frame(128, b""),
            Code::InvalidArgument,
            "flags",
        ),
        (
            "text that is not base64",
            post("application/grpc-web-text"),
            ClientStream,
            b"AAAA!AAA".to_vec(),
            Code::InvalidArgument,
            "base64",
        ),
        (
            "text cut short",
            post("application/grpc-web-text"),
            ClientStream,
            b"AAA".to_vec(),
            Code::InvalidArgument,
            "ended early",
        ),
    ];
    for content_type in enveloped {
        let encoding = match content_type {
            "application/connect+proto" => "connect-content-encoding",
            _ => "grpc-encoding",
        };
        let single = if content_type == "application/connect+proto" {
            ServerStream
        } else {
            Unary
        };
        let compressed = with(content_type, &[(encoding, "gzip")]);
        table.extend([
            (
                "no message",
                post(content_type),
                single,
                vec![],
                Code::Unimplemented,
                "no message",
            ),
            (
                "two messages",
                post(content_type),
                single,
                [frame(0, b"a"), frame(0, b"b")].concat(),
                Code::Unimplemented,
                "more than one",
            ),
            (
                "cut in the prefix",
                post(content_type),
                ClientStream,
                vec![0, 0, 0],
                Code::InvalidArgument,
                "3 of 5 bytes",
            ),
            (
                "cut in the payload",
                post(content_type),
                ClientStream,
                frame(0, b"abcd")[..7].to_vec(),
                Code::InvalidArgument,
                "2 of 4 bytes",
            ),
            (
                "reserved flags",
                post(content_type),
                ClientStream,
                frame(0b0100_0000, b""),
                Code::InvalidArgument,
                "0b01000000",
            ),
            (
                "compressed without encoding",
                post(content_type),
                ClientStream,
                frame(1, b""),
                Code::Internal,
                encoding,
            ),
            (
                "oversized prefix",
                post(content_type),
                ClientStream,
                vec![0, 0xff, 0xff, 0xff, 0xff],
                Code::ResourceExhausted,
                "4294967295 bytes",
            ),
            (
                "one over the limit",
                post(content_type),
                ClientStream,
                frame(0, &vec![0; limit + 1]),
                Code::ResourceExhausted,
                "65 bytes",
            ),
            (
                "bomb",
                compressed.clone(),
                ClientStream,
                frame(1, &bomb),
                Code::ResourceExhausted,
                "decompression",
            ),
            (
                "not gzip",
                compressed,
                ClientStream,
                frame(1, b"plain"),
                Code::InvalidArgument,
                "decompress",
            ),
        ]);
    }
    for (case, head, stream_type, body, code, words) in table {
        let context = format!("{case}, {:?}", head.headers["content-type"]);
        let frames = [Frame::Data(Bytes::from(body)), Frame::Eof];
        let outcomes = [1, 7, usize::MAX].map(|cut| {
            let (mut recv, _) = accept(&head, stream_type, &config);
            let events = feed(&mut recv, &frames, cut);
            assert!(!recv.wants_data(), "{context}");
            recv.recv_data(Bytes::from_static(b"ignored after the end"));
            recv.recv_eof();
            assert_eq!(recv.poll_event(), None, "{context}");
            events
        });
        assert_eq!(outcomes[0], outcomes[1], "{context}");
        assert_eq!(outcomes[0], outcomes[2], "{context}");
        let [Err(error)] = &outcomes[0][..] else {
            panic!("{context}: {:?}", outcomes[0]);
        };
        assert_eq!(error.code(), code, "{context}: {error}");
        assert!(error.message().contains(words), "{context}: {error}");
    }
}

/// Messages at the limit pass, compressed or not, even where compression enlarges them.
#[test]
fn messages_at_the_limit_pass() {
    let limit = 64;
    let config = ServerConfig::new().with_limits(Limits::default().with_recv_message_bytes(limit));
    let incompressible: Vec<u8> = (0..64u8).map(|i| i.wrapping_mul(37) ^ 0x5a).collect();
    let head = with("application/grpc", &[("grpc-encoding", "gzip")]);
    for body in [frame(0, &incompressible), frame(1, &gzip(&incompressible))] {
        let (mut recv, _) = accept(&head, StreamType::ClientStream, &config);
        let events = feed(&mut recv, &[Frame::Data(Bytes::from(body)), Frame::Eof], 9);
        let message = RecvEvent::Message(Bytes::from(incompressible.clone()));
        assert_eq!(events, [Ok(message), Ok(RecvEvent::End(HeaderMap::new()))]);
    }
}

/// Whole messages come before the error of a reset, and a message that must be the only one not at all.
#[test]
fn resets_are_never_a_clean_end() {
    let config = ServerConfig::new();
    for content_type in [
        "application/grpc",
        "application/grpc-web",
        "application/connect+proto",
    ] {
        for reset in [Reset::Http2(8), Reset::ConnectionLost] {
            for (stream_type, messages) in
                [(StreamType::ClientStream, 1), (StreamType::ServerStream, 0)]
            {
                let (mut recv, _) = accept(&post(content_type), stream_type, &config);
                recv.recv_data(Bytes::from(frame(0, b"whole")));
                recv.recv_reset(reset);
                let mut events = Vec::new();
                common::poll_all(&mut recv, &mut events);
                assert_eq!(events.len(), messages + 1);
                let error = events.pop().unwrap().unwrap_err();
                assert_eq!(error.code(), Code::Canceled);
            }
        }
    }
}

/// A driver whose HTTP broke ends the half with its own error: after the whole messages, and once.
#[test]
fn a_driver_that_fails_is_never_a_clean_end() {
    let config = ServerConfig::new();
    let broken = Error::invalid_argument("a chunk has no size");
    for (content_type, stream_type, body, messages) in [
        (
            "application/grpc",
            StreamType::ClientStream,
            frame(0, b"a"),
            1,
        ),
        ("application/grpc", StreamType::Unary, frame(0, b"a"), 0),
        (
            "application/grpc-web",
            StreamType::ClientStream,
            frame(0, b"a"),
            1,
        ),
        (
            "application/connect+proto",
            StreamType::ServerStream,
            frame(0, b"a"),
            0,
        ),
        ("application/proto", StreamType::Unary, b"a".to_vec(), 0),
    ] {
        let (mut recv, _) = accept(&post(content_type), stream_type, &config);
        recv.recv_data(Bytes::from(body));
        recv.fail(broken.clone());
        assert!(!recv.wants_data(), "{content_type}");
        recv.recv_eof();
        let mut events = Vec::new();
        common::poll_all(&mut recv, &mut events);
        assert_eq!(events.len(), messages + 1, "{content_type}: {events:?}");
        assert_eq!(events.pop(), Some(Err(broken.clone())), "{content_type}");
        recv.fail(Error::internal("late"));
        assert_eq!(recv.poll_event(), None);
        assert_eq!(recv.error(), Some(&broken));
    }
}

/// The request of a GET is whole with its head: only the sending half's deadline bounds the call, and nothing that the
/// connection does takes the message away.
#[test]
fn a_get_has_ended_with_its_head() {
    let mut head = get("encoding=proto&message=abc&connect=v1");
    head.headers
        .extend(headers(&[("connect-timeout-ms", "1000")]));
    let (mut recv, send) = accept(&head, StreamType::Unary, &ServerConfig::new());
    assert_eq!(recv.deadline(), None);
    assert_eq!(
        send.deadline(),
        Some(Time::from_epoch(Duration::from_millis(1001)))
    );
    recv.fail(Error::internal("late"));
    recv.handle_timeout(Time::MAX);
    let mut events = Vec::new();
    common::poll_all(&mut recv, &mut events);
    let message = RecvEvent::Message(Bytes::from_static(b"abc"));
    assert_eq!(events, [Ok(message), Ok(RecvEvent::End(HeaderMap::new()))]);
}

/// Connect counts whole milliseconds, so a client may have up to one more; gRPC's units leave nothing to round.
#[test]
fn a_connect_deadline_allows_for_rounding() {
    let millis = |millis| Some(Time::from_epoch(Duration::from_millis(millis)));
    for (content_type, name, value, expected) in [
        (
            "application/proto",
            "connect-timeout-ms",
            "200",
            millis(201),
        ),
        (
            "application/connect+proto",
            "connect-timeout-ms",
            "1",
            millis(2),
        ),
        // Zero is no rest of anything.
        ("application/proto", "connect-timeout-ms", "0", millis(0)),
        ("application/grpc", "grpc-timeout", "200m", millis(200)),
        ("application/grpc-web", "grpc-timeout", "0n", millis(0)),
    ] {
        let unary = content_type != "application/connect+proto";
        let stream_type = if unary {
            StreamType::Unary
        } else {
            StreamType::BidiStream
        };
        let head = with(content_type, &[(name, value)]);
        let (_, send) = accept(&head, stream_type, &ServerConfig::new());
        assert_eq!(send.deadline(), expected, "{content_type} {value}");
    }
    // What the server has set is what it is.
    let policy = DeadlinePolicy::default().with_max(Duration::from_millis(100));
    let config = ServerConfig::new().with_deadline_policy(policy);
    let head = with("application/proto", &[("connect-timeout-ms", "200")]);
    let (_, send) = accept(&head, StreamType::Unary, &config);
    assert_eq!(send.deadline(), millis(100));
}

/// HTTP/1.1 promises half duplex only: who needs more refuses bidi streams there, and nothing else.
#[test]
fn bidi_streams_over_http1_can_be_switched_off() {
    let only_http2 = ServerConfig::new().with_http1_bidi(false);
    for content_type in ["application/connect+proto", "application/grpc-web"] {
        let mut head = with(content_type, &[]);
        head.version = Version::HTTP_11;
        accept(&head, StreamType::BidiStream, &ServerConfig::new());
        accept(&head, StreamType::ClientStream, &only_http2);
        let (status, error, _) = refused(&head, StreamType::BidiStream, &only_http2);
        assert_eq!(status, 505, "{content_type}: {error}");
        head.version = Version::HTTP_2;
        accept(&head, StreamType::BidiStream, &only_http2);
    }
}

/// Names of encodings compare without case, as all of HTTP's.
#[test]
fn identity_is_no_compression_in_any_case() {
    let head = with("application/grpc", &[("grpc-encoding", "Identity")]);
    accept(&head, StreamType::Unary, &ServerConfig::new());
}

/// The respond helper is exercised for a body after a refused message: the half must still end once.
#[test]
fn a_handler_without_its_one_message_is_an_internal_error() {
    let config = ServerConfig::new();
    for content_type in ["application/proto", "application/grpc"] {
        let (_, mut send) = accept(&post(content_type), StreamType::Unary, &config);
        let response = respond(&mut send, HeaderMap::new(), &[], Ok(HeaderMap::new()));
        let status = if content_type == "application/proto" {
            500
        } else {
            200
        };
        assert_eq!(response.head.status, status);
        assert!(send.is_finished());
    }
}

/// A body without envelopes that is announced to be too large is refused by its head alone.
#[test]
fn an_announced_length_over_the_limit_is_refused_at_once() {
    let config = ServerConfig::new().with_limits(Limits::default().with_recv_message_bytes(1_000));
    // Compression may make a message a little longer: by a quarter and 1 KiB.
    for (content_type, pairs, refused) in [
        (
            "application/proto",
            &[("content-length", "1000")][..],
            false,
        ),
        ("application/proto", &[("content-length", "1001")], true),
        (
            "application/json",
            &[("content-length", "18446744073709551615")],
            true,
        ),
        // No length that HTTP knows: what the body has is counted.
        (
            "application/proto",
            &[("content-length", "99999999999999999999")],
            false,
        ),
        ("application/proto", &[("content-length", "much")], false),
        (
            "application/proto",
            &[("content-length", "2274"), ("content-encoding", "gzip")],
            false,
        ),
        (
            "application/proto",
            &[("content-length", "2275"), ("content-encoding", "gzip")],
            true,
        ),
        // Envelopes have lengths of their own.
        ("application/grpc", &[("content-length", "5000")], false),
        ("application/grpc-web", &[("content-length", "5000")], false),
    ] {
        let head = with(content_type, pairs);
        let (mut recv, mut send) = accept(&head, StreamType::Unary, &config);
        let event = recv.poll_event();
        if !refused {
            assert!(
                event.is_none() && recv.wants_data(),
                "{content_type} {pairs:?}"
            );
            continue;
        }
        let error = event.unwrap().unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(error.message().contains("1000 bytes"), "{error}");
        assert!(!recv.wants_data());
        let response = respond(&mut send, HeaderMap::new(), &[], Err(error));
        assert_eq!(response.head.status, 429);
    }
}
