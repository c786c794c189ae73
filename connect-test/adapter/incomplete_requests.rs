//! Requests that stop in the middle: they are given up in time, and hold no more than their budget meanwhile.

use std::time::Duration;

use bytes::Bytes;
use connect_hyper::CallTasks;
use connect_tower::{Request as RpcRequest, Response as RpcResponse, Router, Spec, StreamType};
use futures_util::stream::{FuturesUnordered, StreamExt};
use http::{Request, Response};
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{Running, async_test, bind, connect, spawn, start};

const SHORT: Duration = Duration::from_millis(50);
const UNARY: Spec = Spec::new("/test.v1.Test/Unary", StreamType::Unary);
const UPLOAD: Spec = Spec::new("/test.v1.Test/Upload", StreamType::ClientStream);

fn router() -> Router {
    Router::new()
        .unary(UNARY, |request: RpcRequest<String>| async move {
            Ok(RpcResponse::new(request.into_message()))
        })
        .client_stream(
            UPLOAD,
            |request: RpcRequest<connect_tower::Streaming<String>>| async move {
                let mut stream = request.into_message();
                let mut length = 0;
                while let Some(message) = stream.message().await? {
                    length += message.len();
                }
                Ok(RpcResponse::new(length.to_string()))
            },
        )
}

type Sender = h2::client::SendRequest<Bytes>;

async fn http2(server: &Running) -> Sender {
    let socket = connect(server.address).await.unwrap();
    let (client, connection) = h2::client::handshake(socket).await.unwrap();
    spawn(connection);
    client
}

/// Begins a gRPC call with a message of 4 MiB, and sends this much of it.
async fn begin(
    client: &Sender,
    path: &str,
    bytes: usize,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let mut data = vec![0; bytes];
    data[..5].copy_from_slice(&[0, 0, 0x3f, 0xff, 0xf0]);
    send(client, path, data.into()).await
}

/// Begins a gRPC call, and sends this of its body.
async fn send(
    client: &Sender,
    path: &str,
    mut data: Bytes,
) -> (h2::client::ResponseFuture, h2::SendStream<Bytes>) {
    let request = Request::post(format!("http://server{path}"))
        .header("content-type", "application/grpc+proto")
        .header("te", "trailers")
        .body(())
        .unwrap();
    let mut client = client.clone().ready().await.unwrap();
    let (response, mut body) = client.send_request(request, false).unwrap();
    while !data.is_empty() {
        body.reserve_capacity(data.len());
        // Else it was answered already.
        let Some(Ok(room)) = std::future::poll_fn(|cx| body.poll_capacity(cx)).await else {
            break;
        };
        if body
            .send_data(data.split_to(room.min(data.len())), false)
            .is_err()
        {
            break;
        }
    }
    (response, body)
}

/// The gRPC status and message of an answer.
async fn status(response: Response<h2::RecvStream>) -> (String, String) {
    let (head, mut body) = response.into_parts();
    let mut trailers = head.headers;
    if !trailers.contains_key("grpc-status") {
        while let Some(data) = body.data().await {
            data.unwrap();
        }
        trailers = body.trailers().await.unwrap().unwrap();
    }
    let text = |name| {
        trailers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    };
    (
        text("grpc-status").to_owned(),
        text("grpc-message").to_owned(),
    )
}

#[apply(async_test)]
async fn a_message_that_is_not_sent_to_its_end_is_not_waited_for() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let server = bind()
            .await
            .with_message_timeout(SHORT)
            .with_call_tasks(tasks);
        let server = start(server, router());
        let client = http2(&server).await;
        let (response, _body) = begin(&client, "/test.v1.Test/Unary", 1000).await;
        let (code, message) = status(response.await.unwrap()).await;
        assert_eq!(code, "4", "{message}");
        assert!(message.contains("50ms"), "{message}");

        let mut socket = connect(server.address).await.unwrap();
        let head = "POST /test.v1.Test/Unary HTTP/1.1\r\nhost: x\r\ncontent-type: application/proto\r\n\
                    content-length: 10\r\nconnection: close\r\n\r\nhalf";
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
        assert!(answer.contains("deadline_exceeded"), "{answer}");
    }
}

/// Silence in a stream ends nothing: a unary call that began later has run out of its time meanwhile.
#[apply(async_test)]
async fn a_stream_of_messages_may_be_silent() {
    let server = start(bind().await.with_message_timeout(SHORT), router());
    let client = http2(&server).await;
    let (upload, mut body) = begin(&client, "/test.v1.Test/Upload", 1000).await;
    for _ in 0..2 {
        let (unary, _body) = begin(&client, "/test.v1.Test/Unary", 1000).await;
        assert_eq!(status(unary.await.unwrap()).await.0, "4");
    }
    body.send_reset(h2::Reason::CANCEL);
    // This side reset it, not the server.
    let error = upload.await.unwrap_err();
    assert!(!error.is_remote(), "{error}");
}

/// RFC 9110, section 10.1.1: the server may leave 100 out, and a client may not wait for it without end.
#[apply(async_test)]
async fn a_client_that_waits_for_100_over_http2_is_told_that_none_comes() {
    let server = start(bind().await.with_message_timeout(SHORT), router());
    let client = http2(&server).await;
    for path in ["/test.v1.Test/Unary", "/test.v1.Test/Upload"] {
        let request = || {
            Request::post(format!("http://server{path}"))
                .header("content-type", "application/grpc+proto")
                .header("te", "trailers")
                .header("expect", "100-continue")
                .body(())
                .unwrap()
        };
        let mut client = client.clone().ready().await.unwrap();
        let (response, _body) = client.send_request(request(), false).unwrap();
        let (code, message) = status(response.await.unwrap()).await;
        assert_eq!(code, "3", "{message}");
        assert!(message.contains("100"), "{message}");
        // One that does not wait is served as ever.
        let (response, mut body) = client.send_request(request(), false).unwrap();
        body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
        assert_eq!(status(response.await.unwrap()).await.0, "0");
    }
}

/// 200 streams that each send half of a 4 MiB message and stop: the budget has room for three of them.
#[apply(async_test)]
async fn incomplete_messages_have_a_budget() {
    const HALF: usize = 2 * 1024 * 1024;
    for (connection, server_bytes, of) in [
        (3 * HALF, usize::MAX, "connection"),
        (usize::MAX, 3 * HALF, "server"),
    ] {
        let server = bind().await.with_message_timeout(None);
        let server = server.with_receive_budget(connection, server_bytes);
        let server = start(server, router());
        let client = http2(&server).await;
        let mut answers = FuturesUnordered::new();
        for i in 0..200 {
            let path = ["/test.v1.Test/Unary", "/test.v1.Test/Upload"][i % 2];
            let (response, body) = begin(&client, path, HALF).await;
            answers.push(async move {
                let _body = body;
                status(response.await.unwrap()).await
            });
        }
        // Which calls are let in is up to the order in which their bytes come.
        for _ in 0..197 {
            let (code, message) = answers.next().await.unwrap();
            assert_eq!(code, "8", "{message}");
            assert!(message.contains(of), "{message}");
        }
        // Calls that are given up give back what they hold: then there is room for a message that needs nearly all of it.
        drop(answers);
        let mut whole = vec![0; 3 * HALF / 2];
        let length = u32::try_from(whole.len() - 5).unwrap();
        whole[1..5].copy_from_slice(&length.to_be_bytes());
        let whole = Bytes::from(whole);
        for attempt in 0.. {
            let (response, mut body) = send(&client, "/test.v1.Test/Unary", whole.clone()).await;
            let _ = body.send_data(Bytes::new(), true);
            let (code, message) = status(response.await.unwrap()).await;
            if code != "8" {
                break;
            }
            assert!(attempt < 1000, "{message}");
        }
    }
}

/// Each call needs all of the budget, so the one before has given it back when its time ran out.
#[apply(async_test)]
async fn a_timeout_gives_the_budget_back() {
    const HALF: usize = 2 * 1024 * 1024;
    for (connection, server_bytes) in [(HALF, usize::MAX), (usize::MAX, HALF)] {
        let server = bind().await.with_message_timeout(SHORT);
        let server = server.with_receive_budget(connection, server_bytes);
        let server = start(server, router());
        let client = http2(&server).await;
        let mut unfinished = Vec::new();
        for _ in 0..4 {
            let (response, body) = begin(&client, "/test.v1.Test/Unary", HALF).await;
            let (code, message) = status(response.await.unwrap()).await;
            assert_eq!(code, "4", "{message}");
            // The client neither ends nor resets it.
            unfinished.push(body);
        }
    }
}
