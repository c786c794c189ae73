//! Heads and trailers that are larger than the other side takes: on the server the status is cut to fit, on the client the
//! call fails and says so; other calls of the connection go on.

use std::sync::Arc;

use bytes::Bytes;
use connect_tower::{Error, ErrorDetail};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue};
use macro_rules_attribute::apply;
use tokio::sync::Notify;

use super::support::{async_test, bind, connect, spawn, start};
use crate::rt::{Request, Response, Router, Spec, StreamType};

const FAIL: Spec = Spec::new("/test.v1.Test/Fail", StreamType::Unary);
const LEADING: Spec = Spec::new("/test.v1.Test/Leading", StreamType::Unary);
const TRAILING: Spec = Spec::new("/test.v1.Test/Trailing", StreamType::Unary);

fn value(bytes: usize) -> HeaderValue {
    HeaderValue::try_from("m".repeat(bytes)).unwrap()
}

/// A router whose answers are larger than most peers take.
fn router() -> Router {
    Router::new()
        .unary(FAIL, |_: Request<String>| async move {
            let mut error = Error::not_found("z".repeat(100_000))
                .add_detail(ErrorDetail::new("a.B", vec![1; 50_000]));
            error.metadata_mut().insert("x-meta", value(500));
            Err::<Response<String>, _>(error)
        })
        .unary(LEADING, |_: Request<String>| async move {
            let mut response = Response::new(String::new());
            response.headers_mut().insert("x-meta", value(100_000));
            Ok(response)
        })
        .unary(TRAILING, |_: Request<String>| async move {
            let mut response = Response::new(String::new());
            response.trailers_mut().insert("x-meta", value(100_000));
            Ok(response)
        })
}

async fn connect_h2(address: std::net::SocketAddr, takes: Option<u32>) -> SendRequest<Bytes> {
    let socket = connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    if let Some(bytes) = takes {
        builder.max_header_list_size(bytes);
    }
    let (sender, connection) = builder.handshake(socket).await.unwrap();
    spawn(async move {
        let _ = connection.await;
    });
    sender.ready().await.unwrap()
}

/// The last header fields of the answer: its trailers, or its head if there are none.
async fn grpc_status(sender: &mut SendRequest<Bytes>, spec: &Spec) -> HeaderMap {
    let request = http::Request::post(format!("http://test{}", spec.procedure()))
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let (response, mut body) = sender.send_request(request, false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let (head, mut body) = response.await.unwrap().into_parts();
    while let Some(data) = body.data().await {
        data.unwrap();
    }
    body.trailers().await.unwrap().unwrap_or(head.headers)
}

fn list_size(fields: &HeaderMap) -> usize {
    fields
        .iter()
        .map(|(n, v)| n.as_str().len() + v.len() + 32)
        .sum()
}

#[apply(async_test)]
async fn a_status_is_never_larger_than_the_client_takes() {
    let server = start(bind().await, router());
    for (takes, room, has_metadata) in [
        (Some(600), 600, false),
        (Some(2 * 1024), 2 * 1024, true),
        (Some(8 * 1024), 8 * 1024, true),
        (None, 8 * 1024, true),
    ] {
        let mut sender = connect_h2(server.address, takes).await;
        let status = grpc_status(&mut sender, &FAIL).await;
        assert_eq!(status["grpc-status"], "5", "{takes:?}");
        assert!(
            list_size(&status) < room,
            "{takes:?} {}",
            list_size(&status)
        );
        assert_eq!(status.contains_key("x-meta"), has_metadata, "{takes:?}");
        assert!(!status.contains_key("grpc-status-details-bin"), "{takes:?}");
        let message = status["grpc-message"].to_str().unwrap();
        assert!(message.ends_with("... (cut)"), "{takes:?} {message}");
        for spec in [&LEADING, &TRAILING] {
            let status = grpc_status(&mut sender, spec).await;
            assert_eq!(status["grpc-status"], "8", "{takes:?} {status:?}");
            assert!(
                list_size(&status) < room,
                "{takes:?} {}",
                list_size(&status)
            );
        }
    }
    // One that takes much gets it all.
    let mut sender = connect_h2(server.address, Some(1 << 20)).await;
    let status = grpc_status(&mut sender, &TRAILING).await;
    assert_eq!(status["grpc-status"], "0");
    assert_eq!(status["x-meta"].len(), 100_000);
}

/// Beyond four times the server's limit, 32 KiB, HTTP/2 would end the connection.
#[apply(async_test)]
async fn a_request_with_too_many_headers_is_refused_alone() {
    let (begun, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begin, wait) = (Arc::clone(&begun), Arc::clone(&go_on));
    let router = Router::new().unary(FAIL, move |request: Request<String>| {
        let (begin, wait) = (Arc::clone(&begin), Arc::clone(&wait));
        async move {
            begin.notify_one();
            wait.notified().await;
            Ok(Response::new(request.into_message()))
        }
    });
    let server = start(bind().await, router);
    let mut sender = connect_h2(server.address, None).await;
    let mut other = sender.clone();
    let other = spawn(async move { grpc_status(&mut other, &FAIL).await });
    begun.notified().await;
    for kib in [33, 64, 120] {
        let request = http::Request::post("http://test/x")
            .header("x-large", value(kib * 1024))
            .body(())
            .unwrap();
        let (response, _body) = sender.send_request(request, true).unwrap();
        assert_eq!(response.await.unwrap().status(), 431, "{kib} KiB");
    }
    go_on.notify_one();
    assert_eq!(other.await.unwrap()["grpc-status"], "0");
}
