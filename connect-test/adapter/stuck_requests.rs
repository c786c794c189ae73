//! Requests of which the server takes no more: dropping the call ends them, though nobody asks for their next piece.

use bytes::Bytes;
use futures_util::FutureExt;
use h2::{Reason, server::SendResponse};
use http::{Request, Response};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::mpsc,
};

use super::support::{
    Socket, accept, async_test, body_channel, listen, post, post_http2, spawn, yield_now,
};
use crate::rt::{CallBody, Channel, Transport};

type Stream = (Request<h2::RecvStream>, SendResponse<Bytes>);

/// An HTTP/2 server that reads no byte of a request's body beyond this window.
async fn unreading_server(window: u32) -> (Channel, mpsc::UnboundedReceiver<Stream>) {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (sender, mut streams) = mpsc::unbounded_channel::<Stream>();
    spawn(async move {
        let socket = accept(&mut listener).await;
        let mut builder = h2::server::Builder::new();
        builder.initial_window_size(window);
        let mut connection = builder.handshake(socket).await.unwrap();
        while let Some(Ok(stream)) = connection.accept().await {
            let _ = sender.send(stream);
        }
    });
    // With the first answer the client knows the window.
    let sending = spawn(channel.send(post_http2(CallBody::empty())));
    let (_request, mut respond) = streams.recv().await.unwrap();
    respond.send_response(Response::new(()), true).unwrap();
    sending.await.unwrap().unwrap();
    (channel, streams)
}

/// Bodies that do not fit into the window: known whole, small and large, and a stream.
fn bodies() -> Vec<CallBody> {
    let (chunks, stream) = body_channel();
    chunks.send(Ok(vec![0; 1000].into())).unwrap();
    chunks.send(Ok(vec![0; 1000].into())).unwrap();
    vec![
        CallBody::full(vec![0; 1000]),
        CallBody::full(vec![0; 1_000_000]),
        CallBody::foreign(stream),
    ]
}

#[apply(async_test)]
async fn dropping_the_response_resets_a_request_that_waits_for_the_window() {
    for window in [0, 100, 200_000] {
        let (channel, mut streams) = unreading_server(window).await;
        for body in bodies() {
            let sending = spawn(channel.send(post_http2(body)));
            let (_request, mut respond) = streams.recv().await.unwrap();
            let mut stream = respond.send_response(Response::new(()), false).unwrap();
            drop(sending.await.unwrap().unwrap());
            let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
            assert_eq!(reset.unwrap(), Reason::CANCEL, "window {window}");
        }
    }
}

#[apply(async_test)]
async fn dropping_the_call_resets_a_request_that_waits_for_the_window() {
    let (channel, mut streams) = unreading_server(0).await;
    for body in bodies() {
        let sending = spawn(channel.send(post_http2(body)));
        let (_request, mut respond) = streams.recv().await.unwrap();
        sending.abort();
        let reset = std::future::poll_fn(|cx| respond.poll_reset(cx)).await;
        assert_eq!(reset.unwrap(), Reason::CANCEL);
    }
}

#[apply(async_test)]
async fn a_complete_answer_ends_a_request_that_waits_for_the_window() {
    let (channel, mut streams) = unreading_server(0).await;
    for body in bodies() {
        let sending = spawn(channel.send(post_http2(body)));
        let (mut request, mut respond) = streams.recv().await.unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data("all".into(), true).unwrap();
        let mut answer = sending.await.unwrap().unwrap().into_body();
        let data = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, "all");
        assert!(answer.frame().await.is_none());
        let ended = request.body_mut().data().await.unwrap().unwrap_err();
        assert_eq!(ended.reason(), Some(Reason::CANCEL));
        // Only now: a caller may keep what it has read to the end.
        drop(answer);
    }
}

/// Ready once the other side has closed the socket: it takes bytes until then.
async fn closed(mut socket: Socket) {
    while socket.write_all(b"x").await.is_ok() {
        yield_now().await;
    }
}

#[apply(async_test)]
async fn an_http1_connection_whose_server_takes_no_more_is_closed_with_its_call() {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    // More than sockets hold.
    let body = || CallBody::full(vec![0; 64 * 1024 * 1024]);
    // The answer is complete, or it is dropped before its end.
    for (length, rest) in [(2, true), (3, false)] {
        let sending = spawn(channel.send(post(body())));
        let mut socket = accept(&mut listener).await;
        socket.read_u8().await.unwrap();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\nok");
        socket.write_all(answer.as_bytes()).await.unwrap();
        let mut answer = sending.await.unwrap().unwrap().into_body();
        let data = answer.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data, "ok");
        assert_eq!(answer.frame().now_or_never().is_some(), rest);
        drop(answer);
        closed(socket).await;
    }
}

#[apply(async_test)]
async fn a_call_does_not_wait_for_a_connection_whose_server_still_takes_the_last_request() {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let mut sockets = Vec::new();
    // The first is answered before its body is read, which is more than sockets hold.
    for body in [vec![0; 64 * 1024 * 1024], vec![]] {
        let sending = spawn(channel.send(post(CallBody::full(body))));
        let mut socket = accept(&mut listener).await;
        socket.read_u8().await.unwrap();
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        socket.write_all(answer).await.unwrap();
        sockets.push(socket);
        let answer = sending.await.unwrap().unwrap().into_body();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "ok");
    }
}
