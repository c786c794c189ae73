//! Transports of other kinds: services, half-duplex ones, ones that fail.

mod common;

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use common::{ECHO, JOIN, SPLIT, UPPER, block_on, poll_until_stalled, text_router};
use connect_tower::{
    BodyError, CallBody, Client, ClientConfig, Code, Error, InProcess, Prost, Protocol, Request,
    Response, ResponseStream, Router, Sent, ServiceTransport, Streaming, Time, Transport,
    TransportError,
    rt::{Sleep, Timer},
};
use futures_util::{
    StreamExt,
    future::BoxFuture,
    stream::{self, FuturesUnordered},
};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower_service::Service;

fn configs() -> impl Iterator<Item = ClientConfig> {
    Protocol::ALL
        .into_iter()
        .map(|protocol| ClientConfig::new().with_protocol(protocol))
}

#[test]
fn any_service_is_a_transport() {
    // gRPC needs HTTP/2, which a transport makes of it; the router alone takes the version as it is.
    let client = Client::new(ServiceTransport::new(text_router()));
    let request = Request::new(String::from("hi"));
    let response = block_on(client.unary::<Prost, _, String>(&UPPER, request));
    assert_eq!(response.unwrap().message(), "HI");
}

/// Ready only when its gate opens, and broken if called before.
#[derive(Clone)]
struct Slow {
    is_open: Arc<AtomicBool>,
    ready: bool,
}

impl Service<http::Request<CallBody>> for Slow {
    type Response = http::Response<CallBody>;
    type Error = TransportError;
    type Future = BoxFuture<'static, Result<Self::Response, TransportError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        self.ready = self.is_open.load(Ordering::SeqCst);
        if self.ready {
            return Poll::Ready(Ok(()));
        }
        cx.waker().wake_by_ref();
        self.is_open.store(true, Ordering::SeqCst);
        Poll::Pending
    }

    fn call(&mut self, request: http::Request<CallBody>) -> Self::Future {
        assert!(self.ready, "the service was called before it was ready");
        let mut router = text_router();
        Box::pin(async move {
            let Ok(response) = router.call(request).await;
            Ok(response)
        })
    }
}

#[test]
fn a_service_is_called_when_it_is_ready() {
    let client = Client::new(ServiceTransport::new(Slow {
        is_open: Arc::default(),
        ready: false,
    }));
    let request = Request::new(String::from("hi"));
    let response = block_on(client.unary::<Prost, _, String>(&UPPER, request));
    assert_eq!(response.unwrap().message(), "HI");
}

/// Answers every request alike.
#[derive(Clone)]
struct Always<F>(F);

impl<F, B> Transport for Always<F>
where
    F: Fn() -> Result<http::Response<B>, TransportError> + Clone,
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    type Body = B;
    type Future = std::future::Ready<Result<http::Response<B>, TransportError>>;

    fn send(&self, _: http::Request<CallBody>) -> Self::Future {
        std::future::ready((self.0)())
    }
}

#[test]
fn a_transport_error_is_the_calls_error() {
    let error = Error::unavailable("connect to 192.0.2.1:80: connection refused");
    let sent = TransportError::new(Sent::No, error.clone());
    let client = Client::new(Always(move || {
        Err::<http::Response<CallBody>, _>(sent.clone())
    }));
    for config in configs() {
        let client = client.clone().with_config(config);
        block_on(async {
            let request = || Request::new(String::new());
            let unary = client.unary::<Prost, _, String>(&UPPER, request()).await;
            assert_eq!(unary.unwrap_err(), error);
            let stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request())
                .await;
            assert_eq!(stream.unwrap_err(), error);
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            let sent = loop {
                if let Err(error) = call.send(String::new()).await {
                    break error;
                }
            };
            assert_eq!(sent, error);
            assert_eq!(call.message().await.unwrap_err(), error);
            assert_eq!(call.headers().await.unwrap_err(), error);
        });
    }
}

/// A body that breaks off after some bytes.
struct Broken(Option<Bytes>, BodyError);

impl Body for Broken {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        Poll::Ready(Some(match self.0.take() {
            Some(data) => Ok(Frame::data(data)),
            None => Err(self.1.clone()),
        }))
    }
}

/// gRPC, "Errors": the codes of resets. What was lost is also told by its source.
#[test]
fn cut_off_responses_are_errors_with_a_cause() {
    let table = [
        (BodyError::connection_lost(), Code::Unavailable),
        (BodyError::http2(0x7), Code::Unavailable),
        (BodyError::http2(0x8), Code::Canceled),
        (BodyError::http2(0xb), Code::ResourceExhausted),
        (BodyError::http2(0x2), Code::Internal),
    ];
    for (cut, code) in table {
        let client = Client::new(Always(move || {
            let message = Bytes::from_static(b"\0\0\0\0\x03\x0a\x01x\0\0\0");
            let body = Broken(Some(message), cut.clone().with_source("the cable"));
            let response = http::Response::builder().header("content-type", "application/grpc");
            Ok(response.body(body).unwrap())
        }));
        let client = client.with_config(ClientConfig::new().with_protocol(Protocol::Grpc));
        block_on(async {
            let request = Request::new(String::new());
            let mut stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap()
                .into_stream();
            // Whole messages come before the error.
            assert_eq!(stream.message().await.unwrap().as_deref(), Some("x"));
            let error = stream.message().await.unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            let source = std::error::Error::source(&error).unwrap();
            assert_eq!(source.source().unwrap().to_string(), "the cable");
        });
    }
}

/// Reads a request to its end before it answers, as HTTP/1.1 does for many.
#[derive(Clone)]
struct HalfDuplex(InProcess);

impl Transport for HalfDuplex {
    type Body = CallBody;
    type Future = BoxFuture<'static, Result<http::Response<CallBody>, TransportError>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await;
            let body = body.map_err(|error| TransportError::new(Sent::Maybe, error))?;
            let body = CallBody::foreign(Full::new(body.to_bytes()));
            inner.send(http::Request::from_parts(parts, body)).await
        })
    }
}

#[test]
fn half_duplex_transports_carry_streams() {
    for config in configs() {
        let client =
            Client::new(HalfDuplex(InProcess::new(text_router()))).with_config(config.clone());
        block_on(async {
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            let word = "x".repeat(5000);
            // Sending does not wait for the response to begin, however much is sent.
            for _ in 0..50 {
                call.send(word.clone()).await.unwrap();
            }
            call.close_send();
            for _ in 0..50 {
                assert_eq!(call.message().await.unwrap().as_ref(), Some(&word));
            }
            assert_eq!(call.message().await.unwrap(), None);

            let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
            call.send(String::from("a")).await.unwrap();
            call.send(String::from("b")).await.unwrap();
            let response = call.close_and_receive().await.unwrap();
            assert_eq!(response.message(), "a b");
        });
    }
}

/// The two halves of a call, each on a thread of its own.
#[test]
fn halves_work_on_different_threads() {
    for config in configs() {
        let client = common::client_with(text_router(), config);
        let (mut sender, mut receiver) = client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
            .split();
        let sending = std::thread::spawn(move || {
            park_on(async move {
                for number in 0..2000 {
                    sender.send(number.to_string()).await.unwrap();
                }
                sender.close_send();
            });
        });
        park_on(async move {
            for number in 0..2000 {
                let received = receiver.message().await.unwrap();
                assert_eq!(received, Some(number.to_string()));
            }
            assert_eq!(receiver.message().await.unwrap(), None);
        });
        sending.join().unwrap();
    }
}

/// Runs a future on this thread, which sleeps while it waits.
fn park_on<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        std::thread::park();
    }
}

/// In process nobody but the halves drives the server, so each must be woken when it is its turn. Each has a waker of
/// its own here.
#[test]
fn halves_drive_the_server_in_turns() {
    let router = Router::new().bidi_stream(ECHO, |request: Request<Streaming<String>>| async {
        // More than is received while only the sender polls.
        let greetings = stream::iter(vec![Ok("greeting ".repeat(5000)); 3]);
        let count = async move {
            let mut words = request.into_stream();
            let mut count = 0;
            while words.message().await?.is_some() {
                count += 1;
            }
            Ok(count.to_string())
        };
        Ok(Response::stream(greetings.chain(stream::once(count))))
    });
    for config in configs() {
        let client = common::client_with(router.clone(), config);
        let (mut sender, mut receiver) = client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
            .split();
        let (done, all_sent) = futures_channel::oneshot::channel::<()>();
        let (go, gone) = futures_channel::oneshot::channel::<()>();
        let sending: BoxFuture<'_, ()> = Box::pin(async move {
            sender.send("x".repeat(1000)).await.unwrap();
            go.send(()).unwrap();
            for _ in 1..100 {
                sender.send("x".repeat(1000)).await.unwrap();
            }
            sender.close_send();
            done.send(()).unwrap();
        });
        let receiving: BoxFuture<'_, ()> = Box::pin(async move {
            // The sender has received two greetings meanwhile, and waits for them to be taken.
            gone.await.unwrap();
            for _ in 0..2 {
                assert!(receiver.message().await.unwrap().is_some());
            }
            // Now only the sender is there to drive the server.
            all_sent.await.unwrap();
            assert!(receiver.message().await.unwrap().is_some());
            let counted = receiver.message().await.unwrap();
            assert_eq!(counted.as_deref(), Some("100"));
            assert_eq!(receiver.next().await.transpose().unwrap(), None);
        });
        let mut halves = FuturesUnordered::from_iter([sending, receiving]);
        block_on(async { while halves.next().await.is_some() {} });
    }
}

/// As over a connection, a server may answer a while before anybody reads.
#[test]
fn all_may_be_sent_before_any_answer_is_read() {
    for config in configs() {
        let client = common::client_with(text_router(), config);
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        block_on(async {
            for number in 0..500 {
                call.send(format!("{number:100}")).await.unwrap();
            }
            call.close_send();
            for number in 0..500 {
                let received = call.message().await.unwrap();
                assert_eq!(received, Some(format!("{number:100}")));
            }
            assert_eq!(call.message().await.unwrap(), None);
        });
    }
}

/// A half that waits is woken by what the other half's poll has set going.
#[test]
fn a_waiting_half_is_woken_whoever_polled_last() {
    let (open, opened) = futures_channel::oneshot::channel::<()>();
    let opened = Mutex::new(Some(opened));
    let client = Client::new(Opening(InProcess::new(text_router()), Arc::new(opened)));
    let (mut sender, mut receiver) = client
        .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
        .split();
    let woken = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Woken(woken.clone())).into();
    let mut message = Box::pin(receiver.message());
    let mut cx = Context::from_waker(&waker);
    assert!(message.as_mut().poll(&mut cx).is_pending());
    // The sender polls the transport last.
    let mut sending = Box::pin(sender.send(String::from("x")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    woken.store(false, Ordering::SeqCst);
    open.send(()).unwrap();
    assert!(woken.load(Ordering::SeqCst));
    block_on(sending).unwrap();
    let received = poll_until_stalled(message.as_mut()).unwrap();
    assert_eq!(received.unwrap().as_deref(), Some("x"));
}

/// A transport connects while the call is polled: who only sends must poll it until the request is on its way.
#[test]
fn the_first_send_waits_until_the_transport_has_the_request() {
    let (open, opened) = futures_channel::oneshot::channel::<()>();
    let opened = Mutex::new(Some(opened));
    let begun = Arc::new(AtomicBool::new(false));
    let begin = begun.clone();
    let router = Router::new().bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
        begin.store(true, Ordering::SeqCst);
        // It neither reads nor answers.
        async move {
            let _unread = request;
            std::future::pending::<Result<Response<ResponseStream<String>>, Error>>().await
        }
    });
    let client = Client::new(Opening(InProcess::new(router), Arc::new(opened)));
    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    let mut sending = Box::pin(call.send(String::from("x")));
    assert!(poll_until_stalled(sending.as_mut()).is_none());
    open.send(()).unwrap();
    let sent = poll_until_stalled(sending.as_mut());
    assert!(begun.load(Ordering::SeqCst), "the server sees the head");
    sent.unwrap().unwrap();
}

/// One half finds out that the deadline has passed before the timer has said so: the other must know.
#[test]
fn a_half_that_ends_the_call_wakes_the_other() {
    /// A clock that is set by hand and wakes nobody.
    #[derive(Debug, Default)]
    struct Hands(AtomicU64);

    impl Timer for Hands {
        fn now(&self) -> Time {
            Time::from_epoch(Duration::from_secs(self.0.load(Ordering::SeqCst)))
        }

        fn sleep_until(&self, _: Time) -> Sleep {
            Box::pin(std::future::pending())
        }
    }

    let hands = Arc::new(Hands::default());
    let client = common::client(text_router()).with_timer(hands.clone());
    let request = Request::new(()).with_timeout(Duration::from_secs(5));
    let (mut sender, mut receiver) = client
        .bidi_stream::<Prost, String, String>(&ECHO, request)
        .split();
    // The response has begun, and the receiver waits for a message.
    block_on(receiver.headers()).unwrap();
    let woken = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Woken(woken.clone())).into();
    let mut message = Box::pin(receiver.message());
    let mut cx = Context::from_waker(&waker);
    assert!(message.as_mut().poll(&mut cx).is_pending());
    hands.0.store(9, Ordering::SeqCst);
    let error = block_on(sender.send(String::from("x"))).unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(woken.load(Ordering::SeqCst));
    let received = poll_until_stalled(message.as_mut()).unwrap();
    assert_eq!(received.unwrap_err().code(), Code::DeadlineExceeded);
}

/// Puts the request's body where the test finds it, and never answers: the body lives on another task than the call,
/// as over HTTP/2.
#[derive(Clone, Default)]
struct Stash(Arc<Mutex<Option<CallBody>>>);

impl Transport for Stash {
    type Body = CallBody;
    type Future = std::future::Pending<Result<http::Response<CallBody>, TransportError>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        *self.0.lock().unwrap() = Some(request.into_body());
        std::future::pending()
    }
}

#[test]
fn a_sender_is_woken_by_the_body_on_its_own_task() {
    let stash = Stash::default();
    // What was sent is not kept: a body that is dropped is not made again.
    let client = Client::new(stash.clone()).with_max_replay_bytes(0);
    let (mut sender, _receiver) = client
        .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
        .split();
    let woken = Arc::new(AtomicBool::new(false));
    let waker = Arc::new(Woken(woken.clone())).into();
    let mut cx = Context::from_waker(&waker);
    let mut body = stash.0.lock().unwrap().take().unwrap();
    let mut sending = Box::pin(sender.send(String::from("x")));
    assert!(sending.as_mut().poll(&mut cx).is_pending());
    woken.store(false, Ordering::SeqCst);
    assert!(
        Pin::new(&mut body)
            .poll_frame(&mut Context::from_waker(Waker::noop()))
            .is_pending()
    );
    assert!(
        woken.load(Ordering::SeqCst),
        "the transport has the request"
    );
    assert!(sending.as_mut().poll(&mut cx).is_ready());
    drop(sending);
    for room in [true, false] {
        // Fills the buffer until there is no room.
        let mut sending = Box::pin(async {
            loop {
                sender.send("x".repeat(10_000)).await?;
            }
        });
        let mut poll = || -> Poll<Result<(), Error>> { sending.as_mut().poll(&mut cx) };
        assert!(poll().is_pending());
        woken.store(false, Ordering::SeqCst);
        if room {
            block_on(body.frame()).unwrap().unwrap();
            assert!(woken.load(Ordering::SeqCst), "there is room");
            assert!(poll().is_pending());
        } else {
            drop(std::mem::take(&mut body));
            assert!(woken.load(Ordering::SeqCst), "there will be none");
            let Poll::Ready(Err(error)) = poll() else {
                panic!("nobody takes the message");
            };
            assert_eq!(error.code(), Code::FailedPrecondition);
        }
    }
}

#[test]
fn a_body_on_its_own_task_is_woken_by_the_sender() {
    for config in configs() {
        let stash = Stash::default();
        let client = Client::new(stash.clone()).with_config(config);
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        let mut body = stash.0.lock().unwrap().take().unwrap();
        let woken = Arc::new(AtomicBool::new(false));
        let waker = Arc::new(Woken(woken.clone())).into();
        let mut cx = Context::from_waker(&waker);
        let mut waits = |body: &mut CallBody| {
            woken.store(false, Ordering::SeqCst);
            assert!(Pin::new(body).poll_frame(&mut cx).is_pending());
            woken.clone()
        };
        let flag = waits(&mut body);
        block_on(call.send(String::from("x"))).unwrap();
        assert!(flag.load(Ordering::SeqCst), "there is a message");
        assert!(block_on(body.frame()).unwrap().unwrap().is_data());
        let flag = waits(&mut body);
        call.close_send();
        assert!(flag.load(Ordering::SeqCst), "there is an end");
        assert!(block_on(body.frame()).is_none());

        let stash = Stash::default();
        let client = Client::new(stash.clone());
        let call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        let mut body = stash.0.lock().unwrap().take().unwrap();
        let flag = waits(&mut body);
        drop(call);
        assert!(flag.load(Ordering::SeqCst), "there is no caller");
        let error = block_on(body.frame()).unwrap().unwrap_err();
        assert_eq!(error.code(), Code::Canceled);
    }
}

struct Woken(Arc<AtomicBool>);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Sends nothing before it is opened.
#[derive(Clone)]
struct Opening(
    InProcess,
    Arc<Mutex<Option<futures_channel::oneshot::Receiver<()>>>>,
);

impl Transport for Opening {
    type Body = CallBody;
    type Future = BoxFuture<'static, Result<http::Response<CallBody>, TransportError>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let inner = self.0.clone();
        let mut opened = self.1.lock().unwrap().take().unwrap();
        Box::pin(async move {
            let _ = poll_fn(|cx| Pin::new(&mut opened).poll(cx)).await;
            inner.send(request).await
        })
    }
}
