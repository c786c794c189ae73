//! Channels that ask their endpoints whether they serve.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use connect_health::Health;
use connect_hyper::{
    ChannelState,
    client::{HealthCheck, RoundRobin},
};
use connect_tower::{
    Client, Prost, Request as Call, Response as Answer, ResponseStream, Router, Spec, StreamType,
    bearer,
};
use futures_util::{StreamExt, stream};
use http::header::AUTHORIZATION;
use macro_rules_attribute::apply;

use super::support::{Running, async_test, bind, spawn, start, yield_now};
use crate::rt::{Channel, ChannelBuilder, Code, Error};

const SAY: Spec = Spec::new("/test.v1.Test/Say", StreamType::Unary);
const SERVICE: &str = "test.v1.Test";

/// A router that says a name.
fn saying(name: &'static str) -> Router {
    Router::new().unary(SAY, move |_: Call<String>| {
        std::future::ready(Ok(Answer::new(name.to_owned())))
    })
}

/// A server whose health can be set; it serves.
async fn server(name: &'static str) -> (Running, Health) {
    let health = Health::new();
    health.set_serving(SERVICE);
    let router = saying(name).add_service(health.clone());
    (start(bind().await, router), health)
}

fn client<const N: usize>(servers: [&Running; N]) -> Client<Channel> {
    client_with(servers, |builder| builder)
}

fn client_with<const N: usize>(
    servers: [&Running; N],
    set: impl FnOnce(ChannelBuilder) -> ChannelBuilder,
) -> Client<Channel> {
    let builder = Channel::builder("http://service.example")
        .with_endpoints(servers.map(|server| server.address))
        .with_balance(RoundRobin::new())
        .with_health_check(SERVICE);
    Client::new(set(builder).build().unwrap())
}

async fn say(client: &Client<Channel>) -> Result<String, Error> {
    let call = Call::new(String::new());
    let said = client.unary::<Prost, String, String>(&SAY, call).await;
    said.map(Answer::into_message)
}

/// Calls until the answer is this, many times one after the other.
async fn until(client: &Client<Channel>, is_it: impl Fn(&Result<String, Error>) -> bool) {
    let mut count = 0;
    while count < 20 {
        let is_it = is_it(&say(client).await);
        count = if is_it { count + 1 } else { 0 };
        yield_now().await;
    }
}

/// Calls until one of this name answers.
async fn until_says(client: &Client<Channel>, name: &str) {
    while say(client).await.unwrap() != name {
        yield_now().await;
    }
}

#[apply(async_test)]
async fn an_endpoint_that_does_not_serve_gets_no_calls() {
    let ((a, health_of_a), (b, health_of_b)) = (server("a").await, server("b").await);
    health_of_b.set_not_serving(SERVICE);
    let client = client([&a, &b]);
    for _ in 0..20 {
        assert_eq!(say(&client).await.unwrap(), "a");
    }
    health_of_b.set_serving(SERVICE);
    until_says(&client, "b").await;
    health_of_a.set_not_serving(SERVICE);
    until(&client, |said| said.as_ref().is_ok_and(|name| name == "b")).await;
    // It does not know the service, and so does not serve it.
    health_of_b.clear(SERVICE);
    until(&client, Result::is_err).await;
    let error = say(&client).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let text = format!("{error:#}");
    let end = format!(" for {SERVICE:?}: it is not serving");
    assert!(
        text.contains("health check of 127.0.0.1:") && text.ends_with(&end),
        "{text}"
    );
    // A call that waits for a connection waits for one of these, too.
    let patient = client.clone();
    let patient = spawn(async move {
        let call = Call::new(String::new()).with_wait_for_ready(true);
        patient.unary::<Prost, String, String>(&SAY, call).await
    });
    health_of_a.set_serving(SERVICE);
    assert_eq!(patient.await.unwrap().unwrap().into_message(), "a");
}

#[apply(async_test)]
async fn an_endpoint_that_knows_of_no_health_gets_calls() {
    let (a, _health) = server("a").await;
    let b = start(bind().await, saying("b"));
    let client = client([&a, &b]);
    for name in ["a", "b", "a"] {
        until_says(&client, name).await;
    }
}

/// A new connection is asked anew. Neither a server nor a channel that drains waits for the answers.
#[apply(async_test)]
async fn health_is_asked_on_each_connection() {
    let health = Health::new();
    health.set_serving(SERVICE);
    let hour = Duration::from_secs(3600);
    let server = bind().await.with_drain_timeout(hour);
    let server = start(server, saying("a").add_service(health));
    let set = |builder: ChannelBuilder| builder.with_max_backoff(Duration::from_millis(10));
    let (address, client) = (server.address, client_with([&server], set));
    assert_eq!(say(&client).await.unwrap(), "a");
    server.stop().await.unwrap();
    until(&client, Result::is_err).await;
    let health = Health::new();
    health.set_not_serving(SERVICE);
    let router = saying("b").add_service(health.clone());
    let server = crate::rt::Server::bind(address).await.unwrap();
    let _server = start(server, router);
    until(&client, |said| {
        said.as_ref()
            .is_err_and(|error| format!("{error:#}").contains("not serving"))
    })
    .await;
    health.set_serving(SERVICE);
    until(&client, |said| said.as_ref().is_ok_and(|name| name == "b")).await;
    client.transport().drain().await;
}

/// What asks is no call that is open, and keeps no connection that nobody uses.
#[apply(async_test)]
async fn a_connection_that_is_asked_may_be_idle() {
    let (server, _health) = server("a").await;
    let soon = Duration::from_millis(10);
    let set = |builder: ChannelBuilder| {
        builder
            .with_idle_timeout(soon)
            .with_http1_idle_timeout(soon)
    };
    let client = client_with([&server], set);
    for _ in 0..2 {
        assert_eq!(say(&client).await.unwrap(), "a");
        assert_eq!(client.transport().outstanding(), 0);
        while client.transport().state() != ChannelState::Idle {
            yield_now().await;
        }
    }
}

/// The answer would take the only place.
#[apply(async_test)]
async fn a_connection_that_has_room_for_one_call_is_not_asked() {
    let (server, health) = server("a").await;
    health.set_not_serving(SERVICE);
    let set = |builder: ChannelBuilder| builder.with_streams_per_connection(1);
    let client = client_with([&server], set);
    assert_eq!(say(&client).await.unwrap(), "a");
}

const WATCH: Spec = Spec::new("/grpc.health.v1.Health/Watch", StreamType::ServerStream);
const SERVING: i32 = 1;

/// One whose answers are these, one stream after the other; those that follow never end.
async fn scripted(streams: Vec<Result<i32, Error>>) -> (Running, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let router = saying("a").server_stream(WATCH, move |call: Call<String>| {
        assert_eq!(call.message(), SERVICE);
        let index = count.fetch_add(1, Ordering::SeqCst);
        let (first, rest) = match streams.get(index) {
            Some(answer) => (Some(answer.clone()), None),
            None => (Some(Ok(SERVING)), Some(stream::pending())),
        };
        let answers = stream::iter(first).chain(stream::iter(rest).flatten());
        std::future::ready(Ok(Answer::new(ResponseStream::new(answers))))
    });
    (start(bind().await, router), asked)
}

#[apply(async_test)]
async fn a_stream_that_ends_is_opened_again_and_its_last_answer_holds() {
    let (server, asked) = scripted(vec![Ok(SERVING); 2]).await;
    let client = client([&server]);
    while asked.load(Ordering::SeqCst) < 3 {
        assert_eq!(say(&client).await.unwrap(), "a");
    }
}

#[apply(async_test)]
async fn an_endpoint_that_cannot_be_asked_does_not_serve_until_it_can() {
    let refused = Error::permission_denied("no health for you");
    let (server, _asked) = scripted(vec![Err(refused)]).await;
    let client = client([&server]);
    let error = say(&client).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let text = format!("{error:#}");
    assert!(
        text.ends_with("permission_denied: no health for you"),
        "{text}"
    );
    let call = Call::new(String::new()).with_wait_for_ready(true);
    let said = client.unary::<Prost, String, String>(&SAY, call).await;
    assert_eq!(said.unwrap().into_message(), "a");
}

/// It takes the call, and says nothing.
#[apply(async_test)]
async fn an_endpoint_that_does_not_say_whether_it_serves_fails_calls() {
    let router = saying("a").server_stream(WATCH, |_: Call<String>| {
        let answers = stream::pending::<Result<i32, Error>>();
        std::future::ready(Ok(Answer::new(ResponseStream::new(answers))))
    });
    let server = start(bind().await, router);
    let set = |builder: ChannelBuilder| builder.with_connect_timeout(Duration::from_millis(100));
    let client = client_with([&server], set);
    let error = say(&client).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let text = format!("{error:#}");
    assert!(text.contains("no answer within 100ms"), "{text}");
}

#[apply(async_test)]
async fn a_gate_is_passed_with_the_metadata_that_it_wants() {
    let (health, asked) = (Health::new(), Arc::new(AtomicUsize::new(0)));
    health.set_serving(SERVICE);
    let guarded = Router::new().add_service(health);
    let guarded = guarded.add_gate(bearer(|token: String| {
        std::future::ready(match token.as_str() {
            "token-0" => Ok(()),
            _ => Err(Error::unauthenticated("the token is not known")),
        })
    }));
    let server = start(bind().await, saying("a").merge(guarded).unwrap());
    let without = client([&server]);
    let error = say(&without).await.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    let text = format!("{error:#}");
    assert!(text.contains("health check of"), "{text}");
    let check = HealthCheck::new(SERVICE).with_headers({
        let asked = Arc::clone(&asked);
        move |headers| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            let token = format!("Bearer token-{number}").parse().unwrap();
            headers.insert(AUTHORIZATION, token);
        }
    });
    let with = client_with([&server], |builder| builder.with_health_check(check));
    assert_eq!(say(&with).await.unwrap(), "a");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[apply(async_test)]
async fn a_balancer_that_keeps_what_it_has_cannot_check_health() {
    for endpoints in [None, Some(["127.0.0.1:1"])] {
        let mut builder = Channel::builder("http://service.example").with_health_check("");
        assert_eq!(builder.health_check().map(HealthCheck::service), Some(""));
        if let Some(endpoints) = endpoints {
            builder = builder.with_endpoints(endpoints);
        }
        let error = builder.build().unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains("with_balance"), "{error}");
    }
}
