//! Clients that make an HTTP/2 server work for nothing are ended, and the observer is told.

use std::{sync::Arc, time::Duration};

use connect_hyper::{CallTasks, Flood, ServerEvent, server::RequestBody};
use http::Request;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, mpsc},
};

use super::support::{
    CONTINUATION, DATA, Frame, GOAWAY, HEADERS, HTTP2_PREFACE, PING, RST_STREAM, SETTINGS,
    ServiceFn, Socket, WINDOW_UPDATE, async_test, bind, connect, echo, frame, http2_request,
    read_until, start, text,
};
use crate::rt::Server;

const ENHANCE_YOUR_CALM: &[u8] = &[0, 0, 0, 11];
const CANCEL: &[u8] = &[0, 0, 0, 8];

fn observed(server: Server) -> (Server, mpsc::UnboundedReceiver<Flood>) {
    let (events, seen) = mpsc::unbounded_channel();
    let server = server.with_observer(move |event| {
        if let ServerEvent::Flooded { flood, .. } = event {
            let _ = events.send(*flood);
        }
    });
    (server, seen)
}

async fn goaway(socket: &mut Socket) -> Frame {
    let goaway = read_until(socket, GOAWAY).await.unwrap();
    assert_eq!(&goaway.payload[4..8], ENHANCE_YOUR_CALM);
    goaway
}

/// Calls never end.
fn hanging() -> (Arc<Notify>, impl connect_hyper::HttpService) {
    let begun = Arc::new(Notify::new());
    let begin = Arc::clone(&begun);
    let service = ServiceFn(move |_: Request<RequestBody>| {
        begin.notify_one();
        async { std::future::pending().await }
    });
    (begun, service)
}

#[apply(async_test)]
async fn frames_that_have_to_be_answered_are_bounded_while_no_call_moves() {
    const MAX: usize = 10;
    let ping = frame(PING, 0, 0, &[0; 8]);
    let settings = frame(SETTINGS, 0, 0, &[]);
    for flood in [ping, settings] {
        let server = bind().await.with_max_control_frames(MAX);
        let (server, mut seen) = observed(server);
        let server = start(server, hanging().1);
        let mut socket = connect(server.address).await.unwrap();
        // A call that does not move does not help.
        let begin = [HTTP2_PREFACE, &http2_request(1)].concat();
        socket.write_all(&begin).await.unwrap();
        // The server begins with it, and what it answers counts from there.
        read_until(&mut socket, WINDOW_UPDATE).await.unwrap();
        for _ in 0..=MAX {
            socket.write_all(&flood).await.unwrap();
        }
        let told = goaway(&mut socket).await;
        assert_eq!(&told.payload[8..], b"too_many_pings");
        // A reset ends it as well as a close.
        let _ = socket.read_to_end(&mut Vec::new()).await;
        assert_eq!(seen.recv().await, Some(Flood::ControlFrames));
    }
}

#[apply(async_test)]
async fn pings_beside_calls_that_move_are_not_counted() {
    let server = bind().await.with_max_control_frames(4);
    let server = start(server, echo());
    let mut socket = connect(server.address).await.unwrap();
    socket.write_all(HTTP2_PREFACE).await.unwrap();
    for call in 0..20 {
        let ping = frame(PING, 0, 0, &[0; 8]);
        let request = http2_request(2 * call + 1);
        socket
            .write_all(&[&ping[..], &ping, &request].concat())
            .await
            .unwrap();
        read_until(&mut socket, HEADERS).await.unwrap();
    }
}

#[apply(async_test)]
async fn calls_beyond_the_limit_are_bounded() {
    let server = bind()
        .await
        .with_max_concurrent_streams(1)
        .with_max_control_frames(10);
    let (server, mut seen) = observed(server);
    let (begun, service) = hanging();
    let server = start(server, service);
    let mut socket = connect(server.address).await.unwrap();
    let first = [HTTP2_PREFACE, &http2_request(1)].concat();
    socket.write_all(&first).await.unwrap();
    begun.notified().await;
    for call in 1..=11 {
        let request = http2_request(2 * call + 1);
        socket.write_all(&request).await.unwrap();
    }
    goaway(&mut socket).await;
    assert_eq!(seen.recv().await, Some(Flood::ControlFrames));
}

#[apply(async_test)]
async fn calls_that_are_canceled_are_bounded() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let server = bind()
            .await
            .with_call_tasks(tasks)
            .with_max_canceled_calls(5);
        let (server, mut seen) = observed(server);
        let (begun, service) = hanging();
        let server = start(server, service);
        let mut socket = connect(server.address).await.unwrap();
        socket.write_all(HTTP2_PREFACE).await.unwrap();
        for call in 0..6 {
            let stream = 2 * call + 1;
            socket.write_all(&http2_request(stream)).await.unwrap();
            begun.notified().await;
            let cancel = frame(RST_STREAM, 0, stream, CANCEL);
            socket.write_all(&cancel).await.unwrap();
        }
        let _ = socket.read_to_end(&mut Vec::new()).await;
        assert_eq!(seen.recv().await, Some(Flood::CanceledCalls), "{tasks:?}");
    }
}

/// What h2 bounds by itself: a change there shows here.
#[apply(async_test)]
async fn empty_frames_are_bounded() {
    let server = start(bind().await, hanging().1);
    // A request without its end, and without the end of its headers.
    let open = frame(HEADERS, 4, 1, &[0x83, 0x86, 0x84]);
    let unfinished = frame(HEADERS, 1, 1, &[0x83, 0x86, 0x84]);
    for (begin, empty) in [
        (open, frame(DATA, 0, 1, &[])),
        (unfinished, frame(CONTINUATION, 0, 1, &[])),
    ] {
        let mut socket = connect(server.address).await.unwrap();
        let sent = [HTTP2_PREFACE, &begin, &empty.repeat(200)].concat();
        socket.write_all(&sent).await.unwrap();
        goaway(&mut socket).await;
    }
}

/// Somebody who waits for a quiet stream and is gone.
#[apply(async_test)]
async fn a_client_that_vanished_is_noticed_by_pings() {
    let short = Duration::from_millis(20);
    let default = bind().await.keep_alive();
    let default = default.map(|(interval, timeout)| (interval.as_secs(), timeout.as_secs()));
    assert_eq!(default, Some((60, 20)));
    let (ended, mut has_ended) = mpsc::unbounded_channel::<()>();
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let ended = ended.clone();
        async move {
            std::future::pending::<()>().await;
            drop(ended);
            text("never")
        }
    });
    let server = bind().await.with_keep_alive((short, short));
    let server = start(server, service);
    let mut socket = connect(server.address).await.unwrap();
    let request = [HTTP2_PREFACE, &http2_request(1)].concat();
    socket.write_all(&request).await.unwrap();
    read_until(&mut socket, PING).await.unwrap();
    let _ = socket.read_to_end(&mut Vec::new()).await;
    server.stop().await.unwrap();
    assert_eq!(has_ended.recv().await, None);
}
