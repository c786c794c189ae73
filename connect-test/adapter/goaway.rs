//! Servers that end their HTTP/2 connections under many calls at once: every call ends, and what the server did not process
//! is sent on another connection.

use std::{
    future::{Future, poll_fn},
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
};

use connect_proto::{Code, Error};
use connect_tower::{CallBody, Client, Prost, Resends, transport::Sent};
use http::HeaderValue;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::oneshot,
};

use super::support::{
    self, ECHO, EMPTY_SETTINGS, HEADERS, Socket, Task, accept, answer, async_test, bind, call,
    echo, goaway, http2_client, listen, next_stream, post, post_http2, read_frame, read_preface,
    refused, settings, spawn, start, unary, yield_now,
};
use crate::rt::Channel;

/// How a server ends a connection after so many streams.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    GoAway,
    /// And it allows so many streams at once: others wait in the client.
    GoAwayAndQueue,
    /// Without a GOAWAY: streams that it did not answer may have been processed.
    Close,
}

/// How many streams a connection answers.
const STREAMS: u32 = 10;
/// HTTP/2 by hand: a few streams are answered, the rest is not.
async fn serve_few(mut socket: Socket, end: End) -> io::Result<()> {
    read_preface(&mut socket).await?;
    match end {
        End::GoAwayAndQueue => socket.write_all(&settings(STREAMS as u8)).await?,
        End::GoAway | End::Close => socket.write_all(EMPTY_SETTINGS).await?,
    }
    for _ in 1..STREAMS {
        let stream = next_stream(&mut socket).await?;
        socket.write_all(&answer(stream)).await?;
    }
    let last = next_stream(&mut socket).await?;
    if end != End::Close {
        socket.write_all(&goaway(last)).await?;
    }
    socket.write_all(&answer(last)).await?;
    socket.shutdown().await?;
    // A socket that is closed with unread bytes would be reset, and the answers lost.
    socket.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// A counter, and what counts with it.
fn counter() -> (Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let counter = Arc::new(AtomicUsize::new(0));
    (Arc::clone(&counter), counter)
}

/// A server that treats its connections like this, and a client of it. Counts the connections.
async fn client_of<S, F>(serve: S) -> (Client<Channel>, Arc<AtomicUsize>)
where
    S: Fn(Socket) -> F + Send + 'static,
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let mut listener = listen().await;
    let client = http2_client(listener.local_addr().unwrap());
    let (connections, count) = counter();
    spawn(async move {
        loop {
            let socket = accept(&mut listener).await;
            count.fetch_add(1, Ordering::SeqCst);
            spawn(serve(socket));
        }
    });
    (client, connections)
}

const TASKS: usize = 50;
const CALLS_PER_TASK: usize = 5;

/// Many calls at once, one after the other in each task.
fn many_calls(client: &Client<Channel>, tasks: usize, calls: usize) -> Vec<Task<Vec<Ended>>> {
    let calls = |client: Client<Channel>| async move {
        let mut ends = Vec::new();
        for _ in 0..calls {
            // All of it is in the HEADERS: h2 forgets an answer whose request is not all sent when the connection ends.
            ends.push(unary(&client, &ECHO, "").await.map(drop));
        }
        ends
    };
    (0..tasks).map(|_| spawn(calls(client.clone()))).collect()
}

type Ended = Result<(), Error>;

#[apply(async_test)]
async fn what_many_goaways_have_refused_is_answered_on_other_connections() {
    for end in [End::GoAway, End::GoAwayAndQueue] {
        let (client, connections) = client_of(move |socket| serve_few(socket, end)).await;
        for calls in many_calls(&client, TASKS, CALLS_PER_TASK) {
            for end in calls.await.unwrap() {
                end.unwrap();
            }
        }
        let expected = TASKS * CALLS_PER_TASK / STREAMS as usize;
        assert!(connections.load(Ordering::SeqCst) >= expected, "{end:?}");
    }
}

/// Answers five requests of each connection, and counts all that it answers.
async fn serve_five(mut socket: Socket, answered: Arc<AtomicUsize>) -> io::Result<()> {
    read_preface(&mut socket).await?;
    socket.write_all(EMPTY_SETTINGS).await?;
    for count in 1..=5 {
        let stream = next_stream(&mut socket).await?;
        answered.fetch_add(1, Ordering::SeqCst);
        if count == 5 {
            socket.write_all(&goaway(stream)).await?;
        }
        socket.write_all(&answer(stream)).await?;
    }
    socket.shutdown().await?;
    socket.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

/// As nginx does after `keepalive_requests`.
#[apply(async_test)]
async fn a_server_may_end_each_connection_after_five_calls() {
    let (answered, count) = counter();
    let (client, _) = client_of(move |socket| serve_five(socket, Arc::clone(&count))).await;
    for calls in many_calls(&client, 20, 50) {
        for end in calls.await.unwrap() {
            end.unwrap();
        }
    }
    // None ran twice.
    assert_eq!(answered.load(Ordering::SeqCst), 1_000);
}

/// A server that has one limit of streams, and after so many answers another.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// What the client is told.
    told: u8,
    /// What is true.
    first: usize,
    answers: usize,
    then: usize,
}

/// Answers a request when the client has taken a PING, and refuses those that come meanwhile beyond the limit. Counts the
/// answers.
async fn serve_limited(
    mut socket: Socket,
    limits: Limits,
    answered: Arc<AtomicUsize>,
) -> io::Result<()> {
    read_preface(&mut socket).await?;
    let (mut open, mut limit) = (Vec::new(), limits.first);
    socket.write_all(&settings(limits.told)).await?;
    loop {
        let frame = read_frame(&mut socket).await?;
        if frame.kind == HEADERS {
            if open.len() >= limit {
                socket.write_all(&refused(frame.stream)).await?;
            } else {
                open.push(frame.stream);
                socket.write_all(PING).await?;
            }
        } else if frame.kind == PING[3] {
            let stream = open.remove(0);
            // Before the client can see the answer.
            let count = answered.fetch_add(1, Ordering::SeqCst) + 1;
            socket.write_all(&answer(stream)).await?;
            if count == limits.answers {
                limit = limits.then;
                socket.write_all(&settings(limit as u8)).await?;
            }
        }
    }
}

#[apply(async_test)]
async fn a_server_may_have_a_low_limit_of_streams_or_lower_it() {
    for limits in [
        // It takes fewer than it says.
        Limits {
            told: 100,
            first: 10,
            answers: usize::MAX,
            then: 0,
        },
        Limits {
            told: 100,
            first: 1,
            answers: usize::MAX,
            then: 0,
        },
        // Lowered in the middle.
        Limits {
            told: 100,
            first: 100,
            answers: 50,
            then: 1,
        },
    ] {
        let (answered, count) = counter();
        let serve = move |socket| serve_limited(socket, limits, Arc::clone(&count));
        let (client, _) = client_of(serve).await;
        for calls in many_calls(&client, 200, 1) {
            for end in calls.await.unwrap() {
                if let Err(error) = end {
                    panic!("{limits:?}: {error:#}");
                }
            }
        }
        assert_eq!(answered.load(Ordering::SeqCst), 200, "{limits:?}");
    }
}

#[apply(async_test)]
async fn calls_on_lost_connections_end() {
    let (client, _) = client_of(|socket| serve_few(socket, End::Close)).await;
    let mut answered = 0;
    for calls in many_calls(&client, TASKS, CALLS_PER_TASK) {
        for end in calls.await.unwrap() {
            match end {
                Ok(()) => answered += 1,
                Err(error) => assert_eq!(error.code(), Code::Unavailable, "{error}"),
            }
        }
    }
    assert!(answered >= STREAMS);
}

#[apply(async_test)]
async fn calls_on_a_server_that_drains_end() {
    for request in [post, post_http2] {
        let server = start(bind().await, echo());
        let answered = Arc::new(AtomicUsize::new(0));
        let channel = Channel::new(server.uri()).unwrap();
        let calls = |channel: Channel, answered: Arc<AtomicUsize>| async move {
            loop {
                match call(&channel, request(CallBody::full("x"))).await {
                    Ok(_) => answered.fetch_add(1, Ordering::SeqCst),
                    Err(error) => return error,
                };
            }
        };
        let calls: Vec<_> = (0..TASKS)
            .map(|_| spawn(calls(channel.clone(), Arc::clone(&answered))))
            .collect();
        while answered.load(Ordering::SeqCst) < TASKS {
            yield_now().await;
        }
        server.stop().await.unwrap();
        for error in calls {
            let error = error.await.unwrap();
            assert_eq!(error.error().code(), Code::Unavailable, "{error}");
        }
    }
}

/// PING.
const PING: &[u8] = &[0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Answers two requests, one at a time, and ends the connection while the second is open, by a GOAWAY of this last stream.
/// Tells when it is, and waits until it may go on. Returns whether a third has come.
async fn end_under_second(
    socket: &mut Socket,
    last_stream: Option<[u8; 4]>,
    is_open: oneshot::Sender<()>,
    may_end: oneshot::Receiver<()>,
) -> io::Result<bool> {
    read_preface(socket).await?;
    socket.write_all(&settings(1)).await?;
    let first = next_stream(socket).await?;
    socket.write_all(&answer(first)).await?;
    let second = next_stream(socket).await?;
    let _ = is_open.send(());
    let _ = may_end.await;
    socket
        .write_all(&goaway(last_stream.unwrap_or(second)))
        .await?;
    socket.write_all(PING).await?;
    while read_frame(socket).await?.kind != PING[3] {}
    socket.write_all(&answer(second)).await?;
    Ok(next_stream(socket).await.is_ok())
}

#[apply(async_test)]
async fn a_call_that_waits_for_a_stream_at_a_goaway_gets_another_connection() {
    // The last stream that was taken, or the notice of a graceful shutdown, which still allows streams.
    for last_stream in [None, Some([0x7f, 0xff, 0xff, 0xff])] {
        let mut listener = listen().await;
        let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
            .with_max_http2_connections(1)
            .build()
            .unwrap();
        let (end, may_end) = oneshot::channel();
        let (is_open, open) = oneshot::channel();
        let server = spawn(async move {
            let mut socket = accept(&mut listener).await;
            let has_third = end_under_second(&mut socket, last_stream, is_open, may_end).await;
            let mut socket = accept(&mut listener).await;
            read_preface(&mut socket).await?;
            socket.write_all(&settings(1)).await?;
            let third = next_stream(&mut socket).await?;
            socket.write_all(&answer(third)).await?;
            has_third
        });
        call(&channel, post_http2(CallBody::full("first")))
            .await
            .unwrap();
        let second = spawn({
            let channel = channel.clone();
            async move { call(&channel, post_http2(CallBody::full("second"))).await }
        });
        open.await.unwrap();
        let mut third = Box::pin(call(&channel, post_http2(CallBody::full("third"))));
        let waits = poll_fn(|cx| Poll::Ready(third.as_mut().poll(cx).is_pending())).await;
        assert!(waits);
        let _ = end.send(());
        second.await.unwrap().unwrap();
        third.await.unwrap();
        assert!(!server.await.unwrap().unwrap());
    }
}

/// Turns out to speak HTTP/1.1, when it may.
async fn speak_http1(
    mut socket: Socket,
    may_speak: Option<oneshot::Receiver<()>>,
) -> io::Result<()> {
    read_preface(&mut socket).await?;
    if let Some(may_speak) = may_speak {
        let _ = may_speak.await;
    }
    socket.write_all(b"HTTP/1.1 400 Bad Request\r\n").await?;
    socket.shutdown().await?;
    socket.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

#[apply(async_test)]
async fn no_request_is_sent_again_to_a_port_without_http2() {
    let (speak, may_speak) = oneshot::channel();
    let may_speak = Mutex::new(Some(may_speak));
    let (client, connections) =
        client_of(move |socket| speak_http1(socket, may_speak.lock().unwrap().take())).await;
    let mut calls = [(); 50].map(|()| {
        let client = client.clone();
        Box::pin(async move { unary(&client, &ECHO, "").await })
    });
    // All of them are for the first connection.
    poll_fn(|cx| {
        for call in &mut calls {
            assert!(call.as_mut().poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
    let calls = calls.map(spawn);
    let _ = speak.send(());
    for call in calls {
        let error = call.await.unwrap().unwrap_err();
        assert!(format!("{error:#}").contains("HTTP/1.1 only"), "{error:#}");
    }
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// A call whose HEADERS have more than 500 bytes each time they are sent.
async fn call_large(client: &Client<Channel>) -> Result<(), Error> {
    let mut request = connect_tower::Request::new(());
    let mut value = HeaderValue::from_str(&"x".repeat(1000)).unwrap();
    // Else the second one on a connection refers to the first.
    value.set_sensitive(true);
    request.headers_mut().insert("x-large", value);
    client.unary::<Prost, (), ()>(&ECHO, request).await?;
    Ok(())
}

fn is_large(frame: &support::Frame) -> bool {
    frame.kind == HEADERS && frame.payload.len() > 500
}

/// Answers all requests but so many large ones, which it refuses. Counts the large ones.
async fn refuse_large(mut socket: Socket, times: usize, count: Arc<AtomicUsize>) -> io::Result<()> {
    read_preface(&mut socket).await?;
    socket.write_all(EMPTY_SETTINGS).await?;
    loop {
        let frame = read_frame(&mut socket).await?;
        if is_large(&frame) && count.fetch_add(1, Ordering::SeqCst) < times {
            socket.write_all(&refused(frame.stream)).await?;
        } else if frame.kind == HEADERS {
            socket.write_all(&answer(frame.stream)).await?;
        }
    }
}

#[apply(async_test)]
async fn a_stream_that_was_refused_is_opened_again_on_its_connection() {
    let (large_requests, count) = counter();
    let (client, connections) =
        client_of(move |socket| refuse_large(socket, 2, Arc::clone(&count))).await;
    call_large(&client).await.unwrap();
    assert_eq!(large_requests.load(Ordering::SeqCst), 3);
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

#[apply(async_test)]
async fn a_request_that_is_always_refused_ends_and_harms_no_other() {
    let (large_requests, count) = counter();
    let (client, connections) =
        client_of(move |socket| refuse_large(socket, usize::MAX, Arc::clone(&count))).await;
    unary(&client, &ECHO, "").await.unwrap();
    let error = call_large(&client).await.unwrap_err();
    assert_eq!(Sent::of(&error), Some(Sent::No), "{error}");
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(large_requests.load(Ordering::SeqCst), 8);
    unary(&client, &ECHO, "").await.unwrap();
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Waits for a large request and another, answers the other, and ends the connection. Counts the large ones.
async fn go_away_at_large(mut socket: Socket, count: Arc<AtomicUsize>) -> io::Result<()> {
    read_preface(&mut socket).await?;
    socket.write_all(EMPTY_SETTINGS).await?;
    let (mut has_large, mut small) = (false, None);
    let small = loop {
        match small {
            Some(small) if has_large => break small,
            _ => {}
        }
        let frame = read_frame(&mut socket).await?;
        if is_large(&frame) {
            count.fetch_add(1, Ordering::SeqCst);
            has_large = true;
        } else if frame.kind == HEADERS {
            small = Some(frame.stream);
        }
    };
    socket.write_all(&answer(small)).await?;
    socket.write_all(&goaway([0; 4])).await?;
    socket.shutdown().await?;
    socket.read_to_end(&mut Vec::new()).await?;
    Ok(())
}

#[apply(async_test)]
async fn a_request_that_meets_a_goaway_each_time_ends_though_others_are_answered() {
    let (large_requests, count) = counter();
    let (client, _) = client_of(move |socket| go_away_at_large(socket, Arc::clone(&count))).await;
    let client = client.with_resends(Resends::new().with_max(49));
    let others = spawn({
        let client = client.clone().with_resends(Resends::new());
        async move {
            loop {
                unary(&client, &ECHO, "").await.unwrap();
            }
        }
    });
    let error = call_large(&client).await.unwrap_err();
    assert!(!others.is_finished());
    others.abort();
    assert_eq!(Sent::of(&error), Some(Sent::No), "{error}");
    assert_eq!(large_requests.load(Ordering::SeqCst), 50);
}
