//! Graceful shutdown: calls in flight finish, new ones are refused, and the drain has a bound.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connect_hyper::server::RequestBody;
use connect_hyper::{CallTasks, ServerEvent};
use connect_proto::Code;
use connect_tower::{
    CallBody, Transport,
    transport::{Sent, TransportError},
};
use http::Request;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

use super::support::{
    ServiceFn, async_test, bind, body_channel, call, connect, post, post_http2, spawn, start, text,
    yield_now,
};
use crate::rt::Channel;

/// Waits for the test in every call, and says when one has begun.
#[derive(Clone, Default)]
struct Gate {
    begun: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Gate {
    fn service(&self) -> impl connect_hyper::HttpService {
        let gate = self.clone();
        ServiceFn(move |_: Request<RequestBody>| {
            let gate = gate.clone();
            async move {
                gate.begun.notify_one();
                gate.go_on.notified().await;
                text("done")
            }
        })
    }
}

impl Gate {
    /// The first call waits; others are answered at once.
    fn service_for_first(&self) -> impl connect_hyper::HttpService {
        let gate = self.clone();
        let first = Arc::new(AtomicBool::new(true));
        ServiceFn(move |_: Request<RequestBody>| {
            let (gate, first) = (gate.clone(), Arc::clone(&first));
            async move {
                if first.swap(false, Ordering::SeqCst) {
                    gate.begun.notify_one();
                    gate.go_on.notified().await;
                }
                text("done")
            }
        })
    }
}

fn code(result: &Result<http::Response<bytes::Bytes>, TransportError>) -> Option<Code> {
    result.as_ref().err().map(|error| error.error().code())
}

#[apply(async_test)]
async fn calls_in_flight_finish_and_new_ones_are_refused() {
    for request in [post, post_http2] {
        let gate = Gate::default();
        let server = start(bind().await, gate.service_for_first());
        let channel = Channel::new(server.uri()).unwrap();
        let in_flight = spawn({
            let channel = channel.clone();
            async move { call(&channel, request(CallBody::empty())).await }
        });
        gate.begun.notified().await;

        let (address, task) = (server.address, server.stop());
        // The socket is closed before anything else: wait until that is done.
        while connect(address).await.is_ok() {
            yield_now().await;
        }
        // Until the drain reaches the connection, it takes calls still.
        let refused = loop {
            match call(&channel, request(CallBody::empty())).await {
                Ok(_) => yield_now().await,
                Err(error) => break error,
            }
        };
        assert_eq!(refused.error().code(), Code::Unavailable);
        assert_eq!(refused.sent(), Sent::No);
        assert!(!task.is_finished());

        gate.go_on.notify_one();
        assert_eq!(in_flight.await.unwrap().unwrap().body(), "done");
        task.await.unwrap();
    }
}

#[apply(async_test)]
async fn idle_connections_do_not_hold_up_the_shutdown() {
    let gate = Gate::default();
    gate.go_on.notify_one();
    let server = start(
        bind().await.with_linger_timeout(Duration::MAX),
        gate.service(),
    );
    let channel = Channel::new(server.uri()).unwrap();
    call(&channel, post(CallBody::empty())).await.unwrap();
    gate.go_on.notify_one();
    call(&channel, post_http2(CallBody::empty())).await.unwrap();
    // One that has not said a word, and one that stays open after its call.
    let _silent = connect(server.address).await.unwrap();
    let mut stubborn = connect(server.address).await.unwrap();
    gate.go_on.notify_one();
    stubborn
        .write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    let mut answer = [0; 17];
    stubborn.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer[9..12], b"200");
    server.stop().await.unwrap();
}

#[apply(async_test)]
async fn the_drain_is_bounded_and_what_is_left_ends_unavailable() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let (events, mut expired) = mpsc::unbounded_channel();
        let server = bind()
            .await
            .with_call_tasks(tasks)
            .with_drain_timeout(Duration::from_millis(20))
            .with_observer(move |event| {
                if let ServerEvent::DrainExpired { connections } = event {
                    let _ = events.send(*connections);
                }
            });
        let gate = Gate::default();
        let server = start(server, gate.service());
        let channel = Channel::new(server.uri()).unwrap();
        let calls: Vec<_> = [post, post_http2]
            .into_iter()
            .map(|request| {
                let channel = channel.clone();
                spawn(async move { call(&channel, request(CallBody::empty())).await })
            })
            .collect();
        gate.begun.notified().await;
        gate.begun.notified().await;

        server.stop().await.unwrap();
        assert_eq!(expired.recv().await, Some(2));
        for call in calls {
            let code = code(&call.await.unwrap());
            assert_eq!(code, Some(Code::Unavailable), "{tasks:?}");
        }
    }
}

#[apply(async_test)]
async fn a_stream_in_flight_goes_on_during_the_drain() {
    let (chunks, body) = body_channel();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let body = body.lock().unwrap().take().unwrap();
        async move { http::Response::new(body.boxed_unsync()) }
    });
    let server = start(bind().await, service);
    let channel = Channel::new(server.uri()).unwrap();
    let response = channel.send(post_http2(CallBody::empty())).await.unwrap();
    let mut stream = response.into_body();
    let task = server.stop();
    for text in ["a", "b"] {
        chunks.send(Ok(text.into())).unwrap();
        let frame = stream.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), text);
    }
    assert!(!task.is_finished());
    drop(chunks);
    assert!(stream.collect().await.unwrap().to_bytes().is_empty());
    task.await.unwrap();
}

#[apply(async_test)]
async fn dropping_the_server_ends_its_connections() {
    let gate = Gate::default();
    let server = bind().await;
    let address = server.local_addr().unwrap();
    let serving = spawn(server.serve(gate.service()));
    let channel = Channel::new(format!("http://{address}")).unwrap();
    let request = channel.send(post_http2(CallBody::empty()));
    let in_flight = spawn(request);
    gate.begun.notified().await;
    serving.abort();
    assert!(in_flight.await.unwrap().is_err());
}
