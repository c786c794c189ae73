//! What of an error is sent, and how much of one is taken.

mod common;

use std::error::Error as _;

use bytes::Bytes;
use common::{accept, clients, feed, headers, request, respond};
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, ErrorDetail, Limits, ServerConfig, StreamType,
};
use http::HeaderMap;

/// The error that a client receives for one that a server sends.
fn send(
    client: &ClientConfig,
    server: &ServerConfig,
    error: Error,
    stream_type: StreamType,
) -> Error {
    let (recorded, expect) = request(client, stream_type, &CallOptions::new(), &[Bytes::new()]);
    let (_, mut send) = accept(&recorded.head, stream_type, server);
    let response = respond(&mut send, HeaderMap::new(), &[], Err(error));
    let mut recv = expect.recv_head(response.head);
    let mut events = feed(&mut recv, &response.frames, 1 << 16);
    assert_eq!(events.len(), 1);
    events.pop().unwrap().unwrap_err()
}

fn each_client_and_type(mut check: impl FnMut(&str, &ClientConfig, StreamType)) {
    for (name, client) in clients() {
        for stream_type in [StreamType::Unary, StreamType::ServerStream] {
            check(&format!("{name} {stream_type:?}"), &client, stream_type);
        }
    }
}

#[test]
fn an_error_that_was_received_is_not_sent_on_by_accident() {
    each_client_and_type(|context, client, stream_type| {
        let server = ServerConfig::new();
        let inner = Error::not_found("no user 42 in shard db-7")
            .add_detail(ErrorDetail::new("a.B", &b"secret"[..]))
            .with_metadata(headers(&[("x-shard", "db-7")]));
        let received = send(client, &server, inner, stream_type);
        assert_eq!(received.received().unwrap()["x-shard"], "db-7", "{context}");
        assert!(received.metadata().is_empty(), "{context}");

        let outer = received.clone().add_header("retry-after", "3").unwrap();
        let outer = send(client, &server, outer, stream_type);
        assert_eq!(outer.code(), Code::Internal, "{context}");
        assert!(!outer.message().contains("42"), "{context}");
        assert!(outer.details().is_empty(), "{context}");
        assert_eq!(outer.received().unwrap()["retry-after"], "3", "{context}");
        assert!(
            !outer.received().unwrap().contains_key("x-shard"),
            "{context}"
        );

        let gateway = ServerConfig::new().with_forwarded_errors(true);
        for (server, error) in [
            (&server, received.clone().forward()),
            (&gateway, received.clone()),
        ] {
            let outer = send(client, server, error, stream_type);
            assert_eq!(outer.code(), Code::NotFound, "{context}");
            assert_eq!(outer.message(), received.message(), "{context}");
            assert_eq!(outer.details(), received.details(), "{context}");
            assert!(
                !outer.received().unwrap().contains_key("x-shard"),
                "{context}"
            );
        }

        // One that wraps it was made here.
        let wrapped = Error::unavailable("the directory is down").with_source(received);
        assert!(wrapped.source().is_some());
        let outer = send(client, &server, wrapped, stream_type);
        assert_eq!(
            outer.to_string(),
            "unavailable: the directory is down",
            "{context}"
        );
    });
}

#[test]
fn metadata_that_is_added_to_an_error_is_sent() {
    each_client_and_type(|context, client, stream_type| {
        let server = ServerConfig::new();
        let mut error = Error::aborted("no");
        error.metadata_mut().insert("x-a", "1".parse().unwrap());
        let mut received = send(client, &server, error, stream_type);
        received.metadata_mut().insert("x-b", "2".parse().unwrap());
        let again = send(client, &server, received, stream_type);
        assert_eq!(again.received().unwrap()["x-b"], "2", "{context}");
        assert!(!again.received().unwrap().contains_key("x-a"), "{context}");
    });
}

/// Peers take 8 KiB of header fields, and reset the stream beyond: the code must not be lost with the rest.
#[test]
fn an_error_is_cut_to_what_peers_take() {
    each_client_and_type(|context, client, stream_type| {
        let server = ServerConfig::new();
        let details = |size| ErrorDetail::new("a.B", vec![7; size]);

        let small = Error::aborted("x".repeat(1_000)).add_detail(details(2_000));
        let received = send(client, &server, small.clone(), stream_type);
        assert_eq!(received.message(), small.message(), "{context}");
        assert_eq!(received.details(), small.details(), "{context}");

        // Details go first.
        let large = Error::aborted("the quota is used up").add_detail(details(1_000_000));
        let received = send(client, &server, large, stream_type);
        assert_eq!(received.code(), Code::Aborted, "{context}");
        assert_eq!(
            received.message(),
            "the quota is used up (its details were too large to send)",
            "{context}"
        );
        assert!(received.details().is_empty(), "{context}");

        // Then the message, whole characters of it: three bytes as UTF-8, nine percent-encoded.
        let long = Error::aborted("€".repeat(100_000)).add_detail(details(10));
        let received = send(client, &server, long, stream_type);
        assert_eq!(received.code(), Code::Aborted, "{context}");
        let text = received.message().strip_suffix("... (cut)").unwrap();
        assert!(text.chars().all(|c| c == '€'), "{context}");
        assert!(
            (600..=6 * 1024 / 9).contains(&text.chars().count()),
            "{context}"
        );

        let tight = ServerConfig::new().with_limits(Limits::default().with_sent_error_bytes(64));
        let received = send(client, &tight, Error::aborted("y".repeat(65)), stream_type);
        assert_eq!(
            received.message(),
            format!("{}... (cut)", "y".repeat(55)),
            "{context}"
        );
        let none = ServerConfig::new().with_limits(Limits::default().with_sent_error_bytes(0));
        let received = send(client, &none, Error::aborted("y"), stream_type);
        assert_eq!(received.code(), Code::Aborted, "{context}");
    });
}

/// An empty detail takes three bytes of JSON and many more in memory.
#[test]
fn a_received_error_has_a_bounded_number_of_details() {
    each_client_and_type(|context, client, stream_type| {
        let limits = Limits::default()
            .with_sent_error_bytes(usize::MAX)
            .with_sent_header_bytes(usize::MAX);
        let server = ServerConfig::new().with_limits(limits);
        let error = (0..2 * Error::MAX_DETAILS).fold(Error::aborted("no"), |error, _| {
            error.add_detail(ErrorDetail::new("a.B", Bytes::new()))
        });
        let received = send(client, &server, error, stream_type);
        assert_eq!(received.message(), "no", "{context}");
        assert_eq!(received.details().len(), Error::MAX_DETAILS, "{context}");
    });
}

/// How large header fields are to a peer (RFC 9113, section 6.5.2).
fn list_size(fields: &HeaderMap) -> usize {
    fields
        .iter()
        .map(|(n, v)| n.as_str().len() + v.len() + 32)
        .sum()
}

/// Every field that a server sends, by head and by trailers, for each client that takes so many bytes.
fn answers(
    max: usize,
    stream_type: StreamType,
    messages: &[Bytes],
    outcome: &Result<HeaderMap, Error>,
) -> Vec<(String, Vec<HeaderMap>, Option<Error>)> {
    let limits = Limits::default()
        .with_sent_error_bytes(100_000)
        .with_sent_header_bytes(max);
    let server = ServerConfig::new().with_limits(limits);
    let mut answers = Vec::new();
    for (name, client) in clients() {
        let (recorded, expect) =
            request(&client, stream_type, &CallOptions::new(), &[Bytes::new()]);
        let (_, mut send) = accept(&recorded.head, stream_type, &server);
        let response = respond(&mut send, HeaderMap::new(), messages, outcome.clone());
        let mut fields = vec![response.head.headers.clone()];
        fields.extend(response.frames.iter().filter_map(|frame| match frame {
            common::Frame::Trailers(trailers) => Some(trailers.clone()),
            _ => None,
        }));
        let mut recv = expect.recv_head(response.head);
        let end = feed(&mut recv, &response.frames, 1 << 16).pop();
        answers.push((name.to_owned(), fields, end.unwrap().err()));
    }
    answers
}

/// Details go first, then the end of the message, and metadata last; the code always arrives.
#[test]
fn a_status_fits_into_what_the_client_takes() {
    let value = |size: usize| http::HeaderValue::try_from("m".repeat(size)).unwrap();
    for max in [600, 1024, 8 * 1024, 64 * 1024] {
        for metadata in [0, 400, 3_000, 100_000] {
            for (message, details) in [(10, 0), (10, 2_000), (5_000, 100), (200_000, 200_000)] {
                let mut error = Error::aborted("€".repeat(message / 3))
                    .add_detail(ErrorDetail::new("a.B", vec![7; details]));
                if metadata > 0 {
                    error.metadata_mut().insert("x-meta", value(metadata));
                }
                for (stream_type, messages) in [
                    (StreamType::Unary, &[][..]),
                    (StreamType::ServerStream, &[][..]),
                    (StreamType::ServerStream, &[Bytes::from_static(b"hi")][..]),
                ] {
                    let answers = answers(max, stream_type, messages, &Err(error.clone()));
                    for (client, fields, received) in answers {
                        let context = format!(
                            "{client} {stream_type:?} max {max} metadata {metadata} message {message} details {details}"
                        );
                        let received = received.unwrap();
                        assert_eq!(received.code(), Code::Aborted, "{context}");
                        for fields in fields {
                            assert!(list_size(&fields) < max, "{context}: {fields:?}");
                        }
                        let has_metadata = received.received().unwrap().contains_key("x-meta");
                        let text = received.message();
                        assert!(
                            has_metadata
                                || metadata == 0
                                || text.contains("metadata")
                                || text.contains("cut"),
                            "{context}: {text}"
                        );
                        // What fits easily is not touched.
                        let has_all =
                            received.details().len() == 1 && (has_metadata || metadata == 0);
                        if 2 * (metadata + 3 * message + 2 * details) + 600 < max {
                            assert!(has_all && text == error.message(), "{context}: {text}");
                        }
                    }
                }
            }
        }
    }
}

/// What was said of the order, on one example.
#[test]
fn details_go_before_the_message_and_the_message_before_metadata() {
    for (metadata, details, message, expected) in [
        (100, 100, 100, "details and metadata"),
        (100, 1_000, 100, "metadata"),
        (600, 10, 1_000, "metadata"),
        (700, 10, 100, "metadata"),
        // It leaves no room for anything else.
        (1_000, 10, 10, "details"),
        (1_000, 1_000, 1_000, "nothing"),
    ] {
        let mut error = Error::aborted("y".repeat(message))
            .add_detail(ErrorDetail::new("a.B", vec![7; details]));
        let value = http::HeaderValue::try_from("m".repeat(metadata)).unwrap();
        error.metadata_mut().insert("x-meta", value);
        let messages = [Bytes::from_static(b"hi")];
        let answers = answers(1024, StreamType::ServerStream, &messages, &Err(error));
        let (.., received) = answers
            .into_iter()
            .find(|(name, ..)| name == "grpc")
            .unwrap();
        let received = received.unwrap();
        let has_metadata = received.received().unwrap().contains_key("x-meta");
        let kept = match (!received.details().is_empty(), has_metadata) {
            (true, true) => "details and metadata",
            (true, false) => "details",
            (false, true) => "metadata",
            (false, false) => "nothing",
        };
        assert_eq!(kept, expected, "{metadata} {details} {message}: {received}");
    }
}

/// Metadata of a call that did not fail is not lost in silence.
#[test]
fn a_call_whose_metadata_does_not_fit_fails() {
    let mut large = HeaderMap::new();
    large.insert("x-meta", "m".repeat(2_000).try_into().unwrap());
    for (stream_type, count) in [(StreamType::Unary, 1), (StreamType::ServerStream, 3)] {
        let messages = vec![Bytes::from_static(b"hi"); count];
        for (client, fields, end) in answers(1024, stream_type, &messages, &Ok(large.clone())) {
            let in_fields = client == "grpc" || (client.starts_with("connect") && count == 1);
            let code = end.as_ref().map(Error::code);
            let expected = in_fields.then_some(Code::ResourceExhausted);
            assert_eq!(code, expected, "{client} {stream_type:?} {end:?}");
            for fields in fields {
                assert!(list_size(&fields) < 1024, "{client} {fields:?}");
            }
            if let Some(error) = end {
                assert!(error.message().contains("trailing metadata"), "{error}");
            }
        }
        let client = ClientConfig::new();
        let (recorded, _) = request(&client, stream_type, &CallOptions::new(), &[Bytes::new()]);
        let limits = Limits::default().with_sent_header_bytes(1024);
        let server = ServerConfig::new().with_limits(limits);
        let (_, mut send) = accept(&recorded.head, stream_type, &server);
        let error = send.send_head(large.clone()).unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted);
        assert!(error.message().contains("leading metadata"), "{error}");
        assert_eq!(send.send_head(HeaderMap::new()), Ok(()));
    }
}

/// What HTTP adds to a head: `:status`, `date` and `content-length`.
const OF_HTTP: usize = 42 + 65 + 66;

/// The compression is named at the head's end, when a message was compressed.
#[test]
fn leading_metadata_leaves_room_for_the_name_of_the_compression() {
    const MAX: usize = 1024;
    let server = ServerConfig::new()
        .with_limits(Limits::default().with_sent_header_bytes(MAX))
        .with_min_compress_bytes(0);
    each_client_and_type(|context, client, stream_type| {
        let (recorded, _) = request(client, stream_type, &CallOptions::new(), &[Bytes::new()]);
        let (head, size) = (1..MAX)
            .rev()
            .find_map(|size| {
                let (_, mut send) = accept(&recorded.head, stream_type, &server);
                let mut leading = HeaderMap::new();
                leading.insert("x-meta", "m".repeat(size).try_into().unwrap());
                send.send_head(leading).ok()?;
                common::send_message(&mut send, &Bytes::from(vec![0; 4_000])).unwrap();
                send.finish(Ok(HeaderMap::new()));
                Some((send.poll_response_head().unwrap(), size))
            })
            .unwrap();
        let is_named = head
            .headers
            .keys()
            .any(|it| it.as_str().ends_with("-encoding"));
        assert!(is_named, "{context} {head:?}");
        let largest = list_size(&head.headers) + OF_HTTP;
        assert_eq!(largest, MAX - 1, "{context} {size}");
    });
}

/// However little a client takes, an error without metadata has lost none.
#[test]
fn an_error_without_metadata_is_not_said_to_have_had_some() {
    for max in [0, 1, 200] {
        let server = ServerConfig::new().with_limits(Limits::default().with_sent_header_bytes(max));
        let received = send(
            &ClientConfig::new(),
            &server,
            Error::aborted("no"),
            StreamType::Unary,
        );
        assert_eq!(received.message(), "no", "{max}");
    }
}
