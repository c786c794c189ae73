//! Flow control: a call that nobody reads does not hold up the other calls of its connection.

use bytes::Bytes;
use connect_hyper::{HttpVersion, server::RequestBody};
use connect_proto::Code;
use connect_tower::CallBody;
use http::Request;
use http_body_util::BodyExt;
use macro_rules_attribute::apply;
use tokio::{io::AsyncWriteExt, sync::mpsc};

use super::support::{
    BoxError, HTTP2_PREFACE, ResponseBody, SETTINGS, ServiceFn, Socket, accept, async_test, bind,
    call, certs::Authority, connect, echo, full, listen, post, read_frame, read_preface, spawn,
    start,
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

/// The value of `SETTINGS_MAX_FRAME_SIZE` in the first frame.
async fn announced_frame_size(socket: &mut Socket) -> Option<u32> {
    let settings = read_frame(socket).await.unwrap();
    assert_eq!(settings.kind, SETTINGS);
    let values = settings
        .payload
        .chunks(6)
        .find_map(|s| s.strip_prefix(&[0, 5]));
    values.map(|value| u32::from_be_bytes(value.try_into().unwrap()))
}

#[apply(async_test)]
async fn both_sides_announce_the_frames_that_they_take() {
    let chosen = [None, Some(0), Some(100_000), Some(u32::MAX)];
    let announced = [64 * 1024, 16 * 1024, 100_000, (1 << 24) - 1];
    for (chosen, announced) in chosen.into_iter().zip(announced) {
        let mut server = bind().await;
        if let Some(chosen) = chosen {
            server = server.with_max_frame_size(chosen);
        }
        let running = start(server, echo());
        let mut client = connect(running.address).await.unwrap();
        client.write_all(HTTP2_PREFACE).await.unwrap();
        assert_eq!(announced_frame_size(&mut client).await.unwrap(), announced);

        let mut listener = listen().await;
        let uri = format!("http://{}", listener.local_addr().unwrap());
        let mut channel = Channel::builder(uri).with_http_version(HttpVersion::Http2);
        if let Some(chosen) = chosen {
            channel = channel.with_max_frame_size(chosen);
        }
        let channel = channel.build().unwrap();
        let connecting = spawn(async move { channel.connect().await });
        let mut socket = accept(&mut listener).await;
        read_preface(&mut socket).await.unwrap();
        assert_eq!(announced_frame_size(&mut socket).await.unwrap(), announced);
        // SETTINGS, which the client waits for.
        let settings = &HTTP2_PREFACE[HTTP2_PREFACE.len() - 9..];
        socket.write_all(settings).await.unwrap();
        connecting.await.unwrap().unwrap();
    }
}

async fn lengths(mut body: ResponseBody) -> Vec<usize> {
    let mut lengths = Vec::new();
    while let Some(frame) = body.frame().await {
        lengths.push(frame.unwrap().into_data().unwrap().len());
    }
    lengths
}

/// Its bytes need not be put together.
#[apply(async_test)]
async fn a_message_of_some_kibibytes_comes_in_one_frame() {
    const MESSAGE: usize = 16 * 1024 + 5;
    let (seen, mut requests) = mpsc::unbounded_channel();
    let service = ServiceFn(move |request: Request<RequestBody>| {
        let seen = seen.clone();
        async move {
            let body = request.into_body().map_err(BoxError::from).boxed_unsync();
            seen.send(lengths(body).await).unwrap();
            http::Response::new(full(vec![0; MESSAGE]))
        }
    });
    let running = start(bind().await, service);
    let channel = http2(running.uri());
    let request = post(CallBody::full(vec![0; MESSAGE]));
    let response = channel.send(request).await.unwrap();
    assert_eq!(requests.recv().await.unwrap(), [MESSAGE]);
    let body = response.into_body().map_err(BoxError::from).boxed_unsync();
    assert_eq!(lengths(body).await, [MESSAGE]);
}

#[apply(async_test)]
async fn tls_settings_for_a_cleartext_uri_are_a_mistake() {
    let tls = ClientTls::new().add_ca(Authority::new().pem()).unwrap();
    let error = Channel::builder("http://127.0.0.1:1").with_tls(tls).build();
    let error = error.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("https"), "{error}");
}
