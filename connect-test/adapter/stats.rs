//! What servers and channels tell of their connections and calls, in numbers.

use std::sync::Arc;

use connect_hyper::{ChannelState, HttpService, HttpVersion, server::RequestBody};
use connect_tower::{CallBody, ChannelStats, EndpointStats, ServerStats};
use http::Request;
use macro_rules_attribute::apply;
use tokio::sync::{Notify, Semaphore};

use super::support::{
    ServiceFn, async_test, bind, call, echo, listen, post, spawn, start, text, yield_now,
};
use crate::rt::{Channel, Resolve, Resolving, RoundRobin};

/// Tells that a call has come, and answers when it may.
fn gated(come: &Arc<Notify>, gate: &Arc<Semaphore>) -> impl HttpService + use<> {
    let (come, gate) = (Arc::clone(come), Arc::clone(gate));
    ServiceFn(move |_: Request<RequestBody>| {
        come.notify_one();
        let gate = Arc::clone(&gate);
        async move {
            gate.acquire().await.unwrap().forget();
            text("done")
        }
    })
}

fn only(stats: ChannelStats) -> EndpointStats {
    let [endpoint] = <[_; 1]>::try_from(stats.endpoints).unwrap();
    endpoint
}

#[apply(async_test)]
async fn a_channel_and_a_server_tell_their_connections_and_calls() {
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let (come, gate) = (Arc::new(Notify::new()), Arc::new(Semaphore::new(0)));
        let server = bind().await;
        let handle = server.handle();
        let server = start(server, gated(&come, &gate));
        let channel = Channel::builder(server.uri())
            .with_http_version(version)
            .with_max_connections(1)
            .with_max_http2_connections(1)
            .with_streams_per_connection(1)
            .build()
            .unwrap();
        let mut stats = EndpointStats {
            address: server.address.to_string(),
            ..EndpointStats::default()
        };
        assert_eq!(only(channel.stats()), stats);
        assert_eq!(channel.stats().authority, server.address.to_string());
        assert_eq!(handle.stats(), ServerStats::default());

        let calls: Vec<_> = (0..3)
            .map(|_| {
                let channel = channel.clone();
                spawn(async move { call(&channel, post(CallBody::empty())).await })
            })
            .collect();
        come.notified().await;
        while channel.outstanding() < 3 {
            yield_now().await;
        }
        stats.state = ChannelState::Ready;
        stats.connections = 1;
        stats.active_calls = 1;
        stats.waiting_calls = 2;
        assert_eq!(only(channel.stats()), stats, "{version:?}");
        assert_eq!(channel.stats().state, ChannelState::Ready);
        let expected = ServerStats {
            connections: 1,
            active_calls: 1,
        };
        assert_eq!(handle.stats(), expected);

        gate.add_permits(3);
        for call in calls {
            call.await.unwrap().unwrap();
        }
        stats.idle_connections = 1;
        stats.active_calls = 0;
        stats.waiting_calls = 0;
        while only(channel.stats()) != stats {
            yield_now().await;
        }
        while handle.stats().active_calls > 0 {
            yield_now().await;
        }
        assert_eq!(handle.stats().connections, 1);

        // Who watches a channel does not keep its connections open.
        let weak = channel.downgrade();
        assert_eq!(weak.upgrade().unwrap().outstanding(), 0);
        drop(channel);
        assert!(weak.upgrade().is_none());
        while handle.stats().connections > 0 {
            yield_now().await;
        }
    }
}

#[apply(async_test)]
async fn a_channel_tells_of_each_of_its_endpoints() {
    let server = start(bind().await, echo());
    // Nobody listens there any more.
    let gone = listen().await.local_addr().unwrap();
    let channel = Channel::builder("http://greet.internal")
        .with_endpoints([server.address, gone])
        .with_balance(RoundRobin::new())
        .build()
        .unwrap();
    let before = channel.stats();
    assert_eq!(before.authority, "greet.internal");
    assert_eq!(before.waiting_calls, 0);
    call(&channel, post(CallBody::empty())).await.unwrap();
    let states = || {
        let stats = channel.stats();
        assert_eq!(stats.state, ChannelState::Ready);
        let endpoints = stats.endpoints.into_iter();
        endpoints
            .map(|it| (it.address, it.state))
            .collect::<Vec<_>>()
    };
    let expected = [
        (server.address.to_string(), ChannelState::Ready),
        (gone.to_string(), ChannelState::Failed),
    ];
    while states() != expected {
        yield_now().await;
    }
}

/// Never knows where the server is.
struct Asking;

impl Resolve for Asking {
    fn resolve(&self, _: &str, _: u16) -> Resolving {
        Box::pin(std::future::pending())
    }
}

#[apply(async_test)]
async fn calls_that_wait_for_any_endpoint_are_the_channels() {
    let channel = Channel::builder("http://greet.internal")
        .with_resolver(Asking)
        .build()
        .unwrap();
    let waiting = channel.clone();
    let waiting = spawn(async move { call(&waiting, post(CallBody::empty())).await });
    while channel.stats().waiting_calls == 0 {
        yield_now().await;
    }
    let stats = channel.stats();
    assert_eq!(stats.waiting_calls, 1);
    assert_eq!(stats.state, ChannelState::Connecting);
    assert_eq!(stats.endpoints, []);
    waiting.abort();
    while channel.stats().waiting_calls > 0 {
        yield_now().await;
    }
}
