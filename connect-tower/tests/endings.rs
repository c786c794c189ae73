//! What interceptors see of how calls end: each exactly once, whatever ends it.

mod common;

use std::{
    future::pending,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{ECHO, SPLIT, UPPER, VirtualTime, poll_until_stalled};
use connect_tower::{
    Call, Client, ClientConfig, Code, Error, InProcess, Interceptor, Limits, Next, Prost, Protocol,
    Reply, Request, Response, ResponseStream, Router, Streaming, gate_fn,
};
use futures_util::{FutureExt, StreamExt, stream};
use http_body_util::Full;
use tower_service::Service;

const TIMEOUT: Duration = Duration::from_secs(2);

/// The code with which each call ended, `None` for a clean end.
#[derive(Clone, Default)]
struct Ends(Arc<Mutex<Vec<Option<Code>>>>);

impl Ends {
    fn take(&self) -> Vec<Option<Code>> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Interceptor for Ends {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let ends = self.0.clone();
        next.observe(call, move |end| {
            ends.lock().unwrap().push(end.err().map(|e| e.code()));
        })
        .await
    }
}

/// A client and a server that both watch, in each protocol.
struct Pair {
    client: Client<InProcess>,
    on_client: Ends,
    on_server: Ends,
    time: VirtualTime,
    protocol: Protocol,
}

impl Pair {
    fn all(router: &Router) -> impl Iterator<Item = Self> + use<'_> {
        Protocol::ALL.into_iter().map(|protocol| {
            let (on_client, on_server) = (Ends::default(), Ends::default());
            let time = VirtualTime::new();
            let router = router.clone().add_interceptor(on_server.clone());
            let transport = InProcess::new(router).with_timer(time.timer());
            let client = Client::new(transport)
                .with_config(ClientConfig::new().with_protocol(protocol))
                .add_interceptor(on_client.clone());
            Self {
                client,
                on_client,
                on_server,
                time,
                protocol,
            }
        })
    }

    #[track_caller]
    fn check(&self, end: Option<Code>) {
        assert_eq!(self.on_client.take(), [end], "client, {}", self.protocol);
        assert_eq!(self.on_server.take(), [end], "server, {}", self.protocol);
    }

    async fn unary(&self, request: Request<String>) -> Result<(), Error> {
        let answer = self.client.unary::<Prost, _, String>(&UPPER, request).await;
        answer.map(drop)
    }

    async fn stream(
        &self,
        request: Request<String>,
    ) -> Result<Streaming<String, connect_tower::CallBody>, Error> {
        let response = self
            .client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await;
        response.map(Response::into_stream)
    }
}

fn words() -> Request<String> {
    Request::new(String::from("one two"))
}

/// Answers unary calls and the first message of a stream, and then waits for ever.
fn stuck() -> Router {
    Router::new()
        .unary(UPPER, |_: Request<String>| {
            pending::<Result<Response<String>, Error>>()
        })
        .server_stream(SPLIT, |_: Request<String>| async {
            let one = stream::iter([Ok(String::from("one"))]);
            Ok(Response::stream(one.chain(pending().into_stream())))
        })
}

#[test]
fn a_clean_end() {
    for pair in Pair::all(&common::text_router()) {
        pair.time.block_on(async {
            pair.unary(words()).await.unwrap();
            pair.check(None);
            let mut stream = pair.stream(words()).await.unwrap();
            while stream.message().await.unwrap().is_some() {}
            pair.check(None);
            let mut call = pair
                .client
                .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("one")).await.unwrap();
            call.close_send();
            while call.message().await.unwrap().is_some() {}
            pair.check(None);
        });
    }
}

#[test]
fn an_error_of_the_handler() {
    let router = Router::new()
        .unary(UPPER, |_: Request<String>| async {
            Err::<Response<String>, _>(Error::not_found("x"))
        })
        .server_stream(SPLIT, |_: Request<String>| async {
            let items = [Ok(String::from("one")), Err(Error::data_loss("x"))];
            Ok(Response::stream(stream::iter(items)))
        });
    for pair in Pair::all(&router) {
        pair.time.block_on(async {
            pair.unary(words()).await.unwrap_err();
            pair.check(Some(Code::NotFound));
            let mut stream = pair.stream(words()).await.unwrap();
            assert!(stream.message().await.unwrap().is_some());
            stream.message().await.unwrap_err();
            pair.check(Some(Code::DataLoss));
        });
    }
}

#[test]
fn the_deadline() {
    for pair in Pair::all(&stuck()) {
        pair.time.block_on(async {
            let error = pair.unary(words().with_timeout(TIMEOUT)).await;
            assert_eq!(error.unwrap_err().code(), Code::DeadlineExceeded);
            pair.check(Some(Code::DeadlineExceeded));
            let stream = pair.stream(words().with_timeout(TIMEOUT)).await;
            let mut stream = stream.unwrap();
            assert!(stream.message().await.unwrap().is_some());
            let error = stream.message().await.unwrap_err();
            assert_eq!(error.code(), Code::DeadlineExceeded);
            pair.check(Some(Code::DeadlineExceeded));
        });
    }
}

/// The server alone has a deadline.
#[test]
fn the_deadline_of_the_server() {
    let policy = connect_tower::DeadlinePolicy::default().with_default_timeout(TIMEOUT);
    for pair in Pair::all(&stuck().with_deadline_policy(policy)) {
        pair.time.block_on(async {
            pair.unary(words()).await.unwrap_err();
            pair.check(Some(Code::DeadlineExceeded));
            let mut stream = pair.stream(words()).await.unwrap();
            while stream.message().await.is_ok() {}
            pair.check(Some(Code::DeadlineExceeded));
        });
    }
}

#[test]
fn a_client_that_goes_away() {
    for pair in Pair::all(&stuck()) {
        {
            let mut call = pin!(pair.unary(words()));
            assert!(poll_until_stalled(call.as_mut()).is_none());
        }
        pair.check(Some(Code::Canceled));

        let mut stream = pair.time.block_on(pair.stream(words())).unwrap();
        let message = pair.time.block_on(stream.message());
        assert!(message.unwrap().is_some());
        drop(stream);
        pair.check(Some(Code::Canceled));

        let call = pair
            .client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        drop(call);
        // The call never began: only the client's side knew of it.
        assert!(pair.on_server.take().is_empty());
        assert_eq!(pair.on_client.take().len(), 0);
    }
}

#[test]
fn a_panic() {
    let router = Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            assert!(request.message().is_empty(), "boom");
            Ok(Response::new(String::new()))
        })
        .server_stream(SPLIT, |_: Request<String>| async {
            let mut count = 0;
            Ok(Response::new(ResponseStream::from(std::iter::from_fn(
                move || {
                    count += 1;
                    assert!(count == 1, "boom");
                    Some(String::from("one"))
                },
            ))))
        });
    for pair in Pair::all(&router) {
        pair.time.block_on(async {
            pair.unary(words()).await.unwrap_err();
            pair.check(Some(Code::Internal));
            let mut stream = pair.stream(words()).await.unwrap();
            assert!(stream.message().await.unwrap().is_some());
            stream.message().await.unwrap_err();
            pair.check(Some(Code::Internal));
        });
    }
}

/// A client that cannot read a message ends the call: its interceptors see why, those of the server that it is gone.
#[test]
fn a_message_that_cannot_be_read() {
    // On the wire bytes look as a string does, which must be UTF-8.
    let router = Router::new().server_stream(SPLIT, |_: Request<String>| async {
        let messages = stream::iter([Ok(vec![0xff_u8])]);
        Ok(Response::stream(messages.chain(pending().into_stream())))
    });
    for pair in Pair::all(&router) {
        pair.time.block_on(async {
            let mut stream = pair.stream(words()).await.unwrap();
            let error = stream.message().await.unwrap_err();
            assert_eq!(error.code(), Code::Internal);
        });
        assert_eq!(pair.on_client.take(), [Some(Code::Internal)]);
        assert_eq!(pair.on_server.take(), [Some(Code::Canceled)]);
    }
}

/// What is behind the interceptors may end the call, too.
#[test]
fn a_message_that_is_too_large_to_send() {
    let limits = Limits::default().with_send_message_bytes(64);
    let router = Router::new()
        .server_stream(SPLIT, |_: Request<String>| async {
            let items = ["small", &"large ".repeat(64)].map(String::from);
            Ok(Response::new(ResponseStream::from(items)))
        })
        .with_limits(limits);
    for pair in Pair::all(&router) {
        pair.time.block_on(async {
            let mut stream = pair.stream(words()).await.unwrap();
            assert!(stream.message().await.unwrap().is_some());
            stream.message().await.unwrap_err();
            pair.check(Some(Code::ResourceExhausted));
        });
    }
}

/// Refuses the second message of an answer, or panics at it.
struct Censor {
    panics: bool,
}

impl Interceptor for Censor {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        let (mut count, panics) = (0, self.panics);
        let reply = next.run(call).await?;
        Ok(reply.map(|payloads| {
            payloads.map(move |payload| {
                count += 1;
                assert!(count < 2 || !panics, "boom");
                if count == 2 {
                    return Err(Error::permission_denied("no"));
                }
                Ok(payload)
            })
        }))
    }
}

/// Those inside of an interceptor that ends the call learn of it as those outside do.
#[test]
fn an_interceptor_that_ends_the_call() {
    for panics in [false, true] {
        let inside = Ends::default();
        let code = [Code::PermissionDenied, Code::Internal][usize::from(panics)];
        // The watch of the pair is registered last: it is innermost on the server.
        let router = common::text_router()
            .add_interceptor(inside.clone())
            .add_interceptor(Censor { panics });
        for pair in Pair::all(&router) {
            pair.time.block_on(async {
                let mut stream = pair.stream(words()).await.unwrap();
                assert!(stream.message().await.unwrap().is_some());
                stream.message().await.unwrap_err();
            });
            pair.check(Some(code));
            assert_eq!(inside.take(), [Some(code)]);
        }
    }
}

/// An interceptor that waits by itself is not spared.
#[test]
fn the_deadline_while_an_interceptor_waits() {
    struct Waits;

    impl Interceptor for Waits {
        async fn intercept(&self, _: Call, _: Next<'_>) -> Result<Reply, Error> {
            pending().await
        }
    }

    let outside = Ends::default();
    let router = common::text_router()
        .add_interceptor(outside.clone())
        .add_interceptor(Waits);
    for pair in Pair::all(&router) {
        pair.time.block_on(async {
            pair.unary(words().with_timeout(TIMEOUT)).await.unwrap_err();
        });
        assert_eq!(outside.take(), [Some(Code::DeadlineExceeded)]);
        assert_eq!(pair.on_client.take(), [Some(Code::DeadlineExceeded)]);
        assert!(pair.on_server.take().is_empty());
    }
}

/// Calls that are refused never come so far; what is left for layers tells of them, and of all that fail at once.
#[test]
fn a_layer_sees_what_interceptors_do_not() {
    let ends = Ends::default();
    let mut router = common::text_router()
        .add_gate(gate_fn(|head, _| {
            if head.headers().contains_key("x-refused") {
                return Err(Error::permission_denied("closed"));
            }
            Ok(())
        }))
        .add_interceptor(ends.clone())
        .unary(UPPER, |request: Request<String>| async move {
            if request.message().is_empty() {
                return Err(Error::not_found("nothing"));
            }
            Ok(Response::new(request.into_message()))
        });
    let mut ask = |path: &str, header: &str, body: &'static str| {
        let request = http::Request::post(path.to_owned())
            .header("content-type", "application/json")
            .header(header, "1")
            .body(Full::new(bytes::Bytes::from(body)));
        let response = router.call(request.unwrap()).now_or_never().unwrap();
        let response = response.unwrap();
        let error = response.extensions().get::<Error>();
        error.map(Error::code)
    };
    let spec = UPPER;
    let upper = spec.procedure();
    for (path, header, body, error, seen) in [
        (upper, "x-refused", "\"\"", Some(Code::PermissionDenied), 0),
        (upper, "x-other", "{", Some(Code::InvalidArgument), 1),
        (upper, "x-other", "\"\"", Some(Code::NotFound), 1),
        (upper, "x-other", "\"a\"", None, 1),
        (
            "/test.v1.Text/No",
            "x-other",
            "",
            Some(Code::Unimplemented),
            0,
        ),
        (upper, "content-encoding", "", Some(Code::Unimplemented), 0),
    ] {
        assert_eq!(ask(path, header, body), error, "{path} {header} {body}");
        assert_eq!(ends.take().len(), seen, "{path} {header} {body}");
    }
}

/// The end can be changed as long as somebody waits for it.
#[test]
fn the_end_can_be_changed() {
    struct Translate;

    impl Interceptor for Translate {
        async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
            next.observe(call, |end| match end {
                Ok(trailers) => {
                    trailers.insert("x-end", http::HeaderValue::from_static("good"));
                }
                Err(error) => *error = Error::aborted("translated"),
            })
            .await
        }
    }

    let router = Router::new().unary(UPPER, |request: Request<String>| async move {
        if request.message().is_empty() {
            return Err(Error::not_found("nothing"));
        }
        Ok(Response::new(request.into_message()))
    });
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let on_server =
            common::client_with(router.clone().add_interceptor(Translate), config.clone());
        let on_client = common::client_with(router.clone(), config).add_interceptor(Translate);
        for client in [on_server, on_client] {
            common::block_on(async {
                let ask = |text: &str| {
                    let client = client.clone();
                    let request = Request::new(text.to_owned());
                    async move { client.unary::<Prost, _, String>(&UPPER, request).await }
                };
                assert_eq!(ask("a").await.unwrap().trailers()["x-end"], "good");
                assert_eq!(common::brief(ask("").await).0, Code::Aborted);
            });
        }
    }
}
