//! Compression: which is refused, and that one call or one answer may go without.
#![cfg(feature = "gzip")]

mod common;

use bytes::Bytes;
use common::{UPPER, block_on, text_router};
use connect_tower::{
    Call, Client, ClientConfig, Code, Compressions, Error, InProcess, Interceptor, Next, Payload,
    Prost, Protocol, Reply, Request, Response, ResponseStream, Router, Spec, StreamType, Streaming,
};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

fn large_word() -> String {
    "x".repeat(2000)
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

const JOIN: Spec = Spec::new("/test.v1.Text/Join", StreamType::ClientStream);
const SPLIT: Spec = Spec::new("/test.v1.Text/Split", StreamType::ServerStream);
const ECHO: Spec = Spec::new("/test.v1.Text/Echo", StreamType::BidiStream);

/// A message that says of itself whether it travels compressed, as gRPC's interoperability tests do.
fn word(is_compressed: bool) -> String {
    format!("{is_compressed} {}", large_word())
}

fn check(word: &str, is_compressed: bool) -> Result<(), Error> {
    let expected = word.starts_with("true");
    if expected == is_compressed {
        return Ok(());
    }
    Err(Error::invalid_argument(format!(
        "compressed: {is_compressed}, expected: {expected}"
    )))
}

/// Checks what passes it, and changes nothing.
#[derive(Clone)]
struct Checks;

impl Interceptor for Checks {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let seen = |payload: Payload| {
            // Those that this side sends were not received.
            let word: String = payload.decode()?;
            if payload.is_compressed() {
                check(&word, true)?;
            }
            Ok(payload)
        };
        let reply = next.run(call.map(|payloads| payloads.map(seen))).await?;
        Ok(reply.map(|payloads| payloads.map(seen)))
    }
}

/// `client_compressed_unary`, `server_compressed_unary` and both for streams of gRPC's interoperability tests.
fn interop_router() -> Router {
    Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            check(request.message(), request.is_compressed())?;
            // Where nothing is compressed, no compression is named.
            let names = ["grpc-encoding", "content-encoding"];
            let is_named = names
                .iter()
                .any(|name| request.headers().contains_key(*name));
            check(request.message(), is_named)?;
            let compress = request.is_compressed();
            Ok(Response::new(request.into_message()).with_compress(compress))
        })
        .client_stream(JOIN, |request: Request<Streaming<String>>| async move {
            let mut words = request.into_stream();
            while let Some(word) = words.message().await? {
                check(&word, words.is_compressed())?;
            }
            Ok(Response::new(word(false)).with_compress(false))
        })
        .server_stream(SPLIT, |_: Request<String>| async move {
            Ok(Response::new(ResponseStream::generate(
                |mut words| async move {
                    words.send(word(true)).await;
                    for compress in [false, true, true, false] {
                        words.set_compress(compress);
                        words.send(word(compress)).await;
                    }
                    Ok(())
                },
            )))
        })
        .bidi_stream(ECHO, |request: Request<Streaming<String>>| async move {
            let mut words = request.into_stream();
            Ok(Response::new(ResponseStream::generate(
                |mut answers| async move {
                    while let Some(word) = words.message().await? {
                        check(&word, words.is_compressed())?;
                        answers.set_compress(words.is_compressed());
                        answers.send(word).await;
                    }
                    Ok(())
                },
            )))
        })
}

#[test]
fn each_message_says_whether_it_is_compressed() {
    for protocol in Protocol::ALL {
        for is_intercepted in [false, true] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_send_compression("gzip")
                .with_min_compress_bytes(0);
            let mut router = interop_router();
            if is_intercepted {
                router = router.add_interceptor(Checks);
            }
            let mut client = common::client_with(router, config);
            if is_intercepted {
                client = client.add_interceptor(Checks);
            }
            block_on(async {
                // The probe, which lies.
                let request = Request::new(word(true)).with_compress(false);
                let refused = client.unary::<Prost, _, String>(&UPPER, request).await;
                assert_eq!(refused.unwrap_err().code(), Code::InvalidArgument);
                for compress in [true, false] {
                    let request = Request::new(word(compress)).with_compress(compress);
                    let response = client.unary::<Prost, _, String>(&UPPER, request).await;
                    let response = response.unwrap();
                    assert_eq!(response.is_compressed(), compress, "{protocol}");
                }

                for lie in [true, false] {
                    let mut call =
                        client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
                    call.send(word(true)).await.unwrap();
                    call.set_compress(false);
                    call.send(word(lie)).await.unwrap();
                    let answer = call.close_and_receive().await;
                    let code = answer.as_ref().err().map(Error::code);
                    assert_eq!(code, lie.then_some(Code::InvalidArgument), "{protocol}");
                    if let Ok(response) = answer {
                        assert!(!response.is_compressed(), "{protocol}");
                    }
                }

                let request = Request::new(word(true));
                let answer = client
                    .server_stream::<Prost, _, String>(&SPLIT, request)
                    .await;
                let mut words = answer.unwrap().into_stream();
                let mut count = 0;
                while let Some(word) = words.message().await.unwrap() {
                    check(&word, words.is_compressed()).unwrap();
                    count += 1;
                }
                assert_eq!(count, 5);

                let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
                for compress in [true, false, true] {
                    call.set_compress(compress);
                    call.send(word(compress)).await.unwrap();
                    let answer = call.message().await.unwrap().unwrap();
                    assert_eq!(answer, word(compress));
                    assert_eq!(call.is_compressed(), compress, "{protocol}");
                }
                call.close_send();
                assert_eq!(call.message().await.unwrap(), None);
            });
        }
    }
}
