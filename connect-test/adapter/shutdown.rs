//! Graceful shutdown: calls in flight finish, new ones are refused, and the drain has a bound.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use connect_hyper::{
    CallTasks, ServerEvent,
    runtime::{Accepted, StreamListener},
    server::RequestBody,
};
use connect_proto::Code;
use connect_tower::{
    CallBody, Transport,
    transport::{FailureKind, Sent, TransportError},
};
use futures_util::stream;
use http::Request;
use http_body_util::BodyExt;
use hyper::rt::ReadBufCursor;
use hyper_util::rt::TokioIo;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::{Notify, mpsc},
};

use super::support::{
    HEADERS, HTTP2_PREFACE, ServiceFn, async_test, bind, body_channel, call, connect, echo,
    http2_request, post, post_http2, read_until, spawn, start, text, within, yield_now,
};
use crate::rt::{Channel, Server};

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
                // Over HTTP/1.1 it may meet a connection as it is closed.
                Err(error) if error.kind() == FailureKind::Stale => {}
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
    let body = Arc::new(Mutex::new(Some(body)));
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

/// A connection in memory that wakes nobody: what a client has sent lies there until the server looks for another reason.
#[derive(Clone, Default)]
struct Unnoticed(Arc<Mutex<Bytes>>);

#[derive(Default)]
struct Bytes {
    sent: Vec<u8>,
    answered: Vec<u8>,
    /// The server has read all, and waits.
    is_waiting: bool,
}

impl Unnoticed {
    fn send(&self, bytes: &[u8]) {
        self.0.lock().unwrap().sent.extend_from_slice(bytes);
    }

    fn answers(&self) -> usize {
        let bytes = self.0.lock().unwrap();
        let answered = std::str::from_utf8(&bytes.answered).unwrap();
        answered.matches("200 OK").count()
    }

    /// Until the server has answered so often, and has nothing to read.
    async fn server_waits(&self, answers: usize) {
        while self.answers() < answers || !self.0.lock().unwrap().is_waiting {
            yield_now().await;
        }
    }
}

impl hyper::rt::Read for Unnoticed {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = self.0.lock().unwrap();
        let len = bytes.sent.len().min(buf.remaining());
        bytes.is_waiting = len == 0;
        if len == 0 {
            return Poll::Pending;
        }
        buf.put_slice(&bytes.sent[..len]);
        bytes.sent.drain(..len);
        Poll::Ready(Ok(()))
    }
}

impl hyper::rt::Write for Unnoticed {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let mut bytes = self.0.lock().unwrap();
        bytes.answered.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

const HTTP1_REQUEST: &[u8] = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nhi";

/// Its client cannot know that it was not begun.
#[apply(async_test)]
async fn an_http1_request_that_has_come_when_the_drain_begins_is_answered() {
    for calls_before in [0, 1, 2] {
        let connection = Unnoticed::default();
        for _ in 0..calls_before {
            connection.send(HTTP1_REQUEST);
        }
        let accepted = stream::iter([Ok(Accepted::new(connection.clone()))]);
        let server = Server::from_listener(StreamListener::new(accepted));
        let handle = server.handle();
        let serving = spawn(server.serve(echo()));
        connection.server_waits(calls_before).await;
        connection.send(HTTP1_REQUEST);
        handle.shutdown();
        serving.await.unwrap();
        assert_eq!(connection.answers(), calls_before + 1);
    }
}

#[apply(async_test)]
async fn an_http1_request_that_is_coming_when_the_drain_begins_is_answered() {
    for calls_before in [0, 1] {
        let (mut near, far) = duplex(1000);
        // Of a client that says nothing: it is closed when the drain begins.
        let (mut silent, of_silent) = duplex(1000);
        let accepted = [far, of_silent].map(|io| Ok(Accepted::new(TokioIo::new(io))));
        let server = Server::from_listener(StreamListener::new(stream::iter(accepted)));
        let handle = server.handle();
        let serving = spawn(server.serve(echo()));
        while handle.connections() < 2 {
            yield_now().await;
        }
        let mut answer = [0; 12];
        for _ in 0..calls_before {
            near.write_all(HTTP1_REQUEST).await.unwrap();
            near.read_exact(&mut answer).await.unwrap();
        }
        let (begin, end) = HTTP1_REQUEST.split_at(30);
        near.write_all(begin).await.unwrap();
        handle.shutdown();
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        near.write_all(end).await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        // It need not say that it is the last: the connection may have been at work on what came first when the drain began.
        assert_eq!(answer.matches("200 OK").count(), 1, "{answer:?}");
        serving.await.unwrap();
    }
}

/// So its client sends nothing more on it.
#[apply(async_test)]
async fn an_http1_answer_that_is_given_when_the_drain_was_seen_says_that_it_is_the_last() {
    for calls_before in [0, 1] {
        let gate = Gate::default();
        let (mut near, far) = duplex(1000);
        let (mut silent, of_silent) = duplex(1000);
        let accepted = [far, of_silent].map(|io| Ok(Accepted::new(TokioIo::new(io))));
        let server = Server::from_listener(StreamListener::new(stream::iter(accepted)));
        let handle = server.handle();
        let serving = spawn(server.serve(gate.service()));
        while handle.connections() < 2 {
            yield_now().await;
        }
        for _ in 0..calls_before {
            near.write_all(HTTP1_REQUEST).await.unwrap();
            gate.go_on.notify_one();
            gate.begun.notified().await;
            let mut answer = Vec::new();
            while !answer.ends_with(b"done") {
                near.read_buf(&mut answer).await.unwrap();
            }
            let answer = String::from_utf8(answer).unwrap();
            assert!(!answer.contains("connection: close"), "{answer:?}");
        }
        near.write_all(HTTP1_REQUEST).await.unwrap();
        gate.begun.notified().await;
        handle.shutdown();
        // The drain has begun when a client that says nothing is let go.
        assert_eq!(silent.read(&mut [0; 1]).await.unwrap(), 0);
        gate.go_on.notify_one();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("connection: close\r\n"), "{answer:?}");
        assert!(answer.ends_with("done"), "{answer:?}");
        serving.await.unwrap();
    }
}

/// A server that waits ten minutes for its connections, and says when it has.
async fn patient() -> (Server, mpsc::UnboundedReceiver<usize>) {
    let (events, expired) = mpsc::unbounded_channel();
    let server = bind()
        .await
        .with_drain_timeout(Duration::from_secs(600))
        .with_observer(move |event| {
            if let ServerEvent::DrainExpired { connections } = event {
                let _ = events.send(*connections);
            }
        });
    (server, expired)
}

/// With the shutdown comes a ping, which it does not answer.
#[apply(async_test)]
async fn an_http2_client_that_has_gone_does_not_hold_up_the_drain_with_its_calls() {
    let (server, mut expired) = patient().await;
    let keep_alive = (Duration::from_secs(600), Duration::from_millis(50));
    let gate = Gate::default();
    let server = start(server.with_keep_alive(keep_alive), gate.service());
    let mut gone = connect(server.address).await.unwrap();
    gone.write_all(HTTP2_PREFACE).await.unwrap();
    gone.write_all(&http2_request(1)).await.unwrap();
    gate.begun.notified().await;
    server.stop().await.unwrap();
    assert!(expired.try_recv().is_err());
}

#[apply(async_test)]
async fn an_http2_client_without_calls_does_not_hold_up_the_drain() {
    let (server, mut expired) = patient().await;
    let server = start(server.with_keep_alive(None), echo());
    let mut gone = connect(server.address).await.unwrap();
    gone.write_all(HTTP2_PREFACE).await.unwrap();
    gone.write_all(&http2_request(1)).await.unwrap();
    read_until(&mut gone, HEADERS).await.unwrap();
    server.stop().await.unwrap();
    assert!(expired.try_recv().is_err());
}

/// It answers the ping, and later than its call's answer nothing holds it up.
#[apply(async_test)]
async fn an_http2_client_that_is_there_has_the_time_of_the_drain() {
    let (server, mut expired) = patient().await;
    let keep_alive = (Duration::from_secs(600), Duration::from_millis(50));
    let gate = Gate::default();
    let server = start(server.with_keep_alive(keep_alive), gate.service());
    let channel = Channel::new(server.uri()).unwrap();
    let in_flight = spawn(async move { call(&channel, post_http2(CallBody::empty())).await });
    gate.begun.notified().await;
    let task = server.stop();
    let _ = within(Duration::from_millis(150), std::future::pending::<()>()).await;
    gate.go_on.notify_one();
    assert_eq!(in_flight.await.unwrap().unwrap().body(), "done");
    task.await.unwrap();
    assert!(expired.try_recv().is_err());
}
