//! Which procedure answers, and what is said where there is none.

mod common;

use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};

use bytes::Bytes;
use common::{ECHO, UPPER, block_on, text_router};
use connect_tower::{
    ClientConfig, Code, IncomingBody, Limits, Methods, Prost, ProstBinary, Protocol, Request,
    Response, Router, Service, Spec, StreamType,
};
use http::{Method, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use tower_service::Service as _;

type Answer = (StatusCode, http::HeaderMap, String);

fn ask(router: &Router, request: http::request::Builder, body: &'static str) -> Answer {
    let request = request.version(Version::HTTP_2);
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let response = block_on(router.clone().call(request)).unwrap();
    let (parts, body) = response.into_parts();
    let body = block_on(body.collect()).unwrap().to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    (parts.status, parts.headers, text)
}

fn post(path: &str, content_type: &str) -> http::request::Builder {
    http::Request::post(path).header("content-type", content_type)
}

/// Connect, "Unary-Response": unknown paths are 404; gRPC, "Status codes": unknown methods are `UNIMPLEMENTED`.
#[test]
fn unknown_procedures_in_each_protocol() {
    for path in ["/test.v1.Text/Nothing", "/test.v1.Nobody/Upper", "/", ""] {
        let path = if path.is_empty() { "/x" } else { path };
        let router = text_router();
        let (status, ..) = ask(&router, post(path, "application/json"), "{}");
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        let (status, ..) = ask(&router, post(path, "application/connect+proto"), "");
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
        for content_type in ["application/grpc", "application/grpc-web+proto"] {
            let (status, headers, _) = ask(&router, post(path, content_type), "");
            assert_eq!(status, StatusCode::OK, "{path}");
            assert_eq!(headers["grpc-status"], "12", "{path}");
        }
        let (status, ..) = ask(&router, http::Request::get(path), "");
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[test]
fn clients_take_unknown_procedures_for_unimplemented() {
    const NOTHING: Spec = Spec::new("/test.v1.Text/Nothing", StreamType::Unary);
    const NO_STREAM: Spec = Spec::new("/test.v1.Text/NoStream", StreamType::BidiStream);
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(text_router(), config);
        block_on(async {
            let request = Request::new(String::new());
            let result = client.unary::<Prost, _, String>(&NOTHING, request).await;
            assert_eq!(common::brief(result).0, Code::Unimplemented, "{protocol}");
            let mut call =
                client.bidi_stream::<Prost, String, String>(&NO_STREAM, Request::new(()));
            let result = call.message().await;
            assert_eq!(common::brief(result).0, Code::Unimplemented, "{protocol}");
        });
    }
}

/// RFC 9110, 15.5.6: 405 names the methods that are allowed.
#[test]
fn wrong_methods_are_told_the_right_ones() {
    const SAFE: Spec = UPPER.with_idempotency(connect_tower::Idempotency::NoSideEffects);
    let safe = Router::new().unary(SAFE, |request: Request<String>| async move {
        Ok(Response::new(request.into_message()))
    });
    let path = UPPER.procedure().to_owned();
    for (router, method, allow) in [
        (text_router(), Method::GET, "POST"),
        (text_router(), Method::PUT, "POST"),
        (safe.clone(), Method::DELETE, "GET, POST"),
    ] {
        let request = http::Request::builder().method(method).uri(&path);
        let request = request.header("content-type", "application/json");
        let (status, headers, _) = ask(&router, request, "");
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(headers["allow"], allow);
    }
    let query = format!("{path}?connect=v1&encoding=json&message=%22hi%22");
    let (status, _, body) = ask(&safe, http::Request::get(query), "");
    assert_eq!((status, &*body), (StatusCode::OK, r#""hi""#));
}

/// Connect, "Unary-Request": 415 for a content type that the procedure does not take.
#[test]
fn unsupported_media_types() {
    for (spec, content_type) in [
        (UPPER, "text/plain"),
        (UPPER, "application/cbor"),
        (UPPER, "application/connect+json"),
        (ECHO, "application/json"),
    ] {
        let (status, ..) = ask(&text_router(), post(spec.procedure(), content_type), "");
        assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{content_type}");
    }
}

/// A message of another generator, which has no JSON form.
#[derive(Clone, PartialEq, prost::Message)]
struct Plain {
    #[prost(string, tag = "1")]
    text: String,
}

#[test]
fn a_library_without_json_is_not_offered_in_json() {
    let router = Router::new().add_methods(|methods| {
        methods.unary::<ProstBinary, _, _, _, _>(UPPER, |request: Request<Plain>| async move {
            Ok(Response::new(request.into_message()))
        });
    });
    let request = post(UPPER.procedure(), "application/json");
    let (status, headers, _) = ask(&router, request, "{}");
    assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let offered = headers["accept-post"].to_str().unwrap();
    assert!(offered.contains("application/proto"), "{offered}");
    assert!(!offered.contains("json"), "{offered}");

    let client = common::client(router);
    let text = String::from("hi");
    let request = Request::new(Plain { text });
    let response = block_on(client.unary::<ProstBinary, Plain, Plain>(&UPPER, request));
    assert_eq!(response.unwrap().message().text, "hi");
}

struct Text(&'static str);

impl Service for Text {
    const NAME: &'static str = "test.v1.Text";

    fn register(self, methods: &mut Methods) {
        methods.unary::<Prost, _, _, _, _>(UPPER, move |_: Request<String>| {
            ready(Ok(Response::new(self.0.to_owned())))
        });
    }
}

fn upper(router: Router) -> String {
    let client = common::client(router);
    let request = Request::new(String::new());
    let response = block_on(client.unary::<Prost, String, String>(&UPPER, request));
    response.unwrap().into_message()
}

#[test]
fn conflicts_are_typed_errors_and_replacing_is_explicit() {
    let error = text_router().merge(text_router()).unwrap_err();
    let all = ["Echo", "Join", "Split", "Upper"].map(|m| format!("/test.v1.Text/{m}"));
    assert_eq!(error.procedures(), all);
    assert!(error.to_string().contains("/test.v1.Text/Echo"), "{error}");

    let error = text_router().try_add_service(Text("new")).unwrap_err();
    assert_eq!(error.procedures(), ["/test.v1.Text/Upper"]);

    let router = Router::new().add_service(Text("old"));
    assert_eq!(upper(router.clone()), "old");
    assert_eq!(upper(router.add_service(Text("new"))), "new");
    let router = Router::new().try_add_service(Text("only")).unwrap();
    assert_eq!(upper(router), "only");
}

#[test]
fn a_router_knows_what_it_serves() {
    const OTHER: Spec = Spec::new("/test.v1.Other/Ask", StreamType::ServerStream);
    let other = Router::new().unary(OTHER, |request: Request<String>| async move {
        Ok(Response::new(request.into_message()))
    });
    let router = text_router().merge(other).unwrap();
    assert_eq!(router.service_names(), ["test.v1.Other", "test.v1.Text"]);
    assert_eq!(router.procedures().count(), 5);
    let ask = router.procedures().find(|spec| spec.method() == "Ask");
    // The stream type is that of the function.
    assert_eq!(ask.unwrap().stream_type(), StreamType::Unary);
}

#[test]
fn a_merged_router_keeps_its_settings() {
    const SMALL: Spec = Spec::new("/test.v1.Small/Ask", StreamType::Unary);
    let small = Router::new()
        .unary(SMALL, |request: Request<String>| async move {
            Ok(Response::new(request.into_message()))
        })
        .with_limits(Limits::default().with_recv_message_bytes(10));
    let router = text_router().merge(small).unwrap();
    let client = common::client(router.with_limits(Limits::default().with_recv_message_bytes(100)));
    let call = |spec: Spec, len: usize| {
        let client = client.clone();
        let request = Request::new("x".repeat(len));
        block_on(async move { client.unary::<Prost, _, String>(&spec, request).await })
    };
    assert!(call(SMALL, 8).is_ok());
    assert_eq!(common::brief(call(SMALL, 50)).0, Code::ResourceExhausted);
    assert!(call(UPPER, 50).is_ok());
    assert_eq!(common::brief(call(UPPER, 200)).0, Code::ResourceExhausted);
}

/// Pages, as another framework would serve them.
#[derive(Clone)]
struct Pages;

impl tower_service::Service<http::Request<IncomingBody>> for Pages {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<IncomingBody>) -> Self::Future {
        let page = format!("page {}", request.uri().path());
        ready(Ok(http::Response::new(Full::from(page))))
    }
}

#[test]
fn other_paths_are_the_fallbacks() {
    let router = text_router().with_fallback(Pages);
    let (status, _, body) = ask(&router, http::Request::get("/index.html"), "");
    assert_eq!((status, &*body), (StatusCode::OK, "page /index.html"));
    let request = post("/test.v1.Elsewhere/Ask", "application/grpc");
    let (_, _, body) = ask(&router, request, "");
    assert_eq!(body, "page /test.v1.Elsewhere/Ask");

    // An unknown method of a service that is known stays a call.
    let request = post("/test.v1.Text/Nothing", "application/grpc");
    let (_, headers, _) = ask(&router, request, "");
    assert_eq!(headers["grpc-status"], "12");
    assert_eq!(upper(router), "");
}

#[test]
fn a_router_is_a_fallback_too() {
    let inner = Router::new().add_service(Text("inner"));
    let response = ask(
        &Router::new().with_fallback(inner),
        post(UPPER.procedure(), "application/json"),
        r#""hi""#,
    );
    assert_eq!(response.2, r#""inner""#);
}

#[test]
fn descriptor_sets_come_with_services_and_are_kept_once() {
    let with = |sets: &[&'static [u8]]| {
        Router::new().add_methods(|methods| {
            for set in sets {
                methods.add_descriptor_set(set);
            }
        })
    };
    let router = with(&[b"b", b"a", b"b"]);
    assert_eq!(router.descriptor_sets(), [b"b", b"a"]);
    let merged = router.merge(with(&[b"c", b"a"])).unwrap();
    assert_eq!(merged.descriptor_sets(), [b"b", b"a", b"c"]);
}

/// The procedures that ask for it are given the router that serves them, and no others.
#[test]
fn requests_carry_their_router_on_demand() {
    const BEFORE: Spec = Spec::new("/test.v1.Names/Before", StreamType::Unary);
    const AFTER: Spec = Spec::new("/test.v1.Names/After", StreamType::Unary);
    async fn names(request: Request<String>) -> Result<Response<String>, connect_tower::Error> {
        let router: Option<&Router> = request.extensions().get();
        let names = router.map(|router| router.service_names().join(" "));
        Ok(Response::new(names.unwrap_or_default()))
    }
    let router = Router::new().add_methods(|methods| {
        methods
            .unary::<Prost, _, _, _, _>(BEFORE, names)
            .pass_router()
            .unary::<Prost, _, _, _, _>(AFTER, names);
    });
    let answer = |router: &Router, spec: Spec| {
        let request = post(spec.procedure(), "application/json");
        ask(router, request, "\"\"").2
    };
    assert_eq!(answer(&router, BEFORE), "\"\"");
    assert_eq!(answer(&router, AFTER), "\"test.v1.Names\"");
    // The outermost one, as it is when the call comes.
    let outer = Router::new().add_service(Text("outer")).merge(router);
    let outer = outer.unwrap();
    assert_eq!(answer(&outer, BEFORE), "\"\"");
    assert_eq!(answer(&outer, AFTER), "\"test.v1.Names test.v1.Text\"");
}
