//! What observers see of calls: how each ends on either side, what is counted, and the scope in which they run.

mod common;

use std::{
    cell::RefCell,
    future::pending,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use common::{Transparent, VirtualTime, poll_until_stalled, text_router};
use connect_tower::{
    CallBody, CallEnd, CallObserver, CallStart, Client, ClientConfig, Code, Compressions,
    DeadlinePolicy, Error, InProcess, Limits, MessageSize, Observer, Prost, Protocol, Request,
    Response, ResponseStream, Router, Side, Spec, Streaming, gate_fn,
};
use futures_util::{FutureExt, StreamExt, stream};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower_service::Service;

static UPPER: Spec = common::UPPER;
static SPLIT: Spec = common::SPLIT;
static JOIN: Spec = common::JOIN;
static ECHO: Spec = common::ECHO;

const TIMEOUT: Duration = Duration::from_secs(2);

/// Writes a line for each call that has ended.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

struct Line {
    name: String,
    lines: Lines,
}

impl Observer for Lines {
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        let procedure = start.procedure().map(|name| name.rsplit('/').next());
        let name = procedure.flatten().unwrap_or("unknown").to_owned();
        let lines = self.clone();
        Some(Box::new(Line { name, lines }))
    }
}

impl CallObserver for Line {
    fn end(&self, end: &CallEnd<'_>) {
        let code = end.code().map_or("ok", Code::as_str);
        let dropped = if end.is_dropped() { " dropped" } else { "" };
        let (sent, received) = (end.sent().messages(), end.received().messages());
        let line = format!(
            "{} {code}{dropped}, sent {sent}, received {received}",
            self.name
        );
        self.lines.0.lock().unwrap().push(line);
    }
}

/// A client and a server that are both observed, in each protocol, with and without interceptors.
struct Pair {
    client: Client<InProcess>,
    on_client: Lines,
    on_server: Lines,
    time: VirtualTime,
    name: String,
}

impl Pair {
    fn all(router: &Router) -> impl Iterator<Item = Self> + use<'_> {
        let all = Protocol::ALL.into_iter();
        all.flat_map(|protocol| [false, true].map(|intercepted| (protocol, intercepted)))
            .map(|(protocol, intercepted)| {
                let (on_client, on_server) = (Lines::default(), Lines::default());
                let time = VirtualTime::new();
                let mut router = router.clone().add_observer(on_server.clone());
                if intercepted {
                    router = router.add_interceptor(Transparent);
                }
                let transport = InProcess::new(router).with_timer(time.timer());
                let mut client = Client::new(transport)
                    .with_config(ClientConfig::new().with_protocol(protocol))
                    .add_observer(on_client.clone());
                if intercepted {
                    client = client.add_interceptor(Transparent);
                }
                Self {
                    client,
                    on_client,
                    on_server,
                    time,
                    name: format!("{protocol}, interceptors: {intercepted}"),
                }
            })
    }

    /// One call of each stream type, each to its end.
    fn call_all(&self, timeout: Option<Duration>) -> [Result<(), Error>; 4] {
        let request = |text: &str| {
            let request = Request::new(text.to_owned());
            match timeout {
                Some(timeout) => request.with_timeout(timeout),
                None => request,
            }
        };
        let unary = async {
            let answer = self
                .client
                .unary::<Prost, _, String>(&UPPER, request("a b"));
            answer.await.map(drop)
        };
        let split = async {
            let call = self
                .client
                .server_stream::<Prost, _, String>(&SPLIT, request("a b"));
            let mut words = call.await?.into_stream();
            while words.message().await?.is_some() {}
            Ok(())
        };
        let join = async {
            let words = request("").map(|_| stream::iter(["a", "b"].map(String::from)));
            let call = self
                .client
                .client_stream_from::<Prost, _, String, _>(&JOIN, words);
            call.await.map(drop)
        };
        let echo = async {
            let start = request("").map(drop);
            let mut call = self
                .client
                .bidi_stream::<Prost, String, String>(&ECHO, start);
            for word in ["a", "b"] {
                if call.send(String::from(word)).await.is_err() {
                    break;
                }
            }
            call.close_send();
            while call.message().await?.is_some() {}
            Ok(())
        };
        [
            self.time.block_on(unary),
            self.time.block_on(split),
            self.time.block_on(join),
            self.time.block_on(echo),
        ]
    }

    /// Calls of each stream type, none of which may succeed.
    #[track_caller]
    fn fail_all(&self, timeout: Option<Duration>) {
        for result in self.call_all(timeout) {
            result.unwrap_err();
        }
    }

    #[track_caller]
    fn check(&self, client: &[&str], server: &[&str]) {
        assert_eq!(self.on_client.take(), client, "client, {}", self.name);
        assert_eq!(self.on_server.take(), server, "server, {}", self.name);
    }
}

/// Answers nothing, or one message of a stream, and then waits for ever.
fn stuck() -> Router {
    Router::new()
        .unary(UPPER.clone(), |_: Request<String>| {
            pending::<Result<Response<String>, Error>>()
        })
        .server_stream(SPLIT.clone(), |_: Request<String>| async {
            let one = stream::iter([Ok(String::from("one"))]);
            Ok(Response::stream(one.chain(pending().into_stream())))
        })
        .client_stream(JOIN.clone(), |request: Request<Streaming<String>>| async {
            let mut words = request.into_stream();
            while words.message().await?.is_some() {}
            pending::<Result<Response<String>, Error>>().await
        })
        .bidi_stream(ECHO.clone(), |request: Request<Streaming<String>>| async {
            let words = request.into_stream();
            Ok(Response::stream(words.chain(pending().into_stream())))
        })
}

/// Each handler fails with this error: at once, or a stream of responses after one message.
fn failing(error: fn() -> Error) -> Router {
    Router::new()
        .unary(UPPER.clone(), move |_: Request<String>| async move {
            Err::<Response<String>, _>(error())
        })
        .server_stream(SPLIT.clone(), move |_: Request<String>| async move {
            let items = stream::iter([false, true]);
            Ok(Response::stream(items.map(move |fails| match fails {
                true => Err(error()),
                false => Ok(String::from("one")),
            })))
        })
        .client_stream(
            JOIN.clone(),
            move |request: Request<Streaming<String>>| async move {
                let mut words = request.into_stream();
                while words.message().await?.is_some() {}
                Err::<Response<String>, _>(error())
            },
        )
        .bidi_stream(
            ECHO.clone(),
            move |request: Request<Streaming<String>>| async move {
                let words = request.into_stream();
                let end = stream::iter([()]).map(move |()| Err(error()));
                Ok(Response::stream(words.chain(end)))
            },
        )
}

#[test]
fn a_clean_end() {
    for pair in Pair::all(&text_router()) {
        assert_eq!(
            pair.call_all(Some(TIMEOUT)).map(Result::err),
            [const { None }; 4]
        );
        pair.check(
            &[
                "Upper ok, sent 1, received 1",
                "Split ok, sent 1, received 2",
                "Join ok, sent 2, received 1",
                "Echo ok, sent 2, received 2",
            ],
            &[
                "Upper ok, sent 1, received 1",
                "Split ok, sent 2, received 1",
                "Join ok, sent 1, received 2",
                "Echo ok, sent 2, received 2",
            ],
        );
    }
}

#[test]
fn an_error_of_the_handler_and_a_panic() {
    let panics = || -> Error { panic!("boom") };
    for (router, code) in [
        (failing(|| Error::not_found("x")), "not_found"),
        (failing(panics), "internal"),
    ] {
        for pair in Pair::all(&router) {
            pair.fail_all(None);
            pair.check(
                &[
                    &format!("Upper {code}, sent 1, received 0"),
                    &format!("Split {code}, sent 1, received 1"),
                    &format!("Join {code}, sent 2, received 0"),
                    &format!("Echo {code}, sent 2, received 2"),
                ],
                &[
                    &format!("Upper {code}, sent 0, received 1"),
                    &format!("Split {code}, sent 1, received 1"),
                    &format!("Join {code}, sent 0, received 2"),
                    &format!("Echo {code}, sent 2, received 2"),
                ],
            );
        }
    }
}

/// A client at its deadline drops the call on the server, which knows why, unless the server is first.
#[test]
fn the_deadline() {
    let policy = DeadlinePolicy::default().with_default_timeout(TIMEOUT);
    let of_server = stuck().with_deadline_policy(policy);
    for (router, timeout) in [(stuck(), Some(TIMEOUT)), (of_server, None)] {
        for pair in Pair::all(&router) {
            for result in pair.call_all(timeout) {
                assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
            }
            let client = pair.on_client.take();
            assert_eq!(
                client,
                [
                    "Upper deadline_exceeded, sent 1, received 0",
                    "Split deadline_exceeded, sent 1, received 1",
                    "Join deadline_exceeded, sent 2, received 0",
                    "Echo deadline_exceeded, sent 2, received 2",
                ],
                "client, {}",
                pair.name
            );
            let mut server = pair.on_server.take();
            if timeout.is_some() {
                server = server
                    .iter()
                    .map(|line| line.replace(" dropped", ""))
                    .collect();
            }
            assert_eq!(
                server,
                [
                    "Upper deadline_exceeded, sent 0, received 1",
                    "Split deadline_exceeded, sent 1, received 1",
                    "Join deadline_exceeded, sent 0, received 2",
                    "Echo deadline_exceeded, sent 2, received 2",
                ],
                "server, {}",
                pair.name
            );
        }
    }
}

/// A caller that goes away: the server sees a client that goes away.
#[test]
fn a_dropped_call() {
    for pair in Pair::all(&stuck()) {
        {
            let request = Request::new(String::from("a"));
            let call = pin!(pair.client.unary::<Prost, _, String>(&UPPER, request));
            assert!(poll_until_stalled(call).is_none());
        }
        let request = Request::new(String::from("a"));
        let call = pair
            .client
            .server_stream::<Prost, _, String>(&SPLIT, request);
        let mut words = pair.time.block_on(call).unwrap().into_stream();
        assert!(pair.time.block_on(words.message()).unwrap().is_some());
        drop(words);
        let start = Request::new(());
        let mut call = pair
            .client
            .client_stream::<Prost, String, String>(&JOIN, start);
        pair.time.block_on(call.send(String::from("a"))).unwrap();
        drop(call);
        let start = Request::new(());
        let mut call = pair
            .client
            .bidi_stream::<Prost, String, String>(&ECHO, start);
        pair.time.block_on(call.send(String::from("a"))).unwrap();
        assert!(pair.time.block_on(call.message()).unwrap().is_some());
        let (sender, receiver) = call.split();
        drop(receiver);
        drop(sender);
        let (mut client, mut server) = (pair.on_client.take(), pair.on_server.take());
        // How much of the request had been taken when the call was dropped is not said.
        client.remove(2);
        server.remove(2);
        assert_eq!(
            client,
            [
                "Upper canceled dropped, sent 1, received 0",
                "Split canceled dropped, sent 1, received 1",
                "Echo canceled dropped, sent 1, received 1",
            ],
            "client, {}",
            pair.name
        );
        assert_eq!(
            server,
            [
                "Upper canceled dropped, sent 0, received 1",
                "Split canceled dropped, sent 1, received 1",
                "Echo canceled dropped, sent 1, received 1",
            ],
            "server, {}",
            pair.name
        );
    }
}

/// Interceptors never see these.
#[test]
fn calls_that_are_refused() {
    let closed = text_router().add_gate(gate_fn(|_, _| Err(Error::permission_denied("closed"))));
    for pair in Pair::all(&closed) {
        pair.fail_all(None);
        let denied = |name| format!("{name} permission_denied, sent 0, received 0");
        let server = ["Upper", "Split", "Join", "Echo"].map(denied);
        assert_eq!(pair.on_server.take(), server, "{}", pair.name);
        for line in pair.on_client.take() {
            assert!(
                line.contains(" permission_denied, "),
                "{line}, {}",
                pair.name
            );
        }
    }
    for pair in Pair::all(&Router::new()) {
        pair.fail_all(None);
        let unknown = ["unknown unimplemented, sent 0, received 0"; 4];
        assert_eq!(pair.on_server.take(), unknown, "{}", pair.name);
    }
}

/// What is wrong with a request that no client of ours makes.
#[test]
fn requests_that_are_no_calls() {
    let lines = Lines::default();
    let mut router = text_router().add_observer(lines.clone());
    for (method, path, content_type, body, line) in [
        (
            "PUT",
            "/test.v1.Text/Upper",
            "application/json",
            "",
            "Upper unknown, sent 0, received 0",
        ),
        (
            "POST",
            "/test.v1.Text/Upper",
            "text/html",
            "",
            "Upper unknown, sent 0, received 0",
        ),
        (
            "POST",
            "/test.v1.Text/Upper",
            "application/weird",
            "",
            "Upper unknown, sent 0, received 0",
        ),
        (
            "POST",
            "/test.v1.Text/Upper",
            "application/json",
            "{",
            "Upper invalid_argument, sent 0, received 1",
        ),
        (
            "POST",
            "/test.v1.Text/Nope",
            "application/json",
            "",
            "unknown unimplemented, sent 0, received 0",
        ),
        (
            "GET",
            "/favicon.ico",
            "",
            "",
            "unknown unimplemented, sent 0, received 0",
        ),
    ] {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .body(Full::new(Bytes::from(body)))
            .unwrap();
        let response = router.call(request).now_or_never().unwrap().unwrap();
        assert_eq!(
            lines.take(),
            Vec::<String>::new(),
            "{path}: the answer was not sent"
        );
        response
            .into_body()
            .collect()
            .now_or_never()
            .unwrap()
            .unwrap();
        assert_eq!(lines.take(), [line], "{method} {path} {content_type}");
    }
}

/// An HTTP server does not poll a body whose end it knows.
#[test]
fn a_response_without_a_body() {
    let lines = Lines::default();
    let mut router = failing(|| Error::not_found("x")).add_observer(lines.clone());
    let request = http::Request::post("/test.v1.Text/Upper")
        .version(http::Version::HTTP_2)
        .header("content-type", "application/grpc")
        .body(Full::new(Bytes::from_static(&[0; 5])))
        .unwrap();
    let response = router.call(request).now_or_never().unwrap().unwrap();
    assert!(response.body().is_end_stream());
    drop(response);
    assert_eq!(lines.take(), ["Upper not_found, sent 0, received 1"]);
}

/// A message that either side cannot take ends the call there.
#[test]
fn messages_that_cannot_be_taken() {
    // On the wire bytes look as a string does, which must be UTF-8.
    let router = Router::new().server_stream(SPLIT.clone(), |_: Request<String>| async {
        let messages = stream::iter([Ok(vec![0xff_u8])]);
        Ok(Response::stream(messages.chain(pending().into_stream())))
    });
    for pair in Pair::all(&router) {
        let [_, split, ..] = pair.call_all(None);
        assert_eq!(split.unwrap_err().code(), Code::Internal);
        assert_eq!(
            pair.on_client.take()[1],
            "Split internal, sent 1, received 1"
        );
        assert_eq!(
            pair.on_server.take()[1],
            "Split canceled dropped, sent 1, received 1"
        );
    }
    let limits = Limits::default().with_send_message_bytes(64);
    let router = Router::new()
        .server_stream(SPLIT.clone(), |_: Request<String>| async {
            let items = ["small", &"large ".repeat(64)].map(String::from);
            Ok(Response::new(ResponseStream::from(items)))
        })
        .with_limits(limits);
    for pair in Pair::all(&router) {
        let [_, split, ..] = pair.call_all(None);
        split.unwrap_err();
        let line = "Split resource_exhausted, sent 1, received 1";
        assert_eq!(pair.on_client.take()[1], line, "{}", pair.name);
        assert_eq!(pair.on_server.take()[1], line, "{}", pair.name);
    }
}

/// Only the client knows of a call that never leaves it.
#[test]
fn a_call_that_cannot_be_made() {
    for pair in Pair::all(&text_router()) {
        pair.fail_all(Some(Duration::ZERO));
        let late = |name| format!("{name} deadline_exceeded, sent 0, received 0");
        let client = ["Upper", "Split", "Join", "Echo"].map(late);
        assert_eq!(pair.on_client.take(), client, "{}", pair.name);
        assert!(pair.on_server.take().is_empty());
    }
}

/// What a caller is told is what counts: another server's error stays here, unless it is forwarded.
#[test]
fn an_error_of_a_call_that_the_handler_made() {
    for (forwarded, code) in [(false, "internal"), (true, "not_found")] {
        let behind = common::client(failing(|| Error::not_found("x")));
        let router = Router::new().unary(UPPER.clone(), move |request: Request<String>| {
            let behind = behind.clone();
            async move {
                let answer = behind.unary::<Prost, _, String>(&UPPER, request).await;
                answer.map_err(|error| if forwarded { error.forward() } else { error })
            }
        });
        for pair in Pair::all(&router) {
            let [unary, ..] = pair.call_all(None);
            unary.unwrap_err();
            assert_eq!(
                pair.on_client.take()[0],
                format!("Upper {code}, sent 1, received 0")
            );
            assert_eq!(
                pair.on_server.take()[0],
                format!("Upper {code}, sent 0, received 1")
            );
        }
    }
}

thread_local! {
    /// The names of the observers in whose scope this thread is.
    static SCOPE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
}

fn scope() -> String {
    SCOPE.with_borrow(|scope| scope.join(" "))
}

/// Has a scope of this name.
struct Scoped(&'static str);

impl Observer for Scoped {
    fn begin(&self, _: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        Some(Box::new(Self(self.0)))
    }
}

impl CallObserver for Scoped {
    fn in_scope(&self, work: &mut dyn FnMut()) {
        SCOPE.with_borrow_mut(|scope| scope.push(self.0));
        work();
        SCOPE.with_borrow_mut(|scope| scope.pop());
    }

    fn end(&self, _: &CallEnd<'_>) {}
}

/// Tells the scope of its drop.
struct Tells(Arc<Mutex<Vec<String>>>);

impl Drop for Tells {
    fn drop(&mut self) {
        self.0.lock().unwrap().push(scope());
    }
}

/// The handler, its stream, and their drop run in the scope of the call's observers; the outer router's come first.
#[test]
fn the_scope_of_a_server() {
    let dropped = Arc::new(Mutex::new(Vec::new()));
    let kept = dropped.clone();
    let inner = Router::new()
        .unary(UPPER.clone(), |_: Request<String>| async {
            Ok(Response::new(scope()))
        })
        .server_stream(SPLIT.clone(), move |_: Request<String>| {
            let tells = Tells(kept.clone());
            async {
                let scopes = stream::iter(0..2).map(|_| Ok(scope()));
                let scopes = scopes.chain(pending().into_stream());
                Ok(Response::stream(scopes.map(move |scope| {
                    let _ = &tells;
                    scope
                })))
            }
        })
        .add_observer(Scoped("inner"));
    let router = Router::new()
        .add_observer(Scoped("first"))
        .add_observer(Scoped("second"))
        .add_gate(gate_fn(|_, _| {
            assert_eq!(scope(), "first second inner");
            Ok(())
        }))
        .merge(inner)
        .unwrap();
    let client = common::client(router);
    common::block_on(async {
        let request = Request::new(String::new());
        let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
        assert_eq!(answer.unwrap().message(), "first second inner");
        let request = Request::new(String::new());
        let call = client.server_stream::<Prost, _, String>(&SPLIT, request);
        let mut scopes = call.await.unwrap().into_stream();
        for _ in 0..2 {
            let message = scopes.message().await.unwrap();
            assert_eq!(message.as_deref(), Some("first second inner"));
        }
        drop(scopes);
    });
    assert_eq!(*dropped.lock().unwrap(), ["first second inner"]);
    assert_eq!(scope(), "");
}

/// In process the server's side of a call is polled in the client's scope.
#[test]
fn the_scope_of_a_client() {
    let router = Router::new()
        .unary(UPPER.clone(), |_: Request<String>| async {
            Ok(Response::new(scope()))
        })
        .bidi_stream(ECHO.clone(), |_: Request<Streaming<String>>| async {
            Ok(Response::stream(stream::iter(0..2).map(|_| Ok(scope()))))
        });
    for intercepted in [false, true] {
        let mut client = common::client(router.clone()).add_observer(Scoped("client"));
        if intercepted {
            client = client.add_interceptor(Transparent);
        }
        common::block_on(async {
            let request = Request::new(String::new());
            let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(answer.unwrap().message(), "client");
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            assert_eq!(call.message().await.unwrap().as_deref(), Some("client"));
            let words = Request::new(stream::iter([String::new()]));
            let call = client.bidi_stream_from::<Prost, _, String, _>(&ECHO, words);
            let mut scopes = call.await.unwrap().into_stream();
            assert_eq!(scopes.message().await.unwrap().as_deref(), Some("client"));
        });
        assert_eq!(scope(), "");
    }
}

/// A client's observer may add headers, a server's may read them and leave something for the handler.
#[test]
fn a_context_travels() {
    #[derive(Clone)]
    struct Context(String);

    struct Carry;

    impl Observer for Carry {
        fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
            match start.side() {
                Side::Client => {
                    let value = http::HeaderValue::from_static("trace-1");
                    start.headers_mut().insert("traceparent", value);
                }
                Side::Server => {
                    let value = start.headers()["traceparent"].to_str().unwrap();
                    let context = Context(value.to_owned());
                    start.extensions_mut().insert(context);
                }
            }
            None
        }
    }

    let router = Router::new()
        .unary(UPPER.clone(), |request: Request<String>| async move {
            let context: &Context = request.extensions().get().unwrap();
            Ok(Response::new(context.0.clone()))
        })
        .add_observer(Carry);
    let client = common::client(router).add_observer(Carry);
    let call = client.unary::<Prost, _, String>(&UPPER, Request::new(String::new()));
    assert_eq!(common::block_on(call).unwrap().message(), "trace-1");
}

/// Takes sizes and the duration of each call.
#[derive(Clone, Default)]
struct Sizes(Arc<Mutex<Vec<Seen>>>, Arc<Mutex<Vec<Duration>>>);

type Seen = (Side, &'static str, MessageSize);

struct SizesOf(Side, Sizes);

impl Observer for Sizes {
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        Some(Box::new(SizesOf(start.side(), self.clone())))
    }
}

impl CallObserver for SizesOf {
    fn sent(&self, size: MessageSize) {
        self.1.0.lock().unwrap().push((self.0, "sent", size));
    }

    fn received(&self, size: MessageSize) {
        self.1.0.lock().unwrap().push((self.0, "received", size));
    }

    fn end(&self, end: &CallEnd<'_>) {
        self.1.1.lock().unwrap().push(end.duration().unwrap());
    }
}

#[test]
fn sizes_and_durations() {
    for protocol in Protocol::ALL {
        let (time, sizes) = (VirtualTime::new(), Sizes::default());
        let clock = time.clone();
        let router = Router::new()
            .unary(UPPER.clone(), move |request: Request<String>| {
                let clock = clock.clone();
                async move {
                    clock.sleep(TIMEOUT).await;
                    Ok(Response::new(request.into_message()))
                }
            })
            .with_compressions(Compressions::default())
            .add_observer(sizes.clone());
        let config = ClientConfig::new()
            .with_protocol(protocol)
            .with_send_compression("gzip");
        let client = Client::new(InProcess::new(router).with_timer(time.timer()))
            .with_config(config)
            .add_observer(sizes.clone());
        let request = Request::new("a".repeat(10_000));
        let call = client.unary::<Prost, _, String>(&UPPER, request);
        time.block_on(call).unwrap();
        let seen = sizes.0.lock().unwrap();
        let order: Vec<_> = seen.iter().map(|(side, what, _)| (*side, *what)).collect();
        assert_eq!(
            order,
            [
                (Side::Client, "sent"),
                (Side::Server, "received"),
                (Side::Server, "sent"),
                (Side::Client, "received"),
            ]
        );
        for (side, what, size) in &*seen {
            // A string field: its tag, two bytes of length, and the text.
            assert_eq!(size.encoded(), 10_003, "{side:?} {what}, {protocol}");
            assert!(
                (1..500).contains(&size.wire()),
                "{side:?} {what}, {protocol}: {size:?}"
            );
        }
        assert_eq!(seen[0].2, seen[1].2, "what is sent is received");
        assert_eq!(seen[2].2, seen[3].2, "what is sent is received");
        assert_eq!(*sizes.1.lock().unwrap(), [TIMEOUT; 2]);
    }
}

/// A broken observer breaks no call, and keeps nobody else from seeing it.
#[test]
fn an_observer_that_panics() {
    #[derive(Clone, Copy)]
    enum Where {
        Begin,
        Scope,
        Sent,
        End,
        /// Forgets to run the work.
        Forgets,
    }

    impl Observer for Where {
        fn begin(&self, _: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
            assert!(!matches!(self, Self::Begin), "boom");
            Some(Box::new(*self))
        }
    }

    impl CallObserver for Where {
        fn in_scope(&self, work: &mut dyn FnMut()) {
            assert!(!matches!(self, Self::Scope), "boom");
            if !matches!(self, Self::Forgets) {
                work();
                // Once is enough.
                work();
            }
        }

        fn sent(&self, _: MessageSize) {
            assert!(!matches!(self, Self::Sent), "boom");
        }

        fn end(&self, _: &CallEnd<'_>) {
            assert!(!matches!(self, Self::End), "boom");
        }
    }

    for place in [
        Where::Begin,
        Where::Scope,
        Where::Sent,
        Where::End,
        Where::Forgets,
    ] {
        let lines = Lines::default();
        let router = text_router()
            .add_observer(place)
            .add_observer(lines.clone());
        let client = common::client(router).add_observer(place);
        let call = client.unary::<Prost, _, String>(&UPPER, Request::new(String::from("a")));
        assert_eq!(common::block_on(call).unwrap().message(), "A");
        assert_eq!(lines.take(), ["Upper ok, sent 1, received 1"]);
    }
}

/// A page is no call.
#[test]
fn a_fallback_is_not_observed() {
    #[derive(Clone)]
    struct Page;

    impl<B> Service<http::Request<B>> for Page {
        type Response = http::Response<CallBody>;
        type Error = std::convert::Infallible;
        type Future = std::future::Ready<Result<Self::Response, Self::Error>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), Self::Error>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<B>) -> Self::Future {
            std::future::ready(Ok(http::Response::new(CallBody::full("a page"))))
        }
    }

    let lines = Lines::default();
    let mut router = text_router()
        .with_fallback(Page)
        .add_observer(lines.clone());
    let request = http::Request::get("/index.html")
        .body(CallBody::empty())
        .unwrap();
    let response = router.call(request).now_or_never().unwrap().unwrap();
    let body = response
        .into_body()
        .collect()
        .now_or_never()
        .unwrap()
        .unwrap();
    assert_eq!(body.to_bytes(), "a page");
    assert!(lines.take().is_empty());
}
