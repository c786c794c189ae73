//! Cancelled calls: what is dropped on one side ends on the other, with the right code.

use std::sync::Arc;

use bytes::Bytes;
use connect_hyper::server::RequestBody;
use connect_proto::{Code, Error};
use connect_tower::{
    CallBody, Transport,
    transport::{BodyError, Sent},
};
use h2::Reason;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::sync::{Notify, mpsc, oneshot};

use super::support::{
    BoxError, Chunks, ServiceFn, accept, async_test, bind, body_channel, call, listen, post,
    post_http2, spawn, start, text,
};
use crate::rt::Channel;

/// An HTTP/2 server that shows the test its streams.
async fn raw_http2() -> (
    Channel,
    mpsc::UnboundedReceiver<(Request<h2::RecvStream>, h2::server::SendResponse<Bytes>)>,
) {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let (sender, streams) = mpsc::unbounded_channel();
    spawn(async move {
        let socket = accept(&mut listener).await;
        let mut connection = h2::server::handshake(socket).await.unwrap();
        while let Some(Ok(stream)) = connection.accept().await {
            let _ = sender.send(stream);
        }
    });
    (channel, streams)
}

async fn reset_of(respond: &mut h2::server::SendResponse<Bytes>) -> Reason {
    std::future::poll_fn(|cx| respond.poll_reset(cx))
        .await
        .unwrap()
}

#[apply(async_test)]
async fn dropping_a_call_before_its_answer_resets_the_stream() {
    let (channel, mut streams) = raw_http2().await;
    // A unary request, complete; and a stream, which is not.
    let (_chunks, body) = body_channel();
    for body in [CallBody::full("x"), CallBody::foreign(body)] {
        let (cancel, cancelled) = oneshot::channel::<()>();
        let sending = channel.send(post_http2(body));
        let task = spawn(async move {
            tokio::select! {
                _ = sending => panic!("there is no answer"),
                _ = cancelled => {}
            }
        });
        let (_request, mut respond) = streams.recv().await.unwrap();
        drop(cancel);
        assert_eq!(reset_of(&mut respond).await, Reason::CANCEL);
        task.await.unwrap();
    }
}

#[apply(async_test)]
async fn dropping_a_response_resets_the_stream() {
    let (channel, mut streams) = raw_http2().await;
    let (_chunks, body) = body_channel();
    for body in [CallBody::full("x"), CallBody::foreign(body)] {
        let sending = spawn(channel.send(post_http2(body)));
        let (_request, mut respond) = streams.recv().await.unwrap();
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        let response = sending.await.unwrap().unwrap();
        drop(response);
        let reset = std::future::poll_fn(|cx| stream.poll_reset(cx)).await;
        assert_eq!(reset.unwrap(), Reason::CANCEL);
    }
}

/// gRPC, PROTOCOL-HTTP2 "Early Server Closure".
#[apply(async_test)]
async fn a_complete_answer_ends_a_request_that_is_not() {
    let (channel, mut streams) = raw_http2().await;
    let (chunks, body) = body_channel();
    let sending = spawn(channel.send(post_http2(CallBody::foreign(body))));
    let (mut request, mut respond) = streams.recv().await.unwrap();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("all".into(), true).unwrap();
    let response = sending.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "all"
    );
    chunks.closed().await;
    let ended = request.body_mut().data().await;
    let reason = ended.and_then(Result::err).and_then(|error| error.reason());
    assert_eq!(reason, Some(Reason::NO_ERROR));
}

#[apply(async_test)]
async fn a_request_that_fails_resets_the_stream() {
    let (channel, mut streams) = raw_http2().await;
    let given_up: BoxError = Box::new(Error::canceled("given up"));
    for (error, reason) in [
        (given_up, Reason::CANCEL),
        (Box::new(BodyError::http2(11)), Reason::ENHANCE_YOUR_CALM),
    ] {
        let (chunks, body) = body_channel();
        chunks.send(Ok("begun".into())).unwrap();
        let sending = spawn(channel.send(post_http2(CallBody::foreign(body))));
        let (mut request, _respond) = streams.recv().await.unwrap();
        assert_eq!(request.body_mut().data().await.unwrap().unwrap(), "begun");
        chunks.send(Err(error)).unwrap();
        let ended = request.body_mut().data().await.unwrap().unwrap_err();
        assert_eq!(ended.reason(), Some(reason));
        assert!(sending.await.unwrap().is_err());
    }
}

/// gRPC, PROTOCOL-HTTP2 "Errors": before the head.
#[apply(async_test)]
async fn a_reset_by_the_server_has_the_code_of_the_table() {
    let (channel, mut streams) = raw_http2().await;
    for (reason, code) in [
        (Reason::CANCEL, Code::Canceled),
        (Reason::ENHANCE_YOUR_CALM, Code::ResourceExhausted),
        (Reason::INADEQUATE_SECURITY, Code::PermissionDenied),
        (Reason::INTERNAL_ERROR, Code::Internal),
    ] {
        let sending = spawn(channel.send(post_http2(CallBody::full("x"))));
        let (_request, mut respond) = streams.recv().await.unwrap();
        respond.send_reset(reason);
        let error = sending.await.unwrap().unwrap_err();
        assert_eq!(error.error().code(), code, "{reason}");
        assert_eq!(error.sent(), Sent::Yes);
        assert!(
            error.to_string().starts_with("request to 127.0.0.1:"),
            "{error}"
        );
    }
}

#[apply(async_test)]
async fn a_reset_in_the_middle_of_a_body_is_told_with_its_code() {
    let (channel, mut streams) = raw_http2().await;
    let sending = spawn(channel.send(post_http2(CallBody::full("x"))));
    let (_request, mut respond) = streams.recv().await.unwrap();
    let mut stream = respond.send_response(Response::new(()), false).unwrap();
    stream.send_data("part".into(), false).unwrap();
    let mut body = sending.await.unwrap().unwrap().into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "part"
    );
    stream.send_reset(Reason::ENHANCE_YOUR_CALM);
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.http2_code(), Some(11));
    assert!(body.frame().await.is_none());
}

/// Notifies when dropped.
struct OnDrop(Arc<Notify>);

impl Drop for OnDrop {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

#[apply(async_test)]
async fn a_cancelled_call_drops_its_handler() {
    for request in [post, post_http2] {
        let (begun, dropped) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (begin, drops) = (Arc::clone(&begun), Arc::clone(&dropped));
        let service = ServiceFn(move |_: Request<RequestBody>| {
            let guard = OnDrop(Arc::clone(&drops));
            let begin = Arc::clone(&begin);
            async move {
                let _guard = guard;
                begin.notify_one();
                std::future::pending().await
            }
        });
        // Over HTTP/1.1 the client closes its socket, which else looks like one that waits for its answer.
        let server = start(bind().await.with_http1_half_close(None), service);
        let channel = Channel::new(server.uri()).unwrap();
        let calling = spawn(channel.send(request(CallBody::empty())));
        begun.notified().await;
        calling.abort();
        dropped.notified().await;
    }
}

#[apply(async_test)]
async fn a_cancelled_stream_drops_its_body() {
    for request in [post, post_http2] {
        let (chunks, body) = body_channel();
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let service = ServiceFn(move |_: Request<RequestBody>| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Response::new(body.boxed_unsync()) }
        });
        let server = start(bind().await.with_http1_half_close(None), service);
        let channel = Channel::new(server.uri()).unwrap();
        let response = channel.send(request(CallBody::empty())).await.unwrap();
        drop(response);
        chunks.closed().await;
    }
}

/// What a server does with a response whose body fails.
#[apply(async_test)]
async fn a_response_that_fails_resets_the_stream_or_closes_the_connection() {
    let given_up: BoxError = Box::new(Error::canceled("given up"));
    let refused: BoxError = Box::new(BodyError::http2(11));
    for (error, request, code) in [
        (given_up, post_http2(CallBody::empty()), Some(8)),
        (refused, post_http2(CallBody::empty()), Some(11)),
        ("whatever".into(), post_http2(CallBody::empty()), Some(2)),
        ("whatever".into(), post(CallBody::empty()), None),
    ] {
        let (chunks, body) = body_channel();
        let body = Arc::new(std::sync::Mutex::new(Some(body)));
        let service = ServiceFn(move |_: Request<RequestBody>| {
            let body = body.lock().unwrap().take().unwrap();
            async move { Response::new(body.boxed_unsync()) }
        });
        let server = start(bind().await, service);
        let channel = Channel::new(server.uri()).unwrap();
        let mut body = channel.send(request).await.unwrap().into_body();
        chunks.send(Ok("part".into())).unwrap();
        assert_eq!(
            body.frame().await.unwrap().unwrap().into_data().unwrap(),
            "part"
        );
        chunks.send(Err(error)).unwrap();
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(error.http2_code(), code);
    }
}

#[apply(async_test)]
async fn a_panic_ends_its_own_call_only() {
    let go_on = Arc::new(Notify::new());
    let wait = Arc::clone(&go_on);
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let wait = Arc::clone(&wait);
        async move {
            if request.headers().contains_key("x-panic") {
                panic!("as the test asked");
            }
            wait.notified().await;
            text("fine")
        }
    });
    let server = start(bind().await, service);
    let channel = Channel::new(server.uri()).unwrap();
    let other = spawn({
        let channel = channel.clone();
        async move { call(&channel, post_http2(CallBody::empty())).await }
    });
    for request in [post, post_http2] {
        let mut request = request(CallBody::empty());
        request
            .headers_mut()
            .insert("x-panic", "1".parse().unwrap());
        let response = call(&channel, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
    go_on.notify_one();
    assert_eq!(other.await.unwrap().unwrap().body(), "fine");
}

/// Panics when there is a chunk.
struct Panics(Chunks);

impl http_body::Body for Panics {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        std::pin::Pin::new(&mut self.0)
            .poll_frame(cx)
            .map(|_| panic!("as the test asked"))
    }
}

#[apply(async_test)]
async fn a_panic_in_a_body_resets_its_stream_only() {
    let (chunks, body) = body_channel();
    let body = Arc::new(std::sync::Mutex::new(Some(Panics(body))));
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let body = body.lock().unwrap().take();
        async move {
            match body {
                Some(body) => Response::new(body.boxed_unsync()),
                None => text("fine"),
            }
        }
    });
    let server = start(bind().await, service);
    let channel = Channel::new(server.uri()).unwrap();
    let request = post_http2(CallBody::empty());
    let mut body = channel.send(request).await.unwrap().into_body();
    chunks.send(Ok("x".into())).unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(error.http2_code(), Some(2));

    // And a request's body that panics.
    let (chunks, body) = body_channel();
    chunks.send(Ok("x".into())).unwrap();
    let error = channel
        .send(post_http2(CallBody::foreign(Panics(body))))
        .await
        .unwrap_err();
    assert_eq!(error.error().code(), Code::Canceled);
    let response = call(&channel, post_http2(CallBody::empty())).await.unwrap();
    assert_eq!(response.body(), "fine");
}

/// Panics when it is dropped.
struct PanicsOnDrop;

impl Drop for PanicsOnDrop {
    fn drop(&mut self) {
        panic!("as the test asked");
    }
}

#[apply(async_test)]
async fn a_panic_while_a_call_is_dropped_ends_its_own_call_only() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let (begin, wait) = (Arc::clone(&begin), Arc::clone(&wait));
        async move {
            let guard = request
                .headers()
                .contains_key("x-panic")
                .then(|| PanicsOnDrop);
            begin.notify_one();
            if guard.is_some() {
                std::future::pending::<()>().await;
            }
            wait.notified().await;
            text("fine")
        }
    });
    let server = start(bind().await, service);
    let channel = Channel::new(server.uri()).unwrap();
    let other = spawn({
        let channel = channel.clone();
        async move { call(&channel, post_http2(CallBody::empty())).await }
    });
    begun.notified().await;
    let mut request = post_http2(CallBody::empty());
    request
        .headers_mut()
        .insert("x-panic", "1".parse().unwrap());
    let panicking = spawn(channel.send(request));
    begun.notified().await;
    panicking.abort();
    go_on.notify_one();
    assert_eq!(other.await.unwrap().unwrap().body(), "fine");
    // The connection goes on.
    go_on.notify_one();
    let response = call(&channel, post_http2(CallBody::empty())).await.unwrap();
    assert_eq!(response.body(), "fine");
}
