//! Hostile and broken requests through a real socket, over both versions of HTTP: the HTTP status, the code and words
//! that say what was wrong. The rules themselves are tables in the core; this shows that nothing on the way loses them.

use std::sync::OnceLock;

use base64::{Engine, engine::general_purpose::STANDARD};
use connect_hyper::HttpVersion;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use prost_types::Value;

use super::support::{async_test, bind, start};
use crate::rt::{
    CallBody, Channel, Code, Compression, Gzip, Idempotency, Limits, Request, Response,
    ResponseStream, Router, Spec, StreamType, Streaming, Transport,
};

const LIMIT: usize = 4096;

const UNARY: Spec = Spec::new("/test.v1.Test/Unary", StreamType::Unary)
    .with_idempotency(Idempotency::NoSideEffects);
const TREE: Spec = Spec::new("/test.v1.Test/Tree", StreamType::Unary);
const STREAM: Spec = Spec::new("/test.v1.Test/Stream", StreamType::BidiStream);

fn router() -> Router {
    Router::new()
        .unary(UNARY, |request: Request<String>| async move {
            Ok(Response::new(request.into_message()))
        })
        .unary(TREE, |request: Request<Value>| async move {
            Ok(Response::new(request.into_message()))
        })
        .bidi_stream(STREAM, |request: Request<Streaming<String>>| async move {
            let mut messages = request.into_stream();
            Ok(Response::new(ResponseStream::generate(
                |mut answers| async move {
                    while let Some(message) = messages.message().await? {
                        answers.send(message).await;
                    }
                    Ok(())
                },
            )))
        })
        .with_limits(Limits::default().with_recv_message_bytes(LIMIT))
}

struct Case {
    name: &'static str,
    method: &'static str,
    uri: String,
    headers: Vec<(&'static str, &'static str)>,
    body: Vec<u8>,
    status: u16,
    code: &'static str,
    words: &'static str,
}

fn case(
    name: &'static str,
    spec: &Spec,
    content_type: &'static str,
    body: impl Into<Vec<u8>>,
) -> Case {
    Case {
        name,
        method: "POST",
        uri: spec.procedure().to_owned(),
        headers: vec![("content-type", content_type)],
        body: body.into(),
        status: 200,
        code: "",
        words: "",
    }
}

fn get(name: &'static str, query: &str) -> Case {
    let mut case = case(name, &UNARY, "", "");
    case.method = "GET";
    case.uri = format!("{}?{query}", UNARY.procedure());
    case.headers.clear();
    case
}

impl Case {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn method(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// The answer: its HTTP status, the name of the code (empty for plain HTTP), and words of its message.
    fn answer(mut self, status: u16, code: &'static str, words: &'static str) -> Self {
        (self.status, self.code, self.words) = (status, code, words);
        self
    }

    fn is_grpc(&self) -> bool {
        self.headers.iter().any(|(_, value)| {
            value
                .strip_prefix("application/grpc")
                .is_some_and(|rest| !rest.starts_with("-web"))
        })
    }
}

fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![flags];
    out.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    out.extend_from_slice(payload);
    out
}

fn bomb() -> Vec<u8> {
    // Made once: without optimisation it takes seconds.
    static BOMB: OnceLock<Vec<u8>> = OnceLock::new();
    let made = BOMB.get_or_init(|| {
        let mut out = bytes::BytesMut::new();
        let gzip = Gzip::new().with_level(9);
        gzip.compress(&vec![0; 1 << 20], &mut out).unwrap();
        out.to_vec()
    });
    made.clone()
}

fn connect_cases() -> Vec<Case> {
    let json = "application/json";
    let proto = "application/proto";
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        case("method", &UNARY, json, "")
            .method("DELETE")
            .answer(405, "", "not allowed"),
        case("content type", &UNARY, "image/jpeg", "").answer(415, "", "image/jpeg"),
        case("codec", &UNARY, "application/xml", "").answer(415, "", "application/json"),
        case("compression", &UNARY, json, "\"\"")
            .header("content-encoding", "lzw")
            .answer(501, "unimplemented", "lzw"),
        case("bomb", &UNARY, json, bomb())
            .header("content-encoding", "gzip")
            .answer(429, "resource_exhausted", "decompression"),
        case("not gzip", &UNARY, json, "plain")
            .header("content-encoding", "gzip")
            .answer(400, "invalid_argument", "decompress"),
        case("over the limit", &UNARY, proto, vec![0; LIMIT + 1]).answer(
            429,
            "resource_exhausted",
            "4096",
        ),
        case("timeout", &UNARY, json, "\"\"")
            .header("connect-timeout-ms", "soon")
            .answer(400, "invalid_argument", "connect-timeout-ms"),
        case("version", &UNARY, json, "\"\"")
            .header("connect-protocol-version", "2")
            .answer(400, "invalid_argument", "\"1\""),
        case("JSON", &UNARY, json, "{").answer(400, "invalid_argument", "JSON"),
        case("UTF-8 in JSON", &UNARY, json, *b"\"\xff\"").answer(400, "invalid_argument", "JSON"),
        case("UTF-8 in Protobuf", &UNARY, proto, *b"\x0a\x01\xff").answer(
            400,
            "invalid_argument",
            "UTF-8",
        ),
        case("Protobuf", &UNARY, proto, *b"\x0a\x05").answer(400, "invalid_argument", ""),
        case("deep nesting", &TREE, json, deep[..LIMIT].to_owned()).answer(
            400,
            "invalid_argument",
            "",
        ),
        get("GET base64", "encoding=proto&base64=1&message=!").answer(
            400,
            "invalid_argument",
            "base64",
        ),
        get("GET escapes", "encoding=json&message=%2").answer(400, "invalid_argument", "percent"),
        get("GET version", "connect=v9&encoding=json&message=%22%22").answer(
            400,
            "invalid_argument",
            "v1",
        ),
        get("GET message", "encoding=json").answer(400, "invalid_argument", "message"),
    ]
}

fn enveloped_cases() -> Vec<Case> {
    let stream = "application/connect+proto";
    let web = "application/grpc-web";
    let grpc = "application/grpc";
    let text = "application/grpc-web-text";
    let mut cases = vec![
        case(
            "end of stream from a client",
            &STREAM,
            stream,
            frame(2, b"{}"),
        )
        .answer(200, "invalid_argument", "flags"),
        case("stream version", &STREAM, stream, "")
            .header("connect-protocol-version", "2")
            .answer(200, "invalid_argument", "\"1\""),
        case("base64", &STREAM, text, "AAAA!AAA").answer(200, "invalid_argument", "base64"),
        case("trailers from a client", &STREAM, web, frame(128, b"")).answer(
            200,
            "invalid_argument",
            "flags",
        ),
    ];
    for (content_type, encoding) in [
        (stream, "connect-content-encoding"),
        (web, "grpc-encoding"),
        (grpc, "grpc-encoding"),
    ] {
        let stream = |name, body| case(name, &STREAM, content_type, body);
        cases.extend([
            stream("truncated prefix", vec![0, 0, 0]).answer(
                200,
                "invalid_argument",
                "3 of 5 bytes",
            ),
            stream("truncated message", frame(0, b"abcd")[..7].to_vec()).answer(
                200,
                "invalid_argument",
                "2 of 4 bytes",
            ),
            stream("oversized prefix", vec![0, 0xff, 0xff, 0xff, 0xff]).answer(
                200,
                "resource_exhausted",
                "4294967295",
            ),
            stream("compressed without encoding", frame(1, b"x")).answer(200, "internal", encoding),
            stream("bomb", frame(1, &bomb()))
                .header(encoding, "gzip")
                .answer(200, "resource_exhausted", "decompression"),
            stream("compression", vec![])
                .header(encoding, "lzw")
                .answer(200, "unimplemented", "lzw"),
            stream("UTF-8", frame(0, b"\x0a\x01\xff")).answer(200, "invalid_argument", "UTF-8"),
        ]);
        if content_type != "application/connect+proto" {
            let unary = |name, body| case(name, &UNARY, content_type, body);
            cases.extend([
                unary("no message", vec![]).answer(200, "unimplemented", "no message"),
                unary("two messages", [frame(0, b""), frame(0, b"")].concat()).answer(
                    200,
                    "unimplemented",
                    "more than one",
                ),
                unary("timeout", frame(0, b""))
                    .header("grpc-timeout", "1x")
                    .answer(200, "invalid_argument", "grpc-timeout"),
            ]);
        }
    }
    cases
}

#[apply(async_test)]
async fn broken_requests_get_clear_answers() {
    let running = start(bind().await, router());
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let channel = Channel::builder(running.uri())
            .with_http_version(version)
            .build()
            .unwrap();
        for case in connect_cases().into_iter().chain(enveloped_cases()) {
            if case.is_grpc() && version == HttpVersion::Http1 {
                continue;
            }
            let context = format!("{} {:?} {version:?}", case.name, case.headers);
            let answer = send(&channel, &case).await;
            assert_eq!(answer.status, case.status, "{context}: {answer:?}");
            assert_eq!(answer.code, case.code, "{context}: {answer:?}");
            assert!(answer.message.contains(case.words), "{context}: {answer:?}");
            // The server is none the worse for it.
            let good = send(
                &channel,
                &self::case("good", &UNARY, "application/json", "\"hi\""),
            )
            .await;
            assert_eq!(
                (good.status, &*good.message),
                (200, "\"hi\""),
                "after {context}"
            );
        }
    }
    running.stop().await.unwrap();
}

/// gRPC needs HTTP/2: it is refused on HTTP/1.1 in a way that any HTTP client understands.
#[apply(async_test)]
async fn grpc_on_http1_is_refused() {
    let running = start(bind().await, router());
    let channel = Channel::builder(running.uri())
        .with_http_version(HttpVersion::Http1)
        .build()
        .unwrap();
    let answer = send(
        &channel,
        &case("", &UNARY, "application/grpc", frame(0, b"")),
    )
    .await;
    assert_eq!(answer.status, 505);
    assert!(answer.message.contains("HTTP/2"), "{answer:?}");
}

#[derive(Debug)]
struct Answer {
    status: u16,
    code: String,
    message: String,
}

async fn send(channel: &Channel, case: &Case) -> Answer {
    let mut request = http::Request::builder().method(case.method).uri(&case.uri);
    for (name, value) in &case.headers {
        request = request.header(*name, *value);
    }
    let request = request.body(CallBody::full(case.body.clone())).unwrap();
    let (head, body) = channel.send(request).await.unwrap().into_parts();
    let collected = body.collect().await.unwrap();
    let trailers = collected.trailers().cloned().unwrap_or_default();
    let body = collected.to_bytes();
    let content_type = head.headers["content-type"].to_str().unwrap().to_owned();
    let (code, message) = if content_type.starts_with("application/grpc") {
        let mut all = head.headers.clone();
        all.extend(trailers);
        match content_type.as_str() {
            "application/grpc-web-text+proto" if !body.is_empty() => {
                web_trailers(&STANDARD.decode(&body).unwrap())
            }
            _ if !all.contains_key("grpc-status") => web_trailers(&body),
            _ => status(
                all["grpc-status"].to_str().unwrap(),
                all["grpc-message"].to_str().unwrap(),
            ),
        }
    } else {
        match content_type.as_str() {
            "application/json" if head.status != 200 => error_json(&body),
            "application/connect+proto" => error_json(&body[5..]),
            _ => (String::new(), String::from_utf8_lossy(&body).into_owned()),
        }
    };
    Answer {
        status: head.status.as_u16(),
        code,
        message,
    }
}

/// `{"code":…,"message":…}`, alone or as the `error` of an EndStreamResponse.
fn error_json(json: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(json);
    let code = text
        .split_once("\"code\":\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map_or("", |(code, _)| code);
    (code.to_owned(), text.replace('\\', ""))
}

fn web_trailers(body: &[u8]) -> (String, String) {
    let text = String::from_utf8_lossy(&body[5..]).into_owned();
    let find = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default().trim().to_owned()
    };
    status(&find("grpc-status:"), &find("grpc-message:"))
}

fn status(number: &str, message: &str) -> (String, String) {
    let code = Code::from_number(number.parse().unwrap());
    (code.unwrap().as_str().to_owned(), message.to_owned())
}
