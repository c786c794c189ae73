//! Compression: which is refused, and that one call or one answer may go without.
#![cfg(feature = "gzip")]

mod common;

use bytes::Bytes;
use common::{UPPER, block_on, text_router};
use connect_tower::{
    Client, ClientConfig, Code, Compressions, InProcess, Prost, Protocol, Request, Response, Router,
};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

fn large_word() -> String {
    "x".repeat(1000)
}

#[test]
fn unknown_compressions_are_refused_by_name() {
    let router = text_router().with_compressions(Compressions::none());
    for protocol in Protocol::ALL {
        let config = ClientConfig::new()
            .with_protocol(protocol)
            .with_send_compression("gzip")
            .with_min_compress_bytes(0);
        let client = Client::new(InProcess::new(router.clone())).with_config(config);
        let request = Request::new(large_word());
        let result = block_on(client.unary::<Prost, _, String>(&UPPER, request));
        let (code, message) = common::brief(result);
        assert_eq!(code, Code::Unimplemented, "{protocol}");
        assert!(message.contains("gzip"), "{message}");
    }
}

#[test]
fn a_call_can_be_left_uncompressed() {
    let router = Router::new().unary(UPPER, |request: Request<String>| async move {
        let encoding = request.headers().get("content-encoding");
        let encoding = encoding.map_or("none", |value| value.to_str().unwrap_or("?"));
        Ok(Response::new(encoding.to_owned()))
    });
    let config = ClientConfig::new()
        .with_send_compression("gzip")
        .with_min_compress_bytes(0);
    let client = common::client_with(router, config);
    block_on(async {
        for (compress, encoding) in [(None, "gzip"), (Some(true), "gzip"), (Some(false), "none")] {
            let mut request = Request::new(large_word());
            if let Some(compress) = compress {
                request = request.with_compress(compress);
            }
            let response = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(response.unwrap().message(), encoding);
        }
    });
}

#[test]
fn an_answer_can_be_left_uncompressed() {
    for protocol in Protocol::ALL {
        for (compress, smaller) in [(None, true), (Some(true), true), (Some(false), false)] {
            let router = Router::new().unary(UPPER, move |_: Request<String>| async move {
                let response = Response::new("x".repeat(10_000));
                Ok(match compress {
                    Some(compress) => response.with_compress(compress),
                    None => response,
                })
            });
            let body = match protocol {
                Protocol::Connect => &b""[..],
                Protocol::Grpc | Protocol::GrpcWeb => &[0; 5],
            };
            let (content_type, accept) = match protocol {
                Protocol::Connect => ("application/proto", "accept-encoding"),
                Protocol::Grpc => ("application/grpc", "grpc-accept-encoding"),
                Protocol::GrpcWeb => ("application/grpc-web", "grpc-accept-encoding"),
            };
            let request = http::Request::post(UPPER.procedure())
                .version(http::Version::HTTP_2)
                .header("content-type", content_type)
                .header(accept, "gzip")
                .body(Full::new(Bytes::from(body)))
                .unwrap();
            let response = block_on(router.clone().call(request)).unwrap();
            let bytes = block_on(response.into_body().collect()).unwrap().to_bytes();
            assert_eq!(bytes.len() < 1000, smaller, "{protocol} {compress:?}");
        }
    }
}
