//! Gates decide before a byte of the body is read.

mod common;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use common::{ECHO, JOIN, SPLIT, UPPER, VirtualTime, block_on, text_router};
use connect_tower::{
    Call, CallHead, CallPolicy, Client, ClientConfig, Code, DeadlinePolicy, Error, Gate, InProcess,
    Interceptor, Limits, Next, Peer, Prost, Protocol, Reply, Request, Response, Router, Spec,
    StreamType, gate_fn,
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

/// A body that nobody may read.
struct Untouchable;

impl Body for Untouchable {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("the body of a refused call was read")
    }
}

/// Lets a task switch happen, so that the gate's future waits once.
async fn pause() {
    let mut waited = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

struct Refuse;

impl Gate for Refuse {
    async fn gate(&self, head: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        pause().await;
        let message = format!("{} {}", head.protocol(), head.spec().method());
        Err(Error::unauthenticated(message))
    }
}

#[test]
fn a_refused_call_is_not_read() {
    let table = [
        ("application/json", "Upper", 401, ""),
        ("application/connect+proto", "Echo", 200, ""),
        ("application/grpc", "Upper", 200, "16"),
        ("application/grpc", "Echo", 200, "16"),
        ("application/grpc-web+proto", "Join", 200, "16"),
    ];
    for (content_type, method, status, grpc_status) in table {
        let mut router = text_router().add_gate(Refuse);
        let request = http::Request::post(format!("/test.v1.Text/{method}"))
            .version(http::Version::HTTP_2)
            .header("content-type", content_type)
            .body(Untouchable)
            .unwrap();
        let response = block_on(router.call(request)).unwrap();
        assert_eq!(response.status(), status, "{content_type}");
        let found = response.headers().get("grpc-status");
        assert_eq!(
            found.map_or("", |v| v.to_str().unwrap()),
            grpc_status,
            "{content_type}"
        );
        let body = block_on(response.into_body().collect()).unwrap().to_bytes();
        if content_type.contains("json") || content_type.contains("connect") {
            let body = String::from_utf8_lossy(&body);
            assert!(body.contains("unauthenticated"), "{content_type}: {body}");
            assert!(body.contains(&format!("Connect {method}")), "{body}");
        }
    }
}

#[test]
fn clients_see_the_refusal_in_all_protocols() {
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(text_router().add_gate(Refuse), config);
        block_on(async {
            let request = Request::new(String::new());
            let unary = client.unary::<Prost, _, String>(&UPPER, request).await;
            let expected = (Code::Unauthenticated, format!("{protocol} Upper"));
            assert_eq!(common::brief(unary), expected);
            let request = Request::new(String::new());
            let stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await;
            let first = stream.unwrap().into_stream().message().await;
            assert_eq!(common::brief(first).0, Code::Unauthenticated);
            let call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
            let answer = call.close_and_receive().await;
            assert_eq!(common::brief(answer).0, Code::Unauthenticated);
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            assert_eq!(common::brief(call.message().await).0, Code::Unauthenticated);
        });
    }
}

/// Leaves its name in the order of its work.
fn note(log: &Arc<Mutex<Vec<&'static str>>>, name: &'static str) -> impl Gate + use<> {
    let log = log.clone();
    gate_fn(move |_, _| {
        log.lock().unwrap().push(name);
        Ok(())
    })
}

#[test]
fn gates_run_in_order_and_guard_what_is_added_later() {
    const OTHER: Spec = Spec::new("/test.v1.Other/Ask", StreamType::Unary);
    let log = Arc::new(Mutex::new(Vec::new()));
    let other = Router::new()
        .unary(OTHER, |request: Request<String>| async move {
            Ok(Response::new(request.into_message()))
        })
        .add_gate(note(&log, "inner"));
    let router = Router::new()
        .add_gate(note(&log, "outer 1"))
        .merge(other)
        .unwrap()
        .add_gate(note(&log, "outer 2"))
        .merge(text_router())
        .unwrap();
    let client = common::client(router);
    let call = |spec: Spec| {
        let client = client.clone();
        let log = log.clone();
        block_on(async move {
            let request = Request::new(String::new());
            client
                .unary::<Prost, _, String>(&spec, request)
                .await
                .unwrap();
            std::mem::take(&mut *log.lock().unwrap())
        })
    };
    assert_eq!(call(OTHER), ["outer 1", "outer 2", "inner"]);
    assert_eq!(call(UPPER), ["outer 1", "outer 2"]);
}

#[derive(Clone, Debug, PartialEq)]
struct User(&'static str);

#[test]
fn a_gate_sees_the_head_and_leaves_extensions() {
    let router = Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            let user = request.extensions().get::<User>().cloned();
            Ok(Response::new(
                user.map_or("nobody", |user| user.0).to_owned(),
            ))
        })
        .add_gate(gate_fn(|head, policy| {
            assert_eq!(*head.spec(), UPPER);
            assert_eq!(head.codec(), "json");
            assert_eq!(head.headers()["x-key"], "7");
            assert_eq!(head.timeout(), Some(Duration::from_secs(9)));
            assert_eq!(head.peer(), Some(&Peer::without_addr()));
            assert_eq!(head.uri().path(), "/test.v1.Text/Upper");
            assert!(policy.compress());
            head.extensions_mut().insert(User("ada"));
            Ok(())
        }));
    let config = ClientConfig::new().with_codec("json");
    let client = common::client_with(router, config);
    let request = Request::new(String::new())
        .with_timeout(Duration::from_secs(9))
        .add_header("x-key", "7")
        .unwrap();
    let response = block_on(client.unary::<Prost, _, String>(&UPPER, request));
    assert_eq!(response.unwrap().message(), "ada");
}

#[test]
fn a_gate_sets_the_limits_of_a_call() {
    let router = text_router().add_gate(gate_fn(|head, policy| {
        if !head.headers().contains_key("x-trusted") {
            *policy = policy.with_limits(Limits::default().with_recv_message_bytes(16));
        }
        Ok(())
    }));
    let client = common::client(router);
    block_on(async {
        let long = "x".repeat(100);
        let request = Request::new(long.clone());
        let result = client.unary::<Prost, _, String>(&UPPER, request).await;
        assert_eq!(common::brief(result).0, Code::ResourceExhausted);
        let request = Request::new(long).add_header("x-trusted", "1").unwrap();
        client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap();
    });
}

/// Lets one call at a time pass, which holds a clone of the counter.
#[derive(Default)]
struct OneAtATime(Arc<()>);

impl OneAtATime {
    fn in_flight(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }

    /// The router behind this limit.
    fn guard(&self, router: Router) -> Router {
        let counter = Arc::downgrade(&self.0);
        router.add_gate(gate_fn(move |head, _| {
            let permit = counter.upgrade().unwrap();
            // The test's own, and this one.
            if Arc::strong_count(&permit) > 2 {
                return Err(Error::unavailable("busy"));
            }
            head.hold(permit);
            Ok(())
        }))
    }
}

#[test]
fn a_call_holds_its_permit_to_its_end() {
    for protocol in Protocol::ALL {
        let limit = OneAtATime::default();
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(limit.guard(text_router()), config);
        block_on(async {
            let spec = UPPER;
            let ask = || client.unary::<Prost, _, String>(&spec, Request::new(String::from("a")));
            assert!(ask().await.is_ok(), "{protocol}");
            assert_eq!(limit.in_flight(), 0, "{protocol}");

            let request = Request::new(String::from("a b"));
            let stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await;
            let mut stream = stream.unwrap().into_stream();
            while stream.message().await.unwrap().is_some() {}
            assert_eq!(limit.in_flight(), 0, "{protocol}");
            drop(stream);

            let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
            call.send(String::from("a")).await.unwrap();
            assert!(call.close_and_receive().await.is_ok(), "{protocol}");
            assert_eq!(limit.in_flight(), 0, "{protocol}");

            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("a")).await.unwrap();
            assert!(call.message().await.unwrap().is_some());
            assert_eq!(limit.in_flight(), 1, "{protocol}");
            assert_eq!(common::brief(ask().await).0, Code::Unavailable);
            drop(call);
            assert_eq!(limit.in_flight(), 0, "{protocol}");
            assert!(ask().await.is_ok(), "{protocol}");
        });
    }
}

/// The body lets go of the permit at its end, not only when it is dropped.
#[test]
fn a_permit_is_given_back_with_the_last_frame() {
    for content_type in [
        "application/connect+json",
        "application/grpc+json",
        "application/grpc-web+json",
    ] {
        let limit = OneAtATime::default();
        let request = http::Request::post(SPLIT.procedure())
            .version(http::Version::HTTP_2)
            .header("content-type", content_type)
            .body(Full::new(Bytes::from_static(b"\0\0\0\0\x05\"a b\"")))
            .unwrap();
        let response = block_on(limit.guard(text_router()).call(request)).unwrap();
        assert_eq!(limit.in_flight(), 1, "{content_type}");
        let mut body = response.into_body();
        while let Some(frame) = block_on(body.frame()) {
            frame.unwrap();
        }
        assert_eq!(limit.in_flight(), 0, "{content_type}");
    }
}

#[test]
fn a_permit_is_given_back_when_the_call_is_canceled_or_refused_or_late() {
    let never = || {
        Router::new().unary(UPPER, |_: Request<String>| {
            std::future::pending::<Result<Response<String>, Error>>()
        })
    };
    let request = || {
        http::Request::post(UPPER.procedure())
            .header("content-type", "application/json")
            .header("connect-timeout-ms", "1000")
            .body(Full::new(Bytes::from_static(b"\"hi\"")))
            .unwrap()
    };

    let limit = OneAtATime::default();
    let mut call = Box::pin(limit.guard(never()).call(request()));
    assert!(common::poll_until_stalled(call.as_mut()).is_none());
    assert_eq!(limit.in_flight(), 1);
    drop(call);
    assert_eq!(limit.in_flight(), 0);

    let time = VirtualTime::new();
    let mut router = limit.guard(never()).with_timer(time.timer());
    let response = time.block_on(router.call(request())).unwrap();
    assert_eq!(response.status(), 504);
    drop(response);
    assert_eq!(limit.in_flight(), 0);

    let mut router = limit.guard(never()).add_gate(Refuse);
    let response = block_on(router.call(request())).unwrap();
    assert_eq!(response.status(), 401);
    drop(response);
    assert_eq!(limit.in_flight(), 0);

    let mut panicking = limit.guard(Router::new().unary(UPPER, |_: Request<String>| async {
        if true {
            panic!("on purpose");
        }
        Ok(Response::new(String::new()))
    }));
    let response = block_on(panicking.call(request())).unwrap();
    assert_eq!(response.status(), 500);
    drop(response);
    assert_eq!(limit.in_flight(), 0);
}

/// Never asked when a gate has refused.
struct Unreachable;

impl Interceptor for Unreachable {
    async fn intercept(&self, _: Call, _: Next<'_>) -> Result<Reply, Error> {
        panic!("an interceptor saw a refused call")
    }
}

#[test]
fn gates_come_before_interceptors() {
    let router = text_router().add_interceptor(Unreachable).add_gate(Refuse);
    let client = Client::new(InProcess::new(router));
    let request = Request::new(String::new());
    let result = block_on(client.unary::<Prost, _, String>(&UPPER, request));
    assert_eq!(common::brief(result).0, Code::Unauthenticated);
}

/// A timeout that cannot be read is refused before any gate may hold the call.
#[test]
fn a_broken_timeout_is_refused_before_the_gates() {
    for (content_type, name) in [
        ("application/json", "connect-timeout-ms"),
        ("application/grpc+json", "grpc-timeout"),
    ] {
        let mut router = text_router().add_gate(gate_fn(|_, _| panic!("a gate saw the call")));
        let request = http::Request::post(UPPER.procedure())
            .version(http::Version::HTTP_2)
            .header("content-type", content_type)
            .header(name, "soon")
            .body(Untouchable)
            .unwrap();
        let response = block_on(router.call(request)).unwrap();
        let error = response.extensions().get::<Error>().unwrap();
        assert_eq!(error.code(), Code::InvalidArgument, "{content_type}");
    }
}

/// A gate that never ends is ended by the client's timeout, or by the server's own.
#[test]
fn a_gate_that_never_ends_is_ended_by_the_deadline() {
    struct Never;

    impl Gate for Never {
        async fn gate(&self, _: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
            std::future::pending().await
        }
    }

    let second = Duration::from_secs(1);
    for (content_type, name, value) in [
        // A Connect client may have rounded its timeout down.
        ("application/json", "connect-timeout-ms", "999"),
        ("application/connect+json", "connect-timeout-ms", "999"),
        ("application/grpc+json", "grpc-timeout", "1S"),
        ("application/grpc-web+json", "grpc-timeout", "1S"),
        // No timeout of the client's.
        ("application/grpc+json", "x-other", "1"),
    ] {
        let spec = match content_type {
            "application/connect+json" => SPLIT,
            _ => UPPER,
        };
        let time = VirtualTime::new();
        let mut router = text_router()
            .add_gate(Never)
            .with_deadline_policy(DeadlinePolicy::default().with_default_timeout(2 * second))
            .with_timer(time.timer());
        let request = http::Request::post(spec.procedure())
            .version(http::Version::HTTP_2)
            .header("content-type", content_type)
            .header(name, value)
            .body(Untouchable)
            .unwrap();
        let response = time.block_on(router.call(request)).unwrap();
        let error = response.extensions().get::<Error>().unwrap();
        assert_eq!(error.code(), Code::DeadlineExceeded, "{content_type}");
        let expected = if name == "x-other" {
            2 * second
        } else {
            second
        };
        assert_eq!(time.elapsed(), expected, "{content_type}");
    }
}

/// The client's timeout counts from the head, however long a gate takes: a handler that is too late does not run.
#[test]
fn the_time_of_gates_counts() {
    struct Slow(VirtualTime);

    impl Gate for Slow {
        async fn gate(&self, _: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
            self.0.sleep(Duration::from_secs(2)).await;
            Ok(())
        }
    }

    let time = VirtualTime::new();
    for (timeout, status) in [("1000", 504), ("3000", 200)] {
        let mut router = Router::new()
            .unary(UPPER, |request: Request<String>| async move {
                Ok(Response::new(request.into_message()))
            })
            .add_gate(Slow(time.clone()))
            .with_timer(time.timer());
        let request = http::Request::post(UPPER.procedure())
            .header("content-type", "application/json")
            .header("connect-timeout-ms", timeout)
            .body(Full::new(Bytes::from_static(b"\"hi\"")))
            .unwrap();
        let response = time.block_on(router.call(request)).unwrap();
        assert_eq!(response.status(), status, "{timeout} ms");
    }
}

/// Tokens and cookies are not for logs, nor is the message in the query of a Connect GET.
#[test]
fn the_debug_of_heads_requests_and_responses_shows_no_values() {
    let seen = Arc::new(Mutex::new(String::new()));
    let (of_gate, of_handler) = (seen.clone(), seen.clone());
    let router = Router::new()
        .unary(UPPER, move |request: Request<String>| {
            *of_handler.lock().unwrap() += &format!("{request:?}");
            async move {
                let response = Response::new(request.into_message());
                response.add_header("set-cookie", "hidden")
            }
        })
        .add_gate(gate_fn(move |head, _| {
            *of_gate.lock().unwrap() += &format!("{head:?}");
            Ok(())
        }));
    let client = common::client(router);
    let request = Request::new(String::from("message"));
    let request = request.add_header("authorization", "hidden").unwrap();
    let told = format!("{request:?}");
    assert!(told.contains("authorization"), "{told}");
    let response: Response<String> =
        block_on(client.unary::<Prost, _, _>(&UPPER, request)).unwrap();
    let seen = seen.lock().unwrap().clone() + &told + &format!("{response:?}");
    assert_eq!(seen.matches("\"authorization\"").count(), 3, "{seen}");
    assert!(seen.contains("set-cookie"), "{seen}");
    assert!(!seen.contains("hidden"), "{seen}");
}
