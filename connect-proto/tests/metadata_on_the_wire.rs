//! Where metadata stands on the wire, and what becomes of values that are not ASCII.

mod common;

use bytes::Bytes;
use common::{Frame, accept, clients, feed, headers, message, request, respond};
use connect_proto::{
    CallOptions, ClientConfig, Error, Protocol, RecvEvent, ServerConfig, StreamType,
};
use http::{HeaderMap, HeaderName, HeaderValue};

/// The user's names, which end in `-custom` here, stand after all others.
#[track_caller]
fn assert_custom_last<'a>(names: impl Iterator<Item = &'a HeaderName>, case: &str) {
    let is_custom: Vec<bool> = names
        .map(|name| name.as_str().ends_with("-custom"))
        .collect();
    let others = is_custom.iter().take_while(|custom| !**custom).count();
    assert_ne!(others, 0, "{case}: there is some of the protocol");
    assert_ne!(others, is_custom.len(), "{case}: there is custom metadata");
    let is_last = is_custom[others..].iter().all(|custom| *custom);
    assert!(is_last, "{case}: the protocol's own come first");
}

/// gRPC, "Requests": "Call-Definition headers that come first, followed by Custom-Metadata"; so in "Responses" and in
/// trailers.
#[test]
fn custom_metadata_comes_last() {
    let custom = || headers(&[("a-custom", "1"), ("z-custom", "2")]);
    let failed = || Error::not_found("no").with_metadata(custom());
    for (name, client) in clients() {
        if client.protocol() == Protocol::Connect {
            continue;
        }
        for stream_type in [StreamType::Unary, StreamType::BidiStream] {
            let options = CallOptions::new().with_headers(custom());
            let (sent, _) = request(&client, stream_type, &options, &[message("hi")]);
            let case = format!("{name}, {stream_type:?}, request");
            assert_custom_last(sent.head.headers.keys(), &case);

            for (what, messages, outcome) in [
                ("success", vec![message("hi")], Ok(custom())),
                ("late failure", vec![message("hi")], Err(failed())),
                ("failure at once", vec![], Err(failed())),
            ] {
                let case = format!("{name}, {stream_type:?}, {what}");
                let (_, mut send) = accept(&sent.head, stream_type, &ServerConfig::new());
                let response = respond(&mut send, custom(), &messages, outcome);
                assert_custom_last(response.head.headers.keys(), &case);
                for frame in &response.frames {
                    if let Frame::Trailers(trailers) = frame {
                        assert_custom_last(trailers.keys(), &case);
                        assert_eq!(trailers.keys().next().unwrap(), "grpc-status", "{case}");
                    }
                }
            }
        }
    }
}

/// Connect, "Error and EndStreamResponse": trailing metadata of streams is JSON. What is no text is shown as connect-go
/// shows it; in headers it travels as it is.
#[test]
fn values_beyond_ascii_arrive_as_far_as_the_wire_can_carry_them() {
    for (sent, in_json) in [
        (&b"plain"[..], &b"plain"[..]),
        ("gr\u{fc}n".as_bytes(), "gr\u{fc}n".as_bytes()),
        (b"gr\xfcn", "gr\u{fffd}n".as_bytes()),
        (b"\xff", "\u{fffd}".as_bytes()),
    ] {
        let custom = || {
            HeaderMap::from_iter([(
                HeaderName::from_static("x-color"),
                HeaderValue::from_bytes(sent).unwrap(),
            )])
        };
        for (protocol, stream_type, expected) in [
            (Protocol::Connect, StreamType::Unary, sent),
            (Protocol::Connect, StreamType::BidiStream, in_json),
            (Protocol::Grpc, StreamType::BidiStream, sent),
            (Protocol::GrpcWeb, StreamType::BidiStream, sent),
        ] {
            let client = ClientConfig::new().with_protocol(protocol);
            let options = CallOptions::default();
            let (asked, expect) = request(&client, stream_type, &options, &[message("hi")]);
            let (_, mut send) = accept(&asked.head, stream_type, &ServerConfig::new());
            let messages: [Bytes; 1] = [message("hi")];
            let response = respond(&mut send, HeaderMap::new(), &messages, Ok(custom()));
            let mut recv = expect.recv_head(response.head);
            let events = feed(&mut recv, &response.frames, usize::MAX);
            let Some(Ok(RecvEvent::End(trailers))) = events.last() else {
                panic!("{protocol}, {stream_type:?}: {events:?}");
            };
            let found = trailers["x-color"].as_bytes();
            assert_eq!(found, expected, "{protocol}, {stream_type:?}");
        }
    }
}
