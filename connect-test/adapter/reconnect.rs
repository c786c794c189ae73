//! A channel outlives its connections: it replaces them, and resends only what was surely not processed.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect_hyper::ChannelState;
use connect_hyper::server::RequestBody;
use connect_proto::{Code, Idempotency, Spec, StreamType};
use connect_tower::{
    CallBody, Client, Prost, Request as ConnectRequest, Transport,
    transport::{FailureKind, Sent},
};
use http::{HeaderValue, Request, Response, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    BoxError, ECHO, HEADERS, ServiceFn, Socket, accept, async_test, bind, body_channel, call, echo,
    http2_client, listen, post, post_http2, read_frame, read_preface, spawn, start, unary,
    yield_now,
};
use crate::rt::{Channel, Server};

/// Waits until the channel has no connection any more: one counts until its task has ended.
async fn lost(channel: &Channel) {
    while channel.state() == ChannelState::Ready {
        yield_now().await;
    }
}

#[apply(async_test)]
async fn a_restarted_server_is_found_again() {
    for request in [post, post_http2] {
        let server = start(bind().await, echo());
        let (address, uri) = (server.address, server.uri());
        let channel = Channel::new(uri).unwrap();
        assert_eq!(channel.state(), ChannelState::Idle);
        call(&channel, request(CallBody::full("1"))).await.unwrap();
        assert_eq!(channel.state(), ChannelState::Ready);
        server.stop().await.unwrap();

        // Before it has seen the end of its connection, a channel may send the call there.
        lost(&channel).await;
        let error = call(&channel, request(CallBody::full("2")))
            .await
            .unwrap_err();
        assert_eq!(error.error().code(), Code::Unavailable);
        assert_eq!(error.sent(), Sent::No, "{error}");
        lost(&channel).await;
        assert_eq!(channel.state(), ChannelState::Failed);

        let _server = start(Server::bind(address).await.unwrap(), echo());
        let response = call(&channel, request(CallBody::full("3"))).await.unwrap();
        assert_eq!(response.body(), "3");
        assert_eq!(channel.state(), ChannelState::Ready);
    }
}

/// A connection that is closing gracefully carries its open stream to the end, while the next call finds
/// the server's successor.
#[apply(async_test)]
async fn calls_after_a_goaway_go_to_a_new_connection_while_the_old_stream_lives() {
    let (chunks, body) = body_channel();
    let body = Arc::new(std::sync::Mutex::new(Some(body)));
    // The first call; the old server may take others until its GOAWAY has arrived.
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let first = body.lock().unwrap().take();
        async move {
            let mut response = Response::new(match first {
                Some(body) => body.boxed_unsync(),
                None => request.into_body().map_err(BoxError::from).boxed_unsync(),
            });
            let content_type = HeaderValue::from_static("application/proto");
            response.headers_mut().insert(CONTENT_TYPE, content_type);
            response
        }
    });
    let old = start(bind().await, service);
    let address = old.address;
    let client = http2_client(address);
    let mut stream = client
        .transport()
        .send(post_http2(CallBody::empty()))
        .await
        .unwrap()
        .into_body();
    let old = old.stop();
    let new = loop {
        match Server::bind(address).await {
            Ok(server) => break start(server, echo()),
            Err(_still_bound) => yield_now().await,
        }
    };
    // Whether the GOAWAY has arrived by now or not: no call may fail.
    for _ in 0..10 {
        match unary(&client, &ECHO, "next").await {
            Ok(answer) => assert_eq!(answer, "next"),
            Err(error) => panic!("{error:#}"),
        }
    }
    // More than a connection reads in one poll of its task.
    for _ in 0..100 {
        chunks.send(Ok("more".into())).unwrap();
        let frame = stream.frame().await.unwrap().unwrap();
        assert_eq!(frame.into_data().unwrap(), "more");
    }
    chunks.send(Ok("last".into())).unwrap();
    drop(chunks);
    assert_eq!(
        stream.frame().await.unwrap().unwrap().into_data().unwrap(),
        "last"
    );
    assert!(stream.collect().await.unwrap().to_bytes().is_empty());
    old.await.unwrap();
    new.stop().await.unwrap();
}

/// HTTP/2 by hand: what a server says to the first HEADERS of a connection.
async fn http2_answering(
    answer: &'static [u8],
    connections: usize,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let streams = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&streams);
    spawn(async move {
        for _ in 0..connections {
            let mut socket = accept(&mut listener).await;
            await_first_stream(&mut socket).await;
            // Before the client can see the answer.
            seen.fetch_add(1, Ordering::SeqCst);
            socket.write_all(answer).await.unwrap();
            // The client closes the connection, or goes on without an answer.
            spawn(async move {
                let _ = socket.read_to_end(&mut Vec::new()).await;
            });
        }
        Server::from_listener(listener).serve(echo()).await;
    });
    (address, streams)
}

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// GOAWAY: no stream was processed, NO_ERROR.
const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

async fn await_first_stream(socket: &mut Socket) {
    read_preface(socket).await.unwrap();
    socket.write_all(SETTINGS).await.unwrap();
    while read_frame(socket).await.unwrap().kind != HEADERS {}
}

#[apply(async_test)]
async fn what_the_server_did_not_process_is_sent_again() {
    let (address, streams) = http2_answering(GOAWAY, 2).await;
    let client = http2_client(address);
    assert_eq!(unary(&client, &ECHO, "again").await.unwrap(), "again");
    assert_eq!(streams.load(Ordering::SeqCst), 2);
}

#[apply(async_test)]
async fn streams_of_requests_are_sent_again_too() {
    let (address, streams) = http2_answering(GOAWAY, 2).await;
    let client = http2_client(address);
    let spec = Spec::new("/service/Stream", StreamType::BidiStream);
    let mut call = client.bidi_stream::<Prost, String, String>(&spec, ConnectRequest::new(()));
    for message in ["one", "two"] {
        call.send(message.to_owned()).await.unwrap();
        assert_eq!(call.message().await.unwrap().as_deref(), Some(message));
    }
    assert_eq!(streams.load(Ordering::SeqCst), 2);
}

#[apply(async_test)]
async fn it_is_sent_eight_times_at_most() {
    let (address, streams) = http2_answering(GOAWAY, usize::MAX).await;
    let error = unary(&http2_client(address), &ECHO, "x").await.unwrap_err();
    assert_eq!(Sent::of(&error), Some(Sent::No));
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(streams.load(Ordering::SeqCst), 8);
}

#[apply(async_test)]
async fn a_channel_itself_sends_a_request_once() {
    let (address, streams) = http2_answering(GOAWAY, 1).await;
    let channel = Channel::new(format!("http://{address}")).unwrap();
    let error = call(&channel, post_http2(CallBody::full("x")))
        .await
        .unwrap_err();
    assert_eq!(error.sent(), Sent::No, "the caller may repeat it");
    assert_eq!(error.kind(), FailureKind::Unsent);
    assert!(
        error.error().message().contains("closing the connection"),
        "{error}"
    );
    assert_eq!(streams.load(Ordering::SeqCst), 1);
}

/// Answers the first request of a connection, and closes it on the second, as a server does that finds it idle.
async fn one_answer_then_close() -> (SocketAddr, Arc<AtomicUsize>) {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    spawn(async move {
        loop {
            let mut socket = accept(&mut listener).await;
            seen.fetch_add(1, Ordering::SeqCst);
            let mut request = Vec::new();
            while !request.ends_with(b"end") {
                request.push(socket.read_u8().await.unwrap());
            }
            let answer =
                b"HTTP/1.1 200 OK\r\ncontent-type: application/proto\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer).await.unwrap();
            socket.read_u8().await.unwrap();
        }
    });
    (address, connections)
}

#[apply(async_test)]
async fn an_idempotent_request_that_meets_a_closing_connection_is_sent_again() {
    for (idempotency, is_resent) in [
        (Idempotency::NoSideEffects, true),
        (Idempotency::Idempotent, true),
        (Idempotency::Unknown, false),
    ] {
        let (address, connections) = one_answer_then_close().await;
        let client = Client::new(Channel::new(format!("http://{address}")).unwrap());
        let spec = ECHO.with_idempotency(idempotency);
        unary(&client, &spec, "end").await.unwrap();
        let second = unary(&client, &spec, "end").await;
        if is_resent {
            second.unwrap();
            assert_eq!(connections.load(Ordering::SeqCst), 2);
        } else {
            assert_eq!(Sent::of(&second.unwrap_err()), Some(Sent::Maybe));
            assert_eq!(connections.load(Ordering::SeqCst), 1);
        }
    }
}

/// Idempotent or not: what a new connection did not answer would not fare better on the next.
#[apply(async_test)]
async fn a_new_connection_that_is_lost_is_not_tried_again() {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let client = Client::new(channel);
    let accepting = spawn(async move {
        let mut socket = accept(&mut listener).await;
        socket.read_u8().await.unwrap();
        drop(socket);
        listener
    });
    let spec = ECHO.with_idempotency(Idempotency::Idempotent);
    let error = unary(&client, &spec, "x").await.unwrap_err();
    assert_eq!(Sent::of(&error), Some(Sent::Maybe));
    drop(accepting.await.unwrap());
}

/// A request that was on its way when the connection broke may have been processed.
#[apply(async_test)]
async fn what_may_have_been_processed_is_not_sent_again() {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&accepted);
    spawn(async move {
        loop {
            let mut socket = accept(&mut listener).await;
            seen.fetch_add(1, Ordering::SeqCst);
            let mut byte = [0];
            socket.read_exact(&mut byte).await.unwrap();
        }
    });
    let client = Client::new(channel);
    let error = unary(&client, &ECHO, "x").await.unwrap_err();
    assert_eq!(Sent::of(&error), Some(Sent::Maybe));
    assert_eq!(error.code(), Code::Unavailable);
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
}
