//! A channel with many endpoints: calls are spread, endpoints that are lost or that fail are left alone, and lists change.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use connect_hyper::{
    ChannelState,
    client::{Ejection, LeastOutstanding, PickFirst, Resolve, Resolving, RoundRobin},
    server::RequestBody,
};
use connect_proto::{Code, Error};
use connect_tower::{
    CallBody, Client, Prost, Request as Call, Response as Answer, Router, Spec, StreamType,
    Transport, transport::Sent,
};
use http::Request;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{io::copy_bidirectional, sync::watch};

use super::support::{
    BoxAnswer, Refusing, Running, ServiceFn, Task, accept, async_test, bind, body_channel, call,
    call_again, connect, listen, post, post_http2, spawn, start, text, yield_now,
};
use crate::rt::{Channel, EndpointAddress, Server};

/// A server that answers with its name.
async fn server(name: &'static str) -> Running {
    start(bind().await, naming(name))
}

fn naming(
    name: &'static str,
) -> ServiceFn<
    impl FnMut(Request<RequestBody>) -> std::future::Ready<http::Response<super::support::ResponseBody>>
    + Clone,
> {
    ServiceFn(move |_: Request<RequestBody>| std::future::ready(text(name)))
}

/// A server that answers with its name, but leaves calls of `Hang` open and counts them. That it has them is to be asked of the
/// server: the calls that a channel counts may be another's, about to end.
fn hanging(
    name: &'static str,
    has: &Arc<AtomicUsize>,
) -> ServiceFn<impl FnMut(Request<RequestBody>) -> BoxAnswer + Clone + use<>> {
    let has = Arc::clone(has);
    ServiceFn(move |request: Request<RequestBody>| -> BoxAnswer {
        if request.uri().path().ends_with("Hang") {
            has.fetch_add(1, Ordering::SeqCst);
            return Box::pin(std::future::pending());
        }
        Box::pin(std::future::ready(text(name)))
    })
}

async fn servers() -> [Running; 3] {
    [server("a").await, server("b").await, server("c").await]
}

fn round_robin(addresses: impl IntoIterator<Item = SocketAddr>) -> Channel {
    Channel::builder("http://service.example")
        .with_endpoints(addresses)
        .with_balance(RoundRobin::new())
        .build()
        .unwrap()
}

/// Who answers a call.
async fn who(channel: &Channel) -> String {
    let answer = call_again(channel, || post_http2(CallBody::empty())).await;
    String::from_utf8(answer.unwrap().into_body().to_vec()).unwrap()
}

/// Calls until this one answers.
async fn until(channel: &Channel, name: &str) {
    while who(channel).await != name {
        yield_now().await;
    }
}

/// Polled once: it has begun.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

/// How many of so many calls each answers.
async fn count(channel: &Channel, calls: usize) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for _ in 0..calls {
        *counts.entry(who(channel).await).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(expected: [(&str, usize); N]) -> BTreeMap<String, usize> {
    let owned = expected.map(|(name, count)| (name.to_owned(), count));
    BTreeMap::from(owned)
}

/// The way to a server, which can be cut as if its machine were gone.
struct Line {
    address: SocketAddr,
    accepting: Task<()>,
    connections: Arc<Mutex<Vec<Task<()>>>>,
}

impl Line {
    async fn to(server: &Running) -> Self {
        let mut listener = listen().await;
        let address = listener.local_addr().unwrap();
        let target = server.address;
        let connections: Arc<Mutex<Vec<Task<()>>>> = Arc::default();
        let accepted = Arc::clone(&connections);
        let accepting = spawn(async move {
            loop {
                let mut client = accept(&mut listener).await;
                let mut server = connect(target).await.unwrap();
                // Under the lock from its beginning: a connection that a test has seen at work is among these.
                accepted.lock().unwrap().push(spawn(async move {
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                }));
            }
        });
        Self {
            address,
            accepting,
            connections,
        }
    }

    async fn cut(self) {
        // First, and to its end: a client has its connection before this has accepted it.
        self.accepting.abort();
        let _ = self.accepting.await;
        end(&self.connections).await;
    }

    /// Ends the connections, and takes others.
    async fn break_off(&self) {
        end(&self.connections).await;
    }
}

async fn end(connections: &Mutex<Vec<Task<()>>>) {
    let tasks = std::mem::take(&mut *connections.lock().unwrap());
    for task in tasks {
        task.abort();
        let _ = task.await;
    }
}

#[apply(async_test)]
async fn calls_go_round() {
    let servers = servers().await;
    let channel = round_robin(servers.each_ref().map(|server| server.address));
    assert_eq!(channel.state(), ChannelState::Idle);
    for name in ["a", "b", "c"] {
        until(&channel, name).await;
    }
    let each = counts([("a", 10), ("b", 10), ("c", 10)]);
    assert_eq!(count(&channel, 30).await, each);
    assert_eq!(channel.state(), ChannelState::Ready);
    assert_eq!(channel.outstanding(), 0);
}

#[apply(async_test)]
async fn http1_calls_go_round_too() {
    let servers = servers().await;
    let channel = round_robin(servers.each_ref().map(|server| server.address));
    let mut seen = BTreeMap::new();
    while seen.len() < 3 {
        let response = call(&channel, post(CallBody::empty())).await.unwrap();
        seen.insert(response.into_body(), ());
    }
}

#[apply(async_test)]
async fn an_endpoint_with_fewer_calls_is_preferred() {
    let (chunks, body) = body_channel();
    let body = Mutex::new(Some(body));
    let body = Arc::new(body);
    // The first call stays open.
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let body = body.lock().unwrap().take();
        std::future::ready(match body {
            Some(body) => http::Response::new(body.boxed_unsync()),
            None => text("again"),
        })
    });
    let (a, b) = (start(bind().await, service), server("b").await);
    let channel = Channel::builder("http://service.example")
        .with_endpoints([a.address, b.address])
        .with_balance(LeastOutstanding)
        .build()
        .unwrap();
    let open = loop {
        let response = channel.send(post_http2(CallBody::empty())).await.unwrap();
        let mut body = response.into_body();
        chunks.send(Ok("open".into())).unwrap();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        if first == "open" {
            break body;
        }
    };
    until(&channel, "b").await;
    assert_eq!(count(&channel, 20).await, counts([("b", 20)]));
    drop(open);
}

#[apply(async_test)]
async fn a_server_that_stops_costs_no_call_and_is_found_again() {
    let [a, b, c] = servers().await;
    let address = b.address;
    let channel = round_robin([a.address, address, c.address]);
    for name in ["a", "b", "c"] {
        until(&channel, name).await;
    }
    let stopped = b.stop();
    let mut counts = count(&channel, 50).await;
    stopped.await.unwrap();
    // Until the GOAWAY has arrived it may have had some.
    counts = match count(&channel, 50).await {
        now if now.contains_key("b") => panic!("{counts:?} {now:?}"),
        now => now,
    };
    assert_eq!(counts.values().sum::<usize>(), 50);
    let _b = start(Server::bind(address).await.unwrap(), naming("b"));
    until(&channel, "b").await;
}

#[apply(async_test)]
async fn a_lost_server_fails_no_call_but_those_it_had() {
    let has = Arc::new(AtomicUsize::new(0));
    let hang = hanging("a", &has);
    let (a, b, c) = (
        start(bind().await, hang),
        server("b").await,
        server("c").await,
    );
    let line = Line::to(&a).await;
    let channel = round_robin([line.address, b.address, c.address]);
    for name in ["a", "b", "c"] {
        until(&channel, name).await;
    }
    // Of three calls at once one hangs.
    let hanging: Vec<_> = (0..9)
        .map(|_| {
            let mut request = post_http2(CallBody::empty());
            *request.uri_mut() = "/service/Hang".parse().unwrap();
            let channel = channel.clone();
            spawn(async move { call(&channel, request).await })
        })
        .collect();
    while has.load(Ordering::SeqCst) != 3 {
        yield_now().await;
    }
    line.cut().await;
    let mut lost = 0;
    for call in hanging {
        match call.await.unwrap() {
            Ok(response) => assert_ne!(response.body(), "a"),
            Err(error) => {
                assert_eq!(error.error().code(), Code::Unavailable, "{error}");
                lost += 1;
            }
        }
    }
    assert_eq!(lost, 3);
    assert!(!count(&channel, 100).await.contains_key("a"));
}

#[apply(async_test)]
async fn a_silent_endpoint_holds_up_nobody() {
    let silent = listen().await;
    let a = server("a").await;
    let channel = round_robin([silent.local_addr().unwrap(), a.address]);
    assert_eq!(count(&channel, 20).await, counts([("a", 20)]));
}

/// One that takes connections and says nothing, which only the connect timeout would show.
#[apply(async_test)]
async fn a_silent_endpoint_is_overtaken_by_the_next_of_a_list() {
    let (silent, refusing) = (listen().await, Refusing::new());
    let a = server("a").await;
    let channel = Channel::builder("http://service.example")
        .with_endpoints([silent.local_addr().unwrap(), refusing.address, a.address])
        .with_connect_timeout(Duration::from_secs(3600))
        .build()
        .unwrap();
    assert_eq!(count(&channel, 20).await, counts([("a", 20)]));
}

/// A resolver that has no answer.
struct Silent;

impl Resolve for Silent {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        Box::pin(std::future::pending())
    }
}

#[apply(async_test)]
async fn more_calls_than_may_wait_for_an_endpoint_fail_at_once() {
    let silent = listen().await;
    let builder = || {
        Channel::builder("http://service.example")
            .with_balance(RoundRobin::new())
            .with_max_waiting_calls(2)
    };
    for builder in [
        builder().with_resolver(Silent),
        builder().with_endpoints([silent.local_addr().unwrap()]),
    ] {
        let channel = builder.build().unwrap();
        let begin = || channel.send(post_http2(CallBody::empty()));
        let (mut first, mut second) = (begin(), begin());
        assert!(is_pending(&mut first).await && is_pending(&mut second).await);
        let error = begin().await.unwrap_err();
        assert_eq!(error.sent(), Sent::No);
        assert_eq!(error.error().code(), Code::ResourceExhausted, "{error}");
        // One that has gone away makes room.
        drop(first);
        assert!(is_pending(&mut begin()).await);
    }
}

#[apply(async_test)]
async fn without_any_server_a_call_fails() {
    let refusing = [Refusing::new(), Refusing::new()];
    for eager in [true, false] {
        let builder = Channel::builder("http://service.example")
            .with_endpoints(refusing.each_ref().map(|it| it.address));
        let builder = match eager {
            true => builder.with_balance(RoundRobin::new()),
            false => builder.with_balance(PickFirst),
        };
        let channel = builder.build().unwrap();
        for _ in 0..3 {
            let failed = call(&channel, post_http2(CallBody::empty())).await;
            let error = failed.unwrap_err();
            assert_eq!(error.error().code(), Code::Unavailable);
            assert_eq!(error.sent(), Sent::No);
            assert!(error.to_string().starts_with("connect to 127.0.0.1:"));
        }
        // One of them may have been tried again before the other had failed.
        while channel.state() != ChannelState::Failed {
            yield_now().await;
        }
    }
}

#[apply(async_test)]
async fn the_first_that_can_be_reached_is_picked() {
    let (a, b) = (server("a").await, server("b").await);
    let (line, refusing) = (Line::to(&a).await, Refusing::new());
    let channel = Channel::builder("http://service.example")
        .with_endpoints([refusing.address, line.address, b.address])
        .build()
        .unwrap();
    assert_eq!(count(&channel, 10).await, counts([("a", 10)]));
    line.cut().await;
    // A call that leaves before the end has come would be lost.
    channel.changed(ChannelState::Ready).await;
    assert_eq!(count(&channel, 10).await, counts([("b", 10)]));
}

#[apply(async_test)]
async fn the_state_is_that_of_the_best_endpoint() {
    let a = server("a").await;
    let (line, refusing) = (Line::to(&a).await, Refusing::new());
    let channel = round_robin([refusing.address, line.address]);
    let watching = {
        let channel = channel.clone();
        spawn(async move {
            let mut states = vec![channel.state()];
            while *states.last().unwrap() != ChannelState::Ready {
                states.push(channel.changed(*states.last().unwrap()).await);
            }
            states
        })
    };
    channel.connect().await.unwrap();
    let states = watching.await.unwrap();
    assert_eq!(states.last(), Some(&ChannelState::Ready));
    line.cut().await;
    assert_ne!(
        channel.changed(ChannelState::Ready).await,
        ChannelState::Ready
    );
}

#[apply(async_test)]
async fn a_drained_channel_takes_no_calls() {
    let a = server("a").await;
    let channel = round_robin([a.address]);
    until(&channel, "a").await;
    channel.drain().await;
    let failed = call(&channel, post_http2(CallBody::empty())).await;
    assert_eq!(failed.unwrap_err().error().code(), Code::Unavailable);
}

/// While one endpoint has calls, no other is to get any.
#[apply(async_test)]
async fn all_endpoints_of_a_drained_channel_take_no_calls() {
    let has = Arc::new(AtomicUsize::new(0));
    let (a, b) = (start(bind().await, hanging("a", &has)), server("b").await);
    let channel = round_robin([a.address, b.address]);
    for name in ["a", "b"] {
        until(&channel, name).await;
    }
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let mut request = post_http2(CallBody::empty());
            *request.uri_mut() = "/service/Hang".parse().unwrap();
            let channel = channel.clone();
            spawn(async move { call(&channel, request).await })
        })
        .collect();
    while has.load(Ordering::SeqCst) != 1 {
        yield_now().await;
    }
    let mut draining = Box::pin(channel.drain());
    assert!(is_pending(&mut draining).await);
    for _ in 0..4 {
        let failed = call(&channel, post_http2(CallBody::empty())).await;
        assert_eq!(failed.unwrap_err().error().code(), Code::Unavailable);
    }
    for call in calls {
        call.abort();
    }
    draining.await;
}

/// One that comes back is found, wherever it stands in the list.
#[apply(async_test)]
async fn all_endpoints_that_have_failed_are_tried_again() {
    let (refusing, b) = (Refusing::new(), server("b").await);
    let address = b.address;
    let channel = Channel::builder("http://service.example")
        .with_endpoints([refusing.address, address])
        .build()
        .unwrap();
    assert_eq!(who(&channel).await, "b");
    b.stop().await.unwrap();
    let call = || call(&channel, post_http2(CallBody::empty()));
    loop {
        if call()
            .await
            .is_err_and(|error| error.kind() == connect_tower::transport::FailureKind::NoConnection)
        {
            break;
        }
    }
    let _b = start(Server::bind(address).await.unwrap(), naming("b"));
    while call().await.is_err() {
        yield_now().await;
    }
}

/// A resolver that says what the test says.
struct Told(Mutex<watch::Receiver<Result<Vec<EndpointAddress>, &'static str>>>);

impl Resolve for Told {
    fn resolve(&self, host: &str, port: u16) -> Resolving {
        assert_eq!((host, port), ("service.example", 80));
        let told = self.0.lock().unwrap().borrow_and_update().clone();
        let told = told.map_err(io::Error::other);
        Box::pin(std::future::ready(told))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let mut told = self.0.lock().unwrap().clone();
        Box::pin(async move {
            if told.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    }
}

#[apply(async_test)]
async fn a_resolver_may_change_its_mind() {
    let (a, b) = (server("a").await, server("b").await);
    let only = |server: &Running| Ok(vec![server.address.into()]);
    let (tell, told) = watch::channel(Err("no registry"));
    let channel = Channel::builder("http://service.example")
        .with_resolver(Told(Mutex::new(told)))
        .with_balance(RoundRobin::new())
        .build()
        .unwrap();
    let fail = async || {
        let failed = call(&channel, post_http2(CallBody::empty())).await;
        failed.unwrap_err().to_string()
    };
    let message = fail().await;
    assert!(
        message.starts_with("resolve service.example: no registry"),
        "{message}"
    );
    assert_eq!(channel.state(), ChannelState::Failed);
    tell.send(Ok(Vec::new())).unwrap();
    let mut message = fail().await;
    while message.contains("no registry") {
        message = fail().await;
    }
    assert!(
        message.starts_with("resolve service.example: there is no endpoint"),
        "{message}"
    );

    tell.send(only(&a)).unwrap();
    while call(&channel, post_http2(CallBody::empty())).await.is_err() {}
    assert_eq!(count(&channel, 5).await, counts([("a", 5)]));
    tell.send(Ok(vec![a.address.into(), b.address.into()]))
        .unwrap();
    until(&channel, "b").await;
    until(&channel, "a").await;
    tell.send(only(&b)).unwrap();
    while count(&channel, 5).await != counts([("b", 5)]) {}
    // What it knows stays.
    for nothing in [Err("no registry"), Ok(Vec::new())] {
        tell.send(nothing).unwrap();
        assert_eq!(count(&channel, 5).await, counts([("b", 5)]));
    }
}

/// A resolver that answers when it is asked for the second time.
struct Reluctant {
    address: SocketAddr,
    asked: AtomicUsize,
}

impl Resolve for Reluctant {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        let answer = match self.asked.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("no registry")),
            _ => Ok(vec![self.address.into()]),
        };
        Box::pin(std::future::ready(answer))
    }
}

#[apply(async_test)]
async fn a_call_that_waits_for_ready_waits_for_the_resolver() {
    let server = rpc("a", None).await;
    let channel = Channel::builder("http://service.example")
        .with_resolver(Reluctant {
            address: server.address,
            asked: AtomicUsize::new(0),
        })
        .build()
        .unwrap();
    let call = Call::new(String::new()).with_wait_for_ready(true);
    let said: Result<Answer<String>, Error> =
        Client::new(channel).unary::<Prost, _, _>(&SAY, call).await;
    assert_eq!(said.unwrap().into_message(), "a");
}

#[apply(async_test)]
async fn a_drain_waits_for_calls_on_endpoints_that_were_removed() {
    let (chunks, body) = body_channel();
    let body = Arc::new(Mutex::new(Some(body)));
    // Its one call stays open.
    let open = ServiceFn(move |_: Request<RequestBody>| {
        let body = body.lock().unwrap().take().unwrap();
        std::future::ready(http::Response::new(body.boxed_unsync()))
    });
    let (a, b) = (start(bind().await, open), server("b").await);
    let (tell, told) = watch::channel(Ok(vec![a.address.into()]));
    let channel = Channel::builder("http://service.example")
        .with_resolver(Told(Mutex::new(told)))
        .with_balance(RoundRobin::new())
        .build()
        .unwrap();
    let open = channel.send(post_http2(CallBody::empty())).await.unwrap();
    tell.send(Ok(vec![b.address.into()])).unwrap();
    channel.changed(ChannelState::Ready).await;
    assert_eq!(channel.outstanding(), 1);
    assert_eq!(count(&channel, 5).await, counts([("b", 5)]));
    let mut draining = Box::pin(channel.drain());
    assert!(is_pending(&mut draining).await);
    drop((chunks, open));
    draining.await;
    assert_eq!(channel.outstanding(), 0);
}

/// A resolver that always has news.
struct Restless(SocketAddr);

impl Resolve for Restless {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        Box::pin(std::future::ready(Ok(vec![self.0.into()])))
    }

    fn changed(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

#[apply(async_test)]
async fn a_restless_resolver_holds_up_nobody() {
    let a = server("a").await;
    let channel = Channel::builder("http://service.example")
        .with_resolver(Restless(a.address))
        .build()
        .unwrap();
    assert_eq!(count(&channel, 20).await, counts([("a", 20)]));
}

const SAY: Spec = Spec::new("/test.v1.Test/Say", StreamType::Unary);

/// Fails its calls, or says its name.
async fn rpc(name: &'static str, error: Option<Error>) -> Running {
    let router = Router::new().unary(SAY, move |_: Call<String>| {
        let answer = match &error {
            Some(error) => Err(error.clone()),
            None => Ok(Answer::new(name.to_owned())),
        };
        std::future::ready(answer)
    });
    start(bind().await, router)
}

async fn say(client: &Client<Channel>) -> Result<String, Code> {
    let said: Result<Answer<String>, Error> = client
        .unary::<Prost, _, _>(&SAY, Call::new(String::new()))
        .await;
    said.map(Answer::into_message).map_err(|error| error.code())
}

#[apply(async_test)]
async fn an_endpoint_that_fails_calls_is_ejected() {
    let a = rpc("a", Some(Error::internal("the disk is full"))).await;
    let (b, c) = (rpc("b", None).await, rpc("c", None).await);
    let channel = Channel::builder("http://service.example")
        .with_endpoints([a.address, b.address, c.address])
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new().with_failures(4))
        .build()
        .unwrap();
    let client = Client::new(channel);
    let mut failures = 0;
    while failures < 4 {
        failures += usize::from(say(&client).await == Err(Code::Internal));
    }
    let endpoints = client.transport().stats().endpoints;
    for endpoint in endpoints {
        let is_a = endpoint.address == a.address.to_string();
        assert_eq!(endpoint.is_ejected, is_a, "{endpoint:?}");
    }
    for _ in 0..100 {
        assert!(say(&client).await.is_ok());
    }
}

/// No answer of its ever says that it fails: its calls end at their deadlines, on this side.
#[apply(async_test)]
async fn an_endpoint_that_never_answers_is_ejected() {
    let (has, hour) = (Arc::new(AtomicUsize::new(0)), Duration::from_secs(3600));
    let calls = Arc::clone(&has);
    let silent = ServiceFn(move |_: Request<RequestBody>| -> BoxAnswer {
        calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    });
    let (silent, b) = (start(bind().await, silent), rpc("b", None).await);
    let channel = Channel::builder("http://service.example")
        .with_endpoints([silent.address, b.address])
        .with_balance(RoundRobin::new())
        .with_ejection(
            Ejection::new()
                .with_failures(3)
                .with_time(hour)
                .with_max_time(hour),
        )
        .build()
        .unwrap();
    let client = Client::new(channel);
    // What its callers give up before says nothing about it.
    let mut given_up = 0;
    while given_up < 5 {
        let mut call = pin!(say(&client));
        while is_pending(&mut call).await {
            if has.load(Ordering::SeqCst) > given_up {
                given_up += 1;
                break;
            }
            yield_now().await;
        }
    }
    let within = async |timeout| {
        let call = Call::new(String::new()).with_timeout(timeout);
        let said = client.unary::<Prost, String, String>(&SAY, call).await;
        said.map_err(|error| error.code())
    };
    let mut late = 0;
    while late < 3 {
        let said = within(Duration::from_millis(100)).await;
        late += usize::from(said.is_err_and(|code| code == Code::DeadlineExceeded));
    }
    for _ in 0..20 {
        let said = within(Duration::from_secs(20)).await;
        assert_eq!(said.unwrap().into_message(), "b");
    }
}

/// Its server may be back in a moment.
#[apply(async_test)]
async fn a_lost_connection_is_one_failure() {
    let has = Arc::new(AtomicUsize::new(0));
    let hang = hanging("a", &has);
    let (a, b) = (start(bind().await, hang), server("b").await);
    let line = Line::to(&a).await;
    let hour = Duration::from_secs(3600);
    let channel = Channel::builder("http://service.example")
        .with_endpoints([line.address, b.address])
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new().with_time(hour).with_max_time(hour))
        .build()
        .unwrap();
    for name in ["a", "b"] {
        until(&channel, name).await;
    }
    let hanging: Vec<_> = (0..12)
        .map(|_| {
            let mut request = post_http2(CallBody::empty());
            *request.uri_mut() = "/service/Hang".parse().unwrap();
            let channel = channel.clone();
            spawn(async move { call(&channel, request).await })
        })
        .collect();
    while has.load(Ordering::SeqCst) != 6 {
        yield_now().await;
    }
    line.break_off().await;
    let mut lost = 0;
    for call in hanging {
        lost += usize::from(call.await.unwrap().is_err());
    }
    assert_eq!(lost, 6);
    until(&channel, "a").await;
}

#[apply(async_test)]
async fn errors_that_are_the_callers_eject_nobody() {
    let a = rpc("a", Some(Error::invalid_argument("no such name"))).await;
    let b = rpc("b", None).await;
    let channel = Channel::builder("http://service.example")
        .with_endpoints([a.address, b.address])
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new().with_failures(1))
        .build()
        .unwrap();
    let client = Client::new(channel);
    let mut failures = 0;
    while failures < 10 {
        failures += usize::from(say(&client).await == Err(Code::InvalidArgument));
    }
}

/// When all fail, the fault is elsewhere.
#[apply(async_test)]
async fn at_most_half_of_the_endpoints_are_ejected() {
    let error = || Some(Error::internal("the database is away"));
    let servers = [rpc("a", error()).await, rpc("b", error()).await];
    let channel = Channel::builder("http://service.example")
        .with_endpoints(servers.each_ref().map(|server| server.address))
        .with_balance(RoundRobin::new())
        .with_ejection(Ejection::new().with_failures(1))
        .build()
        .unwrap();
    let client = Client::new(channel);
    for _ in 0..20 {
        assert_eq!(say(&client).await, Err(Code::Internal));
    }
}
