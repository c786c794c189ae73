//! Clients that do not take their answers: the server ends what it cannot send.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use connect_hyper::{
    CallTasks, ServerEvent,
    runtime::{Accepted, StreamListener},
    server::RequestBody,
};
use futures_util::stream;
use h2::{Reason, client::SendRequest};
use hyper_util::rt::TokioIo;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::{Notify, mpsc},
};

use super::support::{
    HTTP2_PREFACE, Running, ServiceFn, Socket, async_test, bind, connect, full, http2_request,
    spawn, start, within,
};
use crate::rt::{Request, Response, ResponseStream, Router, Server, Spec, StreamType, rt::NoTimer};

const SHORT: Duration = Duration::from_millis(50);

const STREAM: Spec = Spec::new("/test.v1.Test/Stream", StreamType::ServerStream);
const UNARY: Spec = Spec::new("/test.v1.Test/Unary", StreamType::Unary);

/// Notifies when dropped.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// More than sockets hold; and a stream of that without an end, which tells when it is dropped.
fn large_answers(dropped: &Arc<Notify>) -> Router {
    let large = "x".repeat(4 * 1024 * 1024);
    let (message, dropped) = (large.clone(), Arc::clone(dropped));
    Router::new()
        .unary(UNARY, move |_: Request<String>| {
            let large = large.clone();
            async move { Ok(Response::new(large)) }
        })
        .server_stream(STREAM, move |_: Request<String>| {
            let (message, guard) = (message.clone(), OnDrop(Arc::clone(&dropped)));
            async move {
                Ok(Response::new(ResponseStream::generate(
                    |mut answers| async move {
                        let _guard = guard;
                        loop {
                            answers.send(message.clone()).await;
                        }
                    },
                )))
            }
        })
}

/// The router's clock stands still: no answer ends by its own deadline, only by that which the connection keeps.
fn answers_without_clock(dropped: &Arc<Notify>) -> Router {
    large_answers(dropped).with_timer(Arc::new(NoTimer))
}

/// A client that gives the server no more window than there is at first.
async fn http2(server: &Running) -> SendRequest<Bytes> {
    let socket = connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    spawn(connection);
    client
}

/// How a call ends whose answer is not taken.
async fn reset_of(client: &mut SendRequest<Bytes>, spec: &Spec, timeout: &str) -> Option<Reason> {
    let request = http::Request::post(format!("http://server{}", spec.procedure()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", timeout)
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let mut answer = match response.await {
        Ok(response) => response.into_body(),
        Err(error) => return error.reason(),
    };
    // Read, but the window is not opened again.
    loop {
        match answer.data().await {
            Some(Ok(_)) => {}
            Some(Err(error)) => return error.reason(),
            None => return None,
        }
    }
}

const LONG: &str = "1H";

#[apply(async_test)]
async fn an_http2_call_that_waits_for_the_window_ends_with_its_deadline() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let dropped = Arc::new(Notify::new());
        let server = bind().await.with_call_tasks(tasks);
        let server = start(server, answers_without_clock(&dropped));
        for spec in [STREAM, UNARY] {
            let mut client = http2(&server).await;
            let reset = reset_of(&mut client, &spec, "100m").await;
            assert_eq!(reset, Some(Reason::CANCEL), "{tasks:?}");
        }
        dropped.notified().await;
    }
}

#[apply(async_test)]
async fn an_http2_call_waits_for_the_window_no_longer_than_the_write_timeout() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let dropped = Arc::new(Notify::new());
        let limited = bind()
            .await
            .with_call_tasks(tasks)
            .with_write_timeout(SHORT);
        let server = start(limited, large_answers(&dropped));
        let mut client = http2(&server).await;
        // The second has no window at all: the first has used up the connection's.
        for spec in [STREAM, UNARY] {
            let reset = reset_of(&mut client, &spec, LONG).await;
            assert_eq!(reset, Some(Reason::CANCEL), "{tasks:?}");
        }
        dropped.notified().await;
    }
}

/// Reads the answer to a call, with a pause after each 64 KiB.
async fn read_slowly(client: &mut SendRequest<Bytes>, pause: Duration) -> Result<usize, h2::Error> {
    let request = http::Request::post(format!("http://server{}", UNARY.procedure()))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let (response, mut body) = client.send_request(request, false)?;
    body.send_data(Bytes::from_static(&[0; 5]), true)?;
    let mut answer = response.await?.into_body();
    let (mut read, mut unpaused) = (0, 0);
    while let Some(data) = answer.data().await {
        let len = data?.len();
        (read, unpaused) = (read + len, unpaused + len);
        if unpaused >= 64 * 1024 {
            unpaused = 0;
            let _ = within(pause, std::future::pending::<()>()).await;
        }
        answer.flow_control().release_capacity(len)?;
    }
    Ok(read)
}

#[apply(async_test)]
async fn a_slow_client_that_goes_on_reading_gets_all_of_a_large_answer() {
    // 64 pieces with a pause after each take longer than the timeout, and each of them far less.
    let (timeout, pause) = (Duration::from_secs(1), Duration::from_millis(20));
    let server = bind().await.with_write_timeout(timeout);
    let server = start(server, large_answers(&Arc::default()));
    let read = read_slowly(&mut http2(&server).await, pause).await;
    assert!(read.unwrap() > 4 * 1024 * 1024);
}

/// A call over HTTP/1.1 of which nothing is read.
async fn unread_http1(server: &Running, timeout_ms: &str) -> Socket {
    let mut socket = connect(server.address).await.unwrap();
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-type: application/connect+proto\r\n\
         connect-timeout-ms: {timeout_ms}\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0",
        STREAM.procedure()
    );
    socket.write_all(request.as_bytes()).await.unwrap();
    socket
}

/// What a server has made is not yet what its client has. The call has ended by then, on either version.
#[apply(async_test)]
async fn a_connection_is_not_idle_while_its_client_takes_an_answer() {
    const LEN: usize = 16 * 1024;
    const BYTE: u8 = 0xee;
    let http1 = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n".to_vec();
    let http2 = [HTTP2_PREFACE, &http2_request(1)].concat();
    for request in [http1, http2] {
        let (mut near, far) = duplex(1000);
        let accepted = stream::iter([Ok(Accepted::new(TokioIo::new(far)))]);
        let server = Server::from_listener(StreamListener::new(accepted));
        let service = ServiceFn(|_: http::Request<RequestBody>| async {
            http::Response::new(full(vec![BYTE; LEN]))
        });
        spawn(server.with_idle_timeout(SHORT).serve(service));
        near.write_all(&request).await.unwrap();
        let _ = within(5 * SHORT, std::future::pending::<()>()).await;
        let mut received = 0;
        while received < LEN {
            received += usize::from(near.read_u8().await.unwrap() == BYTE);
        }
    }
}

fn report_failures(server: Server) -> (Server, mpsc::UnboundedReceiver<String>) {
    let (events, failures) = mpsc::unbounded_channel();
    let server = server.with_observer(move |event| {
        if let ServerEvent::ConnectionFailed { .. } = event {
            let _ = events.send(event.to_string());
        }
    });
    (server, failures)
}

#[apply(async_test)]
async fn an_http1_connection_whose_client_does_not_read_ends_with_the_deadline() {
    let dropped = Arc::new(Notify::new());
    let (server, mut failures) = report_failures(bind().await);
    let server = start(server, answers_without_clock(&dropped));
    let _socket = unread_http1(&server, "100").await;
    dropped.notified().await;
    let failure = failures.recv().await.unwrap();
    assert!(failure.contains("did not read"), "{failure}");
}

#[apply(async_test)]
async fn a_connection_whose_socket_takes_nothing_is_closed() {
    let dropped = Arc::new(Notify::new());
    let (server, mut failures) = report_failures(bind().await.with_write_timeout(SHORT));
    let server = start(server, large_answers(&dropped));
    let _socket = unread_http1(&server, "3600000").await;
    dropped.notified().await;
    let failure = failures.recv().await.unwrap();
    assert!(failure.contains("did not read"), "{failure}");
}
