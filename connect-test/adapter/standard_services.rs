//! gRPC's standard services, over the runtime's sockets.

use std::time::Duration;

use connect_health::{
    Health,
    v1::{HealthCheckRequest, HealthClient, health_check_response::ServingStatus},
};
use connect_hyper::{HttpVersion, ServerEvent};
use connect_reflection::{
    Reflection,
    v1::{
        ServerReflectionClient, ServerReflectionRequest,
        server_reflection_request::MessageRequest as Question,
        server_reflection_response::MessageResponse as Answer,
    },
};
use connect_tower::{ClientConfig, Protocol, Router};
use macro_rules_attribute::apply;

use super::support::{async_test, bind, start};
use crate::rt::Channel;

/// A watch has no end of its own, and would hold the server up.
#[apply(async_test)]
async fn a_watch_of_health_ends_with_the_server() {
    let health = Health::new();
    let server = start(bind().await, Router::new().add_service(health.clone()));
    let client = HealthClient::new(Channel::new(server.uri()).unwrap());
    let watching = client.watch(HealthCheckRequest::default()).await;
    let mut watching = watching.unwrap().into_stream();
    let status = watching.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::Serving);

    health.shutdown();
    let stopping = server.stop();
    let status = watching.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    assert_eq!(watching.message().await.unwrap(), None);
    stopping.await.unwrap();
}

/// A load balancer finds out before the server lets nobody in any more.
#[apply(async_test)]
async fn health_can_say_that_a_shutdown_has_begun_while_the_drain_waits() {
    let health = Health::new();
    let router = Router::new().add_service(health.clone());
    let server = bind()
        .await
        .with_drain_delay(Duration::from_secs(3600))
        .with_observer(move |event| {
            if let ServerEvent::ShuttingDown { .. } = event {
                health.shutdown();
            }
        });
    let server = start(server, router);
    let uri = server.uri();
    let client = HealthClient::new(Channel::new(&uri).unwrap());
    let watching = client.watch(HealthCheckRequest::default()).await;
    let mut watching = watching.unwrap().into_stream();
    let status = watching.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::Serving);
    let stopping = server.stop();
    let status = watching.message().await.unwrap().unwrap().status();
    assert_eq!(status, ServingStatus::NotServing);
    // On a new connection.
    let client = HealthClient::new(Channel::new(&uri).unwrap());
    let checked = client.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(checked.message().status(), ServingStatus::NotServing);
    stopping.abort();
}

#[apply(async_test)]
async fn reflection_answers_in_every_protocol() {
    let router = Router::new()
        .add_service(Reflection::new())
        .add_service(Health::new());
    let server = start(bind().await, router);
    let channel = Channel::builder(server.uri()).with_http_version(HttpVersion::Http2);
    let channel = channel.build().unwrap();
    for protocol in Protocol::ALL {
        let config = ClientConfig::new().with_protocol(protocol);
        let client = ServerReflectionClient::new(channel.clone()).with_config(config);
        let mut call = client.server_reflection_info();
        for symbol in ["grpc.health.v1.Health", "grpc.health.v1.Health.Watch"] {
            let question = Question::FileContainingSymbol(symbol.to_owned());
            call.send(ServerReflectionRequest {
                message_request: Some(question),
                ..ServerReflectionRequest::default()
            })
            .await
            .unwrap();
            let answer = call.message().await.unwrap().unwrap().message_response;
            let Some(Answer::FileDescriptorResponse(files)) = answer else {
                panic!("no files: {answer:?}");
            };
            assert_eq!(files.file_descriptor_proto.len(), 1, "{symbol}");
        }
        call.close_send();
        assert_eq!(call.message().await.unwrap(), None);
    }
}
