//! How much memory the end of a call takes: what is small on the wire must not become large in memory.
//!
//! The allocator counts for the whole binary, so this is its only test.

mod common;

use std::fmt::Write as _;

use bytes::Bytes;
use common::{frame, spec};
use connect_proto::{
    CallOptions, ClientConfig, Limits, Protocol, RecvHalf, StreamType, Time, metadata,
};
use http::{HeaderMap, HeaderValue};
use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

const MIB: usize = 1024 * 1024;

/// A body that comes in chunks is gathered in a buffer that grows by doubling: at the end up to twice its size. One string
/// of it is decoded to its own size, and to three quarters of it from base64. That is 3.75 times what came.
///
/// What is not counted by size has a number: [`Error::MAX_DETAILS`](connect_proto::Error::MAX_DETAILS) details, 8,192
/// values of metadata. Each of them in full takes less than twice the smallest input here.
const MAX_GROWTH: usize = 4;

/// The end of a response, and how it comes.
struct Row {
    name: String,
    protocol: Protocol,
    stream_type: StreamType,
    body: Vec<u8>,
    trailers: HeaderMap,
}

impl Row {
    fn connect_error(name: &str, error: &str) -> Self {
        Self {
            name: format!("unary: {name}"),
            protocol: Protocol::Connect,
            stream_type: StreamType::Unary,
            body: error.into(),
            trailers: HeaderMap::new(),
        }
    }

    fn end_stream(name: &str, json: &str) -> Self {
        Self {
            name: format!("end of stream: {name}"),
            protocol: Protocol::Connect,
            stream_type: StreamType::BidiStream,
            body: frame(0x02, json.as_bytes()),
            trailers: HeaderMap::new(),
        }
    }

    fn grpc(name: &str, trailers: HeaderMap) -> Self {
        Self {
            name: format!("gRPC: {name}"),
            protocol: Protocol::Grpc,
            stream_type: StreamType::BidiStream,
            body: Vec::new(),
            trailers,
        }
    }

    fn grpc_web(name: &str, fields: &str) -> Self {
        Self {
            name: format!("gRPC-Web: {name}"),
            protocol: Protocol::GrpcWeb,
            stream_type: StreamType::BidiStream,
            body: frame(0x80, fields.as_bytes()),
            trailers: HeaderMap::new(),
        }
    }

    fn size(&self) -> usize {
        self.body.len() + self.trailers.values().map(HeaderValue::len).sum::<usize>()
    }

    /// A client's half of the call.
    fn half(&self) -> RecvHalf {
        let config = ClientConfig::new()
            .with_protocol(self.protocol)
            .with_limits(Limits::default().with_trailer_bytes(8 * MIB));
        let (_, expect) = config
            .start(&spec(self.stream_type), &CallOptions::default(), Time::ZERO)
            .unwrap();
        let (status, content_type) = match (self.protocol, self.stream_type) {
            (Protocol::Grpc, _) => (200, "application/grpc"),
            (Protocol::GrpcWeb, _) => (200, "application/grpc-web"),
            (Protocol::Connect, StreamType::Unary) => (500, "application/json"),
            (Protocol::Connect, _) => (200, "application/connect+proto"),
        };
        let (head, ()) = http::Response::builder()
            .status(status)
            .header("content-type", content_type)
            .body(())
            .unwrap()
            .into_parts();
        expect.recv_head(head)
    }

    /// The most memory that the half takes beyond its input, in bytes.
    fn peak(&self, cut: usize) -> usize {
        let mut recv = self.half();
        let (body, trailers) = (Bytes::from(self.body.clone()), self.trailers.clone());
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        let mut events = 0;
        for start in (0..body.len()).step_by(cut) {
            recv.recv_data(body.slice(start..body.len().min(start.saturating_add(cut))));
            events += usize::from(recv.poll_event().is_some());
        }
        if self.protocol == Protocol::Grpc {
            recv.recv_trailers(trailers);
        } else {
            recv.recv_eof();
        }
        events += usize::from(recv.poll_event().is_some());
        let peak = ALLOCATED.peak_usage().saturating_sub(before);
        assert_eq!(events, 1, "{}: one ending", self.name);
        assert!(recv.is_ended(), "{}", self.name);
        peak
    }
}

/// Items with commas between, until there is a mebibyte of them.
fn many(item: impl Fn(usize) -> String) -> String {
    let mut text = item(0);
    for i in 1.. {
        if text.len() >= MIB {
            break;
        }
        text.push(',');
        text.push_str(&item(i));
    }
    text
}

fn rows() -> Vec<Row> {
    let same = |item: &'static str| many(|_| item.to_owned());
    let long = "A".repeat(MIB);
    let mut rows = Vec::new();
    for (name, details) in [
        ("empty details", same("{}")),
        ("details with types", same(r#"{"type":"a"}"#)),
        ("details with values", same(r#"{"value":"AA"}"#)),
        ("details with debug", same(r#"{"debug":0}"#)),
        ("one long value", format!(r#"{{"value":"{long}"}}"#)),
        ("one long type", format!(r#"{{"type":"{long}"}}"#)),
        (
            "one debug of much",
            format!(r#"{{"debug":[{}]}}"#, same("[]")),
        ),
    ] {
        let error = format!(r#"{{"code":"internal","details":[{details}]}}"#);
        rows.push(Row::connect_error(name, &error));
        rows.push(Row::end_stream(name, &format!(r#"{{"error":{error}}}"#)));
    }
    for (name, metadata) in [
        ("empty values", format!(r#""a":[{}]"#, same(r#""""#))),
        (
            "invalid values",
            format!(r#""a":[{}]"#, same(r#""\u0000""#)),
        ),
        ("names without values", many(|i| format!(r#""{i}":[]"#))),
        (
            "names with an empty value",
            many(|i| format!(r#""{i}":[""]"#)),
        ),
        (
            "names that come again",
            many(|i| format!(r#""{}":["",""]"#, i % 8_000)),
        ),
        ("invalid names", same(r#""":[""]"#)),
        ("one long value", format!(r#""a":["{long}"]"#)),
    ] {
        rows.push(Row::end_stream(
            name,
            &format!(r#"{{"metadata":{{{metadata}}}}}"#),
        ));
    }
    for (name, detail) in [
        ("empty details", &b"\x1a\x00"[..]),
        ("details with types", b"\x1a\x03\x0a\x01a"),
        ("details with values", b"\x1a\x03\x12\x01a"),
        ("groups", b"\x1b\x1c"),
    ] {
        let status = metadata::encode_binary(&detail.repeat(4 * MIB / detail.len()));
        let text = status.to_str().unwrap();
        let fields = format!("grpc-status: 13\r\ngrpc-status-details-bin: {text}\r\n");
        rows.push(Row::grpc_web(name, &fields));
        let mut trailers = common::headers(&[("grpc-status", "13")]);
        trailers.insert("grpc-status-details-bin", status);
        rows.push(Row::grpc(name, trailers));
    }
    let mut fields = String::new();
    for i in 0..200_000 {
        let _ = write!(fields, "{i}:\r\n");
    }
    rows.push(Row::grpc_web("many trailers", &fields));
    rows
}

#[test]
fn the_end_of_a_call_takes_little_more_than_its_size() {
    for row in rows() {
        for cut in [usize::MAX, 16 * 1024] {
            let (size, peak) = (row.size(), row.peak(cut));
            assert!(size >= MIB, "{}", row.name);
            let bound = MAX_GROWTH * size;
            let name = &row.name;
            assert!(
                peak <= bound,
                "{name}, in chunks of {cut}: {size} bytes took {peak}, and {bound} is the most"
            );
        }
    }
}
