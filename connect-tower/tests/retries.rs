//! Retries by policy: gRFC A6, "Retry Policy Capabilities", "Pushback" and "Throttling Retry Attempts and Hedged RPCs".

mod common;

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{
    ECHO, JOIN, SPLIT, UPPER,
    scripted::{Scripted, Step, failures},
};
use connect_tower::{
    Attempts, Call, CallBody, CallEnd, CallObserver, CallStart, Client, ClientConfig, Code, Error,
    FailureKind, Idempotency, Interceptor, MethodConfig, Next, Observer, Prost, Protocol, Reply,
    Request, Response, ResponseStream, RetryPolicy, RetryThrottle, Router, ServiceConfig, Spec,
    StreamType, Streaming,
};
use futures_util::stream;

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Errors that the next calls end with; after them calls succeed.
#[derive(Clone, Default)]
struct Fate(Arc<Mutex<VecDeque<Error>>>);

impl Fate {
    fn of(errors: impl IntoIterator<Item = Error>) -> Self {
        Self(Arc::new(Mutex::new(errors.into_iter().collect())))
    }

    fn next(&self) -> Result<(), Error> {
        match self.0.lock().unwrap().pop_front() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn router(&self) -> Router {
        let [unary, server, client, bidi] = [(); 4].map(|()| self.clone());
        Router::new()
            .unary(UPPER, move |request: Request<String>| {
                let end = unary.next();
                async move { end.map(|()| Response::new(request.message().to_uppercase())) }
            })
            .server_stream(SPLIT, move |request: Request<String>| {
                let end = server.next();
                let words = [request.message().clone()];
                async move { end.map(|()| Response::new(ResponseStream::from(words))) }
            })
            .client_stream(JOIN, move |request: Request<Streaming<String>>| {
                let end = client.next();
                async move {
                    end?;
                    let mut words = request.into_stream();
                    let mut joined = String::new();
                    while let Some(word) = words.message().await? {
                        joined.push_str(&word);
                    }
                    Ok(Response::new(joined))
                }
            })
            .bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
                let end = bidi.next();
                async move { end.map(|()| Response::stream(request.into_stream())) }
            })
    }

    fn transport(&self) -> Scripted {
        Scripted::new(self.router(), [])
    }
}

fn unavailable() -> Error {
    Error::unavailable("busy")
}

fn pushed_back(name: &'static str, value: &str) -> Error {
    unavailable().add_header(name, value).unwrap()
}

/// A policy for the procedures of these tests, of which nothing is promised.
fn any() -> RetryPolicy {
    RetryPolicy::new().with_any_method(true)
}

fn upper(transport: &Scripted, client: &Client<Scripted>) -> Result<Response<String>, Error> {
    upper_with(transport, client, &UPPER, Request::new(String::from("a")))
}

fn upper_with(
    transport: &Scripted,
    client: &Client<Scripted>,
    spec: &Spec,
    request: Request<String>,
) -> Result<Response<String>, Error> {
    let call = client.unary::<Prost, _, _>(spec, request);
    transport.time().block_on(call)
}

/// A call of a stream type with one message, and how many attempts the response tells.
async fn call(client: &Client<Scripted>, stream_type: StreamType) -> Result<(String, u32), Error> {
    let one = || Request::new(String::from("a"));
    let many = || Request::new(stream::iter([String::from("a")]));
    match stream_type {
        StreamType::Unary => {
            let response = client.unary::<Prost, _, String>(&UPPER, one()).await?;
            let count = Attempts::of(response.extensions()).count();
            Ok((response.into_message().to_lowercase(), count))
        }
        StreamType::ClientStream => {
            let response = client
                .client_stream_from::<Prost, _, String, _>(&JOIN, many())
                .await?;
            let count = Attempts::of(response.extensions()).count();
            Ok((response.into_message(), count))
        }
        StreamType::ServerStream => {
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, one())
                .await?;
            let count = Attempts::of(response.extensions()).count();
            let message = response.into_message().message().await?;
            Ok((message.unwrap(), count))
        }
        StreamType::BidiStream => {
            let response = client
                .bidi_stream_from::<Prost, _, String, _>(&ECHO, many())
                .await?;
            let count = Attempts::of(response.extensions()).count();
            let message = response.into_message().message().await?;
            Ok((message.unwrap(), count))
        }
    }
}

/// "Exponential Backoff", "Exposed Retry Metadata".
#[test]
fn calls_of_all_kinds_are_retried() {
    for stream_type in StreamType::ALL {
        for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
            let transport = Fate::of([unavailable(), unavailable()]).transport();
            let client = transport
                .client()
                .with_config(ClientConfig::new().with_protocol(protocol))
                .with_retry(any());
            let name = format!("{stream_type:?} {protocol}");
            let (message, count) = transport
                .time()
                .block_on(call(&client, stream_type))
                .unwrap();
            assert_eq!((message.as_str(), count), ("a", 3), "{name}");
            let seen = transport.seen();
            let previous: Vec<_> = seen
                .iter()
                .map(|it| it.headers.get("grpc-previous-rpc-attempts"))
                .map(|value| value.map_or("", |value| value.to_str().unwrap()))
                .collect();
            assert_eq!(previous, ["", "1", "2"], "{name}");
            // At most 100 and 200 milliseconds.
            assert!(
                seen[1].at < ms(100) && seen[2].at < seen[1].at + ms(200),
                "{name}"
            );
        }
    }
}

/// An answer to a stream whose head comes at once, and its error after this long.
fn late_error(delay: Duration, protocol: Protocol) -> Step {
    let (content_type, flag, error) = match protocol {
        Protocol::GrpcWeb => ("application/grpc-web+proto", 0x80, "grpc-status: 14\r\n"),
        _ => (
            "application/connect+proto",
            0x02,
            r#"{"error":{"code":"unavailable"}}"#,
        ),
    };
    let mut body = vec![flag, 0, 0, 0, u8::try_from(error.len()).unwrap()];
    body.extend_from_slice(error.as_bytes());
    let response = http::Response::builder()
        .header("content-type", content_type)
        .body(CallBody::full(body));
    Step::Late(delay, Box::new(response.unwrap()))
}

/// Nobody reads the head of a response before its one message, so that the error may come at any time.
#[test]
fn an_error_after_the_head_is_retried_where_one_message_is_awaited() {
    for protocol in [Protocol::Connect, Protocol::GrpcWeb] {
        let late = || Scripted::new(Fate::default().router(), [late_error(ms(50), protocol)]);
        let config = || ClientConfig::new().with_protocol(protocol);
        for stream_type in [StreamType::ClientStream, StreamType::ServerStream] {
            let transport = late();
            let client = transport.client().with_config(config()).with_retry(any());
            let call = call(&client, stream_type);
            let end = transport.time().block_on(call).unwrap();
            assert_eq!(end, (String::from("a"), 2), "{protocol} {stream_type:?}");
        }
        // A caller that still sends.
        let transport = late();
        let client = transport.client().with_config(config()).with_retry(any());
        let response = transport.time().block_on(async {
            let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
            call.send(String::from("a")).await.unwrap();
            call.send(String::from("b")).await.unwrap();
            call.close_and_receive().await.unwrap()
        });
        assert_eq!(response.message(), "ab", "{protocol}");
        assert_eq!(Attempts::of(response.extensions()).count(), 2);
    }
}

/// A caller of streams both ways may need the head to go on.
#[test]
fn an_error_after_the_head_of_streams_both_ways_is_not_retried() {
    for protocol in [Protocol::Connect, Protocol::GrpcWeb] {
        let transport = Scripted::new(Fate::default().router(), [late_error(ms(50), protocol)]);
        let config = ClientConfig::new().with_protocol(protocol);
        let client = transport.client().with_config(config).with_retry(any());
        transport.time().block_on(async {
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.headers().await.unwrap();
            assert_eq!(transport.time().elapsed(), Duration::ZERO);
            let error = call.message().await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable);
        });
        assert_eq!(transport.seen().len(), 1, "{protocol}");
    }
}

/// "Retryable Status Codes", and what is safe.
#[test]
fn only_some_calls_are_retried() {
    use Idempotency::{Idempotent, NoSideEffects, Unknown};
    let internal = || Error::internal("broken");
    let codes = || RetryPolicy::new().with_codes([Code::Internal, Code::Aborted]);
    for (idempotency, policy, error, attempts) in [
        (Unknown, RetryPolicy::new(), unavailable(), 1),
        (Idempotent, RetryPolicy::new(), unavailable(), 2),
        (NoSideEffects, RetryPolicy::new(), unavailable(), 2),
        (Unknown, any(), unavailable(), 2),
        (Idempotent, RetryPolicy::new(), internal(), 1),
        (Idempotent, codes(), internal(), 2),
        (Idempotent, codes(), unavailable(), 1),
    ] {
        let transport = Fate::of([error]).transport();
        let client = transport.client().with_retry(policy);
        let spec = UPPER.with_idempotency(idempotency);
        let request = Request::new(String::from("a"));
        let result = upper_with(&transport, &client, &spec, request);
        assert_eq!(
            transport.seen().len(),
            attempts,
            "{idempotency:?} {policy:?}"
        );
        assert_eq!(result.is_ok(), attempts == 2);
    }
    // What surely was not begun is safe, whatever it is.
    for (kind, attempts) in [(FailureKind::NoConnection, 2), (FailureKind::Other, 1)] {
        let transport = Scripted::new(Fate::default().router(), failures(kind, 1));
        let client = transport.client().with_retry(RetryPolicy::new());
        let _ = upper(&transport, &client);
        assert_eq!(transport.seen().len(), attempts, "{kind:?}");
    }
}

/// "Limits on Retries and Hedges".
#[test]
fn there_are_so_many_attempts_and_no_more() {
    for (max, attempts) in [(0, 2), (2, 2), (4, 4), (5, 5), (6, 5), (u32::MAX, 5)] {
        let transport = Fate::of((0..10).map(|_| unavailable())).transport();
        let client = transport.client().with_retry(any().with_max_attempts(max));
        let error = upper(&transport, &client).unwrap_err();
        assert_eq!((error.code(), error.message()), (Code::Unavailable, "busy"));
        assert_eq!(transport.seen().len(), attempts, "{max}");
    }
}

/// "Pushback".
#[test]
fn the_server_says_when() {
    let pushback = "grpc-retry-pushback-ms";
    for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
        for (name, value, at) in [
            (pushback, "1500", Some(1_500)),
            (pushback, "0", Some(0)),
            (pushback, "-1", None),
            (pushback, "soon", None),
            ("retry-after", "2", Some(2_000)),
        ] {
            let transport = Fate::of([pushed_back(name, value)]).transport();
            let client = transport
                .client()
                .with_config(ClientConfig::new().with_protocol(protocol))
                .with_retry(any());
            let result = upper(&transport, &client);
            assert_eq!(result.is_ok(), at.is_some(), "{protocol} {name}: {value}");
            let second = transport.seen().get(1).map(|seen| seen.at);
            assert_eq!(second, at.map(ms), "{protocol} {name}: {value}");
        }
    }
}

/// gRFC A6: pushback is trailing metadata. In Connect's streams it comes after a head.
#[test]
fn the_server_says_when_after_the_head_too() {
    for (value, times) in [("1500", &[0, 1_500][..]), ("-1", &[0])] {
        let fate = Fate::of([pushed_back("grpc-retry-pushback-ms", value)]);
        let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
            let first = fate.next().map(|()| String::from("a"));
            async { Ok(Response::stream(stream::iter([first]))) }
        });
        let transport = Scripted::new(router, []);
        let client = transport.client().with_retry(any());
        let result = transport
            .time()
            .block_on(call(&client, StreamType::ServerStream));
        assert_eq!(result.is_ok(), times.len() == 2, "{value}");
        let seen: Vec<_> = transport.seen().iter().map(|seen| seen.at).collect();
        let times: Vec<_> = times.iter().map(|&time| ms(time)).collect();
        assert_eq!(seen, times, "{value}");
    }
}

#[test]
fn a_pushback_that_is_too_long_means_no_retry() {
    for (seconds, policy, attempts) in [
        ("60", any(), 2),
        ("61", any(), 1),
        ("61", any().with_max_pushback(Duration::from_secs(61)), 2),
        ("1", any().with_max_pushback(Duration::ZERO), 1),
    ] {
        let transport = Fate::of([pushed_back("retry-after", seconds)]).transport();
        let client = transport.client().with_retry(policy);
        let result = upper(&transport, &client);
        assert_eq!(transport.seen().len(), attempts, "{seconds} {policy:?}");
        assert_eq!(result.is_ok(), attempts == 2, "{seconds} {policy:?}");
    }
}

/// "Pushback: … If this attempt also fails, retry delay will reset to initial backoff".
#[test]
fn after_a_pushback_pauses_begin_anew() {
    let fate = Fate::of([
        unavailable(),
        unavailable(),
        pushed_back("retry-after", "1"),
        unavailable(),
    ]);
    let transport = fate.transport();
    let policy = any()
        .with_max_attempts(5)
        .with_initial_backoff(ms(1))
        .with_backoff_multiplier(1e6)
        .with_max_backoff(Duration::from_secs(1_000));
    upper(&transport, &transport.client().with_retry(policy)).unwrap();
    let seen = transport.seen();
    assert!(seen[1].at < ms(1));
    assert_eq!(seen[3].at - seen[2].at, ms(1_000));
    assert!(seen[4].at - seen[3].at < ms(1));
}

/// "gRPC's call deadline applies across all attempts".
#[test]
fn no_attempt_begins_after_the_deadline() {
    let transport = Fate::of([pushed_back("retry-after", "10")]).transport();
    let client = transport.client().with_retry(any());
    let request = Request::new(String::from("a")).with_timeout(Duration::from_secs(5));
    let error = upper_with(&transport, &client, &UPPER, request).unwrap_err();
    // At once, and with what the server has said.
    assert_eq!(error.message(), "busy");
    assert_eq!(transport.time().elapsed(), Duration::ZERO);
    assert_eq!(transport.seen().len(), 1);
}

/// "When Retries are Valid".
#[test]
fn a_stream_that_has_begun_is_not_retried() {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
        seen.fetch_add(1, Ordering::SeqCst);
        let messages = stream::iter([Ok(String::from("one")), Err(unavailable())]);
        async { Ok(Response::stream(messages)) }
    });
    for protocol in [Protocol::Connect, Protocol::Grpc] {
        count.store(0, Ordering::SeqCst);
        let transport = Scripted::new(router.clone(), []);
        let client = transport
            .client()
            .with_config(ClientConfig::new().with_protocol(protocol))
            .with_retry(any());
        transport.time().block_on(async {
            let request = Request::new(String::from("a"));
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await;
            let mut stream = response.unwrap().into_message();
            assert_eq!(stream.message().await.unwrap().as_deref(), Some("one"));
            assert_eq!(
                stream.message().await.unwrap_err().code(),
                Code::Unavailable
            );
        });
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn a_stream_that_is_longer_than_what_is_kept_is_not_retried() {
    for (max_bytes, attempts) in [(10, 1), (10_000, 2)] {
        let fate = Fate::default();
        let failing = fate.clone();
        // It reads before it fails.
        let router =
            Router::new().client_stream(JOIN, move |request: Request<Streaming<String>>| {
                let fate = failing.clone();
                async move {
                    let word = request.into_stream().message().await?;
                    fate.next()?;
                    Ok(Response::new(word.unwrap_or_default()))
                }
            });
        fate.0.lock().unwrap().push_back(unavailable());
        let transport = Scripted::new(router, []);
        let client = transport
            .client()
            .with_retry(any())
            .with_max_replay_bytes(max_bytes);
        let result = transport
            .time()
            .block_on(call(&client, StreamType::ClientStream));
        assert_eq!(result.is_ok(), attempts == 2, "{max_bytes}");
        assert_eq!(transport.seen().len(), attempts, "{max_bytes}");
    }
}

/// "Throttling Retry Attempts and Hedged RPCs".
#[test]
fn there_are_no_retries_while_too_many_attempts_fail() {
    let fate = Fate::of((0..3).map(|_| unavailable()));
    let transport = fate.transport();
    let throttle = RetryThrottle::new()
        .with_max_tokens(4.0)
        .with_token_ratio(0.5);
    let config = ServiceConfig::new()
        .with_default(MethodConfig::new().with_retry(any().with_max_attempts(5)))
        .with_throttle(throttle);
    let client = transport.client().with_service_config(config);
    // Two of four tokens are gone: no more than half is left.
    upper(&transport, &client).unwrap_err();
    assert_eq!(transport.seen().len(), 2);
    // Clones share them. One is left.
    upper(&transport, &client.clone()).unwrap_err();
    assert_eq!(transport.seen().len(), 3);
    // Half a token for each call that succeeds. A failure first takes one: that is enough with three and a half.
    for (successes, is_retried) in [(3, false), (3, false), (3, true)] {
        for _ in 0..successes {
            upper(&transport, &client).unwrap();
        }
        fate.0.lock().unwrap().push_back(unavailable());
        assert_eq!(upper(&transport, &client).is_ok(), is_retried);
    }
}

#[test]
fn without_a_timer_nothing_is_retried() {
    let transport = Fate::of([unavailable()]).transport().without_timer();
    upper(&transport, &transport.client().with_retry(any())).unwrap_err();
    assert_eq!(transport.seen().len(), 1);
}

#[test]
fn interceptors_see_one_call() {
    struct Count(Arc<AtomicUsize>);
    impl Interceptor for Count {
        async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
            self.0.fetch_add(1, Ordering::SeqCst);
            next.run(call).await
        }
    }
    for stream_type in StreamType::ALL {
        let transport = Fate::of([unavailable(), unavailable()]).transport();
        let count = Arc::new(AtomicUsize::new(0));
        let client = transport
            .client()
            .with_retry(any())
            .add_interceptor(Count(Arc::clone(&count)));
        transport
            .time()
            .block_on(call(&client, stream_type))
            .unwrap();
        assert_eq!(count.load(Ordering::SeqCst), 1);
        assert_eq!(transport.seen().len(), 3);
    }
}

/// What an observer is told, in order.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn push(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

impl Observer for Told {
    fn begin(&self, _: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
        self.push(String::from("begin"));
        Some(Box::new(self.clone()))
    }
}

impl CallObserver for Told {
    fn attempt(&self, attempts: Attempts) {
        self.push(format!("{} {}", attempts.count(), attempts.resends()));
    }

    fn end(&self, end: &CallEnd<'_>) {
        let attempts = end.attempts();
        let (count, resends) = (attempts.count(), attempts.resends());
        self.push(format!("end {:?} {count} {resends}", end.code()));
    }
}

#[test]
fn observers_are_told_of_one_call_and_its_attempts() {
    for stream_type in StreamType::ALL {
        let fate = Fate::of([unavailable()]);
        let transport = Scripted::new(fate.router(), failures(FailureKind::Unsent, 1));
        let told = Told::default();
        let client = transport
            .client()
            .with_retry(any())
            .add_observer(told.clone());
        let end = transport.time().block_on(call(&client, stream_type));
        end.unwrap();
        let mut lines = told.0.lock().unwrap().clone();
        let last = lines.pop().unwrap();
        assert_eq!(lines, ["begin", "1 1", "2 1"], "{stream_type:?}");
        // A stream was dropped after its first message.
        let is_whole = !stream_type.server_streams();
        assert_eq!(last == "end None 2 1", is_whole, "{last}");
        assert!(last.ends_with(" 2 1"), "{last}");
    }
}

#[test]
fn getters_read_what_setters_have_set() {
    let policy = RetryPolicy::new();
    assert_eq!((policy.max_attempts(), policy.any_method()), (3, false));
    assert_eq!(policy.max_pushback(), Duration::from_secs(60));
    let policy = policy
        .with_max_pushback(ms(5))
        .with_max_attempts(4)
        .with_initial_backoff(ms(1))
        .with_max_backoff(ms(2))
        .with_backoff_multiplier(3.0)
        .with_codes([Code::Unavailable, Code::Aborted])
        .with_any_method(true);
    assert_eq!((policy.max_attempts(), policy.any_method()), (4, true));
    assert_eq!(
        (policy.initial_backoff(), policy.max_backoff()),
        (ms(1), ms(2))
    );
    assert_eq!(policy.max_pushback(), ms(5));
    assert_eq!(policy.backoff_multiplier(), 3.0);
    assert!(policy.codes().eq([Code::Aborted, Code::Unavailable]));
    let throttle = RetryThrottle::new();
    assert_eq!(
        (throttle.max_tokens(), throttle.token_ratio()),
        (100.0, 0.1)
    );
    let throttle = throttle.with_max_tokens(1e9).with_token_ratio(f64::NAN);
    assert_eq!(
        (throttle.max_tokens(), throttle.token_ratio()),
        (1_000.0, 0.001)
    );
}
