//! Messages that are small on the wire and large in memory, or say that they are: to a server with its defaults, and to a
//! client. Versions of HTTP make no difference to them: some come by the one, and some by the other.

use std::sync::Arc;

use bytes::Bytes;
use connect_hyper::{HttpVersion, server::RequestBody};
use connect_tower::{CallBody, Client, ClientConfig, Code, Codecs, Prost, Protocol, Transport};
use http::{Request, Response};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use prost_types::{ListValue, Struct};

use super::{
    memory::{Held, lone_test},
    support::{BoxAnswer, ServiceFn, bind, full, start},
};
use crate::rt::{self, Channel, Router, Spec, StreamType};

const MIB: usize = 1024 * 1024;

/// An eighth of the default: so messages of an eighth of their limit show it.
fn codecs() -> Codecs {
    Codecs::default().with_decode_budget(8 * MIB)
}

/// What a message is read as.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    List,
    Map,
}

impl Kind {
    const fn spec(self) -> Spec {
        let procedure = match self {
            Self::Text => "/test.v1.Test/Text",
            Self::List => "/test.v1.Test/List",
            Self::Map => "/test.v1.Test/Map",
        };
        Spec::new(procedure, StreamType::Unary)
    }
}

fn router() -> Router {
    fn echo<M>(request: rt::Request<M>) -> rt::Response<M> {
        rt::Response::new(request.into_message())
    }
    Router::new()
        .unary(
            Kind::Text.spec(),
            |request: rt::Request<String>| async move { Ok(echo(request)) },
        )
        .unary(
            Kind::List.spec(),
            |request: rt::Request<ListValue>| async move { Ok(echo(request)) },
        )
        .unary(
            Kind::Map.spec(),
            |request: rt::Request<Struct>| async move { Ok(echo(request)) },
        )
        .with_codecs(codecs())
}

/// 64 MiB of zeros. RFC 1951, section 3.2.6: a block of fixed codes, in which 13 bits repeat the last byte 258 times.
fn gzip() -> Vec<u8> {
    let mut bomb = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];
    let (mut bits, mut count) = (0_u64, 0);
    let mut put = |value: u64, length: u32| {
        bits |= value << count;
        count += length;
        while count >= 8 {
            bomb.push(bits.to_le_bytes()[0]);
            bits >>= 8;
            count -= 8;
        }
    };
    // The last block, of fixed codes, and the literal 0. Codes begin with their highest bit.
    put(0b1, 1);
    put(0b01, 2);
    put(0b0000_1100, 8);
    for _ in 0..(64 * MIB / 258) {
        // Length 258, distance 1.
        put(0b1010_0011, 8);
        put(0, 5);
    }
    bomb
}

/// 1 GiB of zeros. RFC 8878, section 3.1.1: blocks that say how often a byte is repeated.
fn zstd(window_exponent: u8) -> Vec<u8> {
    const BLOCK: u32 = 128 * 1024;
    let block = BLOCK << 3 | 1 << 1;
    let block = [&block.to_le_bytes()[..3], &[0]].concat();
    let head = [0x28, 0xb5, 0x2f, 0xfd, 0, window_exponent << 3];
    [&head[..], &block.repeat(8192)].concat()
}

/// A message of Protobuf with a field of number 1, over and over.
fn repeated(field: &[u8], times: usize) -> Vec<u8> {
    let length = u8::try_from(field.len()).unwrap();
    [&[0x0a, length][..], field].concat().repeat(times)
}

struct Row {
    name: &'static str,
    kind: Kind,
    codec: &'static str,
    compression: Option<&'static str>,
    body: Vec<u8>,
    code: Code,
    /// What client and server may hold at the most, beside the body as it is sent.
    memory: usize,
}

fn row(name: &'static str, kind: Kind, codec: &'static str, body: Vec<u8>) -> Row {
    Row {
        name,
        kind,
        codec,
        compression: None,
        body,
        code: Code::ResourceExhausted,
        // What is decompressed, or decoded, in a buffer that has grown by doubling.
        memory: 2 * 8 * MIB,
    }
}

fn rows() -> Vec<Row> {
    let bomb = |name, compression, body| Row {
        compression: Some(compression),
        ..row(name, Kind::Text, "proto", body)
    };
    let json = |name, kind, begin: &str, item: &str, end| {
        let items = item.repeat(MIB / item.len());
        row(name, kind, "json", format!("{begin}{items}{end}").into())
    };
    let keys = (0..150_000).map(|n| format!("\"{n:x}\":0,"));
    let entries = (0..200_000_u32).flat_map(|n| {
        let key = format!("{n:06x}");
        repeated(&[&[0x0a, 6][..], key.as_bytes()].concat(), 1)
    });
    vec![
        bomb("64 MiB by gzip", "gzip", gzip()),
        bomb("1 GiB by zstd", "zstd", zstd(10)),
        Row {
            code: Code::InvalidArgument,
            ..bomb("a window of 2 GiB by zstd", "zstd", zstd(21))
        },
        row(
            "empty messages",
            Kind::List,
            "proto",
            repeated(&[], MIB / 2),
        ),
        row("entries of a map", Kind::Map, "proto", entries.collect()),
        json("a list of numbers", Kind::List, "[", "0,", "0]"),
        json("a list of lists", Kind::List, "[", "[],", "[]]"),
        json("a list of objects", Kind::List, "[", "{},", "{}]"),
        row(
            "keys",
            Kind::Map,
            "json",
            format!("{{{}\"x\":0}}", keys.collect::<String>()).into(),
        ),
    ]
}

#[apply(lone_test)]
async fn a_server_takes_no_message_that_is_larger_than_it_looks() {
    let server = start(bind().await, router());
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let channel = Channel::builder(server.uri()).with_http_version(version);
        let channel = channel.build().unwrap();
        let rows = rows().into_iter();
        for row in rows.filter(|row| row.compression.is_some() == (version == HttpVersion::Http1)) {
            let name = row.name;
            let mut request = Request::post(row.kind.spec().procedure())
                .header("content-type", format!("application/{}", row.codec));
            if let Some(compression) = row.compression {
                request = request.header("content-encoding", compression);
            }
            let held = Held::begin();
            let request = request.body(CallBody::full(row.body)).unwrap();
            let answer = channel.send(request).await.unwrap();
            let body = answer.into_body().collect().await.unwrap().to_bytes();
            let error = String::from_utf8_lossy(&body);
            let code = format!("\"code\":\"{}\"", row.code.as_str());
            assert!(error.contains(&code), "{name}: {error:.300}");
            let peak = held.peak();
            assert!(peak < row.memory, "{name}: {peak} bytes");
        }
    }
}

/// What a client is answered, as a message of its kind.
async fn answered(
    version: HttpVersion,
    protocol: Protocol,
    row: &Row,
    head: Arc<http::HeaderMap>,
) -> (connect_tower::Error, usize) {
    let body = Bytes::from(row.body.clone());
    let service = ServiceFn(move |_: Request<RequestBody>| -> BoxAnswer {
        let mut response = Response::new(full(body.clone()));
        response.headers_mut().clone_from(&head);
        Box::pin(async move { response })
    });
    let server = start(bind().await, service);
    let channel = Channel::builder(server.uri()).with_http_version(version);
    let config = ClientConfig::new().with_protocol(protocol);
    let client = Client::new(channel.build().unwrap())
        .with_config(config)
        .with_codecs(codecs());
    let held = Held::begin();
    let request = rt::Request::new(String::new());
    let spec = row.kind.spec();
    let error = match row.kind {
        Kind::Text => client
            .unary::<Prost, String, String>(&spec, request)
            .await
            .map(drop),
        Kind::List => client
            .unary::<Prost, String, ListValue>(&spec, request)
            .await
            .map(drop),
        Kind::Map => client
            .unary::<Prost, String, Struct>(&spec, request)
            .await
            .map(drop),
    };
    (error.unwrap_err(), held.peak())
}

#[apply(lone_test)]
async fn a_client_takes_no_message_that_is_larger_than_it_looks() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let rows = rows().into_iter().filter(|row| row.codec == "proto");
        for row in rows.filter(|row| row.compression.is_some() == (version == HttpVersion::Http1)) {
            let mut head = http::HeaderMap::new();
            head.insert("content-type", "application/proto".parse().unwrap());
            if let Some(compression) = row.compression {
                head.insert("content-encoding", compression.parse().unwrap());
            }
            let (error, peak) = answered(version, Protocol::Connect, &row, Arc::new(head)).await;
            // What a client cannot read is not the client's fault.
            let code = match row.code {
                Code::InvalidArgument => Code::Internal,
                code => code,
            };
            assert_eq!(error.code(), code, "{}: {error}", row.name);
            assert!(peak < row.memory, "{}: {peak} bytes", row.name);
        }
    }
    // A prefix of 4 GiB, and not much behind it.
    let long = Row {
        body: [&[0, 0xff, 0xff, 0xff, 0xff][..], &[0; 1000]].concat(),
        ..row("4 GiB", Kind::Text, "proto", Vec::new())
    };
    for protocol in [Protocol::Grpc, Protocol::GrpcWeb] {
        let content_type = match protocol {
            Protocol::Grpc => "application/grpc+proto",
            _ => "application/grpc-web+proto",
        };
        let head = [(
            "content-type".parse().unwrap(),
            content_type.parse().unwrap(),
        )];
        let head = http::HeaderMap::from_iter(head);
        let (error, peak) = answered(HttpVersion::Http2, protocol, &long, Arc::new(head)).await;
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(peak < MIB, "{peak} bytes");
    }
}
