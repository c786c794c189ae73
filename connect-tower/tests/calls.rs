//! Every stream type, in every protocol, codec and compression, however the bytes are cut.

mod common;

use common::{Cut, ECHO, JOIN, SPLIT, Transparent, UPPER, block_on, text_router};
use connect_tower::{
    Client, ClientConfig, Error, InProcess, Prost, Protocol, Request, Response, Transport,
};
use futures_util::stream;

fn configs() -> Vec<ClientConfig> {
    let mut configs = Vec::new();
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec)
                .with_min_compress_bytes(0);
            configs.push(config.clone());
            if cfg!(feature = "gzip") {
                configs.push(config.with_send_compression("gzip"));
            }
        }
    }
    let text = ClientConfig::new()
        .with_protocol(Protocol::GrpcWeb)
        .with_grpc_web_text(true);
    configs.push(text);
    configs
}

fn words() -> Vec<String> {
    ["to", "be", "", &"or ".repeat(50), "not"]
        .map(String::from)
        .to_vec()
}

async fn all_stream_types<T: Transport>(client: &Client<T>) -> Result<(), Error> {
    let request = Request::new(String::from("quiet"));
    let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await?;
    assert_eq!(response.message(), "QUIET");

    let request = Request::new(words().join(" "));
    let mut received: Vec<String> = Vec::new();
    let response = client.server_stream::<Prost, _, _>(&SPLIT, request).await?;
    let mut stream = response.into_stream();
    while let Some(word) = stream.message().await? {
        received.push(word);
    }
    assert_eq!(received.join(" "), words().join(" "));
    assert_eq!(stream.message().await?, None);

    let request = Request::new(stream::iter(words()));
    let response: Response<String> = client
        .client_stream_from::<Prost, _, _, _>(&JOIN, request)
        .await?;
    assert_eq!(*response.message(), words().join(" "));

    let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
    for word in words() {
        call.send(word).await?;
    }
    let response = call.close_and_receive().await?;
    assert_eq!(*response.message(), words().join(" "));

    let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
    for word in words() {
        call.send(word.clone()).await?;
        assert_eq!(call.message().await?, Some(word));
    }
    call.close_send();
    assert_eq!(call.message().await?, None);
    assert_eq!(call.message().await?, None);

    let request = Request::new(stream::iter(words()));
    let response = client
        .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
        .await?;
    let mut stream = response.into_stream();
    let mut received = Vec::new();
    while let Some(word) = stream.message().await? {
        received.push(word);
    }
    assert_eq!(received, words());
    Ok(())
}

#[test]
fn all_calls_in_all_protocols_codecs_and_cuts() {
    for config in configs() {
        // A byte, a prefix and the first byte of a message, everything at once.
        for size in [1, 6, usize::MAX] {
            let inner = InProcess::new(text_router());
            let client = Client::new(Cut { inner, size }).with_config(config.clone());
            block_on(all_stream_types(&client))
                .unwrap_or_else(|error| panic!("{config:?} in pieces of {size}: {error:?}"));
        }
    }
}

#[test]
fn all_calls_through_interceptors_on_both_sides() {
    for config in configs() {
        let router = text_router().add_interceptor(Transparent);
        let client = Client::new(InProcess::new(router))
            .with_config(config.clone())
            .add_interceptor(Transparent);
        block_on(all_stream_types(&client)).unwrap_or_else(|error| panic!("{config:?}: {error:?}"));
    }
}

/// More than any buffer between the two sides holds.
#[test]
fn long_streams_flow_both_ways() {
    block_on(async {
        for router in [text_router(), text_router().add_interceptor(Transparent)] {
            let client = common::client(router);
            let word = "x".repeat(1000);
            let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
            for _ in 0..500 {
                call.send(word.clone()).await.unwrap();
                assert_eq!(call.message().await.unwrap().as_ref(), Some(&word));
            }
            drop(call);

            let request = Request::new(stream::iter(vec![word.clone(); 500]));
            let response = client
                .bidi_stream_from::<Prost, _, String, _>(&ECHO, request)
                .await
                .unwrap();
            let mut stream = response.into_stream();
            for _ in 0..500 {
                assert_eq!(stream.message().await.unwrap().as_ref(), Some(&word));
            }
            assert_eq!(stream.message().await.unwrap(), None);

            // All is sent before the first answer is read, as a client stream does.
            let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
            for _ in 0..500 {
                call.send(word.clone()).await.unwrap();
            }
            let joined = call.close_and_receive().await.unwrap();
            assert_eq!(joined.message().len(), 500 * 1001 - 1);
        }
    });
}

/// The futures of calls go where the transport's future may go.
#[test]
fn calls_are_send() {
    fn assert_send<T: Send>(value: T) -> T {
        value
    }
    let client = common::client(text_router());
    let request = || Request::new(String::new());
    drop(assert_send(
        client.unary::<Prost, String, String>(&UPPER, request()),
    ));
    drop(assert_send(
        client.server_stream::<Prost, String, String>(&SPLIT, request()),
    ));
    let call = assert_send(client.client_stream::<Prost, String, String>(&JOIN, Request::new(())));
    drop(assert_send(call.close_and_receive()));
    let mut call =
        assert_send(client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(())));
    drop(assert_send(call.send(String::new())));
    drop(assert_send(call.message()));
}
