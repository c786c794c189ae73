//! The bytes in the guide are those that the core makes: each block after `<!-- wire: NAME -->` is compared with a call
//! between the client's machine and the server's. `UPDATE=1 cargo test -p connect-docs --test wire` writes them anew.

use std::{env, fmt::Write, fs, path::Path};

use bytes::{Bytes, BytesMut};
use connect_docs::greet::{GreetRequest, GreetResponse, greet_service};
use connect_proto::{
    CallOptions, ClientConfig, Error, GetPolicy, Protocol, RecvEvent, RecvHalf, SendHalf,
    ServerConfig, Spec, StreamType, Time, Transmit, detect,
};
use connect_tokio::{Codec, Encode, ErrorExt, Prost, rpc::ErrorInfo};
use http::{HeaderMap, HeaderName, Version, request, response};

type Outcome = Result<Vec<Bytes>, Error>;

#[test]
fn the_bytes_in_the_guide_are_the_cores() {
    for (chapter, name, exchange) in [
        (
            "how-a-call-flows.md",
            "connect",
            greet(ClientConfig::new().with_codec("json")),
        ),
        (
            "how-a-call-flows.md",
            "get",
            greet(
                ClientConfig::new()
                    .with_codec("json")
                    .with_get(GetPolicy::default()),
            ),
        ),
        (
            "how-a-call-flows.md",
            "grpc",
            greet(ClientConfig::new().with_protocol(Protocol::Grpc)),
        ),
        (
            "how-a-call-flows.md",
            "grpc-web",
            greet(ClientConfig::new().with_protocol(Protocol::GrpcWeb)),
        ),
        (
            "how-a-call-flows.md",
            "stream",
            count_down(&ClientConfig::new()),
        ),
        ("errors.md", "error-connect", fail(&ClientConfig::new())),
        (
            "errors.md",
            "error-grpc",
            fail(&ClientConfig::new().with_protocol(Protocol::Grpc)),
        ),
        (
            "errors.md",
            "error-grpc-web",
            fail(&ClientConfig::new().with_protocol(Protocol::GrpcWeb)),
        ),
    ] {
        compare(chapter, name, &exchange);
    }
}

fn greet(config: ClientConfig) -> String {
    let codec = codec(&config);
    let answer = GreetResponse {
        greeting: "Hello, Ada!".into(),
    };
    let config = config.with_default_timeout(std::time::Duration::from_secs(2));
    exchange(
        &greet_service::GREET,
        &config,
        &greet_request(&codec),
        Ok(vec![encode(&answer, &codec)]),
        true,
    )
}

fn count_down(config: &ClientConfig) -> String {
    use connect_docs::greet::{CountDownRequest, CountDownResponse};
    let codec = codec(config);
    let request = encode(&CountDownRequest { from: 1 }, &codec);
    let numbers = [1, 0].map(|number| encode(&CountDownResponse { number }, &codec));
    exchange(
        &greet_service::COUNT_DOWN,
        config,
        &request,
        Ok(numbers.to_vec()),
        true,
    )
}

fn fail(config: &ClientConfig) -> String {
    let info = ErrorInfo {
        reason: "GONE".into(),
        ..ErrorInfo::default()
    };
    let error = Error::not_found("no user 7").add_message_detail(&info);
    exchange(
        &greet_service::GREET,
        config,
        &greet_request(&codec(config)),
        Err(error),
        false,
    )
}

fn codec(config: &ClientConfig) -> Codec {
    let codecs = connect_tokio::Codecs::default();
    codecs
        .get(config.codec())
        .expect("a built-in codec")
        .clone()
}

fn greet_request(codec: &Codec) -> Bytes {
    encode(&GreetRequest { name: "Ada".into() }, codec)
}

fn encode<M>(message: &M, codec: &Codec) -> Bytes
where
    Prost: Encode<M>,
{
    let mut buffer = BytesMut::new();
    Prost::encode(message, codec, &mut buffer).expect("a message that can be written");
    buffer.freeze()
}

/// A call from one machine to the other, in text; the request only if it is asked for.
fn exchange(
    spec: &Spec,
    config: &ClientConfig,
    message: &Bytes,
    outcome: Outcome,
    with_request: bool,
) -> String {
    let mut text = String::new();
    let (mut send, expect) = config.start(spec, &CallOptions::new(), Time::ZERO).unwrap();
    send.send_bytes(message.clone()).unwrap();
    send.finish(Ok(HeaderMap::new()));
    let mut head = send.poll_request_head().expect("the message is there");
    let body = transmits(&mut send);
    if with_request {
        request_head(&mut text, &head);
        body_lines(&mut text, &body);
        text.push('\n');
    }

    // The transport of gRPC is HTTP/2.
    head.version = Version::HTTP_2;
    let server = ServerConfig::new();
    let accepted = detect(&head)
        .unwrap()
        .accept(&head, spec, &server, Time::ZERO);
    let (mut recv, mut send) = accepted.unwrap();
    feed(&mut recv, &body);
    assert_eq!(
        recv.poll_event(),
        Some(Ok(RecvEvent::Message(message.clone())))
    );
    let finished = outcome.clone().and_then(|messages| {
        if spec.stream_type() != StreamType::Unary {
            send.send_head(HeaderMap::new()).expect("an open half");
        }
        messages
            .into_iter()
            .try_for_each(|message| send.send_bytes(message))
    });
    send.finish(finished.map(|()| HeaderMap::new()));
    let head = send.poll_response_head().expect("the call is over");
    let body = transmits(&mut send);
    response_head(&mut text, &head);
    body_lines(&mut text, &body);

    // What the client makes of it is what the handler meant.
    let mut recv = expect.recv_head(head);
    feed(&mut recv, &body);
    match outcome {
        Ok(messages) => {
            for message in messages {
                assert_eq!(recv.poll_event(), Some(Ok(RecvEvent::Message(message))));
            }
            assert!(matches!(recv.poll_event(), Some(Ok(RecvEvent::End(_)))));
        }
        Err(expected) => {
            let error = recv.poll_event().expect("an ending").unwrap_err();
            assert_eq!(
                (error.code(), error.message()),
                (expected.code(), expected.message())
            );
            assert_eq!(error.details(), expected.details());
        }
    }
    text
}

fn transmits(send: &mut SendHalf) -> Vec<Transmit> {
    std::iter::from_fn(|| send.poll_transmit()).collect()
}

fn feed(recv: &mut RecvHalf, body: &[Transmit]) {
    for part in body {
        match part {
            Transmit::Data(data) => recv.recv_data(data.clone()),
            Transmit::Trailers(trailers) => return recv.recv_trailers(trailers.clone()),
            Transmit::Reset(error) => panic!("{error}"),
        }
    }
    recv.recv_eof();
}

fn request_head(text: &mut String, head: &request::Parts) {
    let _ = writeln!(text, "> {} {}", head.method, head.uri);
    headers(text, ">", &head.headers);
}

fn response_head(text: &mut String, head: &response::Parts) {
    let _ = writeln!(text, "< {}", head.status.as_u16());
    headers(text, "<", &head.headers);
}

/// One line a header, by name: the order in the map means nothing.
fn headers(text: &mut String, side: &str, headers: &HeaderMap) {
    let mut names: Vec<&HeaderName> = headers.keys().collect();
    names.sort_by_key(|name| name.as_str());
    for name in names {
        let _ = writeln!(
            text,
            "{side} {name}: {}",
            String::from_utf8_lossy(headers[name].as_bytes())
        );
    }
}

fn body_lines(text: &mut String, body: &[Transmit]) {
    for part in body {
        match part {
            Transmit::Data(data) if data.is_empty() => {}
            Transmit::Data(data) => {
                text.push('\n');
                dump(text, data);
            }
            Transmit::Trailers(trailers) => {
                text.push_str("\ntrailers\n");
                headers(text, "<", trailers);
            }
            Transmit::Reset(error) => panic!("{error}"),
        }
    }
}

/// Text as it is, anything else in sixteen bytes a line and what they are in ASCII.
fn dump(text: &mut String, data: &[u8]) {
    if data.iter().all(|byte| (0x20..0x7f).contains(byte)) {
        let _ = writeln!(text, "  {}", String::from_utf8_lossy(data));
        return;
    }
    for line in data.chunks(16) {
        let bytes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let ascii: String = line
            .iter()
            .map(|byte| {
                if (0x20..0x7f).contains(byte) {
                    char::from(*byte)
                } else {
                    '.'
                }
            })
            .collect();
        let _ = writeln!(text, "  {:<47}  {ascii}", bytes.join(" "));
    }
}

/// Compares the block with what the core says, or writes it.
fn compare(chapter: &str, name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(chapter);
    let text = fs::read_to_string(&path).unwrap();
    let marker = format!("<!-- wire: {name} -->\n```text\n");
    let (before, rest) = text
        .split_once(&marker)
        .unwrap_or_else(|| panic!("{chapter} has no {marker}"));
    let (block, after) = rest.split_once("```").expect("an end of the block");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{before}{marker}{expected}```{after}")).unwrap();
        return;
    }
    assert_eq!(block, expected, "{chapter}, {name}");
}
