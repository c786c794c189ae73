//! How many calls run at once, which wait, and how the rest are refused, on a clock that the tests move.

mod common;

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use common::{SPLIT, UPPER, VirtualTime, block_on, poll_until_stalled, text_router};
use connect_tower::{
    AdaptiveLimit, Client, ClientConfig, Code, ConcurrencyLimit, Error, InProcess, Prost, Protocol,
    Request, Response, ResponseStream, Router, Spec, StreamType,
};
use futures_util::future::{join, join_all};
use http_body::{Body, Frame};
use tower_service::Service;

const MS: Duration = Duration::from_millis(1);
const OTHER: Spec = Spec::new("/test.v1.Other/Ask", StreamType::Unary);

/// A handler that takes as many milliseconds as the message says, and one that waits 10 between any two words.
fn sleeper(time: &VirtualTime) -> Router {
    let (unary, split) = (time.clone(), time.clone());
    Router::new()
        .unary(UPPER, move |request: Request<String>| {
            let time = unary.clone();
            async move {
                let ms = request.message().parse().unwrap();
                time.sleep(MS * ms).await;
                Ok(Response::new(request.into_message()))
            }
        })
        .server_stream(SPLIT, move |request: Request<String>| {
            let time = split.clone();
            async move {
                let words = request.into_message();
                Ok(Response::new(ResponseStream::generate(
                    |mut answers| async move {
                        for word in words.split(' ') {
                            answers.send(word.to_owned()).await;
                            time.sleep(MS * 10).await;
                        }
                        Ok(())
                    },
                )))
            }
        })
}

fn client(time: &VirtualTime, limit: &ConcurrencyLimit) -> Client<InProcess> {
    let router = sleeper(time).with_timer(time.timer());
    common::client(router.add_gate(limit.clone()))
}

async fn call(client: &Client<InProcess>, ms: u32) -> Result<String, Error> {
    let request = Request::new(ms.to_string());
    let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await?;
    Ok(response.into_message())
}

fn codes(outcomes: Vec<Result<String, Error>>) -> Vec<Option<Code>> {
    let code = |outcome: Result<String, Error>| outcome.err().map(|error| error.code());
    outcomes.into_iter().map(code).collect()
}

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

/// A body that never comes: its call runs for ever.
struct Endless;

impl Body for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}

fn post<B>(content_type: &str, body: B) -> http::Request<B> {
    http::Request::post("/test.v1.Text/Upper")
        .version(http::Version::HTTP_2)
        .header("content-type", content_type)
        .body(body)
        .unwrap()
}

#[test]
fn a_call_over_the_limit_is_refused_unread_and_told_when_to_come_again() {
    let limit = ConcurrencyLimit::new(1);
    let mut router = text_router().add_gate(limit.clone());
    let mut running = Box::pin(router.call(post("application/proto", Endless)));
    assert!(poll_until_stalled(running.as_mut()).is_none());
    assert_eq!(limit.running(), 1);
    // The first is told the shortest time, a half of the second that is the default.
    for (content_type, header, value) in [
        ("application/grpc", "grpc-retry-pushback-ms", "500"),
        ("application/proto", "retry-after", "2"),
        ("application/json", "retry-after", "1"),
        ("application/grpc-web", "grpc-retry-pushback-ms", "1354"),
    ] {
        let response = block_on(router.call(post(content_type, Untouchable))).unwrap();
        let context = format!("{content_type} {:?}", response.headers());
        assert_eq!(response.headers()[header], value, "{context}");
        let error = response.extensions().get::<Error>().unwrap();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.message().contains("1 calls at once"), "{error}");
    }
    // A call that is dropped makes room.
    drop(running);
    assert_eq!(limit.running(), 0);
    let client = common::client(router);
    block_on(client.unary::<Prost, _, String>(&UPPER, Request::new(String::new()))).unwrap();
}

#[test]
fn clients_read_the_pushback_in_all_protocols() {
    for protocol in Protocol::ALL {
        for (pushback, expected) in [
            (Some(MS * 10), ["5", "1"]),
            (Some(Duration::ZERO), ["0", "0"]),
            (Some(Duration::MAX), ["2147483647", ""]),
            (None, ["", ""]),
        ] {
            let limit = ConcurrencyLimit::new(1)
                .with_code(Code::ResourceExhausted)
                .with_pushback(pushback);
            let mut router = text_router().add_gate(limit);
            let mut running = Box::pin(router.call(post("application/proto", Endless)));
            assert!(poll_until_stalled(running.as_mut()).is_none());
            let config = ClientConfig::new().with_protocol(protocol);
            let client = common::client_with(router, config);
            let request = Request::new(String::new());
            let error = block_on(client.unary::<Prost, _, String>(&UPPER, request)).unwrap_err();
            assert_eq!(error.code(), Code::ResourceExhausted);
            let received = error.received().unwrap();
            let read = |name: &str| {
                received
                    .get(name)
                    .map_or("", |value| value.to_str().unwrap())
            };
            let [grpc, connect] = expected;
            if protocol == Protocol::Connect {
                assert_eq!(read("grpc-retry-pushback-ms"), "");
                if pushback != Some(Duration::MAX) {
                    assert_eq!(read("retry-after"), connect);
                }
            } else {
                assert_eq!(read("grpc-retry-pushback-ms"), grpc, "{protocol}");
                assert_eq!(read("retry-after"), "");
            }
        }
    }
}

/// What was told to come again comes back spread over the time, not all at once.
#[test]
fn refused_calls_are_told_different_times() {
    let limit = ConcurrencyLimit::new(1).with_pushback(MS * 1000);
    let mut router = text_router().add_gate(limit);
    let mut running = Box::pin(router.call(post("application/proto", Endless)));
    assert!(poll_until_stalled(running.as_mut()).is_none());
    let mut told: Vec<u64> = (0..100)
        .map(|_| {
            let response = block_on(router.call(post("application/grpc", Untouchable))).unwrap();
            let pushback = response.headers()["grpc-retry-pushback-ms"].to_str();
            pushback.unwrap().parse().unwrap()
        })
        .collect();
    told.sort_unstable();
    assert!(told[0] >= 500 && told[99] < 1500, "{told:?}");
    let gap = told.windows(2).map(|pair| pair[1] - pair[0]).max();
    assert!(gap <= Some(20), "{told:?}");
}

#[test]
fn a_stream_runs_until_its_last_message_was_taken() {
    let time = VirtualTime::new();
    let limit = ConcurrencyLimit::new(1);
    let client = client(&time, &limit);
    time.block_on(async {
        let request = Request::new(String::from("a b"));
        let stream = client
            .server_stream::<Prost, _, String>(&SPLIT, request)
            .await;
        let mut words = stream.unwrap().into_stream();
        assert_eq!(words.message().await.unwrap().as_deref(), Some("a"));
        assert_eq!(
            call(&client, 0).await.unwrap_err().code(),
            Code::Unavailable
        );
        while words.message().await.unwrap().is_some() {}
        assert_eq!(limit.running(), 0);
        call(&client, 0).await.unwrap();
    });
}

#[test]
fn calls_wait_for_their_turn_in_the_order_in_which_they_came() {
    let time = VirtualTime::new();
    let limit = ConcurrencyLimit::new(2).with_queue(3, MS * 1000);
    let client = client(&time, &limit);
    let done = Mutex::new(Vec::new());
    let outcomes = time.block_on(join_all((0..7).map(|number| {
        let (client, done, time) = (&client, &done, &time);
        async move {
            let outcome = call(client, 10).await;
            done.lock().unwrap().push((number, time.elapsed()));
            outcome
        }
    })));
    let busy = Some(Code::Unavailable);
    assert_eq!(codes(outcomes), [None, None, None, None, None, busy, busy]);
    let mut done = done.into_inner().unwrap();
    done.sort_unstable_by_key(|(number, _)| *number);
    let times: Vec<_> = done.iter().map(|(_, at)| at.as_millis()).collect();
    assert_eq!(times, [10, 10, 20, 20, 30, 0, 0]);
    assert_eq!((limit.running(), limit.waiting()), (0, 0));
}

#[test]
fn a_wait_has_an_end() {
    let time = VirtualTime::new();
    let limit = ConcurrencyLimit::new(1).with_queue(5, MS * 20);
    let client = client(&time, &limit);
    time.block_on(async {
        let waiting = async {
            let error = call(&client, 0).await.unwrap_err();
            assert_eq!(error.code(), Code::Unavailable);
            assert!(error.message().contains("has waited 20ms"), "{error}");
            assert!(error.received().unwrap().contains_key("retry-after"));
            assert_eq!(time.elapsed(), MS * 20);
        };
        let (first, ()) = join(call(&client, 100), waiting).await;
        first.unwrap();
        assert_eq!((limit.running(), limit.waiting()), (0, 0));
    });
}

/// Also that of a Connect client counts a millisecond longer, as everywhere on servers.
#[test]
fn a_waiting_call_keeps_its_deadline() {
    let time = VirtualTime::new();
    let limit = ConcurrencyLimit::new(1).with_queue(5, MS * 1000);
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    let client = client(&time, &limit).with_config(config);
    time.block_on(async {
        let waiting = async {
            let request = Request::new(String::from("0")).with_timeout(MS * 30);
            let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
            assert_eq!(time.elapsed(), MS * 30);
        };
        let (first, ()) = join(call(&client, 100), waiting).await;
        first.unwrap();
        assert_eq!((limit.running(), limit.waiting()), (0, 0));
    });
}

/// Whoever leaves, before or after its turn has come, leaves its place to the next.
#[test]
fn a_call_that_stops_waiting_leaves_its_place() {
    let time = VirtualTime::new();
    let limit = ConcurrencyLimit::new(1).with_queue(5, MS * 1000);
    let client = client(&time, &limit);
    let mut first = Box::pin(call(&client, 1000));
    let mut second = Box::pin(call(&client, 0));
    let mut third = Box::pin(call(&client, 0));
    let mut fourth = Box::pin(call(&client, 0));
    for call in [&mut first, &mut second, &mut third, &mut fourth] {
        assert!(poll_until_stalled(call.as_mut()).is_none());
    }
    assert_eq!((limit.running(), limit.waiting()), (1, 3));
    drop(second);
    assert_eq!((limit.running(), limit.waiting()), (1, 2));
    drop(first);
    // It is the third's turn, which does not take it.
    assert_eq!((limit.running(), limit.waiting()), (1, 1));
    drop(third);
    assert_eq!((limit.running(), limit.waiting()), (1, 0));
    assert_eq!(time.block_on(fourth).unwrap(), "0");
    assert_eq!((limit.running(), limit.waiting()), (0, 0));
}

fn ask() -> Router {
    Router::new().unary(OTHER, |request: Request<String>| async move {
        Ok(Response::new(request.into_message()))
    })
}

#[test]
fn a_limit_is_of_a_server_a_service_or_some_methods() {
    let running = |router: &Router| {
        let mut running = Box::pin(router.clone().call(post("application/proto", Endless)));
        assert!(poll_until_stalled(running.as_mut()).is_none());
        running
    };
    let ask_once = |router: &Router| {
        let client = common::client(router.clone());
        let request = Request::new(String::new());
        let answer = block_on(client.unary::<Prost, _, String>(&OTHER, request));
        answer.map(drop).map_err(|error| error.code())
    };
    let limit = || ConcurrencyLimit::new(1);
    // The server's.
    let router = text_router().add_gate(limit()).merge(ask()).unwrap();
    let call = running(&router);
    assert_eq!(ask_once(&router), Err(Code::Unavailable));
    drop(call);
    // A service's.
    let limited = text_router().add_gate(limit());
    let router = ask().merge(limited).unwrap();
    let _call = running(&router);
    assert_eq!(ask_once(&router), Ok(()));
    // Some methods'.
    let text = limit().with_filter(|spec| spec.service() == "test.v1.Text");
    let router = text_router().add_gate(text).merge(ask()).unwrap();
    let _call = running(&router);
    assert_eq!(ask_once(&router), Ok(()));
    // Two services' together.
    let both = limit();
    let (one, two) = (text_router().add_gate(both.clone()), ask().add_gate(both));
    let router = Router::new().merge(one).unwrap().merge(two).unwrap();
    let _call = running(&router);
    assert_eq!(ask_once(&router), Err(Code::Unavailable));
}

/// A machine that takes 10 ms for as many calls as it has cores, and longer for more.
async fn work(time: VirtualTime, cores: usize, busy: Arc<()>) {
    let load = Arc::strong_count(&busy) - 1;
    time.sleep(MS * 10 * (load.div_ceil(cores) as u32)).await;
}

#[test]
fn an_adaptive_limit_finds_what_the_server_can_do() {
    for initial in [1, 200] {
        let time = VirtualTime::new();
        let adaptive = AdaptiveLimit::new(MS * 25).with_initial(initial);
        let limit = ConcurrencyLimit::adaptive(adaptive);
        let busy = Arc::new(());
        let clock = time.clone();
        let router = Router::new()
            .unary(UPPER, move |_: Request<String>| {
                let (clock, busy) = (clock.clone(), busy.clone());
                async move {
                    work(clock, 8, busy).await;
                    Ok(Response::new(String::new()))
                }
            })
            .with_timer(time.timer())
            .add_gate(limit.clone());
        let client = common::client(router);
        // Sixty clients that call again as soon as they have an answer, or 5 ms after a refusal.
        let calls = (0..60).map(|_| async {
            while time.elapsed() < MS * 3000 {
                let request = Request::new(String::new());
                let answer = client.unary::<Prost, _, String>(&UPPER, request).await;
                if answer.is_err() {
                    time.sleep(MS * 5).await;
                }
            }
        });
        let found = async {
            time.sleep(MS * 2000).await;
            limit.limit()
        };
        let (found, _) = time.block_on(join(found, join_all(calls)));
        // Up to 16 calls take 20 ms, 17 take 30.
        assert!((12..=17).contains(&found), "from {initial} to {found}");
    }
}

#[test]
fn an_adaptive_limit_keeps_its_bounds() {
    let time = VirtualTime::new();
    let adaptive = AdaptiveLimit::new(MS * 5)
        .with_initial(3)
        .with_min(2)
        .with_max(4);
    let limit = ConcurrencyLimit::adaptive(adaptive);
    let client = client(&time, &limit);
    let run = |ms| time.block_on(join_all((0..4).map(|_| call(&client, ms))));
    assert_eq!(limit.limit(), 3);
    for _ in 0..20 {
        run(10);
    }
    assert_eq!(limit.limit(), 2);
    for _ in 0..20 {
        run(1);
    }
    assert_eq!(limit.limit(), 4);
    // Calls that do not come near the limit say nothing about it, and streams nothing at all.
    let wide = ConcurrencyLimit::adaptive(AdaptiveLimit::new(MS * 5).with_initial(10));
    let client = self::client(&time, &wide);
    for _ in 0..100 {
        time.block_on(call(&client, 1)).unwrap();
    }
    let request = Request::new(String::from("a b"));
    let words = time
        .block_on(client.server_stream::<Prost, _, String>(&SPLIT, request))
        .unwrap();
    time.block_on(time.sleep(MS * 50));
    drop(words);
    assert_eq!(wide.limit(), 10);
    // The one that is slow counts once for all that ran beside it.
    time.block_on(join_all((0..10).map(|_| call(&client, 50))));
    assert_eq!(wide.limit(), 9);
}

/// A request's body that comes after a time.
fn late(
    time: &VirtualTime,
    ms: u32,
    message: &'static [u8],
) -> impl Body<Data = Bytes, Error = Infallible> + Send + 'static {
    let mut sleep = Some(time.timer().sleep(MS * ms));
    http_body_util::StreamBody::new(futures_util::stream::poll_fn(move |cx| {
        let Some(sleeping) = &mut sleep else {
            return Poll::Ready(None);
        };
        sleeping.as_mut().poll(cx).map(|()| {
            sleep = None;
            Some(Ok(Frame::data(Bytes::from_static(message))))
        })
    }))
}

/// A call whose body comes so late, whose handler takes so long, and whose answer is taken so late.
async fn timed_call(router: &Router, time: &VirtualTime, [body, handler, answer]: [u32; 3]) {
    let message: &[u8] = match handler {
        1 => b"\x0a\x011",
        _ => b"\x0a\x0250",
    };
    let request = post("application/proto", late(time, body, message));
    let response = router.clone().call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    time.sleep(MS * answer).await;
}

#[test]
fn an_adaptive_limit_measures_handlers_and_not_their_clients() {
    let time = VirtualTime::new();
    let run = |times| {
        let limit = ConcurrencyLimit::adaptive(AdaptiveLimit::new(MS * 5).with_initial(10));
        let router = sleeper(&time)
            .with_timer(time.timer())
            .add_gate(limit.clone());
        time.block_on(timed_call(&router, &time, times));
        limit.limit()
    };
    assert_eq!(run([1, 50, 1]), 9);
    assert_eq!(run([50, 1, 1]), 10);
    assert_eq!(run([1, 1, 50]), 10);
}

#[test]
fn an_adaptive_limit_learns_nothing_from_calls_without_a_handler() {
    let time = VirtualTime::new();
    let adaptive = || ConcurrencyLimit::adaptive(AdaptiveLimit::new(MS * 5).with_initial(1));
    let (broken, given_up) = (adaptive(), adaptive());
    let router_of = |limit: &ConcurrencyLimit| {
        let router = sleeper(&time).with_timer(time.timer());
        router.add_gate(limit.clone())
    };
    let mut router = router_of(&broken);
    for _ in 0..10 {
        let response = time.block_on(router.call(post("application/nonsense", Untouchable)));
        assert_eq!(response.unwrap().status(), 415);
        // gRPC's length prefix is cut.
        let cut = post("application/grpc", late(&time, 1, b"\0\0"));
        time.block_on(router.call(cut)).unwrap();
    }
    assert_eq!(broken.limit(), 1);
    // Nor from those that end in the middle.
    let mut router = router_of(&given_up);
    for _ in 0..10 {
        let mut call =
            Box::pin(router.call(post("application/proto", late(&time, 0, b"\x0a\x0250"))));
        assert!(poll_until_stalled(call.as_mut()).is_none());
    }
    assert_eq!(given_up.limit(), 1);
}

#[test]
fn a_limit_is_never_without_a_call() {
    let lowest = AdaptiveLimit::new(MS)
        .with_min(0)
        .with_max(0)
        .with_initial(0);
    for limit in [ConcurrencyLimit::new(0), ConcurrencyLimit::adaptive(lowest)] {
        assert_eq!(limit.limit(), 1);
        let client = common::client(text_router().add_gate(limit));
        let request = Request::new(String::new());
        block_on(client.unary::<Prost, _, String>(&UPPER, request)).unwrap();
    }
}
