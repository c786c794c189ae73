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
    let (recorded, expect) = request(client, stream_type, CallOptions::new(), &[Bytes::new()]);
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
        let limits = Limits::default().with_sent_error_bytes(usize::MAX);
        let server = ServerConfig::new().with_limits(limits);
        let error = (0..2 * Error::MAX_DETAILS).fold(Error::aborted("no"), |error, _| {
            error.add_detail(ErrorDetail::new("a.B", Bytes::new()))
        });
        let received = send(client, &server, error, stream_type);
        assert_eq!(received.message(), "no", "{context}");
        assert_eq!(received.details().len(), Error::MAX_DETAILS, "{context}");
    });
}
