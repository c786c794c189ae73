//! Interceptors: one trait, both sides, all stream types.

mod common;

use std::{
    cell::Cell,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use common::{ECHO, JOIN, SPLIT, UPPER, block_on, client, text_router};
use connect_tower::{
    Call, Client, ClientConfig, Code, Codec, Error, InProcess, Interceptor, Next, Payload,
    Payloads, Prost, Protocol, Reply, Request, Response, ResponseStream, Router, Spec, StreamType,
    Streaming, before,
};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};

type Log = Arc<Mutex<Vec<String>>>;

/// Logs the way in, and the end of the way out.
struct Trace(Log, &'static str);

impl Interceptor for Trace {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        self.0.lock().unwrap().push(format!("> {}", self.1));
        let reply = next.run(call).await?;
        let (log, name) = (self.0.clone(), self.1);
        Ok(reply.on_end(move |end| {
            let end = if end.is_ok() { "" } else { " failed" };
            log.lock().unwrap().push(format!("< {name}{end}"));
        }))
    }
}

#[test]
fn the_first_registered_is_outermost() {
    let log = Log::default();
    let trace = |name| Trace(log.clone(), name);
    let merged = text_router()
        .add_interceptor(trace("merged 1"))
        .add_interceptor(trace("merged 2"));
    let router = Router::new()
        .add_interceptor(trace("server 1"))
        .merge(merged)
        .unwrap()
        .add_interceptor(trace("server 2"));
    let client = client(router)
        .add_interceptor(trace("client 1"))
        .add_interceptor(trace("client 2"));
    block_on(async {
        let request = Request::new(String::new());
        client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap();
    });
    let log = std::mem::take(&mut *log.lock().unwrap());
    assert_eq!(
        log,
        [
            "> client 1",
            "> client 2",
            "> server 1",
            "> server 2",
            "> merged 1",
            "> merged 2",
            "< merged 2",
            "< merged 1",
            "< server 2",
            "< server 1",
            "< client 2",
            "< client 1",
        ]
    );
}

/// Shouts every message, in and out, and leaves marks in all metadata.
struct Mark;

impl Interceptor for Mark {
    async fn intercept(&self, mut call: Call, next: Next<'_>) -> Result<Reply, Error> {
        call.headers_mut()
            .insert("x-in", HeaderValue::from_static("1"));
        let call = call.map(|payloads| payloads.map(|payload| suffix(payload, "-in")));
        let mut reply = next.run(call).await?;
        reply
            .headers_mut()
            .insert("x-out", HeaderValue::from_static("2"));
        Ok(reply
            .map(|payloads| payloads.map(|payload| suffix(payload, "-out")))
            .on_end(|end| {
                if let Ok(trailers) = end {
                    trailers.insert("x-end", HeaderValue::from_static("3"));
                }
            }))
    }
}

fn suffix(mut payload: Payload, suffix: &str) -> Result<Payload, Error> {
    let message: String = payload.decode()?;
    payload.replace(&(message + suffix))?;
    Ok(payload)
}

/// Answers with what arrived, and whether the mark in the headers arrived too.
fn marked_router() -> Router {
    Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            assert_eq!(request.headers()["x-in"], "1");
            Response::new(request.into_message()).add_trailer("x-own", "4")
        })
        .server_stream(SPLIT, |request: Request<String>| async move {
            assert_eq!(request.headers()["x-in"], "1");
            let stream = ResponseStream::from([request.into_message()]);
            Response::new(stream).add_trailer("x-own", "4")
        })
        .client_stream(JOIN, |request: Request<Streaming<String>>| async move {
            assert_eq!(request.headers()["x-in"], "1");
            let word = request.into_stream().message().await?;
            Response::new(word.unwrap_or_default()).add_trailer("x-own", "4")
        })
        .bidi_stream(ECHO, |request: Request<Streaming<String>>| async move {
            assert_eq!(request.headers()["x-in"], "1");
            let stream = ResponseStream::new(request.into_stream());
            Response::new(stream).add_trailer("x-own", "4")
        })
}

#[test]
fn headers_messages_and_trailers_are_rewritten_on_either_side() {
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec);
            let on_server =
                common::client_with(marked_router().add_interceptor(Mark), config.clone());
            let on_client = common::client_with(marked_router(), config).add_interceptor(Mark);
            block_on(check_marks(&on_server));
            block_on(check_marks(&on_client));
        }
    }
}

async fn check_marks(client: &Client<InProcess>) {
    let word = || String::from("word");
    let request = Request::new(word());
    let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await.unwrap();
    assert_eq!(response.message(), "word-in-out");
    assert_eq!(response.headers()["x-out"], "2");
    assert_eq!(response.trailers()["x-end"], "3");
    assert_eq!(response.trailers()["x-own"], "4");

    let response = client
        .server_stream::<Prost, _, String>(&SPLIT, Request::new(word()))
        .await
        .unwrap();
    assert_eq!(response.headers()["x-out"], "2");
    let mut stream = response.into_stream();
    let received = stream.message().await.unwrap();
    assert_eq!(received.as_deref(), Some("word-in-out"));
    assert_eq!(stream.message().await.unwrap(), None);
    assert_eq!(stream.trailers()["x-end"], "3");
    assert_eq!(stream.trailers()["x-own"], "4");

    let request = Request::new(stream::iter([word()]));
    let response: Response<String> = client
        .client_stream_from::<Prost, _, _, _>(&JOIN, request)
        .await
        .unwrap();
    assert_eq!(response.message(), "word-in-out");
    assert_eq!(response.trailers()["x-end"], "3");

    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    for _ in 0..3 {
        call.send(word()).await.unwrap();
        let received = call.message().await.unwrap();
        assert_eq!(received.as_deref(), Some("word-in-out"));
    }
    call.close_send();
    assert_eq!(call.message().await.unwrap(), None);
    assert_eq!(call.headers().await.unwrap()["x-out"], "2");
    assert_eq!(call.trailers()["x-end"], "3");
    assert_eq!(call.trailers()["x-own"], "4");
}

/// Answers by itself.
struct Cache;

impl Interceptor for Cache {
    async fn intercept(&self, mut call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let Some(payload) = call.payloads_mut().single_mut() else {
            return next.run(call).await;
        };
        match payload.decode::<String>()?.as_str() {
            "known" => {
                let codec = payload.codec().clone();
                let payload = Payload::encode(&String::from("from the cache"), codec)?;
                Ok(Reply::once(payload))
            }
            "forbidden" => Err(Error::permission_denied("not that one")),
            _ => next.run(call).await,
        }
    }
}

#[test]
fn an_interceptor_may_answer_by_itself() {
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let on_server = common::client_with(text_router().add_interceptor(Cache), config.clone());
        let on_client = common::client_with(text_router(), config).add_interceptor(Cache);
        for client in [on_server, on_client] {
            block_on(async {
                let ask = |word: &str| {
                    let client = client.clone();
                    let request = Request::new(word.to_owned());
                    async move { client.unary::<Prost, _, String>(&UPPER, request).await }
                };
                let known = ask("known").await.unwrap();
                assert_eq!(known.message(), "from the cache");
                assert_eq!(
                    common::brief(ask("forbidden").await),
                    (Code::PermissionDenied, String::from("not that one"))
                );
                assert_eq!(ask("other").await.unwrap().message(), "OTHER");
            });
        }
    }
}

/// Answers a unary call with a stream whose end comes a while after its one message.
struct Hesitate;

impl Interceptor for Hesitate {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let mut reply = next.run(call).await?;
        let payload = reply.payloads_mut().next().await?.unwrap();
        let mut waited = false;
        let end = stream::poll_fn(move |cx| {
            if std::mem::replace(&mut waited, true) {
                return Poll::Ready(None);
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        Ok(reply.map(|_| Payloads::new(stream::iter([Ok(payload)]).chain(end))))
    }
}

#[test]
fn the_end_of_a_unary_reply_may_take_its_time() {
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let on_server =
            common::client_with(text_router().add_interceptor(Hesitate), config.clone());
        let on_client = common::client_with(text_router(), config).add_interceptor(Hesitate);
        for client in [on_server, on_client] {
            let request = Request::new(String::from("hi"));
            let response = block_on(client.unary::<Prost, _, String>(&UPPER, request));
            assert_eq!(response.unwrap().message(), "HI", "{protocol}");
        }
    }
}

#[test]
fn ended_payloads_stay_ended() {
    let codec = || Codec::default();
    let payload = Payload::encode(&String::from("x"), codec()).unwrap();
    let endings: [Option<Result<Payload, Error>>; 2] = [None, Some(Err(Error::aborted("x")))];
    for ending in endings {
        let mut script = vec![ending.clone(), Some(Ok(payload.clone()))];
        let mut payloads = Payloads::new(stream::poll_fn(move |_| {
            Poll::Ready(script.pop().expect("polled after the end"))
        }));
        block_on(async {
            assert!(payloads.next().await.unwrap().is_some());
            assert_eq!(payloads.next().await.is_err(), ending.is_some());
            assert!(payloads.next().await.unwrap().is_none());
        });
    }
}

thread_local! {
    /// How many spans the thread is in.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Stands for the guard of a tracing library's span: it marks the thread while it is there.
struct Entered;

impl Entered {
    fn enter() -> Self {
        DEPTH.set(DEPTH.get() + 1);
        Self
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}

/// Enters the span around each poll of the call.
struct InSpan;

impl Interceptor for InSpan {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let mut reply = pin!(next.run(call));
        let reply = poll_fn(|cx| {
            let _entered = Entered::enter();
            reply.as_mut().poll(cx)
        })
        .await?;
        Ok(reply.map(|payloads| {
            payloads.wrap_poll(|payloads, cx| {
                let _entered = Entered::enter();
                payloads.poll_next(cx)
            })
        }))
    }
}

/// Waits once.
async fn pause() {
    let mut waited = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[test]
fn a_span_is_entered_around_each_poll_and_trailers_survive() {
    fn trailers() -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static("x-late"),
            HeaderValue::from_static("1"),
        )])
    }
    let router = || {
        Router::new()
            .unary(UPPER, |request: Request<String>| async move {
                assert_eq!(DEPTH.get(), 1);
                pause().await;
                assert_eq!(DEPTH.get(), 1);
                let response = Response::new(request.into_message());
                response.add_trailer("x-late", HeaderValue::from_static("1"))
            })
            .bidi_stream(ECHO, |request: Request<Streaming<String>>| async move {
                assert_eq!(DEPTH.get(), 1);
                let mut words = request.into_stream();
                let stream = ResponseStream::generate(|mut replies| async move {
                    while let Some(word) = words.message().await? {
                        assert_eq!(DEPTH.get(), 1);
                        pause().await;
                        assert_eq!(DEPTH.get(), 1);
                        replies.send(word).await;
                    }
                    Ok(())
                });
                Ok(Response::new(stream.with_trailers(trailers)))
            })
            .add_interceptor(InSpan)
    };
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(router(), config);
        block_on(async {
            let request = Request::new(String::from("a"));
            let response = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(response.unwrap().trailers()["x-late"], "1", "{protocol}");
            assert_eq!(DEPTH.get(), 0);
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            for word in ["a", "b"] {
                call.send(String::from(word)).await.unwrap();
                let reply = call.message().await.unwrap();
                assert_eq!(reply.as_deref(), Some(word), "{protocol}");
                assert_eq!(DEPTH.get(), 0);
            }
            call.close_send();
            assert!(call.message().await.unwrap().is_none(), "{protocol}");
            assert_eq!(call.trailers()["x-late"], "1", "{protocol}");
        });
    }
}

/// The end of wrapped payloads is seen by what is further in.
#[test]
fn an_error_of_wrapped_payloads_ends_those_within() {
    let seen = Arc::new(Mutex::new(None));
    let log = seen.clone();
    let payload = Payload::encode(&String::from("x"), Codec::default()).unwrap();
    let mut payloads = Payloads::once(payload)
        .on_end(move |end| *log.lock().unwrap() = end.err().map(|error| error.code()))
        .wrap_poll(|_, _| Poll::Ready(Some(Err(Error::aborted("enough")))));
    let next = block_on(payloads.next());
    assert_eq!(next.unwrap_err().code(), Code::Aborted);
    assert_eq!(*seen.lock().unwrap(), Some(Code::Aborted));
}

/// Calls again while the server says that it is unavailable.
struct Retry;

impl Interceptor for Retry {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        for _ in 0..3 {
            let Some(again) = call.try_clone() else { break };
            match next.run(again).await {
                Err(error) if error.code() == Code::Unavailable => {}
                outcome => return outcome,
            }
        }
        next.run(call).await
    }
}

#[test]
fn an_interceptor_may_call_again() {
    for protocol in Protocol::ALL {
        let attempts = Arc::new(AtomicUsize::new(0));
        let count = attempts.clone();
        let router = Router::new().unary(UPPER, move |request: Request<String>| {
            let attempt = count.fetch_add(1, Ordering::SeqCst);
            async move {
                if attempt < 2 {
                    return Err(Error::unavailable("later"));
                }
                Ok(Response::new(request.into_message()))
            }
        });
        let config = ClientConfig::new().with_protocol(protocol);
        let client = common::client_with(router, config).add_interceptor(Retry);
        let request = Request::new(String::from("at last"));
        let response = block_on(client.unary::<Prost, _, String>(&UPPER, request));
        assert_eq!(response.unwrap().message(), "at last");
        assert_eq!(attempts.load(Ordering::SeqCst), 3);
    }
}

#[test]
fn the_end_of_a_call_is_seen_whatever_it_is() {
    const BREAK: Spec = Spec::new("/test.v1.Text/Break", StreamType::ServerStream);
    let router = || {
        text_router().server_stream(BREAK, |_: Request<String>| async {
            let items = [Ok(String::from("one")), Err(Error::data_loss("gone"))];
            Ok(Response::stream(stream::iter(items)))
        })
    };
    let log = Log::default();
    let on_server = client(router().add_interceptor(Trace(log.clone(), "s")));
    let on_client = client(router()).add_interceptor(Trace(log.clone(), "c"));
    for (client, name) in [(on_server, "s"), (on_client, "c")] {
        block_on(async {
            let request = Request::new(String::new());
            let mut stream = client
                .server_stream::<Prost, _, String>(&BREAK, request)
                .await
                .unwrap()
                .into_stream();
            assert!(stream.message().await.unwrap().is_some());
            let error = stream.message().await.unwrap_err();
            assert_eq!(error.code(), Code::DataLoss);
        });
        let log = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(log, [format!("> {name}"), format!("< {name} failed")]);
    }
}

/// An interceptor that cannot read a payload says whose fault that is as the core does: what a client sent is the
/// client's, all else is not the caller's.
#[test]
fn a_payload_that_cannot_be_read_is_its_senders_fault() {
    #[derive(Clone, Copy)]
    enum Reads {
        Request,
        Reply,
    }

    /// Takes the texts for booleans.
    impl Interceptor for Reads {
        async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
            let as_bool = |payloads: Payloads| {
                payloads.map(|payload| payload.decode::<bool>().map(|_| payload))
            };
            match self {
                Self::Request => next.run(call.map(as_bool)).await,
                Self::Reply => Ok(next.run(call).await?.map(as_bool)),
            }
        }
    }

    let config = ClientConfig::new().with_codec("json");
    for (reads, on_server, code) in [
        (Reads::Request, true, Code::InvalidArgument),
        (Reads::Reply, true, Code::Internal),
        (Reads::Request, false, Code::Internal),
        (Reads::Reply, false, Code::Internal),
    ] {
        let client = if on_server {
            common::client_with(text_router().add_interceptor(reads), config.clone())
        } else {
            common::client_with(text_router(), config.clone()).add_interceptor(reads)
        };
        block_on(async {
            let request = Request::new(String::from("hi"));
            let unary = client.unary::<Prost, _, String>(&UPPER, request).await;
            let (found, message) = common::brief(unary);
            assert_eq!(found, code, "{message}");
            assert!(message.contains("BoolValue"), "{message}");
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("hi")).await.unwrap();
            let stream = call.message().await;
            assert_eq!(common::brief(stream).0, code);
        });
    }
}

/// An error that an interceptor makes of a message in the middle of a stream ends the call with it.
#[test]
fn a_message_may_be_refused_in_the_middle_of_a_stream() {
    struct NoSwearing;

    impl Interceptor for NoSwearing {
        async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
            next.run(call.map(|payloads| {
                payloads.map(|payload| match payload.decode::<String>()?.as_str() {
                    "damn" => Err(Error::invalid_argument("language")),
                    _ => Ok(payload),
                })
            }))
            .await
        }
    }

    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let on_server =
            common::client_with(text_router().add_interceptor(NoSwearing), config.clone());
        let on_client = common::client_with(text_router(), config).add_interceptor(NoSwearing);
        for client in [on_server, on_client] {
            block_on(async {
                let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
                call.send(String::from("hello")).await.unwrap();
                let received = call.message().await.unwrap();
                assert_eq!(received.as_deref(), Some("hello"));
                call.send(String::from("damn")).await.unwrap();
                let error = call.message().await.unwrap_err();
                assert_eq!(error.code(), Code::InvalidArgument, "{protocol}");
            });
        }
    }
}

#[test]
fn a_simple_hook_sees_each_call() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let client = client(text_router()).add_interceptor(before(move |call| {
        assert_eq!(call.protocol(), Some(Protocol::Connect));
        assert_eq!(call.spec(), &UPPER);
        count.fetch_add(1, Ordering::SeqCst);
        if call.headers().contains_key("x-stop") {
            return Err(Error::aborted("stopped"));
        }
        Ok(())
    }));
    block_on(async {
        let request = Request::new(String::new());
        client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap();
        let request = Request::new(String::new()).add_header("x-stop", "1");
        let result = client
            .unary::<Prost, _, String>(&UPPER, request.unwrap())
            .await;
        assert_eq!(common::brief(result).0, Code::Aborted);
    });
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}
