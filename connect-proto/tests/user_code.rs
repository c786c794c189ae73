//! Encoders and compressions that do not keep their contract: the call gets an error, and the stream stays whole.

mod common;

use bytes::BytesMut;
use common::{Frame, accept, feed, message, post, send_message, spec};
use connect_proto::{
    CallOptions, ClientConfig, Code, Compression, CompressionError, Compressions, Limits, Protocol,
    ServerConfig, StreamType, Time,
};
use http::HeaderMap;

type Vandal = fn(&mut BytesMut);

/// An encoder may only append. One that does anything else to its buffer gets an error, and the stream stays whole.
#[test]
fn an_encoder_cannot_harm_what_stands_before_its_message() {
    let vandals: [(&str, Vandal); 6] = [
        ("replaced", |out| *out = BytesMut::from("a message")),
        ("replaced with zeros", |out| *out = BytesMut::zeroed(32)),
        ("cleared", BytesMut::clear),
        ("cut", |out| out.truncate(3)),
        ("split", |out| drop(out.split())),
        ("split, then written", |out| {
            drop(out.split());
            out.extend_from_slice(b"a message");
        }),
    ];
    for (what, vandal) in vandals {
        for waiting in [false, true] {
            let config = ClientConfig::new().with_protocol(Protocol::Grpc);
            let procedure = spec(StreamType::ClientStream);
            let (mut send, _) = config
                .start(&procedure, &CallOptions::new(), Time::ZERO)
                .unwrap();
            let _ = send.poll_request_head();
            let mut sent = Vec::new();
            if waiting {
                send_message(&mut send, &message("before")).unwrap();
                sent.extend(common::frame(0, b"before"));
            }
            let error = send
                .send_message(|out| {
                    vandal(out);
                    Ok(())
                })
                .unwrap_err();
            assert_eq!(error.code(), Code::Internal, "{what}");
            assert_eq!(
                error.message(),
                "the encoder of a message changed bytes that it did not write: it may only append to its buffer"
            );
            send_message(&mut send, &message("after")).unwrap();
            sent.extend(common::frame(0, b"after"));
            send.finish(Ok(HeaderMap::new()));
            let frames = common::drain(&mut send);
            assert_eq!(frames, [Frame::Data(sent.into()), Frame::Eof], "{what}");
        }
    }
}

/// Does to its output what the function does, except for one message.
#[derive(Debug)]
struct Harmful(Vandal);

impl Compression for Harmful {
    fn name(&self) -> &str {
        "x-harmful"
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        if input == b"harmless" {
            output.extend_from_slice(input);
        } else {
            (self.0)(output);
        }
        Ok(())
    }

    /// Knows no limit.
    fn decompress(&self, _: &[u8], _: usize, out: &mut BytesMut) -> Result<(), CompressionError> {
        (self.0)(out);
        Ok(())
    }
}

fn harmful(vandal: Vandal) -> Compressions {
    Compressions::none().with(Harmful(vandal)).unwrap()
}

/// A compression may only append, too, and what it makes of a message is not empty.
#[test]
fn a_compression_cannot_harm_what_stands_before_its_message() {
    let changed =
        "the compression changed bytes that it did not write: it may only append to its buffer";
    let nothing = "the compression made nothing of a message that is not empty";
    // What it says in a stream, behind a prefix, and for a body without; `None` where nothing was lost.
    let vandals: [(&str, Vandal, Option<&str>, Option<&str>); 6] = [
        (
            "replaced",
            |out| *out = BytesMut::from("compressed"),
            Some(changed),
            None,
        ),
        (
            "replaced with zeros",
            |out| *out = BytesMut::zeroed(8),
            Some(changed),
            None,
        ),
        ("cleared", BytesMut::clear, Some(changed), Some(nothing)),
        ("cut", |out| out.truncate(3), Some(changed), Some(nothing)),
        (
            "split",
            |out| drop(out.split()),
            Some(changed),
            Some(nothing),
        ),
        ("left alone", |_| (), Some(nothing), Some(nothing)),
    ];
    let text = message("a long message, a long message, a long message");
    for (what, vandal, in_stream, alone) in vandals {
        for (stream_type, expected) in [
            (StreamType::ClientStream, in_stream),
            (StreamType::Unary, alone),
        ] {
            for min_bytes in [0, 10] {
                let config = ClientConfig::new()
                    .with_compressions(harmful(vandal))
                    .with_send_compression("x-harmful")
                    .with_min_compress_bytes(min_bytes);
                let (mut send, _) = config
                    .start(&spec(stream_type), &CallOptions::default(), Time::ZERO)
                    .unwrap();
                let sent = send_message(&mut send, &text);
                let case = format!("{what}, {stream_type:?}, {min_bytes}");
                let said = sent.as_ref().err().map(|error| error.message());
                assert_eq!(said, expected, "{case}");
                if let Err(error) = sent {
                    assert_eq!(error.code(), Code::Internal, "{case}");
                    // The half is as before: another message can be sent.
                    send_message(&mut send, &message("harmless")).unwrap();
                    send.finish(Ok(HeaderMap::new()));
                    let _ = send.poll_request_head();
                    let flags = u8::from(min_bytes == 0);
                    let body = match stream_type {
                        StreamType::Unary => message("harmless"),
                        _ => common::frame(flags, b"harmless").into(),
                    };
                    let frames = common::drain(&mut send);
                    assert_eq!(frames, [Frame::Data(body), Frame::Eof], "{case}");
                }
            }
        }
    }
}

/// A compression gets a buffer of its own to decompress into, so nothing can be lost; the limit is kept for it.
#[test]
fn a_compression_that_ignores_its_limit_is_refused() {
    let config = ServerConfig::new()
        .with_limits(Limits::default().with_recv_message_bytes(100))
        .with_compressions(harmful(|out| *out = BytesMut::zeroed(101)));
    for (content_type, header, body) in [
        ("application/proto", "content-encoding", b"small".to_vec()),
        (
            "application/grpc",
            "grpc-encoding",
            common::frame(1, b"small"),
        ),
    ] {
        let mut head = post(content_type);
        head.headers.insert(header, "x-harmful".parse().unwrap());
        let (mut recv, _) = accept(&head, StreamType::Unary, &config);
        let events = feed(&mut recv, &[Frame::Data(body.into()), Frame::Eof], 100);
        let error = events.last().unwrap().as_ref().unwrap_err();
        assert_eq!(events.len(), 1, "{content_type}");
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
    }
}
