//! A call without a connection: the message says which phase failed, with which server, and what may help.

use std::{
    io::{Read as _, Write as _},
    time::Duration,
};

use connect_hyper::HttpVersion;
use connect_proto::Code;
use connect_tower::{
    CallBody, Client, ClientConfig, InProcess, Prost, Protocol, Request, Router, Spec, StreamType,
    transport::{Sent, TransportError},
};
use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::support::{
    Refusing, accept, async_test, bind, call, certs::Authority, echo, listen, post, post_http2,
    spawn, start,
};
use crate::rt::{Channel, ClientTls};

async fn fail(channel: &Channel) -> TransportError {
    call(channel, post(CallBody::full("x"))).await.unwrap_err()
}

#[apply(async_test)]
async fn a_refused_connection_names_the_address() {
    let refusing = Refusing::new();
    let address = refusing.address;
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let channel = Channel::builder(format!("http://{address}"))
            .with_http_version(version)
            .build()
            .unwrap();
        let error = fail(&channel).await;
        assert_eq!(
            (error.sent(), error.error().code()),
            (Sent::No, Code::Unavailable)
        );
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("connect to {address}: ")),
            "{message}"
        );
        assert!(
            message.ends_with("is the server running, and the port right?"),
            "{message}"
        );
        assert!(std::error::Error::source(&error).is_some());
    }
}

#[apply(async_test)]
async fn an_unknown_host_is_named() {
    let channel = Channel::new("http://does-not-exist.invalid").unwrap();
    let error = fail(&channel).await;
    assert_eq!(
        (error.sent(), error.error().code()),
        (Sent::No, Code::Unavailable)
    );
    let message = error.to_string();
    assert!(
        message.starts_with("resolve does-not-exist.invalid: "),
        "{message}"
    );
}

/// What servers without HTTP/2 say to its preface.
#[apply(async_test)]
async fn a_port_without_http2_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_http_version(HttpVersion::Http2)
        .build()
        .unwrap();
    std::thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            socket
                .write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            // Closed with unread bytes, a socket may lose what it has sent.
            let _ = socket.read_to_end(&mut Vec::new());
        }
    });
    let error = fail(&channel).await;
    assert_eq!(error.error().code(), Code::Unavailable);
    let message = error.to_string();
    assert!(
        message.contains("the port speaks HTTP/1.1 only"),
        "{message}"
    );
}

/// A listener that takes the connection and says nothing.
#[apply(async_test)]
async fn connecting_has_its_time() {
    let listener = listen().await;
    let uri = format!("https://{}", listener.local_addr().unwrap());
    for version in [HttpVersion::Http1, HttpVersion::Auto] {
        let channel = Channel::builder(&uri)
            .with_tls(ClientTls::new().add_ca(Authority::new().pem()).unwrap())
            .with_http_version(version)
            .with_connect_timeout(Duration::from_millis(20))
            .build()
            .unwrap();
        let error = fail(&channel).await;
        assert_eq!(
            (error.sent(), error.error().code()),
            (Sent::No, Code::Unavailable)
        );
        assert!(
            error.to_string().contains("not done within 20ms"),
            "{error}"
        );
    }
}

#[apply(async_test)]
async fn https_needs_tls_and_says_how() {
    let error = Channel::new("https://localhost").unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument);
    assert!(error.message().contains("ClientTls"), "{error}");
}

#[apply(async_test)]
async fn what_is_not_http_is_an_error() {
    for (said, code) in [
        ("220 mail.example.com ESMTP\r\n\r\n", Code::Internal),
        ("", Code::Unavailable),
    ] {
        let mut listener = listen().await;
        let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
        spawn(async move {
            let mut socket = accept(&mut listener).await;
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(said.as_bytes()).await;
        });
        let error = fail(&channel).await;
        assert_eq!(error.error().code(), code, "{error}");
        assert_eq!(error.sent(), Sent::Maybe);
        assert!(
            error.to_string().starts_with("request to 127.0.0.1:"),
            "{error}"
        );
    }
}

/// A response that is cut off is never a clean end.
#[apply(async_test)]
async fn a_truncated_response_is_an_error() {
    let mut listener = listen().await;
    let channel = Channel::new(format!("http://{}", listener.local_addr().unwrap())).unwrap();
    spawn(async move {
        for answer in [
            "content-length: 9\r\n\r\npart",
            "transfer-encoding: chunked\r\n\r\n4\r\npart\r\n",
        ] {
            let mut socket = accept(&mut listener).await;
            let mut request = [0; 1024];
            let _ = socket.read(&mut request).await;
            let _ = socket
                .write_all(format!("HTTP/1.1 200 OK\r\n{answer}").as_bytes())
                .await;
        }
    });
    for _ in 0..2 {
        let response = connect_tower::Transport::send(&channel, post(CallBody::empty()))
            .await
            .unwrap();
        let error = http_body_util::BodyExt::collect(response.into_body())
            .await
            .unwrap_err();
        assert_eq!(error.http2_code(), None);
    }
}

#[apply(async_test)]
async fn the_head_of_an_http1_response_has_limits() {
    let many = "x-name: value\r\n".repeat(3);
    let large = format!("x-name: {}\r\n", "x".repeat(9 * 1024));
    for (max_headers, buffer, headers, is_served) in [
        (3, 8 * 1024, &many, true),
        (2, 8 * 1024, &many, false),
        (100, 16 * 1024, &large, true),
        (100, 8 * 1024, &large, false),
    ] {
        let mut listener = listen().await;
        let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
            .with_max_headers(max_headers)
            .with_http1_buffer_size(buffer)
            .build()
            .unwrap();
        let answer = format!("HTTP/1.1 204 No Content\r\n{headers}\r\n");
        spawn(async move {
            let mut socket = accept(&mut listener).await;
            let _ = socket.read(&mut [0; 1024]).await;
            let _ = socket.write_all(answer.as_bytes()).await;
            let _ = socket.read_to_end(&mut Vec::new()).await;
        });
        let answered = call(&channel, post(CallBody::empty())).await;
        assert_eq!(answered.is_ok(), is_served, "{max_headers} {buffer}");
        if let Err(error) = answered {
            assert_eq!(error.error().code(), Code::Internal);
            assert!(error.to_string().contains("headers"), "{error}");
        }
    }
}

#[apply(async_test)]
async fn a_request_is_larger_than_what_is_kept_of_it() {
    let server = start(bind().await, echo());
    let channel = Channel::builder(server.uri())
        .with_send_buffer_size(1)
        .build()
        .unwrap();
    let request = post_http2(CallBody::full(vec![7; 1 << 20]));
    assert_eq!(call(&channel, request).await.unwrap().body().len(), 1 << 20);
}

#[apply(async_test)]
async fn a_server_that_answers_no_pings_is_given_up() {
    let mut listener = listen().await;
    let channel = Channel::builder(format!("http://{}", listener.local_addr().unwrap()))
        .with_http_version(HttpVersion::Http2)
        .with_keep_alive((Duration::from_millis(20), Duration::from_millis(20)))
        .build()
        .unwrap();
    spawn(async move {
        let mut socket = accept(&mut listener).await;
        // SETTINGS, which the client waits for, and no more.
        let _ = socket.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await;
        let _ = socket.read_to_end(&mut Vec::new()).await;
    });
    let error = fail(&channel).await;
    assert_eq!(
        (error.sent(), error.error().code()),
        (Sent::Maybe, Code::Unavailable)
    );
    assert!(error.to_string().contains("pings"), "{error}");
}

/// A handler that returns the error of a call of its own tells its caller nothing of where it called.
#[apply(async_test)]
async fn what_a_handler_forwards_names_no_address() {
    const SAY: Spec = Spec::new("/test.v1.Test/Say", StreamType::Unary);
    let refusing = Refusing::new();
    let address = refusing.address;
    let backend = Client::new(Channel::new(format!("http://{address}")).unwrap());
    let (seen, mut errors) = tokio::sync::mpsc::unbounded_channel();
    let router = Router::new().unary(SAY, move |request: Request<String>| {
        let (backend, seen) = (backend.clone(), seen.clone());
        async move {
            let answer = backend.unary::<Prost, String, String>(&SAY, request).await;
            answer.inspect_err(|error| seen.send(error.clone()).unwrap())
        }
    });
    for protocol in [Protocol::Connect, Protocol::Grpc, Protocol::GrpcWeb] {
        let client = Client::new(InProcess::new(router.clone()))
            .with_config(ClientConfig::new().with_protocol(protocol));
        let request = Request::new(String::from("hi"));
        let answer = client.unary::<Prost, _, String>(&SAY, request).await;
        let forwarded = answer.unwrap_err();
        assert_eq!(forwarded.code(), Code::Unavailable);
        assert!(!forwarded.message().is_empty());
        for hidden in ["127.0.0.1", "os error"] {
            assert!(!forwarded.message().contains(hidden), "{forwarded}");
        }
        let here = errors.recv().await.unwrap();
        assert!(format!("{here:#}").contains(&address.to_string()));
        assert_eq!(Sent::of(&here), Some(Sent::No));
    }
}
