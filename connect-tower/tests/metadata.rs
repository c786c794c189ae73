//! Headers, trailers, errors with details: what travels beside messages.

mod common;

use bytes::Bytes;
use common::{ECHO, JOIN, SPLIT, UPPER, block_on};
use connect_tower::{
    ClientConfig, Code, Error, ErrorDetail, Prost, Protocol, Request, Response, ResponseStream,
    Router, ServerConfig, Streaming, metadata,
};
use futures_util::stream;
use http::{HeaderMap, HeaderValue};

fn configs() -> impl Iterator<Item = ClientConfig> {
    Protocol::ALL
        .into_iter()
        .map(|protocol| ClientConfig::new().with_protocol(protocol))
}

/// Answers with the values of the request's header in headers, trailers and a binary trailer.
fn answer<T, U>(request: &Request<T>, message: U) -> Result<Response<U>, Error> {
    let mut response = Response::new(message);
    for value in request.headers().get_all("x-ask") {
        response = response
            .add_header("x-leading", value.clone())?
            .add_trailer("x-trailing", value.clone())?;
    }
    let binary = metadata::encode_binary(&[0, 159, 255]);
    response.add_trailer("x-binary-bin", binary)
}

fn answering_router() -> Router {
    Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            answer(&request, String::from("unary"))
        })
        .server_stream(SPLIT, |request: Request<String>| async move {
            let mut late = HeaderMap::new();
            late.insert("x-late", HeaderValue::from_static("made at the end"));
            let stream = ResponseStream::from([String::from("one")]).with_trailers(move || late);
            answer(&request, stream)
        })
        .client_stream(JOIN, |request: Request<Streaming<String>>| async move {
            answer(&request, String::from("joined"))
        })
        .bidi_stream(ECHO, |request: Request<Streaming<String>>| async move {
            let response = answer(&request, ())?;
            let stream = ResponseStream::new(request.into_stream());
            Ok(response.map(|()| stream))
        })
}

fn check(headers: &HeaderMap, trailers: &HeaderMap, context: &str) {
    let values =
        |map: &HeaderMap, name: &str| -> Vec<_> { map.get_all(name).iter().cloned().collect() };
    assert_eq!(values(headers, "x-leading"), ["1", "2"], "{context}");
    assert_eq!(values(trailers, "x-trailing"), ["1", "2"], "{context}");
    let binary = metadata::decode_binary(&trailers["x-binary-bin"]).unwrap();
    assert_eq!(binary, [Bytes::from_static(&[0, 159, 255])], "{context}");
    assert!(!headers.contains_key("x-trailing"), "{context}");
}

#[test]
fn metadata_travels_both_ways() {
    for config in configs() {
        let context = &format!("{:?}", config.protocol());
        let client = common::client_with(answering_router(), config);
        let ask = |request: Request<String>| {
            request
                .add_header("x-ask", "1")
                .and_then(|request| request.add_header("x-ask", "2"))
                .unwrap()
        };
        block_on(async {
            let request = ask(Request::new(String::new()));
            let response: Response<String> =
                client.unary::<Prost, _, _>(&UPPER, request).await.unwrap();
            check(response.headers(), response.trailers(), context);

            let request = ask(Request::new(String::new()));
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap();
            let headers = response.headers().clone();
            let mut stream = response.into_stream();
            assert!(stream.trailers().is_empty());
            while stream.message().await.unwrap().is_some() {}
            check(&headers, stream.trailers(), context);
            assert_eq!(stream.trailers()["x-late"], "made at the end");

            let request = ask(Request::new(String::new())).map(|_| ());
            let call = client.client_stream::<Prost, String, String>(&JOIN, request);
            let response = call.close_and_receive().await.unwrap();
            check(response.headers(), response.trailers(), context);

            let request = ask(Request::new(String::new())).map(|_| ());
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, request);
            // A server's head comes without waiting for messages.
            let headers = call.headers().await.unwrap();
            call.close_send();
            assert_eq!(call.message().await.unwrap(), None);
            check(&headers, &call.trailers(), context);
        });
    }
}

#[test]
fn protocol_headers_are_not_for_users() {
    for config in configs() {
        let router = Router::new().unary(UPPER, |request: Request<String>| async move {
            assert_ne!(request.headers()["content-type"], "text/evil");
            Response::new(String::new())
                .add_header("content-type", "text/evil")?
                .add_trailer("grpc-status", "3")
        });
        let client = common::client_with(router, config);
        let request = Request::new(String::new()).add_header("content-type", "text/evil");
        let response = block_on(client.unary::<Prost, _, String>(&UPPER, request.unwrap()));
        let response = response.unwrap();
        assert_ne!(response.headers()["content-type"], "text/evil");
        assert!(!response.trailers().contains_key("grpc-status"));
    }
}

fn rich_error() -> Error {
    let mut metadata = HeaderMap::new();
    metadata.insert("x-reason", HeaderValue::from_static("weather"));
    Error::resource_exhausted("100% full: \u{e9}")
        .add_detail(ErrorDetail::new("test.v1.Detail", &b"\x08\x01"[..]))
        .with_metadata(metadata)
        .with_source("stays here")
}

#[test]
fn errors_keep_code_message_details_and_metadata() {
    for config in configs() {
        let context = format!("{:?}", config.protocol());
        let router = Router::new()
            .unary(UPPER, |_: Request<String>| async {
                Err::<Response<String>, _>(rich_error())
            })
            .server_stream(SPLIT, |_: Request<String>| async {
                let items = [Ok(String::from("one")), Err(rich_error())];
                Ok(Response::stream(stream::iter(items)))
            })
            .bidi_stream(ECHO, |_: Request<Streaming<String>>| async {
                Err::<Response<ResponseStream<String>>, _>(rich_error())
            });
        let client = common::client_with(router, config);
        let check = |error: Error| {
            assert_eq!(error.code(), Code::ResourceExhausted, "{context}");
            assert_eq!(error.message(), rich_error().message(), "{context}");
            assert_eq!(error.details(), rich_error().details(), "{context}");
            assert_eq!(
                error.received().unwrap()["x-reason"],
                "weather",
                "{context}"
            );
            assert!(std::error::Error::source(&error).is_none(), "{context}");
        };
        block_on(async {
            let request = || Request::new(String::new());
            let result = client.unary::<Prost, _, String>(&UPPER, request()).await;
            check(result.unwrap_err());
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request())
                .await;
            let mut stream = response.unwrap().into_stream();
            assert!(stream.message().await.unwrap().is_some());
            check(stream.message().await.unwrap_err());
            check(stream.message().await.unwrap_err());
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            check(call.message().await.unwrap_err());
            check(call.message().await.unwrap_err());
        });
    }
}

#[test]
fn extensions_pass_from_http_to_handlers_and_back() {
    use http_body_util::Full;
    use tower_service::Service;

    #[derive(Clone, Debug, PartialEq)]
    struct Tag(u32);

    let mut router = Router::new().unary(UPPER, |request: Request<String>| async move {
        let Tag(tag) = request.extensions().get().cloned().unwrap();
        let mut response = Response::new(String::new());
        response.extensions_mut().insert(Tag(tag + 1));
        Ok(response)
    });
    let mut request = http::Request::post(UPPER.procedure())
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from("\"\"")))
        .unwrap();
    request.extensions_mut().insert(Tag(1));
    let response = block_on(router.call(request)).unwrap();
    assert_eq!(response.extensions().get(), Some(&Tag(2)));
}

/// Trailers of a response go out beside the metadata of the error that its stream ends with: the specifications know one
/// place for both (Connect, "EndStreamResponse"; gRPC, "Trailers"), and connect-go merges them in the same way.
#[test]
fn trailers_are_sent_beside_an_errors_metadata() {
    let router = || {
        Router::new()
            .server_stream(SPLIT, |_: Request<String>| async {
                let items = [Ok(String::from("one")), Err(rich_error())];
                let mut late = HeaderMap::new();
                late.insert("x-late", HeaderValue::from_static("made at the end"));
                let stream = ResponseStream::new(stream::iter(items)).with_trailers(move || late);
                Response::new(stream)
                    .add_trailer("x-trailing", "1")?
                    .add_trailer("x-reason", "also")
            })
            .bidi_stream(ECHO, |_: Request<Streaming<String>>| async {
                let stream = stream::iter([Err::<String, _>(rich_error())]);
                Response::stream(stream).add_trailer("x-trailing", "1")
            })
    };
    for config in configs() {
        let context = format!("{:?}", config.protocol());
        let plain = common::client_with(router(), config.clone());
        let through = common::client_with(router().add_interceptor(common::Transparent), config);
        let through = through.add_interceptor(common::Transparent);
        for client in [plain, through] {
            block_on(async {
                let request = Request::new(String::new());
                let response = client
                    .server_stream::<Prost, _, String>(&SPLIT, request)
                    .await;
                let mut stream = response.unwrap().into_stream();
                assert!(stream.message().await.unwrap().is_some());
                let error = stream.message().await.unwrap_err();
                assert_eq!(error.code(), Code::ResourceExhausted, "{context}");
                assert_eq!(error.received().unwrap()["x-trailing"], "1", "{context}");
                assert_eq!(
                    error.received().unwrap()["x-late"],
                    "made at the end",
                    "{context}"
                );
                let reasons: Vec<_> = error
                    .received()
                    .unwrap()
                    .get_all("x-reason")
                    .iter()
                    .collect();
                assert_eq!(reasons, ["weather", "also"], "{context}");

                let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
                let error = call.message().await.unwrap_err();
                assert_eq!(
                    error.received().unwrap()["x-reason"],
                    "weather",
                    "{context}"
                );
                assert_eq!(error.received().unwrap()["x-trailing"], "1", "{context}");
            });
        }
    }
}

/// An error of a service behind the server: its words are not for the server's own callers, unless the handler or the
/// server's configuration says so. What the handler adds to it is sent in any case; what the backend sent beside it, never.
#[test]
fn a_backends_error_is_sent_on_only_on_purpose() {
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Forward {
        No,
        ThisError,
        All,
    }
    for config in configs() {
        for forward in [Forward::No, Forward::ThisError, Forward::All] {
            let context = format!("{:?} {forward:?}", config.protocol());
            let backend = Router::new().unary(UPPER, |_: Request<String>| async {
                Err::<Response<String>, _>(rich_error())
            });
            let backend = common::client_with(backend, config.clone());
            let ask = move || {
                let backend = backend.clone();
                async move {
                    let request = Request::new(String::new());
                    let answer = backend.unary::<Prost, _, String>(&UPPER, request).await;
                    let error = answer.unwrap_err().add_header("retry-after", "3")?;
                    assert_eq!(error.received().unwrap()["x-reason"], "weather");
                    assert!(!error.metadata().contains_key("x-reason"));
                    Err::<String, Error>(match forward {
                        Forward::ThisError => error.forward(),
                        Forward::No | Forward::All => error,
                    })
                }
            };
            let ask_again = ask.clone();
            let front = Router::new()
                .with_config(ServerConfig::new().with_forwarded_errors(forward == Forward::All))
                .unary(UPPER, move |_: Request<String>| {
                    let asking = ask();
                    async move { Ok(Response::new(asking.await?)) }
                })
                .server_stream(SPLIT, move |_: Request<String>| {
                    let asking = ask_again();
                    async move {
                        Ok(Response::new(ResponseStream::generate(
                            |mut answers| async move {
                                answers.send("one".to_owned()).await;
                                asking.await.map(drop)
                            },
                        )))
                    }
                })
                .add_interceptor(common::Transparent);
            let client = common::client_with(front, config.clone());
            let check = |error: Error| {
                assert_eq!(error.received().unwrap()["retry-after"], "3", "{context}");
                assert!(
                    !error.received().unwrap().contains_key("x-reason"),
                    "{context}"
                );
                if forward == Forward::No {
                    assert_eq!(error.code(), Code::Internal, "{context}");
                    assert!(
                        !error.message().contains(rich_error().message()),
                        "{context}"
                    );
                    assert!(error.details().is_empty(), "{context}");
                } else {
                    assert_eq!(error.code(), rich_error().code(), "{context}");
                    assert_eq!(error.message(), rich_error().message(), "{context}");
                    assert_eq!(error.details(), rich_error().details(), "{context}");
                }
            };
            block_on(async {
                let request = || Request::new(String::new());
                let answer = client.unary::<Prost, _, String>(&UPPER, request()).await;
                check(answer.unwrap_err());
                let response = client
                    .server_stream::<Prost, _, String>(&SPLIT, request())
                    .await;
                let mut stream = response.unwrap().into_stream();
                assert_eq!(stream.message().await.unwrap().as_deref(), Some("one"));
                check(stream.message().await.unwrap_err());
            });
        }
    }
}

#[test]
fn headers_of_every_call() {
    for config in configs() {
        let router = Router::new().unary(UPPER, |request: Request<String>| async move {
            let tenant = request.headers()["x-tenant"].to_str().unwrap().to_owned();
            Ok(Response::new(tenant))
        });
        let config = config.add_header("x-tenant", "blue").unwrap();
        let error = config.clone().add_header("x tenant", "blue").unwrap_err();
        assert_eq!(error.code(), Code::Internal);
        let client = common::client_with(router, config);
        let request = Request::new(String::new());
        let answer = block_on(client.unary::<Prost, _, String>(&UPPER, request));
        assert_eq!(answer.unwrap().message(), "blue");
    }
}
