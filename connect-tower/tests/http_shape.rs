//! What the HTTP layer sees: lengths, ends, frames, GET.

mod common;

use std::pin::Pin;

use bytes::Bytes;
use common::{ECHO, SPLIT, UPPER, block_on, text_router};
use connect_tower::{
    CallBody, Client, ClientConfig, Code, Error, GetPolicy, Idempotency, InProcess, Prost,
    Protocol, Request, Response, ResponseStream, Router, Spec, Streaming, Transport,
    TransportError, error_response,
};
use futures_util::{future::BoxFuture, stream};
use http::{Method, Version};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

/// The pieces of a body, with trailers as their names.
async fn frames(mut body: CallBody) -> Result<Vec<String>, Error> {
    let mut frames = Vec::new();
    while let Some(frame) = body.frame().await {
        frames.push(match frame?.into_data().map_err(Frame::into_trailers) {
            Ok(data) => format!("{} bytes", data.len()),
            Err(Ok(trailers)) => {
                let mut names: Vec<_> = trailers.keys().map(|name| name.as_str()).collect();
                names.sort_unstable();
                names.join(" ")
            }
            Err(Err(_)) => String::from("?"),
        });
    }
    assert!(body.is_end_stream());
    Ok(frames)
}

fn post(router: &Router, spec: &Spec, content_type: &str, body: Bytes) -> http::Response<CallBody> {
    let request = http::Request::post(spec.procedure())
        .version(Version::HTTP_2)
        .header("content-type", content_type)
        .body(Full::new(body))
        .unwrap();
    block_on(router.clone().call(request)).unwrap()
}

/// A message that is a StringValue, in an envelope.
fn envelope(text: &str) -> Vec<u8> {
    let message = [&[0x0a, u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let len = u32::try_from(message.len()).unwrap();
    [&[0][..], &len.to_be_bytes(), &message].concat()
}

#[test]
fn a_connect_unary_answer_has_a_length() {
    let body = Bytes::from_static(br#""hello""#);
    let response = post(&text_router(), &UPPER, "application/json", body);
    let body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(7));
    assert!(!body.is_end_stream());
    assert_eq!(block_on(frames(body)).unwrap(), ["7 bytes"]);

    let error = Router::new().unary(UPPER, |_: Request<String>| async {
        Err::<Response<String>, _>(Error::not_found(""))
    });
    let response = post(&error, &UPPER, "application/json", Bytes::from("\"\""));
    let text = r#"{"code":"not_found"}"#;
    let len = text.len() as u64;
    assert_eq!(response.body().size_hint().exact(), Some(len));
}

#[test]
fn a_grpc_unary_answer_is_one_piece_and_trailers() {
    let body = Bytes::from(envelope("hello"));
    let response = post(&text_router(), &UPPER, "application/grpc", body);
    let body = response.into_body();
    // A length would keep an HTTP/1.1 server from sending trailers.
    assert_eq!(body.size_hint().exact(), None);
    assert_eq!(block_on(frames(body)).unwrap(), ["12 bytes", "grpc-status"]);
}

/// gRPC, "Trailers-Only": one HEADERS frame with END_STREAM, which needs a body that is known to be empty.
#[test]
fn an_immediate_grpc_error_has_no_body() {
    let router = Router::new()
        .unary(UPPER, |_: Request<String>| async {
            Err::<Response<String>, _>(Error::not_found("no"))
        })
        .bidi_stream(ECHO, |_: Request<Streaming<String>>| async {
            Err::<Response<ResponseStream<String>>, _>(Error::not_found("no"))
        });
    for spec in [UPPER, ECHO] {
        let body = Bytes::from(envelope(""));
        let response = post(&router, &spec, "application/grpc", body);
        assert_eq!(response.headers()["grpc-status"], "5");
        assert!(response.body().is_end_stream());
        assert_eq!(response.body().size_hint().exact(), Some(0));
    }
}

/// Messages that are ready at once leave as one piece.
#[test]
fn ready_messages_are_joined() {
    let router = Router::new().server_stream(SPLIT, |_: Request<String>| async {
        Ok(Response::new(ResponseStream::from(vec![
            String::from("x");
            1000
        ])))
    });
    let body = Bytes::from(envelope(""));
    let response = post(&router, &SPLIT, "application/grpc", body);
    let pieces = block_on(frames(response.into_body())).unwrap();
    // How many buffers they need is the core's business; they need no piece each.
    assert!(pieces.len() <= 4, "{pieces:?}");

    let request = [envelope("a"), envelope("b"), envelope("c")].concat();
    let response = post(&text_router(), &ECHO, "application/grpc", request.into());
    let pieces = block_on(frames(response.into_body())).unwrap();
    assert!(pieces.len() <= 3, "{pieces:?}");
}

/// Messages do not wait for others.
#[test]
fn a_message_leaves_when_there_is_no_other() {
    let (feed, fed) = futures_channel::mpsc::unbounded::<Result<String, Error>>();
    let fed = std::sync::Mutex::new(Some(fed));
    let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
        let fed = fed.lock().unwrap().take().unwrap();
        async move { Ok(Response::stream(fed)) }
    });
    let body = Bytes::from(envelope(""));
    let response = post(&router, &SPLIT, "application/grpc", body);
    let mut body = response.into_body();
    for _ in 0..3 {
        feed.unbounded_send(Ok(String::from("x"))).unwrap();
        let frame = block_on(body.frame()).unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap().len(), 8);
    }
    drop(feed);
    assert_eq!(block_on(frames(body)).unwrap(), ["grpc-status"]);
}

/// What a client sent: version, method, path and query, and the request's body if it is known whole.
type Seen = std::sync::Arc<std::sync::Mutex<Vec<(Version, Method, String, Option<u64>)>>>;

/// Looks at requests on their way.
#[derive(Clone)]
struct Spy(InProcess, Seen);

impl Transport for Spy {
    type Body = CallBody;
    type Future = BoxFuture<'static, Result<http::Response<CallBody>, TransportError>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        self.1.lock().unwrap().push((
            request.version(),
            request.method().clone(),
            request.uri().to_string(),
            request.body().size_hint().exact(),
        ));
        Box::pin(self.0.send(request))
    }
}

#[test]
fn requests_say_what_the_transport_needs() {
    for (protocol, version) in [
        (Protocol::Connect, Version::HTTP_11),
        (Protocol::Grpc, Version::HTTP_2),
        (Protocol::GrpcWeb, Version::HTTP_11),
    ] {
        let seen = Seen::default();
        let spy = Spy(InProcess::new(text_router()), seen.clone());
        let config = ClientConfig::new().with_protocol(protocol);
        let client = Client::new(spy).with_config(config);
        block_on(async {
            let request = Request::new(String::from("hi"));
            client
                .unary::<Prost, _, String>(&UPPER, request)
                .await
                .unwrap();
            let request = Request::new(stream::iter([String::from("hi")]));
            client
                .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
                .await
                .unwrap();
        });
        let seen = seen.lock().unwrap();
        // A unary request has a length and a stream has none.
        let len = if protocol == Protocol::Connect { 4 } else { 9 };
        let upper = UPPER.procedure().to_owned();
        assert_eq!(seen[0], (version, Method::POST, upper, Some(len)));
        let echo = ECHO.procedure().to_owned();
        assert_eq!(seen[1], (version, Method::POST, echo, None));
    }
}

const SAFE: Spec = UPPER.with_idempotency(Idempotency::NoSideEffects);

/// Connect, "Unary-Get-Request".
#[test]
fn procedures_without_side_effects_go_by_get_when_asked() {
    let router = Router::new().unary(SAFE, |request: Request<String>| async move {
        Ok(Response::new(request.message().to_uppercase()))
    });
    let table = [
        // spec, the client's choice, the call's choice, length of the message, method
        (SAFE, true, None, 10, Method::GET),
        (SAFE, false, None, 10, Method::POST),
        (SAFE, false, Some(true), 10, Method::GET),
        (SAFE, true, Some(false), 10, Method::POST),
        (UPPER, true, Some(true), 10, Method::POST),
        // Too long for a URL.
        (SAFE, true, None, 200, Method::POST),
    ];
    for (spec, by_client, by_call, len, method) in table {
        for codec in ["proto", "json"] {
            let seen = Seen::default();
            let mut config = ClientConfig::new().with_codec(codec);
            if by_client {
                config = config.with_get(GetPolicy::default().with_max_url_bytes(150));
            }
            let spy = Spy(InProcess::new(router.clone()), seen.clone());
            let client = Client::new(spy).with_config(config);
            let mut request = Request::new("x".repeat(len));
            if let Some(by_call) = by_call {
                request = request.with_get(by_call);
            }
            let response = block_on(client.unary::<Prost, _, String>(&spec, request));
            assert_eq!(*response.unwrap().message(), "X".repeat(len));
            let seen = &seen.lock().unwrap()[0];
            assert_eq!(seen.1, method, "{codec} {len}");
            if method == Method::GET {
                let parts = ["connect=v1", &format!("encoding={codec}"), "message="];
                assert!(parts.iter().all(|part| seen.2.contains(part)), "{}", seen.2);
                assert_eq!(seen.3, Some(0));
            }
        }
    }
}

#[test]
fn one_message_bodies_can_be_sent_again() {
    #[derive(Clone)]
    struct Twice(InProcess);

    impl Transport for Twice {
        type Body = CallBody;
        type Future = BoxFuture<'static, Result<http::Response<CallBody>, TransportError>>;

        fn send(&self, request: http::Request<CallBody>) -> Self::Future {
            let Some(copy) = request.body().try_clone() else {
                let error = Error::failed_precondition("it cannot be sent again");
                let error = TransportError::new(connect_tower::Sent::No, error);
                return Box::pin(std::future::ready(Err(error)));
            };
            let inner = self.0.clone();
            Box::pin(async move {
                let (parts, body) = request.into_parts();
                let first = http::Request::from_parts(parts.clone(), body);
                inner.send(first).await?;
                inner.send(http::Request::from_parts(parts, copy)).await
            })
        }
    }

    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = Client::new(Twice(InProcess::new(text_router()))).with_config(config);
        block_on(async {
            let request = Request::new(String::from("again"));
            let response = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(response.unwrap().message(), "AGAIN");
            let request = Request::new(stream::iter([String::new()]));
            let result = client
                .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
                .await;
            assert_eq!(common::brief(result).0, Code::FailedPrecondition);
        });
    }
}

#[test]
fn middleware_answers_in_the_callers_protocol() {
    let error = Error::permission_denied("not here");
    let table = [
        ("application/json", 403, "permission_denied", ""),
        ("application/connect+json", 200, "permission_denied", ""),
        ("application/grpc", 200, "", "7"),
        ("application/grpc-web", 200, "", "7"),
        ("text/html", 403, "not here", ""),
    ];
    for (content_type, status, body, grpc_status) in table {
        let request = http::Request::post(UPPER.procedure())
            .version(Version::HTTP_2)
            .header("content-type", content_type)
            .body(())
            .unwrap();
        let (parts, ()) = request.into_parts();
        let response = error_response(&parts, &error);
        assert_eq!(response.status(), status, "{content_type}");
        let found = response.headers().get("grpc-status").cloned();
        let found = found.as_ref().map_or("", |value| value.to_str().unwrap());
        assert_eq!(found, grpc_status, "{content_type}");
        let bytes = block_on(response.into_body().collect()).unwrap().to_bytes();
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.contains(body), "{content_type}: {text}");
    }
}

/// A body that is polled after its end has nothing more to say.
#[test]
fn ended_bodies_stay_ended() {
    let body = Bytes::from(envelope("hello"));
    let response = post(&text_router(), &ECHO, "application/grpc", body);
    let mut body = response.into_body();
    block_on(async {
        while let Some(frame) = body.frame().await {
            frame.unwrap();
        }
        for _ in 0..3 {
            assert!(body.frame().await.is_none());
        }
    });
    let again = Pin::new(&mut body).is_end_stream();
    assert!(again);
}
