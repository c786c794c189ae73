//! Load and deadlines across servers: what is refused, what waits, and what ends with the call that it is for.

use std::{future::pending, time::Duration};

use connect_tower::{
    Client, ClientConfig, Code, ConcurrencyLimit, Error, Prost, Protocol, Request, Response,
    Router, Spec, StreamType, Streaming,
};
use macro_rules_attribute::apply;
use tokio::sync::mpsc;

use super::support::{Running, async_test, bind, spawn, start, yield_now};
use crate::rt::{Channel, HttpVersion, Server};

const HOLD: Spec = Spec::new("/test.v1.Load/Hold", StreamType::Unary);
const COUNT: Spec = Spec::new("/test.v1.Load/Count", StreamType::ClientStream);
const FRONT: Spec = Spec::new("/test.v1.Front/Ask", StreamType::Unary);

/// What a handler that never answers tells.
#[derive(Debug, PartialEq)]
enum Event {
    Began(Option<Duration>),
    Dropped,
}

struct Dropped(mpsc::UnboundedSender<Event>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Dropped);
    }
}

/// A procedure that never answers, and one that counts messages.
fn router() -> (Router, mpsc::UnboundedReceiver<Event>) {
    let (events, receiver) = mpsc::unbounded_channel();
    let router = Router::new()
        .unary(HOLD, move |request: Request<String>| {
            let dropped = Dropped(events.clone());
            async move {
                let _ = dropped.0.send(Event::Began(request.timeout()));
                pending::<()>().await;
                drop(dropped);
                Ok(Response::new(String::new()))
            }
        })
        .client_stream(COUNT, |request: Request<Streaming<String>>| async move {
            let mut stream = request.into_stream();
            let mut count = 0;
            while stream.message().await?.is_some() {
                count += 1;
            }
            Ok(Response::new(count.to_string()))
        });
    (router, receiver)
}

/// Over HTTP/1.1 and HTTP/2.
fn clients(server: &Running) -> [Client<Channel>; 2] {
    [
        (HttpVersion::Http1, Protocol::Connect),
        (HttpVersion::Http2, Protocol::Grpc),
    ]
    .map(|(version, protocol)| {
        let channel = Channel::builder(server.uri()).with_http_version(version);
        let config = ClientConfig::new().with_protocol(protocol);
        Client::new(channel.build().unwrap()).with_config(config)
    })
}

/// A server for which a client of HTTP/1.1 that closes its connection has gone: by default it may wait for its answer.
async fn strict() -> Server {
    bind().await.with_http1_half_close(None)
}

async fn hold(client: Client<Channel>, spec: Spec, timeout: Option<Duration>) {
    let mut request = Request::new(String::new());
    if let Some(timeout) = timeout {
        request = request.with_timeout(timeout);
    }
    let answer = client.unary::<Prost, _, String>(&spec, request).await;
    panic!("it never answers: {answer:?}");
}

#[apply(async_test)]
async fn a_busy_server_refuses_calls_whose_requests_have_not_ended() {
    let limit = ConcurrencyLimit::new(1);
    let (router, mut events) = router();
    let server = start(strict().await, router.add_gate(limit.clone()));
    for client in clients(&server) {
        let holding = spawn(hold(client.clone(), HOLD, None));
        assert_eq!(events.recv().await, Some(Event::Began(None)));
        let mut call = client.client_stream::<Prost, String, String>(&COUNT, Request::new(()));
        // The server may have answered before.
        let _ = call.send(String::from("one")).await;
        let refused = call.close_and_receive().await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        let received = refused.received().unwrap();
        assert!(
            received.contains_key("retry-after") || received.contains_key("grpc-retry-pushback-ms")
        );
        // A client that goes away makes room, a moment after its handler was dropped.
        holding.abort();
        assert_eq!(events.recv().await, Some(Event::Dropped));
        while limit.running() > 0 {
            yield_now().await;
        }
    }
}

#[apply(async_test)]
async fn a_call_waits_until_another_has_gone() {
    let limit = ConcurrencyLimit::new(1).with_queue(1, Duration::from_secs(60));
    let (router, mut events) = router();
    let server = start(strict().await, router.add_gate(limit.clone()));
    for client in clients(&server) {
        let holding = spawn(hold(client.clone(), HOLD, None));
        assert_eq!(events.recv().await, Some(Event::Began(None)));
        let counting = spawn(async move {
            let call = client.client_stream::<Prost, String, String>(&COUNT, Request::new(()));
            let answer = call.close_and_receive().await;
            answer.map(Response::into_message)
        });
        while limit.waiting() == 0 {
            yield_now().await;
        }
        holding.abort();
        assert_eq!(counting.await.unwrap().unwrap(), "0");
        assert_eq!(events.recv().await, Some(Event::Dropped));
    }
}

#[apply(async_test)]
async fn a_dropped_call_ends_at_every_server_that_works_for_it() {
    let (back, mut events) = router();
    let back = start(strict().await, back);
    for of_back in clients(&back) {
        let of_back = of_back.with_deadline_propagation(true);
        let front = Router::new().unary(FRONT, move |request: Request<String>| {
            let of_back = of_back.clone();
            async move {
                let request = Request::new(request.into_message());
                let answer: Result<Response<String>, Error> =
                    of_back.unary::<Prost, _, _>(&HOLD, request).await;
                answer
            }
        });
        let front = start(strict().await, front);
        for client in clients(&front) {
            let minute = Duration::from_secs(60);
            let holding = spawn(hold(client.clone(), FRONT, Some(minute)));
            let Some(Event::Began(Some(left))) = events.recv().await else {
                panic!("the deadline was not handed on");
            };
            assert!(left <= minute, "{left:?}");
            holding.abort();
            assert_eq!(events.recv().await, Some(Event::Dropped));
        }
    }
}
