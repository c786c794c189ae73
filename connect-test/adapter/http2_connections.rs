//! The HTTP/2 connections of a channel: how many there are, how many calls each has, which calls wait, and when each ends.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
    time::Duration,
};

use connect_hyper::{
    ChannelState, HttpVersion, client::EndpointAddress, runtime::Runtime, server::RequestBody,
};
use connect_proto::Code;
use connect_tower::{CallBody, Client, Connection, Transport, transport::Sent};
use http::Request;
use http_body_util::BodyExt;
use hyper::rt::{Read, ReadBufCursor, Write};
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Barrier, mpsc, oneshot},
};

use super::support::{
    ECHO, EMPTY_SETTINGS, HEADERS, PING, Running, ServiceFn, Socket, accept, answer, async_test,
    bind, body_channel, call, call_again, echo, listen, next_stream, post_http2, read_frame,
    read_preface, refused, runtime, settings, spawn, start, text, unary, within, yield_now,
};
use crate::rt::Channel;

fn empty() -> Request<CallBody> {
    post_http2(CallBody::empty())
}

/// Polled once: it has begun.
async fn is_pending<F: Future + Unpin>(future: &mut F) -> bool {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut *future).poll(cx).is_pending())).await
}

/// What a server by hand has seen.
#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    refused: AtomicUsize,
}

/// How many requests come before the limit is lowered.
const FIRST: usize = 50;

/// Allows so many streams at once, after some requests another number, and refuses those beyond.
async fn serve_strictly(mut socket: Socket, limits: [u8; 2], seen: Arc<Seen>) -> io::Result<()> {
    read_preface(&mut socket).await?;
    socket.write_all(&settings(limits[0])).await?;
    let (mut reader, mut writer) = tokio::io::split(socket);
    let (answers, mut waiting) = mpsc::unbounded_channel::<Vec<u8>>();
    spawn(async move {
        while let Some(bytes) = waiting.recv().await {
            writer.write_all(&bytes).await?;
        }
        io::Result::Ok(())
    });
    let open = Arc::new(AtomicUsize::new(0));
    let mut limit = limits[0];
    loop {
        let frame = read_frame(&mut reader).await?;
        if frame.kind != HEADERS {
            continue;
        }
        if seen.requests.fetch_add(1, SeqCst) == FIRST && limit != limits[1] {
            limit = limits[1];
            let _ = answers.send(settings(limit).to_vec());
        }
        if open.load(SeqCst) >= usize::from(limit) {
            seen.refused.fetch_add(1, SeqCst);
            let _ = answers.send(refused(frame.stream));
            continue;
        }
        open.fetch_add(1, SeqCst);
        let (answers, open) = (answers.clone(), Arc::clone(&open));
        spawn(async move {
            // Others come meanwhile.
            for _ in 0..20 {
                yield_now().await;
            }
            open.fetch_sub(1, SeqCst);
            let _ = answers.send(answer(frame.stream));
        });
    }
}

/// Makes so many calls at once to such a server.
async fn burst(calls: usize, limits: [u8; 2], max_connections: usize) -> Arc<Seen> {
    let mut listener = listen().await;
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_http_version(HttpVersion::Http2)
        .with_max_http2_connections(max_connections)
        .build()
        .unwrap();
    let seen = Arc::<Seen>::default();
    let counted = Arc::clone(&seen);
    spawn(async move {
        loop {
            let socket = accept(&mut listener).await;
            counted.connections.fetch_add(1, SeqCst);
            spawn(serve_strictly(socket, limits, Arc::clone(&counted)));
        }
    });
    let client = Client::new(channel);
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let client = client.clone();
            spawn(async move { unary(&client, &ECHO, "").await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    seen
}

#[apply(async_test)]
async fn no_stream_of_a_cold_burst_is_refused() {
    for limit in [10, 1] {
        for max_connections in [16, 1] {
            let seen = burst(200, [limit; 2], max_connections).await;
            assert_eq!(seen.refused.load(SeqCst), 0);
            assert_eq!(seen.requests.load(SeqCst), 200);
            let connections = seen.connections.load(SeqCst);
            assert!(
                (1..=max_connections).contains(&connections),
                "{connections}"
            );
        }
    }
}

#[apply(async_test)]
async fn a_limit_that_is_lowered_in_the_middle_fails_no_call() {
    let seen = burst(200, [100, 1], 1).await;
    assert_eq!(seen.connections.load(SeqCst), 1);
    // Those that were on their way.
    assert!(seen.refused.load(SeqCst) < 100);
}

#[apply(async_test)]
async fn a_server_that_takes_a_connection_and_is_silent_is_given_up() {
    let listener = listen().await;
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_connect_timeout(Duration::from_millis(50))
        .build()
        .unwrap();
    let error = call(&channel, empty()).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    assert_eq!(error.error().code(), Code::Unavailable);
    assert!(
        error.to_string().contains("sent no HTTP/2 settings"),
        "{error}"
    );
    assert_eq!(channel.state(), ChannelState::Failed);
}

/// Answers with the client's address, when as many calls have come as the barrier wants.
fn together(calls: usize) -> impl connect_hyper::HttpService {
    let barrier = Arc::new(Barrier::new(calls));
    ServiceFn(move |request: Request<RequestBody>| {
        let barrier = Arc::clone(&barrier);
        async move {
            let connection = request.extensions().get::<Connection>().unwrap();
            let address = connection.peer().addr().unwrap();
            barrier.wait().await;
            text(address.to_string())
        }
    })
}

/// The connections that so many calls at once come by.
async fn connections(channel: &Channel, calls: usize) -> HashSet<String> {
    let calls: Vec<_> = (0..calls)
        .map(|_| {
            let channel = channel.clone();
            spawn(async move { call(&channel, empty()).await.unwrap().into_body() })
        })
        .collect();
    let mut seen = HashSet::new();
    for call in calls {
        seen.insert(String::from_utf8(call.await.unwrap().to_vec()).unwrap());
    }
    seen
}

#[apply(async_test)]
async fn calls_that_find_no_room_open_further_connections() {
    for (of_server, of_channel) in [(10, 100), (200, 10)] {
        let server = bind().await.with_max_concurrent_streams(of_server);
        let server = start(server, together(30));
        let channel = Channel::builder(server.uri())
            .with_streams_per_connection(of_channel)
            .build()
            .unwrap();
        assert_eq!(connections(&channel, 30).await.len(), 3);
    }
}

#[apply(async_test)]
async fn no_more_connections_are_opened_than_allowed() {
    let server = start(bind().await, together(10));
    let channel = Channel::builder(server.uri())
        .with_streams_per_connection(5)
        .with_max_http2_connections(2)
        .build()
        .unwrap();
    assert_eq!(connections(&channel, 30).await.len(), 2);
}

/// A server that answers a request when it is told to, and a channel with room for one call.
async fn one_at_a_time(max_waiting: usize) -> (Channel, mpsc::UnboundedSender<()>) {
    let mut listener = listen().await;
    let (answers, mut may_answer) = mpsc::unbounded_channel();
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_http_version(HttpVersion::Http2)
        .with_max_http2_connections(1)
        .with_max_waiting_calls(max_waiting)
        .build()
        .unwrap();
    spawn(async move {
        let mut socket = accept(&mut listener).await;
        read_preface(&mut socket).await?;
        socket.write_all(&settings(1)).await?;
        loop {
            let stream = next_stream(&mut socket).await?;
            if may_answer.recv().await.is_none() {
                return io::Result::Ok(());
            }
            socket.write_all(&answer(stream)).await?;
        }
    });
    channel.connect().await.unwrap();
    (channel, answers)
}

#[apply(async_test)]
async fn more_calls_than_may_wait_fail_at_once() {
    let (channel, answers) = one_at_a_time(2).await;
    let mut begun: Vec<_> = (0..3).map(|_| channel.send(empty())).collect();
    for call in &mut begun {
        assert!(is_pending(call).await);
    }
    assert_eq!(channel.outstanding(), 3);
    let error = channel.send(empty()).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    assert_eq!(error.error().code(), Code::ResourceExhausted);
    assert!(error.to_string().contains("2 calls wait"), "{error}");
    // One that has gone away makes room.
    drop(begun.pop());
    begun.push(channel.send(empty()));
    assert!(is_pending(&mut begun[2]).await);
    for call in begun {
        answers.send(()).unwrap();
        call.await.unwrap();
    }
    assert_eq!(channel.outstanding(), 0);
}

#[apply(async_test)]
async fn calls_that_wait_for_a_stream_come_in_turn() {
    let (channel, answers) = one_at_a_time(100).await;
    let mut waiting: Vec<_> = (0..4).map(|_| Box::pin(call(&channel, empty()))).collect();
    for call in &mut waiting {
        assert!(is_pending(call).await);
    }
    // One that goes away before its turn takes nothing from the others.
    drop(waiting.remove(2));
    let mut waiting = waiting.into_iter();
    let (mut first, mut second, mut third) = (
        waiting.next().unwrap(),
        waiting.next().unwrap(),
        waiting.next().unwrap(),
    );
    for _ in 0..3 {
        answers.send(()).unwrap();
    }
    first.as_mut().await.unwrap();
    assert!(is_pending(&mut third).await);
    second.as_mut().await.unwrap();
    third.as_mut().await.unwrap();
}

/// A call that has got its turn and is dropped before it could use it gives the turn to the next.
#[apply(async_test)]
async fn a_turn_that_is_not_used_goes_to_the_next() {
    let (channel, answers) = one_at_a_time(100).await;
    let mut first = channel.send(empty());
    let mut second = channel.send(empty());
    let mut third = channel.send(empty());
    for call in [&mut first, &mut second, &mut third] {
        assert!(is_pending(call).await);
    }
    answers.send(()).unwrap();
    let response = first.await.unwrap();
    // Its end is the turn of the second, which is not polled any more.
    drop(response.into_body().collect().await.unwrap());
    drop(second);
    answers.send(()).unwrap();
    third.await.unwrap();
}

/// Accepts connections, answers all requests on each at once, and tells when one has ended.
async fn answering() -> (SocketAddr, Arc<AtomicUsize>, mpsc::UnboundedReceiver<()>) {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let (sender, ended) = mpsc::unbounded_channel();
    spawn(async move {
        loop {
            let mut socket = accept(&mut listener).await;
            counted.fetch_add(1, SeqCst);
            let sender = sender.clone();
            spawn(async move {
                read_preface(&mut socket).await.unwrap();
                socket.write_all(EMPTY_SETTINGS).await.unwrap();
                while let Ok(stream) = next_stream(&mut socket).await {
                    socket.write_all(&answer(stream)).await.unwrap();
                }
                let _ = sender.send(());
            });
        }
    });
    (address, count, ended)
}

#[apply(async_test)]
async fn connections_without_calls_are_closed_in_time() {
    let (address, count, mut ended) = answering().await;
    let channel = Channel::builder(format!("http://{address}"))
        .with_idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    for connections in 1..=2 {
        call(&channel, empty()).await.unwrap();
        ended.recv().await.unwrap();
        assert_eq!(count.load(SeqCst), connections);
    }
}

#[apply(async_test)]
async fn surplus_connections_are_closed_in_time() {
    let server = start(bind().await, together(3));
    let channel = Channel::builder(server.uri())
        .with_streams_per_connection(1)
        .with_idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    assert_eq!(connections(&channel, 3).await.len(), 3);
    let mut state = channel.state();
    while state != ChannelState::Idle {
        state = channel.changed(state).await;
    }
    server.stop().await.unwrap();
}

fn with_age(uri: String) -> Channel {
    let channel = Channel::builder(uri).with_max_connection_age(Duration::from_millis(20));
    channel.build().unwrap()
}

#[apply(async_test)]
async fn a_connection_past_its_age_takes_no_more_calls() {
    let server = start(bind().await, together(1));
    let channel = with_age(server.uri());
    let first = connections(&channel, 1).await;
    while connections(&channel, 1).await == first {}
}

#[apply(async_test)]
async fn a_connection_past_its_age_ends_after_its_last_call() {
    let server = start(bind().await, echo());
    let channel = with_age(server.uri());
    let (chunks, body) = body_channel();
    let request = post_http2(CallBody::foreign(body));
    let mut stream = channel.send(request).await.unwrap().into_body();
    // No connection takes calls any more.
    let mut state = channel.state();
    while state != ChannelState::Idle {
        state = channel.changed(state).await;
    }
    for _ in 0..3 {
        chunks.send(Ok("x".into())).unwrap();
        let frame = stream.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "x");
    }
    assert_eq!(channel.outstanding(), 1);
    drop(chunks);
    stream.collect().await.unwrap();
    assert_eq!(channel.outstanding(), 0);
}

/// The only connection that may be open is full for as long as its call goes on, and has no time for another.
#[apply(async_test)]
async fn a_call_that_waits_for_a_connection_past_its_age_gets_a_new_one() {
    let server = start(bind().await, echo());
    let channel = Channel::builder(server.uri())
        .with_max_http2_connections(1)
        .with_streams_per_connection(1)
        .with_max_connection_age(Duration::from_millis(100))
        .build()
        .unwrap();
    let (chunks, body) = body_channel();
    let stream = channel.send(post_http2(CallBody::foreign(body)));
    let stream = stream.await.unwrap().into_body();
    call(&channel, empty()).await.unwrap();
    chunks.send(Ok("x".into())).unwrap();
    drop(chunks);
    assert_eq!(stream.collect().await.unwrap().to_bytes(), "x");
}

#[apply(async_test)]
async fn whoever_watches_a_channel_is_told_what_changes() {
    let (address, _count, _ended) = answering().await;
    let channel = Channel::builder(format!("http://{address}"))
        .with_idle_timeout(Duration::from_millis(10))
        .build()
        .unwrap();
    assert_eq!(channel.state(), ChannelState::Idle);
    let watching = spawn({
        let channel = channel.clone();
        async move {
            let mut state = ChannelState::Idle;
            let mut seen = Vec::new();
            while seen.last() != Some(&ChannelState::Idle) {
                state = channel.changed(state).await;
                seen.push(state);
            }
            seen
        }
    });
    call(&channel, empty()).await.unwrap();
    let seen = watching.await.unwrap();
    assert!(seen.contains(&ChannelState::Ready), "{seen:?}");
}

#[apply(async_test)]
async fn a_channel_that_drains_takes_no_calls_and_waits_for_the_last() {
    let server = start(bind().await, echo());
    let channel = Channel::new(server.uri()).unwrap();
    let (chunks, body) = body_channel();
    let request = post_http2(CallBody::foreign(body));
    let stream = channel.send(request).await.unwrap().into_body();
    let mut draining = Box::pin(channel.drain());
    assert!(is_pending(&mut draining).await);
    let error = call(&channel, empty()).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No);
    assert_eq!(error.error().code(), Code::Unavailable);
    chunks.send(Ok("x".into())).unwrap();
    drop(chunks);
    assert!(is_pending(&mut draining).await);
    assert_eq!(stream.collect().await.unwrap().to_bytes(), "x");
    draining.await;
    assert_eq!(channel.outstanding(), 0);
}

/// GOAWAY with `ENHANCE_YOUR_CALM`.
const TOO_MANY_PINGS: &[u8] = b"\0\0\x16\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0btoo_many_pings";

/// gRFC A8: servers end connections that ping too often for them.
#[apply(async_test)]
async fn a_server_that_complains_of_pings_is_pinged_seldom() {
    let mut listener = listen().await;
    let interval = Duration::from_millis(20);
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_keep_alive((interval, Duration::from_secs(20)))
        .build()
        .unwrap();
    let first = spawn({
        let channel = channel.clone();
        async move { call(&channel, empty()).await.map(drop) }
    });
    let mut socket = accept(&mut listener).await;
    read_preface(&mut socket).await.unwrap();
    socket.write_all(EMPTY_SETTINGS).await.unwrap();
    while read_frame(&mut socket).await.unwrap().kind != PING {}
    socket.write_all(TOO_MANY_PINGS).await.unwrap();
    socket.shutdown().await.unwrap();
    let _ = socket.read_to_end(&mut Vec::new()).await;
    let (is_open, open) = oneshot::channel();
    let serving = spawn(async move {
        let mut socket = accept(&mut listener).await;
        read_preface(&mut socket).await.unwrap();
        socket.write_all(EMPTY_SETTINGS).await.unwrap();
        let _stream = next_stream(&mut socket).await.unwrap();
        let _ = is_open.send(());
        let pinged = async { while read_frame(&mut socket).await.unwrap().kind != PING {} };
        within(5 * interval, pinged).await
    });
    // The first connection may have closed its side, and not have noticed yet that it has ended.
    let second = spawn(async move { call_again(&channel, empty).await.map(drop) });
    open.await.unwrap();
    assert_eq!(serving.await.unwrap(), None);
    drop((first, second));
}

/// A connection that counts how often it is written to.
struct Counted<I>(I, Arc<AtomicUsize>);

impl<I: Read + Unpin> Read for Counted<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl<I: Write + Unpin> Write for Counted<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.1.fetch_add(1, SeqCst);
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A channel that counts the writes of its connections to this server.
fn counting(server: &Running) -> (Channel, Arc<AtomicUsize>) {
    let (address, writes) = (server.address, Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&writes);
    let channel = Channel::builder(server.uri())
        .with_connector(move |_: EndpointAddress| {
            let counted = Arc::clone(&counted);
            async move { Ok(Counted(runtime().connect(address).await?, counted)) }
        })
        .build();
    (channel.unwrap(), writes)
}

#[apply(async_test)]
async fn head_and_body_of_a_lone_request_leave_together() {
    const CALLS: usize = 20;
    let server = start(bind().await, echo());
    let (channel, writes) = counting(&server);
    let say = async || {
        let answer = call(&channel, post_http2(CallBody::full("x"))).await;
        assert_eq!(answer.unwrap().into_body(), "x");
    };
    // The connection's own beginning.
    say().await;
    let before = writes.load(SeqCst);
    for _ in 0..CALLS {
        say().await;
    }
    // One each, but for what another thread has to say of the last call just then.
    let writes = writes.load(SeqCst) - before;
    assert!(writes < CALLS * 3 / 2, "{writes}");
}

#[apply(async_test)]
async fn the_requests_of_calls_that_are_ready_together_leave_together() {
    const CALLERS: usize = 64;
    const CALLS: usize = 20;
    let server = start(bind().await, echo());
    let (channel, writes) = counting(&server);
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let channel = channel.clone();
            spawn(async move {
                for _ in 0..CALLS {
                    call(&channel, post_http2(CallBody::full("x")))
                        .await
                        .unwrap();
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
    let writes = writes.load(SeqCst);
    assert!(writes < CALLERS * CALLS / 2, "{writes}");
}
