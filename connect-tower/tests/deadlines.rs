//! Deadlines, on a clock that the tests move.

mod common;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use common::{ECHO, JOIN, SPLIT, UPPER, VirtualTime, text_router};
use connect_tower::{
    Call, CallHead, CallPolicy, Client, ClientConfig, Code, Compressions, Connection, Deadline,
    DeadlinePolicy, Error, Gate, InProcess, Interceptor, Next, Peer, Prost, Protocol,
    ReceiveLimits, Reply, Request, Response, ResponseStream, Router, Spec, StreamType, Streaming,
    Time, before, gate_fn,
    rt::{Sleep, Timer},
};
use futures_util::{StreamExt, stream};
use http_body_util::StreamBody;
use tower_service::Service;

const SECOND: Duration = Duration::from_secs(1);

fn configs() -> impl Iterator<Item = ClientConfig> {
    Protocol::ALL
        .into_iter()
        .map(|protocol| ClientConfig::new().with_protocol(protocol))
}

/// How much longer than the client a server waits: Connect clients may round their timeouts down to whole milliseconds.
fn rounding(protocol: Protocol) -> Duration {
    Duration::from_millis(u64::from(protocol == Protocol::Connect))
}

/// Handlers that take ten seconds, before their answer and between any two.
fn slow_router(time: &VirtualTime) -> Router {
    let slow = |time: &VirtualTime| {
        let time = time.clone();
        move || {
            let time = time.clone();
            async move { time.sleep(10 * SECOND).await }
        }
    };
    let (unary, split, echo) = (slow(time), slow(time), slow(time));
    Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let wait = unary();
            async move {
                wait.await;
                Ok(Response::new(request.into_message()))
            }
        })
        .server_stream(SPLIT, move |_: Request<String>| {
            let split = split.clone();
            async move {
                Ok(Response::new(ResponseStream::generate(
                    |mut words| async move {
                        loop {
                            words.send(String::from("word")).await;
                            split().await;
                        }
                    },
                )))
            }
        })
        .bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
            let echo = echo.clone();
            async move {
                let mut words = request.into_stream();
                Ok(Response::new(ResponseStream::generate(
                    |mut answers| async move {
                        while let Some(word) = words.message().await? {
                            echo().await;
                            answers.send(word).await;
                        }
                        Ok(())
                    },
                )))
            }
        })
}

#[test]
fn either_side_alone_keeps_the_deadline() {
    for config in configs() {
        for (on_server, on_client) in [(true, false), (false, true), (true, true)] {
            let time = VirtualTime::new();
            let mut router = slow_router(&time);
            if on_server {
                router = router.with_timer(time.timer());
            }
            // A transport without a timer: in process, the server's would do for both.
            let mut client = Client::new(common::Cut {
                inner: InProcess::new(router),
                size: usize::MAX,
            })
            .with_config(config.clone());
            if on_client {
                client = client.with_timer(time.timer());
            }
            let mut spent = Duration::ZERO;
            let mut spend = |timeout| {
                // The server alone ends the call.
                let alone = on_server && !on_client;
                spent += timeout + rounding(config.protocol()) * u32::from(alone);
                spent
            };
            let request = || Request::new(String::from("hi")).with_timeout(3 * SECOND);
            time.block_on(async {
                let error = client
                    .unary::<Prost, _, String>(&UPPER, request())
                    .await
                    .unwrap_err();
                assert_eq!(error.code(), Code::DeadlineExceeded, "{config:?}");
                assert_eq!(time.elapsed(), spend(3 * SECOND));

                let response = client
                    .server_stream::<Prost, _, String>(&SPLIT, request())
                    .await;
                let mut stream = response.unwrap().into_stream();
                assert!(stream.message().await.unwrap().is_some());
                let error = stream.message().await.unwrap_err();
                assert_eq!(error.code(), Code::DeadlineExceeded, "{config:?}");
                assert_eq!(time.elapsed(), spend(3 * SECOND));

                let request = Request::new(()).with_timeout(15 * SECOND);
                let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, request);
                call.send(String::from("one")).await.unwrap();
                assert_eq!(call.message().await.unwrap().as_deref(), Some("one"));
                call.send(String::from("two")).await.unwrap();
                let error = call.message().await.unwrap_err();
                assert_eq!(error.code(), Code::DeadlineExceeded, "{config:?}");
                assert_eq!(time.elapsed(), spend(15 * SECOND));
                let error = call.send(String::from("three")).await.unwrap_err();
                assert_eq!(error.code(), Code::DeadlineExceeded, "{config:?}");
            });
        }
    }
}

#[test]
fn calls_in_time_are_not_disturbed() {
    for config in configs() {
        let time = VirtualTime::new();
        let router = slow_router(&time).with_timer(time.timer());
        let client = common::client_with(router, config.with_default_timeout(20 * SECOND));
        time.block_on(async {
            let request = Request::new(String::from("hi"));
            let response: Response<String> =
                client.unary::<Prost, _, _>(&UPPER, request).await.unwrap();
            assert_eq!(response.message(), "hi");
            assert_eq!(time.elapsed(), 10 * SECOND);
        });
    }
}

#[test]
fn a_stream_without_a_pause_does_not_outlive_its_deadline() {
    /// Each look at the clock takes a second.
    #[derive(Debug, Default)]
    struct Busy(std::sync::atomic::AtomicU64);

    impl Timer for Busy {
        fn now(&self) -> Time {
            let now = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Time::from_epoch(Duration::from_secs(now))
        }

        fn sleep_until(&self, _: Time) -> Sleep {
            Box::pin(std::future::ready(()))
        }
    }

    let router = Router::new()
        .server_stream(SPLIT, |_: Request<String>| async {
            let endless = stream::repeat_with(|| Ok("again".repeat(5000)));
            Ok(Response::stream(endless))
        })
        .with_compressions(Compressions::none());
    let timer = || Arc::new(Busy::default());
    let whole = |inner| common::Cut {
        inner,
        size: usize::MAX,
    };
    let on_server = Client::new(whole(InProcess::new(router.clone().with_timer(timer()))));
    let on_client = Client::new(whole(InProcess::new(router))).with_timer(timer());
    for client in [on_server, on_client] {
        common::block_on(async {
            let request = Request::new(String::new()).with_timeout(100 * SECOND);
            let mut stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap()
                .into_stream();
            for _ in 0..1000 {
                if let Err(error) = stream.message().await {
                    assert_eq!(error.code(), Code::DeadlineExceeded);
                    return;
                }
            }
            panic!("the stream has outlived its deadline");
        });
    }
}

#[test]
fn a_request_that_never_ends_is_given_up() {
    for config in configs() {
        let time = VirtualTime::new();
        let router = text_router().with_timer(time.timer());
        let client = Client::new(common::Cut {
            inner: InProcess::new(router),
            size: usize::MAX,
        })
        .with_config(config);
        time.block_on(async {
            let request = Request::new(()).with_timeout(SECOND);
            let mut call = client.client_stream::<Prost, String, String>(&JOIN, request);
            call.send(String::from("one")).await.unwrap();
            let never = stream::pending::<String>();
            let request = Request::new(never).with_timeout(SECOND);
            let error = client
                .client_stream_from::<Prost, _, String, _>(&JOIN, request)
                .await
                .unwrap_err();
            assert_eq!(error.code(), Code::DeadlineExceeded);
        });
    }
}

/// The message of a unary call is read within the deadline too.
#[test]
fn a_body_that_never_comes_is_given_up() {
    let table = [
        ("application/json", "connect-timeout-ms", "999", 504),
        ("application/grpc", "grpc-timeout", "1S", 200),
        ("application/grpc-web", "grpc-timeout", "1S", 200),
    ];
    for (content_type, header, timeout, status) in table {
        let time = VirtualTime::new();
        let mut router = text_router().with_timer(time.timer());
        let frames = stream::pending::<Result<http_body::Frame<bytes::Bytes>, std::io::Error>>();
        let request = http::Request::post(UPPER.procedure())
            .version(http::Version::HTTP_2)
            .header("content-type", content_type)
            .header(header, timeout)
            .body(StreamBody::new(frames))
            .unwrap();
        let response = time.block_on(router.call(request)).unwrap();
        assert_eq!(time.elapsed(), SECOND);
        assert_eq!(response.status(), status);
        if status == 200 {
            assert_eq!(response.headers()["grpc-status"], "4", "{content_type}");
        }
    }
}

#[test]
fn the_policy_of_the_server_counts() {
    let time = VirtualTime::new();
    let policy = DeadlinePolicy::default()
        .with_max(2 * SECOND)
        .with_default_timeout(SECOND);
    let router = slow_router(&time)
        .with_timer(time.timer())
        .with_deadline_policy(policy);
    let client = Client::new(common::Cut {
        inner: InProcess::new(router),
        size: usize::MAX,
    });
    time.block_on(async {
        for (timeout, elapsed) in [(None, 1), (Some(60), 3)] {
            let mut request = Request::new(String::new());
            if let Some(timeout) = timeout {
                request = request.with_timeout(timeout * SECOND);
            }
            let result = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(result.unwrap_err().code(), Code::DeadlineExceeded);
            assert_eq!(time.elapsed(), elapsed * SECOND);
        }
    });
}

/// Handlers and interceptors see the timeout that counts, and not the one that was asked for.
#[test]
fn the_timeout_of_a_call_is_what_policies_and_defaults_leave() {
    let time = VirtualTime::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = |side: &'static str| {
        let seen = seen.clone();
        before(move |call| {
            seen.lock().unwrap().push((side, call.timeout()));
            Ok(())
        })
    };
    let policy = DeadlinePolicy::default()
        .with_max(2 * SECOND)
        .with_default_timeout(SECOND);
    let router = Router::new()
        .unary(UPPER, |request: Request<String>| async move {
            Ok(Response::new(format!("{:?}", request.timeout())))
        })
        .with_timer(time.timer())
        .with_deadline_policy(policy);
    for intercepted in [false, true] {
        let router = match intercepted {
            true => router.clone().add_interceptor(note("server")),
            false => router.clone(),
        };
        let client = common::client(router).add_interceptor(note("client"));
        for (own, default, of_client, of_server) in [
            (None, None, None, 1),
            (None, Some(30), Some(30), 2),
            (Some(60), Some(30), Some(60), 2),
            (Some(1), Some(30), Some(1), 1),
        ] {
            let mut config = ClientConfig::new();
            if let Some(default) = default {
                config = config.with_default_timeout(default * SECOND);
            }
            let mut request = Request::new(String::new());
            if let Some(own) = own {
                request = request.with_timeout(own * SECOND);
            }
            let client = client.clone().with_config(config);
            let response = time.block_on(client.unary::<Prost, _, String>(&UPPER, request));
            let of_server = Some(of_server * SECOND);
            assert_eq!(response.unwrap().message(), &format!("{of_server:?}"));
            let mut expected = vec![("client", of_client.map(|seconds: u32| seconds * SECOND))];
            if intercepted {
                expected.push(("server", of_server));
            }
            assert_eq!(std::mem::take(&mut *seen.lock().unwrap()), expected);
        }
    }
}

#[test]
fn handlers_see_the_deadline_and_hand_it_on() {
    let time = VirtualTime::new();
    let back = common::client(
        Router::new()
            .unary(UPPER, |request: Request<String>| async move {
                let left = request.deadline().map(Deadline::remaining);
                Ok(Response::new(format!("{left:?}")))
            })
            .with_timer(time.timer()),
    );
    let clock = time.clone();
    let front = Router::new()
        .unary(FRONT, move |request: Request<String>| {
            let (back, clock) = (back.clone(), clock.clone());
            async move {
                assert_eq!(request.timeout(), Some(5 * SECOND));
                clock.sleep(2 * SECOND).await;
                let deadline = request.deadline().cloned().unwrap();
                assert!(!deadline.has_passed());
                let request = Request::new(String::new())
                    .with_timeout(60 * SECOND)
                    .with_deadline(deadline);
                back.unary::<Prost, _, String>(&UPPER, request).await
            }
        })
        .with_timer(time.timer());
    let client = common::client(front);
    time.block_on(async {
        let request = Request::new(String::new()).with_timeout(5 * SECOND);
        let response = client.unary::<Prost, _, String>(&FRONT, request).await;
        assert_eq!(response.unwrap().message(), "Some(3s)");
    });
}

const FRONT: Spec = Spec::new("/test.v1.Front/Ask", StreamType::Unary);
const FRONT_STREAM: Spec = Spec::new("/test.v1.Front/Watch", StreamType::ServerStream);

/// A client of a service that answers with the time that its call has left, as it was told.
fn asking_back(time: &VirtualTime) -> Client<InProcess> {
    common::client(
        Router::new()
            .unary(UPPER, |request: Request<String>| async move {
                let left = request.deadline().map(Deadline::remaining);
                assert_eq!(
                    Deadline::current().map(|deadline| deadline.remaining()),
                    left
                );
                Ok(Response::new(format!("{left:?}")))
            })
            .with_timer(time.timer()),
    )
}

async fn ask(back: &Client<InProcess>, request: Request<String>) -> Result<String, Error> {
    let response = back.unary::<Prost, _, String>(&UPPER, request).await?;
    Ok(response.into_message())
}

/// A service that asks another in its gate, its interceptor, its handler and its stream, two seconds after each other.
fn asking_front(time: &VirtualTime, back: &Client<InProcess>, log: &Log) -> Router {
    struct Asking(VirtualTime, Client<InProcess>, Log);

    impl Asking {
        async fn ask(&self) -> Result<(), Error> {
            let said = ask(&self.1, Request::new(String::new())).await?;
            self.2.lock().unwrap().push(said);
            self.0.sleep(2 * SECOND).await;
            Ok(())
        }
    }

    impl Gate for Asking {
        async fn gate(&self, _: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
            self.ask().await
        }
    }

    impl Interceptor for Asking {
        async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
            self.ask().await?;
            next.run(call).await
        }
    }

    let asking = || Asking(time.clone(), back.clone(), log.clone());
    let (handler, stream) = (Arc::new(asking()), Arc::new(asking()));
    Router::new()
        .unary(FRONT, move |_: Request<String>| {
            let asking = handler.clone();
            async move {
                asking.ask().await?;
                asking.ask().await?;
                Ok(Response::new(String::new()))
            }
        })
        .server_stream(FRONT_STREAM, move |_: Request<String>| {
            let asking = stream.clone();
            async move {
                Ok(Response::new(ResponseStream::generate(
                    |mut words| async move {
                        asking.ask().await?;
                        words.send(String::new()).await;
                        asking.ask().await
                    },
                )))
            }
        })
        .add_gate(asking())
        .add_interceptor(asking())
        .with_timer(time.timer())
}

type Log = Arc<Mutex<Vec<String>>>;

#[test]
fn a_client_hands_the_deadline_on_if_it_is_asked_to() {
    let handed_on = ["Some(20s)", "Some(18s)", "Some(16s)", "Some(14s)"];
    for (propagate, timeout, expected) in [
        (true, Some(20 * SECOND), handed_on),
        (true, None, ["None"; 4]),
        (false, Some(20 * SECOND), ["None"; 4]),
    ] {
        for spec in [FRONT, FRONT_STREAM] {
            let time = VirtualTime::new();
            let back = asking_back(&time).with_deadline_propagation(propagate);
            assert_eq!(back.deadline_propagation(), propagate);
            let log = Log::default();
            let config = ClientConfig::new().with_protocol(Protocol::Grpc);
            let front = common::client_with(asking_front(&time, &back, &log), config);
            let mut request = Request::new(String::new());
            if let Some(timeout) = timeout {
                request = request.with_timeout(timeout);
            }
            time.block_on(async {
                if spec == FRONT {
                    front
                        .unary::<Prost, _, String>(&spec, request)
                        .await
                        .unwrap();
                } else {
                    let stream = front
                        .server_stream::<Prost, _, String>(&spec, request)
                        .await;
                    let mut words = stream.unwrap().into_stream();
                    while words.message().await.unwrap().is_some() {}
                }
            });
            assert_eq!(*log.lock().unwrap(), expected, "{spec:?} {propagate}");
            assert!(Deadline::current().is_none());
        }
    }
}

#[test]
fn of_several_deadlines_the_soonest_counts() {
    let time = VirtualTime::new();
    let back = asking_back(&time).with_deadline_propagation(true);
    let front = Router::new()
        .unary(FRONT, move |request: Request<String>| {
            let back = back.clone();
            async move {
                let mut answers = Vec::new();
                for timeout in [3, 60] {
                    let request = Request::new(String::new()).with_timeout(timeout * SECOND);
                    answers.push(ask(&back, request).await?);
                }
                // The call in between was served here, too, and had a deadline of its own.
                assert_eq!(
                    Deadline::current().unwrap().at(),
                    request.deadline().unwrap().at()
                );
                let none = Request::new(String::new()).with_deadline(None);
                answers.push(ask(&back, none).await?);
                Ok(Response::new(answers.join(" ")))
            }
        })
        .with_timer(time.timer());
    let client = common::client(front);
    time.block_on(async {
        let request = Request::new(String::new()).with_timeout(5 * SECOND);
        let response = client.unary::<Prost, _, String>(&FRONT, request).await;
        assert_eq!(response.unwrap().message(), "Some(3s) Some(5s) Some(5s)");
    });
}

/// It is polled by somebody else, who knows nothing of the call.
#[test]
fn what_a_handler_spawns_takes_the_deadline_along() {
    type Task = Pin<Box<dyn Future<Output = [Result<String, Error>; 2]> + Send>>;

    let time = VirtualTime::new();
    let back = asking_back(&time).with_deadline_propagation(true);
    let spawned: Arc<Mutex<Option<Task>>> = Arc::default();
    let tasks = spawned.clone();
    let front = Router::new()
        .unary(FRONT, move |_: Request<String>| {
            let (back, tasks) = (back.clone(), tasks.clone());
            async move {
                let deadline = Deadline::current();
                assert!(deadline.is_some());
                *tasks.lock().unwrap() = Some(Box::pin(async move {
                    let alone = Request::new(String::new());
                    let along = Request::new(String::new()).with_deadline(deadline);
                    [ask(&back, alone).await, ask(&back, along).await]
                }));
                Ok(Response::new(String::new()))
            }
        })
        .with_timer(time.timer());
    let client = common::client(front);
    time.block_on(async {
        let request = Request::new(String::new()).with_timeout(5 * SECOND);
        client
            .unary::<Prost, _, String>(&FRONT, request)
            .await
            .unwrap();
        time.sleep(SECOND).await;
        let task = spawned.lock().unwrap().take().unwrap();
        let [alone, along] = task.await;
        assert_eq!(alone.unwrap(), "None");
        assert_eq!(along.unwrap(), "Some(4s)");
    });
}

/// Dropped by its client, or ended by its deadline.
#[test]
fn the_end_of_a_call_ends_those_that_its_handler_waits_for() {
    struct Dropped(Arc<Mutex<u32>>);

    impl Drop for Dropped {
        fn drop(&mut self) {
            *self.0.lock().unwrap() += 1;
        }
    }

    let time = VirtualTime::new();
    let dropped = Arc::new(Mutex::new(0));
    let count = dropped.clone();
    let back = common::client(Router::new().unary(UPPER, move |_: Request<String>| {
        let dropped = Dropped(count.clone());
        async move {
            let _dropped = dropped;
            std::future::pending::<()>().await;
            Ok(Response::new(String::new()))
        }
    }));
    let front = Router::new()
        .unary(FRONT, move |_: Request<String>| {
            let back = back.clone();
            async move {
                let answer = ask(&back, Request::new(String::new())).await?;
                Ok(Response::new(answer))
            }
        })
        .with_timer(time.timer());
    let client = common::client(front);
    let request = || Request::new(String::new());
    let spec = FRONT;
    let mut canceled = Box::pin(client.unary::<Prost, _, String>(&spec, request()));
    assert!(common::poll_until_stalled(canceled.as_mut()).is_none());
    assert_eq!(*dropped.lock().unwrap(), 0);
    drop(canceled);
    assert_eq!(*dropped.lock().unwrap(), 1);
    time.block_on(async {
        let request = request().with_timeout(SECOND);
        let late = client.unary::<Prost, _, String>(&FRONT, request).await;
        assert_eq!(late.unwrap_err().code(), Code::DeadlineExceeded);
    });
    assert_eq!(*dropped.lock().unwrap(), 2);
}

/// Limits, deadlines and compression of a service, and of a method.
#[test]
fn a_gate_gives_a_method_a_policy_of_its_own() {
    let time = VirtualTime::new();
    let short = DeadlinePolicy::default().with_max(SECOND);
    let router = slow_router(&time)
        .with_timer(time.timer())
        .add_gate(gate_fn(move |head, policy| {
            if head.spec().method() == "Upper" {
                *policy = policy.with_deadline_policy(short).with_compress(false);
            }
            Ok(())
        }));
    let client = common::client(router);
    time.block_on(async {
        let request = Request::new(String::new());
        let unary = client.unary::<Prost, _, String>(&UPPER, request).await;
        assert_eq!(unary.unwrap_err().code(), Code::DeadlineExceeded);
        assert_eq!(time.elapsed(), SECOND);
        let request = Request::new(String::new());
        let stream = client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await;
        let mut words = stream.unwrap().into_stream();
        for _ in 0..3 {
            assert!(words.message().await.unwrap().is_some());
        }
        assert_eq!(time.elapsed(), 21 * SECOND);
    });
}

#[test]
fn a_deadline_that_has_passed_makes_no_call() {
    let time = VirtualTime::new();
    let router = Router::new().unary(UPPER, |_: Request<String>| async {
        Err::<Response<String>, _>(Error::internal("it was called"))
    });
    let client = common::client(router.with_timer(time.timer()));
    let deadline = Deadline::after(SECOND, time.timer());
    time.block_on(async {
        time.sleep(SECOND).await;
        let request = Request::new(String::new()).with_deadline(deadline);
        let error = client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
    });
}

/// A clock whose sleeps nobody may ask for.
#[derive(Debug)]
struct Untouched;

impl Timer for Untouched {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn sleep_until(&self, _: Time) -> Sleep {
        panic!("a call sleeps that has nothing to wait for")
    }
}

#[test]
fn calls_without_a_deadline_arm_no_timer() {
    let client = common::client(text_router().with_timer(Arc::new(Untouched)));
    common::block_on(async {
        let request = Request::new(String::from("hi"));
        client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap();
        let request = Request::new(stream::iter([String::from("hi")]));
        let mut stream = client
            .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
            .await
            .unwrap()
            .into_stream();
        while stream.message().await.unwrap().is_some() {}
    });
}

/// As over HTTP/1.1, where the server reads a body when it is asked for.
#[test]
fn a_message_that_comes_in_the_next_poll_arms_no_timer() {
    let mut is_asked = false;
    let body = stream::poll_fn(move |cx: &mut Context<'_>| {
        if std::mem::replace(&mut is_asked, true) {
            return Poll::Ready(None);
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    });
    let body = StreamBody::new(body.map(Ok::<http_body::Frame<bytes::Bytes>, std::io::Error>));
    let limits = ReceiveLimits::default().with_message_timeout(SECOND);
    let connection = Connection::new(Peer::without_addr()).with_receive_limits(limits);
    let request = http::Request::post(UPPER.procedure())
        .header("content-type", "application/proto")
        .header("connect-timeout-ms", "1000")
        .extension(connection)
        .body(body)
        .unwrap();
    let mut router = text_router().with_timer(Arc::new(Untouched));
    let response = common::block_on(router.call(request)).unwrap();
    assert_eq!(response.status(), 200);
}

#[test]
fn an_adapter_supplies_the_timer_by_an_extension() {
    let time = VirtualTime::new();
    let client = Client::new(InProcess::new(slow_router(&time)).with_timer(time.timer()));
    time.block_on(async {
        let request = Request::new(String::new()).with_timeout(SECOND);
        let error = client
            .unary::<Prost, _, String>(&UPPER, request)
            .await
            .unwrap_err();
        assert_eq!(error.code(), Code::DeadlineExceeded);
        assert_eq!(time.elapsed(), SECOND);
    });
}
