//! Flow control: a call that nobody reads does not hold up the other calls of its connection.

use bytes::Bytes;
use connect_hyper::{HttpVersion, server::RequestBody};
use connect_proto::Code;
use connect_tower::CallBody;
use http::Request;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::sync::mpsc;

use super::support::{
    BoxError, ServiceFn, async_test, bind, call, certs::Authority, full, post, spawn, start,
};
use crate::rt::{Channel, ClientTls, Transport};

const LARGE: usize = 3 * 1024 * 1024;

fn http2(uri: String) -> Channel {
    Channel::builder(uri)
        .with_http_version(HttpVersion::Http2)
        .build()
        .unwrap()
}

/// Calls whose bodies together are larger than any window, one after the other.
async fn calls_get_through(channel: &Channel) {
    for _ in 0..64 {
        let answer = call(channel, post(CallBody::full(vec![1; 64 * 1024]))).await;
        assert_eq!(answer.unwrap().body().len(), 64 * 1024);
    }
}

#[apply(async_test)]
async fn an_upload_that_is_not_read_holds_up_nobody() {
    let (held, mut holding) = mpsc::unbounded_channel();
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let held = held.clone();
        async move {
            if request.uri().path() == "/hold" {
                held.send(()).unwrap();
                std::future::pending::<()>().await;
            }
            let body = request.into_body().map_err(BoxError::from).boxed_unsync();
            http::Response::new(body)
        }
    });
    let running = start(bind().await, service);
    let channel = http2(running.uri());
    let upload = channel.clone();
    let upload = spawn(async move {
        let request = Request::post("/hold").body(CallBody::full(vec![0; LARGE]));
        upload.send(request.unwrap()).await.map(drop)
    });
    holding.recv().await.unwrap();
    calls_get_through(&channel).await;
    upload.abort();
}

#[apply(async_test)]
async fn an_answer_that_is_not_read_holds_up_nobody() {
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        if request.uri().path() == "/large" {
            return http::Response::new(full(Bytes::from(vec![0; LARGE])));
        }
        let body = request.into_body().map_err(BoxError::from).boxed_unsync();
        http::Response::new(body)
    });
    let running = start(bind().await, service);
    let channel = http2(running.uri());
    let mut unread = Vec::new();
    for _ in 0..3 {
        let request = Request::post("/large").body(CallBody::empty()).unwrap();
        unread.push(channel.send(request).await.unwrap());
    }
    calls_get_through(&channel).await;
}

#[apply(async_test)]
async fn tls_settings_for_a_cleartext_uri_are_a_mistake() {
    let tls = ClientTls::new().add_ca(Authority::new().pem()).unwrap();
    let error = Channel::builder("http://127.0.0.1:1").with_tls(tls).build();
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("https"), "{error}");
}
