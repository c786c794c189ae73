//! Whole calls, client machine against server machine: every protocol, stream type and compression.

mod common;

use bytes::Bytes;
use common::{
    Frame, accept, clients, feed, headers, message, request, respond, send_message, spec,
};
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, ErrorDetail, GetPolicy, Protocol, RecvEvent,
    ServerConfig, StreamType, Time, Transmit, detect,
};
use http::{HeaderMap, Method, Version};
use std::time::Duration;

const LONG: &str =
    "a long message that is worth compressing, a long message that is worth compressing";

fn messages(streams: bool) -> Vec<Bytes> {
    let count = if streams { 3 } else { 1 };
    [message(LONG), message(""), message("short")][..count].to_vec()
}

fn expected(messages: &[Bytes], ending: Result<HeaderMap, Error>) -> common::Events {
    let mut events: common::Events = messages
        .iter()
        .map(|m| Ok(RecvEvent::Message(m.clone())))
        .collect();
    events.push(ending.map(RecvEvent::End));
    events
}

/// Every way to speak × stream type × compression × codec × cut.
#[test]
fn calls_succeed_in_every_protocol_and_codec() {
    let server = ServerConfig::new().with_min_compress_bytes(16);
    for (name, client) in clients() {
        for compression in [None, Some("gzip")] {
            for codec in ["proto", "json"] {
                for stream_type in StreamType::ALL {
                    for cut in [1, 6, usize::MAX] {
                        let mut client =
                            client.clone().with_codec(codec).with_min_compress_bytes(16);
                        if let Some(compression) = compression {
                            client = client.with_send_compression(compression);
                        }
                        let context =
                            format!("{name} {compression:?} {codec} {stream_type:?} {cut}");
                        one_call(&client, &server, stream_type, cut, &context);
                    }
                }
            }
        }
    }
}

fn one_call(
    client: &ClientConfig,
    server: &ServerConfig,
    stream_type: StreamType,
    cut: usize,
    context: &str,
) {
    let sent = messages(stream_type.client_streams());
    let metadata = headers(&[("x-request", "yes"), ("grpc-status", "forged")]);
    let options = CallOptions::new().with_headers(metadata);
    let (recorded, expect) = request(client, stream_type, &options, &sent);
    assert_eq!(recorded.head.headers["x-request"], "yes", "{context}");
    assert!(!recorded.head.headers.contains_key("grpc-status"));

    let (mut recv, mut send) = accept(&recorded.head, stream_type, server);
    let received = feed(&mut recv, &recorded.frames, cut);
    assert_eq!(received, expected(&sent, Ok(HeaderMap::new())), "{context}");

    let answered = messages(stream_type.server_streams());
    let leading = headers(&[("x-leading", "1"), ("content-length", "7")]);
    let trailers = headers(&[("x-trailing", "2"), ("grpc-status", "9")]);
    let response = respond(&mut send, leading, &answered, Ok(trailers));
    assert!(!response.head.headers.contains_key("content-length"));

    let mut recv = expect.recv_head(response.head);
    assert_eq!(recv.headers()["x-leading"], "1", "{context}");
    let trailers = headers(&[("x-trailing", "2")]);
    let received = feed(&mut recv, &response.frames, cut);
    assert_eq!(received, expected(&answered, Ok(trailers)), "{context}");
    assert!(recv.is_ended() && recv.error().is_none());
}

/// An error before any message, and one after some, arrives with code, message, details and metadata.
#[test]
fn errors_arrive_whole_in_every_protocol_and_codec() {
    for (name, client) in clients() {
        for stream_type in StreamType::ALL {
            for before in [0, 2] {
                if before > 0 && !stream_type.server_streams() {
                    continue;
                }
                let context = format!("{name} {stream_type:?} after {before}");
                let error = Error::failed_precondition("nö, 100% no\n")
                    .add_detail(ErrorDetail::new(
                        "google.rpc.RetryInfo",
                        &b"\x0a\x02\x08\x3c"[..],
                    ))
                    .with_metadata(headers(&[("x-why", "because")]));
                let sent = messages(false);
                let (recorded, expect) = request(&client, stream_type, &CallOptions::new(), &sent);
                let config = ServerConfig::new();
                let (_, mut send) = accept(&recorded.head, stream_type, &config);
                let answered = vec![message("one"); before];
                let response = respond(&mut send, HeaderMap::new(), &answered, Err(error.clone()));
                let mut recv = expect.recv_head(response.head);
                let mut events = feed(&mut recv, &response.frames, 3);
                let received = events.pop().unwrap().unwrap_err();
                assert_eq!(events.len(), before, "{context}");
                assert_eq!(received.code(), error.code(), "{context}");
                assert_eq!(received.message(), error.message(), "{context}");
                assert_eq!(received.details(), error.details(), "{context}");
                assert_eq!(
                    received.received().unwrap()["x-why"],
                    "because",
                    "{context}"
                );
                assert_eq!(recv.error(), Some(&received), "{context}");
            }
        }
    }
}

/// gRPC, "Trailers-Only": an immediate error is one block of headers, without a body.
#[test]
fn immediate_grpc_errors_are_trailers_only() {
    for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
        let client = ClientConfig::new().with_protocol(protocol);
        let (recorded, _) = request(
            &client,
            StreamType::Unary,
            &CallOptions::new(),
            &[message("")],
        );
        let config = ServerConfig::new();
        let (_, mut send) = accept(&recorded.head, StreamType::Unary, &config);
        let response = respond(&mut send, HeaderMap::new(), &[], Err(Error::not_found("x")));
        assert_eq!(response.head.status, 200);
        assert_eq!(response.head.headers["grpc-status"], "5");
        assert_eq!(response.frames, [Frame::Eof]);
        assert_eq!(send.exact_len(), Some(0));
    }
}

/// Connect, "Error Codes": the HTTP status of a unary error; streams are always 200.
#[test]
fn connect_errors_have_their_http_status() {
    for code in Code::ALL {
        for stream_type in [StreamType::Unary, StreamType::ServerStream] {
            let client = ClientConfig::new();
            let (recorded, expect) =
                request(&client, stream_type, &CallOptions::new(), &[message("")]);
            let config = ServerConfig::new();
            let (_, mut send) = accept(&recorded.head, stream_type, &config);
            let error = Error::new(code, "");
            let response = respond(&mut send, HeaderMap::new(), &[], Err(error));
            let unary = stream_type == StreamType::Unary;
            let status = if unary {
                code.http_status()
            } else {
                http::StatusCode::OK
            };
            assert_eq!(response.head.status, status);
            let mut recv = expect.recv_head(response.head);
            let events = feed(&mut recv, &response.frames, 1);
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].as_ref().unwrap_err().code(), code);
        }
    }
}

/// Connect, "Unary-Get-Request": a GET while the URL fits, else a POST.
#[test]
fn get_falls_back_to_post() {
    for (max, text, method) in [
        (8 * 1024, "short", Method::GET),
        (16, "short", Method::POST),
        (8 * 1024, "", Method::GET),
    ] {
        let client = ClientConfig::new().with_get(GetPolicy::default().with_max_url_bytes(max));
        let (recorded, _) = request(
            &client,
            StreamType::Unary,
            &CallOptions::new(),
            &[message(text)],
        );
        assert_eq!(recorded.head.method, method, "{max}");
        assert_eq!(
            recorded.head.headers.contains_key("content-type"),
            method == Method::POST
        );
        let config = ServerConfig::new();
        let (mut recv, _) = accept(&recorded.head, StreamType::Unary, &config);
        let events = feed(&mut recv, &recorded.frames, usize::MAX);
        assert_eq!(events, expected(&[message(text)], Ok(HeaderMap::new())));
    }
    // A call's own choice wins over the client's.
    let options = CallOptions::new().with_get(true);
    let (recorded, _) = request(
        &ClientConfig::new(),
        StreamType::Unary,
        &options,
        &[message("")],
    );
    assert_eq!(recorded.head.method, Method::GET);
}

/// Compression that makes a message longer is left out, unless every message is to be compressed.
#[test]
fn with_no_minimum_every_message_is_compressed() {
    for (min, expected) in [(0, true), (1, false)] {
        let server = ServerConfig::new().with_min_compress_bytes(min);
        for (name, client) in clients() {
            let client = client.with_send_compression("gzip");
            let client = client.with_min_compress_bytes(min);
            for text in ["", "short"] {
                let context = format!("{name} {min} {text:?}");
                let sent = [message(text)];
                let stream = StreamType::Unary;
                let (recorded, expect) = request(&client, stream, &CallOptions::new(), &sent);
                assert_eq!(is_compressed(&recorded), expected, "{context}");

                let (mut recv, mut send) = accept(&recorded.head, stream, &server);
                let received = feed(&mut recv, &recorded.frames, usize::MAX);
                let whole = Ok(HeaderMap::new());
                assert_eq!(received, self::expected(&sent, whole.clone()), "{context}");
                let response = respond(&mut send, HeaderMap::new(), &sent, whole.clone());
                let mut recv = expect.recv_head(response.head);
                let received = feed(&mut recv, &response.frames, usize::MAX);
                assert_eq!(received, self::expected(&sent, whole), "{context}");
            }
        }
    }
}

/// Whether the one message of a request is compressed: as GET, by its header, or by its envelope's flag.
fn is_compressed(request: &common::Recorded<http::request::Parts>) -> bool {
    let (head, data) = (&request.head, request.frames.first());
    let header = head.headers.get("content-encoding");
    let in_query = head
        .uri
        .query()
        .is_some_and(|q| q.contains("compression=gzip"));
    let content_type = head.headers.get("content-type");
    let flags = match data {
        _ if content_type.is_none_or(|value| value == "application/proto") => None,
        Some(Frame::Data(data)) if data[0] > 1 => Some(data[1]), // base64: the flags are in the first two letters
        Some(Frame::Data(data)) => Some(data[0]),
        _ => None,
    };
    in_query || header.is_some_and(|value| value == "gzip") || matches!(flags, Some(1 | b'Q'))
}

/// Small messages that are ready at once leave as one piece of data; large ones that are encoded are not copied.
#[test]
fn ready_messages_are_joined_and_large_ones_are_not_copied() {
    let client = ClientConfig::new();
    let (recorded, _) = request(
        &client,
        StreamType::ClientStream,
        &CallOptions::new(),
        &[message("a"), message("b"), message("c")],
    );
    assert_eq!(recorded.frames.len(), 2, "one piece of data, then the end");

    let large = Bytes::from(vec![7; 100_000]);
    let config = ServerConfig::new();
    let (_, mut send) = accept(&recorded.head, StreamType::BidiStream, &config);
    send.set_compression(false);
    send.send_bytes(large.clone()).unwrap();
    assert!(!send.wants_message(), "over the low-water mark");
    let _ = send.poll_response_head().unwrap();
    let Some(Transmit::Data(prefix)) = send.poll_transmit() else {
        panic!("the prefix comes first");
    };
    assert_eq!(prefix, &b"\x00\x00\x01\x86\xa0"[..]);
    let Some(Transmit::Data(payload)) = send.poll_transmit() else {
        panic!("then the payload");
    };
    assert_eq!(payload.as_ptr(), large.as_ptr());
    assert!(send.wants_message());
}

/// A message that fails to encode or is over the limit leaves the half as it was.
#[test]
fn failed_messages_leave_no_trace() {
    let limits = connect_proto::Limits::default().with_send_message_bytes(4);
    let config = ServerConfig::new().with_limits(limits);
    for content_type in ["application/grpc", "application/connect+proto"] {
        let head = common::post(content_type);
        let (_, mut send) = accept(&head, StreamType::ServerStream, &config);
        send_message(&mut send, &message("1234")).unwrap();
        let error = send_message(&mut send, &message("12345")).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        let error = send
            .send_message(|_| Err(Error::internal("no")))
            .unwrap_err();
        assert_eq!(error, Error::internal("no"));
        let _ = send.poll_response_head().unwrap();
        assert_eq!(
            send.poll_transmit(),
            Some(Transmit::Data(message("\0\0\0\0\x041234")))
        );
    }
}

/// The deadline ends both halves of both sides, each in its own way.
#[test]
fn deadlines_have_one_ending() {
    let late = Time::from_epoch(Duration::from_secs(5));
    for (name, client) in clients() {
        let client = client.with_default_timeout(Duration::from_secs(5));
        let spec = spec(StreamType::BidiStream);
        let (mut client_send, expect) = client
            .start(&spec, &CallOptions::new(), Time::ZERO)
            .unwrap();
        let head = client_send.poll_request_head().unwrap();
        assert_eq!(client_send.deadline(), Some(late), "{name}");

        let config = ServerConfig::new();
        let (mut recv, mut send) = accept(&head, StreamType::BidiStream, &config);
        // Connect clients may round their timeouts down to whole milliseconds.
        let rounding = u64::from(client.protocol() == Protocol::Connect);
        let late = late.saturating_add(Duration::from_millis(rounding));
        assert_eq!(recv.deadline(), Some(late), "{name}");
        recv.handle_timeout(Time::from_epoch(Duration::from_secs(4)));
        assert_eq!(recv.poll_event(), None, "not yet");
        recv.handle_timeout(late);
        let error = recv.poll_event().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(recv.poll_event(), None);
        send.handle_timeout(late);
        let response_head = send.poll_response_head().unwrap();
        let frames = common::drain(&mut send);

        let mut recv = expect.recv_head(response_head);
        let events = feed(&mut recv, &frames, 1);
        assert_eq!(
            events[0].as_ref().unwrap_err().code(),
            Code::DeadlineExceeded
        );

        client_send.handle_timeout(late);
        let Some(Transmit::Reset(error)) = client_send.poll_transmit() else {
            panic!("a client gives up by a reset");
        };
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert!(send_message(&mut client_send, &message("")).is_err());
    }
}

/// A cancelled client never ends its body cleanly.
#[test]
fn a_client_that_gives_up_resets() {
    for (name, client) in clients() {
        let spec = spec(StreamType::ClientStream);
        let (mut send, _) = client
            .start(&spec, &CallOptions::new(), Time::ZERO)
            .unwrap();
        send_message(&mut send, &message("lost")).unwrap();
        let _ = send.poll_request_head();
        send.finish(Err(Error::canceled("changed my mind")));
        let frames = common::drain(&mut send);
        assert_eq!(
            frames,
            [Frame::Reset(Error::canceled("changed my mind"))],
            "{name}"
        );
        assert!(send.is_closed() && !send.is_end_stream(), "{name}");
        assert_eq!(send.exact_len(), None);
        let error = send_message(&mut send, &message("late")).unwrap_err();
        assert_eq!(
            error,
            Error::canceled("changed my mind"),
            "the reason stays"
        );
    }
}

/// Also after its last message: what has not left yet never makes a whole request.
#[test]
fn a_client_that_gives_up_late_resets_too() {
    let late = Time::from_epoch(Duration::from_secs(1));
    for (name, client) in clients() {
        for by_timeout in [false, true] {
            let client = client.clone().with_default_timeout(Duration::from_secs(1));
            let spec = spec(StreamType::ClientStream);
            let (mut send, _) = client
                .start(&spec, &CallOptions::new(), Time::ZERO)
                .unwrap();
            let _ = send.poll_request_head();
            send_message(&mut send, &message("first")).unwrap();
            assert!(matches!(send.poll_transmit(), Some(Transmit::Data(_))));
            send_message(&mut send, &message("second")).unwrap();
            send.finish(Ok(HeaderMap::new()));
            if by_timeout {
                send.handle_timeout(late);
            } else {
                send.finish(Err(Error::deadline_exceeded("")));
            }
            let frames = common::drain(&mut send);
            let [Frame::Reset(error)] = &frames[..] else {
                panic!("{name}: {frames:?}");
            };
            assert_eq!(error.code(), Code::DeadlineExceeded);
        }
    }
}

/// A server that cannot get rid of its finished response by the deadline resets the stream.
#[test]
fn a_stalled_response_is_reset_at_its_deadline() {
    let mut head = common::post("application/grpc");
    head.headers
        .insert("grpc-timeout", http::HeaderValue::from_static("1S"));
    let config = ServerConfig::new();
    let (_, mut send) = accept(&head, StreamType::ServerStream, &config);
    send_message(&mut send, &message("stalled")).unwrap();
    send.finish(Ok(HeaderMap::new()));
    let _ = send.poll_response_head();
    send.handle_timeout(Time::from_epoch(Duration::from_secs(1)));
    assert!(matches!(send.poll_transmit(), Some(Transmit::Reset(_))));
    assert_eq!((send.poll_transmit(), send.deadline()), (None, None));
}

/// A message that must be the only one never comes before the error of its call.
#[test]
fn a_timeout_does_not_release_the_message_that_was_held_back() {
    for rest in [&b""[..], &b"\0\0\0\0\x05sec"[..]] {
        let mut head = common::post("application/grpc");
        head.headers
            .insert("grpc-timeout", http::HeaderValue::from_static("1S"));
        let (mut recv, _) = accept(&head, StreamType::Unary, &ServerConfig::new());
        recv.recv_data(Bytes::from_static(b"\0\0\0\0\x04half"));
        recv.recv_data(Bytes::copy_from_slice(rest));
        assert_eq!(recv.poll_event(), None);
        assert!(recv.deadline().is_some());
        recv.handle_timeout(Time::MAX);
        let error = recv.poll_event().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!((recv.poll_event(), recv.deadline()), (None, None));
    }
}

/// Connect, "Unary-Response": "strip the prefix when reading", on errors too.
#[test]
fn trailers_of_connect_errors_lose_their_prefix() {
    let (recorded, expect) = request(
        &ClientConfig::new(),
        StreamType::Unary,
        &CallOptions::new(),
        &[message("")],
    );
    assert_eq!(
        recorded.head.headers["user-agent"]
            .to_str()
            .unwrap()
            .split('/')
            .next(),
        Some("connect-rs")
    );
    let (mut head, ()) = http::Response::new(()).into_parts();
    head.status = http::StatusCode::NOT_FOUND;
    head.headers = headers(&[
        ("content-type", "application/json"),
        ("trailer-cost", "7"),
        ("set-cookie", "a=b"),
    ]);
    let mut recv = expect.recv_head(head);
    let body = Bytes::from_static(br#"{"code":"not_found"}"#);
    let mut events = feed(&mut recv, &[Frame::Data(body), Frame::Eof], 1);
    let error = events.remove(0).unwrap_err();
    assert_eq!(error.received().unwrap()["cost"], "7");
    assert!(!error.received().unwrap().contains_key("trailer-cost"));

    // What one server said beside an error is not another server's to say.
    let detected = detect(&common::post("application/proto")).unwrap();
    assert!(!detected.reject(&error).headers().contains_key("set-cookie"));
    let chosen = error
        .clone()
        .with_metadata(headers(&[("cost", "8"), ("trailer-x", "9")]));
    let answer = detected.reject(&chosen);
    assert_eq!(answer.headers()["cost"], "8");
    assert!(
        !answer.headers().contains_key("trailer-x"),
        "no leading name looks trailing"
    );
}

/// Connect, "Unary-Get-Request": caches must tell answers in different encodings apart.
#[test]
fn answers_to_get_vary() {
    let client = ClientConfig::new().with_get(GetPolicy::default());
    let (recorded, _) = request(
        &client,
        StreamType::Unary,
        &CallOptions::new(),
        &[message("")],
    );
    let (_, mut send) = accept(&recorded.head, StreamType::Unary, &ServerConfig::new());
    let response = respond(
        &mut send,
        HeaderMap::new(),
        &[message("")],
        Ok(HeaderMap::new()),
    );
    assert_eq!(response.head.headers["vary"], "accept-encoding");
}

/// A proxy's procedure may come from anywhere: it never becomes another host, a query or a fragment.
#[test]
fn procedures_are_plain_paths() {
    use connect_proto::Spec;
    for path in [
        "http://evil.example/a.B/C",
        "a.B/C",
        "/a#b",
        "/a?x",
        "",
        "/a b",
    ] {
        let spec = Spec::from_path(path, StreamType::Unary);
        let config = ClientConfig::new();
        let started = config.start(&spec, &CallOptions::new(), Time::ZERO);
        assert_eq!(started.unwrap_err().code(), Code::Internal, "{path:?}");
    }
}

/// A codec that clears the buffer, or panics, cannot reach what was sent before.
#[test]
fn encoders_see_nothing_of_earlier_messages() {
    let config = ServerConfig::new();
    let (_, mut send) = accept(
        &common::post("application/grpc"),
        StreamType::ServerStream,
        &config,
    );
    send_message(&mut send, &message("earlier")).unwrap();
    let cleared = send.send_message(|buffer| {
        buffer.clear();
        buffer.extend_from_slice(b"hi");
        Ok(())
    });
    assert_eq!(cleared.unwrap_err().code(), Code::Internal);
    let _ = send.poll_response_head();
    assert_eq!(
        send.poll_transmit(),
        Some(Transmit::Data(message("\0\0\0\0\x07earlier")))
    );
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        send.send_message(|buffer| {
            buffer.extend_from_slice(b"half");
            panic!("a codec's own bug")
        })
    }));
    assert!(panicked.is_err());
    send.finish(Err(Error::internal("")));
    let frames = common::drain(&mut send);
    assert!(matches!(&frames[..], [Frame::Trailers(_)]), "{frames:?}");
}

/// gRPC-Web, "Text-encoded (response) streams": text is asked for by the content type or by Accept.
#[test]
fn text_answers_can_be_asked_for() {
    let mut head = common::post("application/grpc-web");
    head.headers.insert(
        "accept",
        http::HeaderValue::from_static("application/grpc-web-text"),
    );
    let (_, mut send) = accept(&head, StreamType::Unary, &ServerConfig::new());
    let response = respond(
        &mut send,
        HeaderMap::new(),
        &[message("hi")],
        Ok(HeaderMap::new()),
    );
    assert_eq!(
        response.head.headers["content-type"],
        "application/grpc-web-text+proto"
    );
    let [Frame::Data(text), Frame::Eof] = &response.frames[..] else {
        panic!("{:?}", response.frames);
    };
    assert!(text.is_ascii());

    // Prefix and payload of a large message are one text: some servers read requests whole.
    let client = ClientConfig::new()
        .with_protocol(Protocol::GrpcWeb)
        .with_grpc_web_text(true);
    let (mut send, _) = client
        .start(&spec(StreamType::Unary), &CallOptions::new(), Time::ZERO)
        .unwrap();
    send.send_bytes(Bytes::from(vec![1; 20_000])).unwrap();
    send.finish(Ok(HeaderMap::new()));
    let _ = send.poll_request_head();
    let len = send.exact_len();
    let Some(Transmit::Data(text)) = send.poll_transmit() else {
        panic!("a body");
    };
    assert_eq!(Some(text.len() as u64), len);
    let padding = text
        .iter()
        .position(|&byte| byte == b'=')
        .unwrap_or(text.len());
    assert!(padding >= text.len() - 2);
}

/// gRPC, "Requests": Call-Definition stands before Custom-Metadata.
#[test]
fn what_defines_a_request_stands_before_custom_metadata() {
    for (name, client) in clients() {
        let client = client.with_send_compression("gzip");
        let options = CallOptions::new()
            .with_timeout(Duration::from_secs(1))
            .with_headers(headers(&[("x-custom", "1")]));
        let spec = spec(StreamType::BidiStream);
        let (mut send, _) = client.start(&spec, &options, Time::ZERO).unwrap();
        let head = send.poll_request_head().unwrap();
        let last = head.headers.keys().last().unwrap();
        assert_eq!(last, "x-custom", "{name}");
        assert!(head.headers.len() > 5, "{name}: {:?}", head.headers);
    }
}

/// An answer without a call: plain middleware, gates and unknown procedures, in the caller's protocol and codec.
#[test]
fn rejections_are_whole_answers() {
    let table = [
        ("application/proto", 403, "application/json"),
        ("application/connect+json", 200, "application/connect+json"),
        ("application/grpc", 200, "application/grpc+proto"),
        (
            "application/grpc-web+json",
            200,
            "application/grpc-web+json",
        ),
    ];
    for (content_type, status, answer_type) in table {
        let detected = detect(&common::post(content_type)).unwrap();
        let response = detected.reject(&Error::permission_denied("no"));
        assert_eq!(response.status(), status, "{content_type}");
        assert_eq!(response.headers()["content-type"], answer_type);

        let unknown = detected.unknown_procedure("/a.B/C");
        assert_eq!(unknown.error().code(), Code::Unimplemented);
        let connect = detected.protocol() == Protocol::Connect;
        let response = unknown.into_response();
        assert_eq!(response.status(), if connect { 404 } else { 200 });
        assert_eq!(response.headers().contains_key("grpc-status"), !connect);
    }
    let mut head = common::post("application/grpc");
    head.version = Version::HTTP_11;
    let response = detect(&head).unwrap_err().into_response();
    assert_eq!(response.status(), 505);
}

/// What a driver counts that bounds the memory of many calls together.
#[test]
fn bytes_of_incomplete_messages_are_told() {
    for (content_type, prefix) in [("application/proto", 0), ("application/grpc", 5)] {
        let (mut recv, _) = accept(
            &common::post(content_type),
            StreamType::Unary,
            &ServerConfig::new(),
        );
        assert_eq!(recv.buffered_bytes(), 0);
        let mut body = vec![0; 1_000];
        if prefix > 0 {
            body[..5].copy_from_slice(&[0, 0, 0, 3, 227]); // 995 bytes
        }
        recv.recv_data(Bytes::from(body[..600].to_vec()));
        assert!(recv.poll_event().is_none());
        assert_eq!(recv.buffered_bytes(), 600 - prefix, "{content_type}");
        recv.recv_data(Bytes::from(body[600..].to_vec()));
        assert!(recv.poll_event().is_none(), "it waits for the clean end");
        assert_eq!(recv.buffered_bytes(), 1_000 - prefix, "{content_type}");
        recv.recv_eof();
        assert!(matches!(recv.poll_event(), Some(Ok(RecvEvent::Message(_)))));
        assert!(matches!(recv.poll_event(), Some(Ok(RecvEvent::End(_)))));
        assert_eq!(recv.buffered_bytes(), 0);
    }
}

/// A program with many clients has one set of compression contexts, not one for each.
#[test]
fn default_compressions_share_their_pools() {
    let (one, other) = (
        connect_proto::Compressions::default(),
        connect_proto::Compressions::default(),
    );
    let (one, other) = (one.get("gzip").unwrap(), other.get("gzip").unwrap());
    assert!(std::sync::Arc::ptr_eq(one, other));
}

/// A driver that asks a half for the other side's head would wait for ever: tests show it at once.
#[cfg(debug_assertions)]
#[test]
fn asking_for_the_other_sides_head_is_noticed() {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let text = |panic: Box<dyn std::any::Any + Send>| *panic.downcast_ref::<&str>().unwrap();
    for (name, client) in clients() {
        let unary = StreamType::Unary;
        let (mut client_send, _) = client
            .start(&spec(unary), &CallOptions::default(), Time::ZERO)
            .unwrap();
        let asked = catch_unwind(AssertUnwindSafe(|| client_send.poll_response_head()));
        let said = text(asked.map(drop).unwrap_err());
        assert!(said.contains("poll_request_head"), "{name}: {said}");

        let (recorded, _) = request(&client, unary, &CallOptions::default(), &[message("hi")]);
        let (_, mut send) = accept(&recorded.head, unary, &ServerConfig::new());
        let asked = catch_unwind(AssertUnwindSafe(|| send.poll_request_head()));
        let said = text(asked.map(drop).unwrap_err());
        assert!(said.contains("poll_response_head"), "{name}: {said}");
    }
}

/// Leading metadata that cannot leave any more is an error, not lost in silence.
#[test]
fn a_head_that_comes_too_late_is_an_error() {
    let late = "leading metadata was set after the head of the response was sent";
    for (name, client) in clients() {
        let unary = StreamType::Unary;
        let (mut client_send, _) = client
            .start(&spec(unary), &CallOptions::new(), Time::ZERO)
            .unwrap();
        let error = client_send.send_head(HeaderMap::new()).unwrap_err();
        assert_eq!(error.code(), Code::Internal, "{name}");

        let (recorded, _) = request(&client, unary, &CallOptions::new(), &[message("hi")]);
        let (_, mut send) = accept(&recorded.head, unary, &ServerConfig::new());
        send.send_head(headers(&[("x-first", "1")])).unwrap();
        send_message(&mut send, &message("hi")).unwrap();
        send.finish(Ok(HeaderMap::new()));
        let error = send.send_head(headers(&[("x-late", "1")])).unwrap_err();
        assert_eq!(
            (error.code(), error.message()),
            (Code::Internal, late),
            "{name}"
        );
        let head = send.poll_response_head().unwrap();
        assert!(head.headers.contains_key("x-first"), "{name}");
        assert!(!head.headers.contains_key("x-late"), "{name}");
    }
}
