//! Whole calls, client machine against server machine: every protocol, stream type and compression.

mod common;

use bytes::Bytes;
use common::{
    Frame, accept, clients, feed, headers, message, request, respond, send_message, spec,
};
use connect_proto::{
    CallOptions, ClientCall, ClientConfig, Code, Error, ErrorDetail, GetPolicy, Protocol,
    RecvEvent, ServerConfig, StreamType, Time, Transmit, detect,
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
fn calls_succeed_in_every_dialect() {
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
    let mut options = CallOptions::default();
    options.headers = headers(&[("x-request", "yes"), ("grpc-status", "forged")]);
    let (recorded, expect) = request(client, stream_type, options, &sent);
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
fn errors_arrive_whole_in_every_dialect() {
    for (name, client) in clients() {
        for stream_type in StreamType::ALL {
            for before in [0, 2] {
                if before > 0 && !stream_type.server_streams() {
                    continue;
                }
                let context = format!("{name} {stream_type:?} after {before}");
                let error = Error::failed_precondition("nö, 100% no\n")
                    .with_detail(ErrorDetail::new(
                        "google.rpc.RetryInfo",
                        &b"\x0a\x02\x08\x3c"[..],
                    ))
                    .with_metadata(headers(&[("x-why", "because")]));
                let sent = messages(false);
                let (recorded, expect) =
                    request(&client, stream_type, CallOptions::default(), &sent);
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
                assert_eq!(received.metadata()["x-why"], "because", "{context}");
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
            CallOptions::default(),
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
                request(&client, stream_type, CallOptions::default(), &[message("")]);
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
            CallOptions::default(),
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
    let mut options = CallOptions::default();
    options.get = Some(true);
    let (recorded, _) = request(
        &ClientConfig::new(),
        StreamType::Unary,
        options,
        &[message("")],
    );
    assert_eq!(recorded.head.method, Method::GET);
}

/// Small messages that are ready at once leave as one piece of data; large ones that are encoded are not copied.
#[test]
fn ready_messages_are_joined_and_large_ones_are_not_copied() {
    let client = ClientConfig::new();
    let (recorded, _) = request(
        &client,
        StreamType::ClientStream,
        CallOptions::default(),
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
        let (mut client_send, expect) =
            ClientCall::start(&client, &spec, CallOptions::default(), Time::ZERO).unwrap();
        let head = client_send.poll_request_head().unwrap();
        assert_eq!(client_send.deadline(), Some(late), "{name}");

        let config = ServerConfig::new();
        let (mut recv, mut send) = accept(&head, StreamType::BidiStream, &config);
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
        let (mut send, _) =
            ClientCall::start(&client, &spec, CallOptions::default(), Time::ZERO).unwrap();
        send_message(&mut send, &message("lost")).unwrap();
        let _ = send.poll_request_head();
        send.finish(Err(Error::canceled("changed my mind")));
        let frames = common::drain(&mut send);
        assert_eq!(
            frames,
            [Frame::Reset(Error::canceled("changed my mind"))],
            "{name}"
        );
        assert!(send.is_end_stream());
    }
}

/// An answer without a call: plain middleware, gates and unknown procedures, in the caller's dialect.
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
