//! Streams whose messages a client sends one by one.

use std::sync::Arc;

use connect_tower::{Prost, Protocol, Request, Response, Router, Spec, StreamType, Streaming};
use macro_rules_attribute::apply;
use tokio::sync::Notify;

use super::support::{async_test, bind, start};
use crate::rt::{Channel, Client, ClientConfig};

const JOIN: Spec = Spec::new("/test.v1.Text/Join", StreamType::ClientStream);
const ECHO: Spec = Spec::new("/test.v1.Text/Echo", StreamType::BidiStream);

/// Nobody awaits the response: the client only sends.
#[apply(async_test)]
async fn a_server_sees_a_call_whose_client_has_only_sent() {
    let begun = Arc::new(Notify::new());
    let (joins, echoes) = (Arc::clone(&begun), Arc::clone(&begun));
    let router = Router::new()
        .client_stream(JOIN, move |request: Request<Streaming<String>>| {
            joins.notify_one();
            async {
                let first = request.into_stream().message().await?;
                Ok(Response::new(first.unwrap_or_default()))
            }
        })
        .bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
            echoes.notify_one();
            async { Ok(Response::stream(request.into_stream())) }
        });
    let server = start(bind().await, router);
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let channel = Channel::builder(server.uri())
            .with_http_version(connect_hyper::HttpVersion::Http2)
            .build()
            .unwrap();
        let client = Client::new(channel).with_config(config.clone());
        let mut call = client.bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        call.send(String::from("hi")).await.unwrap();
        begun.notified().await;
        assert_eq!(call.message().await.unwrap().as_deref(), Some("hi"));

        let client = Client::new(Channel::new(server.uri()).unwrap()).with_config(config);
        let mut call = client.client_stream::<Prost, String, String>(&JOIN, Request::new(()));
        call.send(String::from("hi")).await.unwrap();
        begun.notified().await;
        let response = call.close_and_receive().await.unwrap();
        assert_eq!(response.message(), "hi");
    }
}
