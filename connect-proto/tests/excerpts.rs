//! What a peer sends is shown in errors, and never makes them large.

mod common;

use bytes::Bytes;
use common::{Frame, feed, frame, get, post, spec};
use connect_proto::{
    CallOptions, ClientConfig, Error, Protocol, Rejection, ServerConfig, StreamType, Time, detect,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, request};

/// The most bytes of a message with a peer's text in it.
const MAX: usize = 1024;

fn long(byte: u8) -> String {
    char::from(byte).to_string().repeat(10_000)
}

/// The error says something, and not all of it.
#[track_caller]
fn assert_short(error: &Error, case: &str) {
    let len = error.message().len();
    assert!((1..MAX).contains(&len), "{case}: {len} bytes");
    let details = error.details().iter().map(|detail| detail.value().len());
    assert!(details.sum::<usize>() < MAX, "{case}");
}

fn with(content_type: &str, name: &'static str, value: &str) -> request::Parts {
    let mut head = post(content_type);
    let value = HeaderValue::from_str(value).unwrap();
    head.headers.insert(HeaderName::from_static(name), value);
    head
}

#[test]
fn refusals_of_a_server_are_short() {
    let config = ServerConfig::new().with_require_protocol_version(true);
    let x = long(b'x');
    let mut long_path = post("application/proto");
    long_path.uri = format!("/{x}").parse().unwrap();
    let mut long_method = post("application/proto");
    long_method.method = Method::from_bytes(x.as_bytes()).unwrap();
    let version = |value: &str| with("application/proto", "connect-protocol-version", value);
    let mut rows = vec![
        ("path", long_path),
        ("method", long_method),
        ("content type", post(&x)),
        (
            "its parameter",
            post(&format!("application/json; charset={x}")),
        ),
        ("codec", post(&format!("application/{x}"))),
        (
            "codec of a stream",
            post(&format!("application/connect+{x}")),
        ),
        ("codec of gRPC", post(&format!("application/grpc+{x}"))),
        ("version", version(&x)),
        (
            "codec of GET",
            get(&format!("connect=v1&message=a&encoding={x}")),
        ),
        (
            "version of GET",
            get(&format!("connect={x}&message=a&encoding=json")),
        ),
        (
            "compression of GET",
            get(&format!(
                "connect=v1&message=a&encoding=json&compression={x}"
            )),
        ),
        (
            "base64 of GET",
            get(&format!("connect=v1&base64=1&encoding=json&message={x}*")),
        ),
        (
            "escapes of GET",
            get(&format!("connect=v1&encoding=json&message={x}%2")),
        ),
        ("unknown parameter of GET", get(&format!("{x}={x}"))),
    ];
    for (name, content_type, header) in [
        (
            "timeout of Connect",
            "application/proto",
            "connect-timeout-ms",
        ),
        ("timeout of gRPC", "application/grpc", "grpc-timeout"),
        (
            "compression of Connect",
            "application/proto",
            "content-encoding",
        ),
        (
            "compression of a stream",
            "application/connect+proto",
            "connect-content-encoding",
        ),
        ("compression of gRPC", "application/grpc", "grpc-encoding"),
    ] {
        let mut head = with(content_type, header, &x);
        let one = HeaderValue::from_static("1");
        head.headers.insert("connect-protocol-version", one);
        rows.push((name, head));
    }
    for (name, head) in rows {
        let stream_type = match name {
            "compression of a stream" | "codec of a stream" => StreamType::BidiStream,
            _ => StreamType::Unary,
        };
        let rejection: Rejection = match detect(&head) {
            Err(rejection) => rejection,
            Ok(call) if name == "path" => call.unknown_procedure(head.uri.path()),
            Ok(call) if !["proto", "json"].contains(&call.codec()) => {
                call.unsupported_codec(&head, &spec(stream_type), ["proto", "json"])
            }
            Ok(call) => match call.accept(&head, &spec(stream_type), &config, Time::ZERO) {
                Err(rejection) => rejection,
                Ok((mut recv, _)) => {
                    let events = feed(&mut recv, &[Frame::Eof], 1);
                    let error = events.last().unwrap().as_ref().expect_err(name);
                    assert_short(error, name);
                    continue;
                }
            },
        };
        assert_short(rejection.error(), name);
        let response = rejection.into_response();
        assert!(response.body().len() < MAX, "{name}");
        for (header, value) in response.headers() {
            assert!(value.len() < MAX, "{name}: {header}");
        }
    }
}

type Fields<'a> = &'a [(&'static str, &'a str)];

#[test]
fn errors_of_a_client_are_short() {
    let x = long(b'x');
    let text = |prefix: &str, suffix: &str| format!("{prefix}{x}{suffix}");
    let end = |json: String| frame(2, json.as_bytes());
    let connect = "application/connect+proto";
    let none: Fields<'_> = &[];
    let by_encoding: Fields<'_> = &[("grpc-encoding", &x)];
    let by_status: Fields<'_> = &[("grpc-status", &x)];
    let rows: Vec<(&str, Protocol, String, Fields<'_>, Vec<u8>)> = vec![
        ("content type", Protocol::Grpc, x.clone(), none, vec![]),
        (
            "codec",
            Protocol::Grpc,
            text("application/grpc+", ""),
            none,
            vec![],
        ),
        (
            "codec",
            Protocol::Connect,
            text("application/connect+", ""),
            none,
            vec![],
        ),
        (
            "compression",
            Protocol::Grpc,
            "application/grpc".into(),
            by_encoding,
            vec![],
        ),
        (
            "status",
            Protocol::Grpc,
            "application/grpc".into(),
            by_status,
            vec![],
        ),
        (
            "text body",
            Protocol::Grpc,
            "text/plain".into(),
            none,
            x.clone().into(),
        ),
        (
            "trailer line",
            Protocol::GrpcWeb,
            "application/grpc-web".into(),
            none,
            frame(0x80, x.as_bytes()),
        ),
        (
            "end of stream",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("\"", "\"")),
        ),
        (
            "error",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"error\":\"", "\"}")),
        ),
        (
            "error code",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"error\":{\"code\":\"", "\",\"message\":\"m\"}}")),
        ),
        (
            "error message",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"error\":{\"message\":[\"", "\"]}}")),
        ),
        (
            "error details",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"error\":{\"details\":\"", "\"}}")),
        ),
        (
            "metadata",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"metadata\":\"", "\"}")),
        ),
        (
            "metadata values",
            Protocol::Connect,
            connect.into(),
            none,
            end(text("{\"metadata\":{\"a\":\"", "\"}}")),
        ),
    ];
    for (name, protocol, content_type, fields, body) in rows {
        let case = format!("{name}, {protocol}");
        let config = ClientConfig::new().with_protocol(protocol);
        let (_, expect) = config
            .start(
                &spec(StreamType::BidiStream),
                &CallOptions::default(),
                Time::ZERO,
            )
            .unwrap();
        let mut head = http::Response::builder().header("content-type", content_type);
        for (field, value) in fields {
            head = head.header(*field, *value);
        }
        let (head, ()) = head.body(()).unwrap().into_parts();
        let mut recv = expect.recv_head(head);
        let end = match protocol {
            Protocol::Grpc => Frame::Trailers(HeaderMap::new()),
            _ => Frame::Eof,
        };
        let events = feed(&mut recv, &[Frame::Data(Bytes::from(body)), end], 100_000);
        let error = events.last().unwrap().as_ref().expect_err(&case);
        assert_short(error, &case);
    }
}
