//! Sizes: what is refused, by whom, and that one call may differ.

mod common;

use common::{ECHO, JOIN, SPLIT, UPPER, block_on, text_router};
use connect_tower::{ClientConfig, Code, Limits, Prost, Protocol, Request};
use futures_util::stream;

fn small() -> Limits {
    Limits::default().with_recv_message_bytes(100)
}

fn large_word() -> String {
    "x".repeat(1000)
}

fn configs() -> Vec<ClientConfig> {
    let plain = Protocol::ALL.map(|protocol| ClientConfig::new().with_protocol(protocol));
    let compressed = plain.clone().map(|config| {
        config
            .with_send_compression("gzip")
            .with_min_compress_bytes(0)
    });
    plain.into_iter().chain(compressed).collect()
}

/// The limit is on the message, also where it arrives compressed to a few bytes.
#[test]
fn a_server_refuses_large_messages() {
    for config in configs() {
        let client = common::client_with(text_router().with_limits(small()), config.clone());
        block_on(async {
            let request = Request::new(large_word());
            let result = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(common::brief(result).0, Code::ResourceExhausted);

            let request = Request::new(stream::iter([String::new(), large_word()]));
            let result = client
                .client_stream_from::<Prost, _, String, _>(&JOIN, request)
                .await;
            assert_eq!(
                common::brief(result).0,
                Code::ResourceExhausted,
                "{config:?}"
            );

            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            call.send(String::from("small")).await.unwrap();
            assert!(call.message().await.unwrap().is_some());
            call.send(large_word()).await.unwrap();
            let result = call.message().await;
            assert_eq!(common::brief(result).0, Code::ResourceExhausted);
        });
    }
}

#[test]
fn a_client_refuses_large_messages() {
    for config in configs() {
        let config = config.with_limits(small());
        let client = common::client_with(text_router(), config);
        block_on(async {
            let request = Request::new(large_word());
            let result = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(common::brief(result).0, Code::ResourceExhausted);

            let request = Request::new(large_word()).with_recv_message_bytes(2000);
            let result = client.unary::<Prost, _, String>(&UPPER, request).await;
            assert_eq!(result.unwrap().message().len(), 1000);

            let request = Request::new(format!("small {}", large_word()));
            let mut stream = client
                .server_stream::<Prost, _, String>(&SPLIT, request)
                .await
                .unwrap()
                .into_stream();
            assert_eq!(stream.message().await.unwrap().as_deref(), Some("small"));
            let result = stream.message().await;
            assert_eq!(common::brief(result).0, Code::ResourceExhausted);
        });
    }
}

#[test]
fn messages_over_the_sending_limit_are_not_sent() {
    let limits = Limits::default().with_send_message_bytes(100);
    for config in configs() {
        let sending = common::client_with(text_router(), config.clone().with_limits(limits));
        let answering = common::client_with(text_router().with_limits(limits), config);
        block_on(async {
            for client in [&sending, &answering] {
                let request = Request::new(large_word());
                let result = client.unary::<Prost, _, String>(&UPPER, request).await;
                assert_eq!(common::brief(result).0, Code::ResourceExhausted);
                let request = Request::new(stream::iter([large_word()]));
                let stream = client
                    .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
                    .await;
                let result = match stream {
                    Ok(response) => response.into_stream().message().await,
                    Err(error) => Err(error),
                };
                assert_eq!(common::brief(result).0, Code::ResourceExhausted);
            }
            // One message too large is not sent; the call goes on.
            let mut call = sending.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            let result = call.send(large_word()).await;
            assert_eq!(common::brief(result).0, Code::ResourceExhausted);
            call.send(String::from("small")).await.unwrap();
            assert_eq!(call.message().await.unwrap().as_deref(), Some("small"));
        });
    }
}
