//! Dropping a call gives it up, and cancelling an await loses nothing.

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use common::{
    ECHO, JOIN, SPLIT, Transparent, UPPER, block_on, client, client_with, poll_until_stalled,
};
use connect_tower::{
    ClientConfig, Code, Error, Prost, Protocol, Request, Response, ResponseStream, Router,
    Streaming,
};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream};

/// Says when it is dropped.
struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn configs() -> impl Iterator<Item = ClientConfig> {
    Protocol::ALL
        .into_iter()
        .map(|protocol| ClientConfig::new().with_protocol(protocol))
}

#[test]
fn dropping_a_unary_call_drops_its_handler() {
    for config in configs() {
        let dropped = Arc::new(AtomicBool::new(false));
        let seen = dropped.clone();
        let router = Router::new().unary(UPPER, move |_: Request<String>| {
            let guard = Guard(seen.clone());
            async move {
                let _guard = guard;
                std::future::pending::<Result<Response<String>, Error>>().await
            }
        });
        let client = client_with(router, config);
        let spec = UPPER;
        let mut call =
            Box::pin(client.unary::<Prost, _, String>(&spec, Request::new(String::new())));
        assert!(poll_until_stalled(call.as_mut()).is_none());
        assert!(!dropped.load(Ordering::SeqCst));
        drop(call);
        assert!(dropped.load(Ordering::SeqCst));
    }
}

#[test]
fn dropping_a_response_stream_drops_its_source() {
    for config in configs() {
        let dropped = Arc::new(AtomicBool::new(false));
        let seen = dropped.clone();
        let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
            let guard = Guard(seen.clone());
            async move {
                Ok(Response::new(ResponseStream::generate(
                    |mut words| async move {
                        let _guard = guard;
                        loop {
                            words.send(String::from("on and on")).await;
                        }
                    },
                )))
            }
        });
        block_on(async {
            let client = client_with(router, config);
            let request = Request::new(String::new());
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap();
            let mut stream = response.into_stream();
            assert!(stream.message().await.unwrap().is_some());
            assert!(!dropped.load(Ordering::SeqCst));
            drop(stream);
            assert!(dropped.load(Ordering::SeqCst));
        });
    }
}

#[test]
fn a_response_stream_that_failed_is_given_up_before_it_is_dropped() {
    for config in configs() {
        let dropped = Arc::new(AtomicBool::new(false));
        let seen = dropped.clone();
        let router = Router::new().server_stream(SPLIT, move |_: Request<String>| {
            let guard = Guard(seen.clone());
            async move {
                let words = stream::once(async { Ok(String::from("too long")) });
                let never = stream::poll_fn(move |_| {
                    let _ = &guard;
                    Poll::Pending
                });
                Ok(Response::stream(words.chain(never)))
            }
        });
        block_on(async {
            let client = client_with(router, config);
            let request = Request::new(String::new()).with_recv_message_bytes(3);
            let response = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap();
            let mut stream = response.into_stream();
            assert!(!dropped.load(Ordering::SeqCst));
            for _ in 0..2 {
                let error = stream.message().await.unwrap_err();
                assert_eq!(error.code(), Code::ResourceExhausted);
                assert!(dropped.load(Ordering::SeqCst));
            }
        });
    }
}

/// A client-streaming procedure that hands its request to a place outside of the call and never answers.
fn leaking_router(leaked: &Arc<Mutex<Option<Streaming<String>>>>) -> Router {
    let leaked = leaked.clone();
    Router::new().client_stream(JOIN, move |request: Request<Streaming<String>>| {
        *leaked.lock().unwrap() = Some(request.into_stream());
        std::future::pending::<Result<Response<String>, Error>>()
    })
}

#[test]
fn a_call_dropped_while_sending_is_a_cancellation() {
    for config in configs() {
        for intercepted in [false, true] {
            let leaked = Arc::new(Mutex::new(None));
            let mut client = client_with(leaking_router(&leaked), config.clone());
            if intercepted {
                client = client.add_interceptor(Transparent);
            }
            let mut call = client.bidi_stream::<Prost, String, String>(&JOIN, Request::new(()));
            block_on(call.send(String::from("one"))).unwrap();
            let mut request: Streaming<String> = leaked.lock().unwrap().take().unwrap();
            assert_eq!(block_on(request.message()).unwrap().as_deref(), Some("one"));
            drop(call);
            let error = block_on(request.message()).unwrap_err();
            assert_eq!(error.code(), Code::Canceled, "{config:?}");
            assert_eq!(
                block_on(request.message()).unwrap_err(),
                error,
                "asked again, the same error"
            );
        }
    }
}

#[test]
fn a_dropped_half_cancels_the_other() {
    block_on(async {
        let client = client(common::text_router());
        let (mut sender, receiver) = client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
            .split();
        sender.send(String::from("one")).await.unwrap();
        drop(receiver);
        let error = sender.send(String::from("two")).await.unwrap_err();
        assert_eq!(error.code(), Code::Canceled);

        let (sender, mut receiver) = client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
            .split();
        drop(sender);
        let error = receiver.message().await.unwrap_err();
        assert_eq!(error.code(), Code::Canceled);
    });
}

/// Polls a future at once where it is woken, as another thread might.
struct AtOnce {
    future: Mutex<Option<BoxFuture<'static, Result<(), Error>>>>,
    output: Mutex<Option<Result<(), Error>>>,
}

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let Some(mut future) = self.future.lock().unwrap().take() else {
            return;
        };
        match future.poll_unpin(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => *self.output.lock().unwrap() = Some(output),
            Poll::Pending => *self.future.lock().unwrap() = Some(future),
        }
    }
}

/// Whenever the sender looks, it finds the call either whole or given up.
#[test]
fn a_sender_that_waits_while_the_receiver_is_dropped_is_told_so() {
    let router = Router::new().bidi_stream(ECHO, |request: Request<Streaming<String>>| async {
        let _unread = request;
        std::future::pending::<Result<Response<ResponseStream<String>>, Error>>().await
    });
    let plain = client(router);
    let intercepted = plain.clone().add_interceptor(Transparent);
    for client in [plain, intercepted] {
        let (mut sender, receiver) = client
            .bidi_stream::<Prost, String, String>(&ECHO, Request::new(()))
            .split();
        let mut sending = Box::pin(async move {
            loop {
                sender.send("x".repeat(10_000)).await?;
            }
        });
        let task = Arc::new(AtOnce {
            future: Mutex::new(None),
            output: Mutex::new(None),
        });
        let waker = Waker::from(task.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(sending.poll_unpin(&mut cx).is_pending());
        *task.future.lock().unwrap() = Some(sending);
        drop(receiver);
        let output = task.output.lock().unwrap().take();
        let error = output.unwrap().unwrap_err();
        assert_eq!(error, Error::canceled("the call was dropped"));
    }
}

/// A `select!` drops the future that lost: a message must not go with it.
#[test]
fn a_cancelled_await_loses_no_message() {
    let (feed, fed) = futures_channel::mpsc::unbounded();
    let fed = Arc::new(Mutex::new(Some(fed)));
    let router = Router::new().bidi_stream(ECHO, move |_: Request<Streaming<String>>| {
        let fed = fed.lock().unwrap().take().unwrap();
        async move { Ok(Response::stream(fed.map(Ok))) }
    });
    let client = client(router);
    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    for number in 0..5 {
        assert!(call.message().now_or_never().is_none());
        assert!(call.headers().now_or_never().is_some());
        feed.unbounded_send(number.to_string()).unwrap();
        assert!(call.message().now_or_never().is_some());
    }
    drop(feed);
    assert_eq!(block_on(call.message()).unwrap(), None);
}

#[test]
fn a_cancelled_send_was_not_sent() {
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    let (go, gone) = futures_channel::oneshot::channel::<()>();
    let gone = Arc::new(Mutex::new(Some(gone)));
    let router = Router::new().client_stream(JOIN, move |request: Request<Streaming<String>>| {
        let count = count.clone();
        let gone = gone.lock().unwrap().take().unwrap();
        async move {
            let _ = gone.await;
            let mut words = request.into_stream();
            while words.message().await?.is_some() {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(Response::new(String::new()))
        }
    });
    let client = client(router);
    let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
    let word = "x".repeat(10_000);
    let mut sent = 0;
    // Until the buffer is full, and then some sends that are given up.
    while call.send(word.clone()).now_or_never().is_some() {
        sent += 1;
    }
    for _ in 0..3 {
        assert!(call.send(word.clone()).now_or_never().is_none());
    }
    go.send(()).unwrap();
    block_on(call.close_and_receive()).unwrap();
    assert_eq!(received.load(Ordering::SeqCst), sent);
}

#[test]
fn sending_to_a_call_that_is_over_says_so() {
    let failing = Router::new().bidi_stream(ECHO, |_: Request<Streaming<String>>| async move {
        Err::<Response<ResponseStream<String>>, _>(Error::permission_denied("not you"))
    });
    let satisfied = Router::new().bidi_stream(ECHO, |_: Request<Streaming<String>>| async move {
        Ok(Response::new(ResponseStream::<String>::from([])))
    });
    for config in configs() {
        for (router, code) in [
            (&failing, Code::PermissionDenied),
            (&satisfied, Code::FailedPrecondition),
        ] {
            let client = client_with(router.clone(), config.clone());
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            let error = block_on(async {
                loop {
                    if let Err(error) = call.send(String::from("more")).await {
                        return error;
                    }
                }
            });
            assert_eq!(error.code(), code, "{config:?}");
        }
    }
}

#[test]
fn a_call_that_was_never_polled_is_dropped_quietly() {
    let client = client(common::text_router());
    drop(client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(())));
    let request = Request::new(stream::iter([String::new()]));
    drop(client.bidi_stream_from::<Prost, _, String, _>(&ECHO, request));
    drop(client.unary::<Prost, String, String>(&UPPER, Request::new(String::new())));
}
