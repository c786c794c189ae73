//! Streams whose messages a client sends one by one.

use std::sync::Arc;

use connect_tower::{
    Call, Error, Interceptor, Next, Prost, Protocol, Reply, Request, Response, Router, Spec,
    StreamType, Streaming,
};
use macro_rules_attribute::apply;
use tokio::sync::Notify;

use super::support::{async_test, bind, start};
use crate::rt::{Channel, Client, ClientConfig};

const JOIN: Spec = Spec::new("/test.v1.Text/Join", StreamType::ClientStream);
const ECHO: Spec = Spec::new("/test.v1.Text/Echo", StreamType::BidiStream);

/// Passes every call on.
#[derive(Clone)]
struct Transparent;

impl Interceptor for Transparent {
    async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
        next.run(call).await
    }
}

/// Nobody awaits the response: the client only sends. The handler reads only after the client has sent.
#[apply(async_test)]
async fn a_server_sees_a_call_whose_client_has_only_sent() {
    let (begun, sent) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let joins = (Arc::clone(&begun), Arc::clone(&sent));
    let echoes = joins.clone();
    let router = Router::new()
        .client_stream(JOIN, move |request: Request<Streaming<String>>| {
            let (begun, sent) = joins.clone();
            async move {
                begun.notify_one();
                sent.notified().await;
                let first = request.into_stream().message().await?;
                Ok(Response::new(first.unwrap_or_default()))
            }
        })
        .bidi_stream(ECHO, move |request: Request<Streaming<String>>| {
            let (begun, sent) = echoes.clone();
            async move {
                begun.notify_one();
                sent.notified().await;
                Ok(Response::stream(request.into_stream()))
            }
        });
    let server = start(bind().await, router);
    for (protocol, is_intercepted) in Protocol::ALL
        .into_iter()
        .flat_map(|protocol| [(protocol, false), (protocol, true)])
    {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = |channel| {
            let client = Client::new(channel).with_config(config.clone());
            match is_intercepted {
                true => client.add_interceptor(Transparent),
                false => client,
            }
        };
        let channel = Channel::builder(server.uri())
            .with_http_version(connect_hyper::HttpVersion::Http2)
            .build()
            .unwrap();
        let mut call =
            client(channel).bidi_stream::<Prost, String, String>(&ECHO, Request::new(()));
        call.send(String::from("hi")).await.unwrap();
        begun.notified().await;
        sent.notify_one();
        assert_eq!(call.message().await.unwrap().as_deref(), Some("hi"));

        let channel = Channel::new(server.uri()).unwrap();
        let mut call =
            client(channel).client_stream::<Prost, String, String>(&JOIN, Request::new(()));
        call.send(String::from("hi")).await.unwrap();
        begun.notified().await;
        sent.notify_one();
        let response = call.close_and_receive().await.unwrap();
        assert_eq!(response.message(), "hi");
    }
}
