//! Heads and trailers that are larger than the other side takes: on the server the status is cut to fit, on the client the
//! call fails and says so; other calls of the connection go on.

use std::sync::Arc;

use bytes::Bytes;
use connect_tower::{Error, ErrorDetail};
use h2::client::SendRequest;
use http::{HeaderMap, HeaderValue};
use macro_rules_attribute::apply;
use tokio::sync::Notify;

use super::support::{Socket, accept, async_test, bind, connect, listen, spawn, start};
use crate::rt::{
    Channel, ChannelBuilder, Client, ClientConfig, Code, Prost, Protocol, Request, Response,
    Router, Spec, StreamType,
};

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
    // First, so that a client which keeps only some of it still learns the code.
    assert_eq!(status.keys().next().unwrap(), "grpc-status");
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

/// Where a scripted server puts the fields of its answer.
enum Answer {
    /// In a head, without more.
    Head(HeaderMap),
    /// The metadata in a head, and a status in trailers.
    Leading(HeaderMap),
    Trailers(HeaderMap),
}

/// An HTTP/2 server without limits that answers each call so, by the path; a call to `/slow` waits.
async fn serve_large(mut socket: h2::server::Connection<Socket, Bytes>, go_on: Arc<Notify>) {
    while let Some(Ok((request, mut respond))) = socket.accept().await {
        let go_on = Arc::clone(&go_on);
        let name = request.uri().path().rsplit('/').next().unwrap().to_owned();
        if name == "Slow" {
            spawn(async move {
                go_on.notified().await;
                answer(&mut respond, Answer::Trailers(fields(0, 0, 0))).await;
            });
            continue;
        }
        let numbers: Vec<usize> = name
            .split('-')
            .skip(1)
            .map(|n| n.parse().unwrap())
            .collect();
        let fields = fields(numbers[0], numbers[1], numbers[2]);
        let fields = match name.split('-').next() {
            Some("Head") => Answer::Head(fields),
            Some("Leading") => Answer::Leading(fields),
            _ => Answer::Trailers(fields),
        };
        answer(&mut respond, fields).await;
    }
}

/// A status, a message and metadata of so many bytes.
fn fields(status: usize, message: usize, metadata: usize) -> HeaderMap {
    let mut fields = HeaderMap::new();
    fields.insert("grpc-status", HeaderValue::from(status));
    if message > 0 {
        fields.insert("grpc-message", value(message));
    }
    if metadata > 0 {
        // Many of them, so that only some are left out.
        for _ in 0..10 {
            fields.append("x-meta", value(metadata / 10));
        }
    }
    fields
}

async fn answer(respond: &mut h2::server::SendResponse<Bytes>, answer: Answer) {
    let mut head = http::Response::builder().header("content-type", "application/grpc+proto");
    let headers = head.headers_mut().unwrap();
    let trailers = match answer {
        Answer::Head(all) => {
            headers.extend(all);
            None
        }
        Answer::Leading(mut all) => {
            let status = all.remove("grpc-status").unwrap();
            headers.extend(all);
            Some(HeaderMap::from_iter([(
                "grpc-status".parse().unwrap(),
                status,
            )]))
        }
        Answer::Trailers(all) => Some(all),
    };
    let head = head.body(()).unwrap();
    let mut stream = respond.send_response(head, trailers.is_none()).unwrap();
    if let Some(trailers) = trailers {
        stream
            .send_data(Bytes::from_static(&[0; 5]), false)
            .unwrap();
        stream.send_trailers(trailers).unwrap();
    }
}

/// A scripted server that takes one connection, and a client of it.
async fn scripted(
    set: impl FnOnce(ChannelBuilder) -> ChannelBuilder,
    go_on: Arc<Notify>,
) -> Client<Channel> {
    let mut listener = listen().await;
    let address = listener.local_addr().unwrap();
    spawn(async move {
        let socket = h2::server::handshake(accept(&mut listener).await);
        serve_large(socket.await.unwrap(), go_on).await;
    });
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    let channel = set(Channel::builder(format!("http://{address}")));
    Client::new(channel.build().unwrap()).with_config(config)
}

async fn call(client: Client<Channel>, name: String) -> Result<Response<String>, Error> {
    let spec = Spec::new(format!("/test.v1.Test/{name}").leak(), StreamType::Unary);
    let request = Request::new(String::new());
    client.unary::<Prost, String, String>(&spec, request).await
}

#[apply(async_test)]
async fn an_answer_with_too_many_fields_fails_its_own_call_alone() {
    let go_on = Arc::new(Notify::new());
    let client = scripted(|channel| channel, Arc::clone(&go_on)).await;
    let call = |name: String| call(client.clone(), name);
    // All calls are on the connection of this one.
    let slow = spawn(call("Slow".to_owned()));
    const MISSING: &str = "some are missing";
    for (name, code, words) in [
        ("Trailers-0-0-20000", None, ""),
        ("Trailers-0-0-60000", None, ""),
        ("Trailers-5-20000-0", Some(Code::NotFound), "mmm"),
        ("Head-5-20000-1000", Some(Code::NotFound), "mmm"),
        ("Head-5-200000-1000", Some(Code::NotFound), "mmm"),
        ("Trailers-0-0-70000", Some(Code::ResourceExhausted), MISSING),
        ("Trailers-5-70000-0", Some(Code::NotFound), MISSING),
        // h2 keeps the status only.
        (
            "Trailers-0-0-400000",
            Some(Code::ResourceExhausted),
            MISSING,
        ),
        ("Trailers-5-300000-0", Some(Code::NotFound), MISSING),
        (
            "Trailers-0-300000-10",
            Some(Code::ResourceExhausted),
            MISSING,
        ),
        (
            "Head-5-300000-0",
            Some(Code::Internal),
            "with_max_header_size",
        ),
        ("Leading-0-0-100000", None, ""),
        ("Trailers-0-0-0", None, ""),
    ] {
        let answer = call(name.to_owned()).await;
        let error = answer.as_ref().err();
        assert_eq!(error.map(Error::code), code, "{name} {error:?}");
        assert!(
            error.is_none_or(|e| e.message().contains(words)),
            "{name} {error:?}"
        );
        if let Ok(response) = answer {
            let received: usize = response
                .trailers()
                .get_all("x-meta")
                .iter()
                .map(HeaderValue::len)
                .sum();
            let leading: usize = response
                .headers()
                .get_all("x-meta")
                .iter()
                .map(HeaderValue::len)
                .sum();
            assert!(name.ends_with(&format!("-0-0-{}", received + leading)));
        }
    }
    go_on.notify_one();
    slow.await.unwrap().unwrap();
}

/// However many calls a connection has answered with much, it goes on.
#[apply(async_test)]
async fn large_answers_are_no_burden_of_their_connection() {
    let set = |channel: ChannelBuilder| channel.with_max_header_size(8 * 1024);
    let client = scripted(set, Arc::default()).await;
    // More than the largest number of streams that the client ever kept something of.
    for _ in 0..1_100 {
        let error = call(client.clone(), "Head-5-0-6000".into()).await;
        assert_eq!(error.unwrap_err().code(), Code::NotFound);
    }
    for _ in 0..1_100 {
        let answer = call(client.clone(), "Leading-0-0-6000".into()).await;
        assert_eq!(
            answer.unwrap().headers().get_all("x-meta").iter().count(),
            10
        );
    }
}
