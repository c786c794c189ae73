//! Check, Watch and List through a router, in every protocol and codec.

#[path = "../../connect-tower/tests/common/mod.rs"]
mod common;

use std::pin::pin;

use common::{block_on, brief, poll_until_stalled};
use connect_health::{
    Health, Status,
    v1::{
        HealthCheckRequest, HealthClient, HealthListRequest, health_check_response::ServingStatus,
    },
};
use connect_tower::{
    Client, ClientConfig, Code, Error, InProcess, Protocol, Router, Service, Streaming, Transport,
};
use proptest::prelude::*;

/// A client in each protocol and codec.
fn clients(health: &Health) -> Vec<HealthClient<InProcess>> {
    let router = Router::new().add_service(health.clone());
    let client = Client::new(InProcess::new(router));
    let mut clients = Vec::new();
    for protocol in Protocol::ALL {
        for codec in ["proto", "json"] {
            let config = ClientConfig::new()
                .with_protocol(protocol)
                .with_codec(codec);
            clients.push(HealthClient::from_client(client.clone()).with_config(config));
        }
    }
    clients
}

fn client(health: &Health) -> HealthClient<InProcess> {
    clients(health).remove(0)
}

fn service(name: &str) -> HealthCheckRequest {
    HealthCheckRequest {
        service: name.to_owned(),
    }
}

async fn check(client: &HealthClient<InProcess>, name: &str) -> Result<ServingStatus, Error> {
    let response = client.check(service(name)).await?;
    Ok(response.message().status())
}

type Watching = Streaming<connect_health::v1::HealthCheckResponse, <InProcess as Transport>::Body>;

async fn watch(client: &HealthClient<InProcess>, name: &str) -> Watching {
    let response = client.watch(service(name)).await;
    response.unwrap().into_stream()
}

async fn next(watching: &mut Watching) -> Option<ServingStatus> {
    let message = watching.message().await.unwrap();
    message.map(|message| message.status())
}

/// Whether there is nothing to receive for now.
fn waits(watching: &mut Watching) -> bool {
    poll_until_stalled(pin!(watching.message())).is_none()
}

#[test]
fn check_says_what_was_set() {
    let health = Health::new();
    health.set_serving("a.A");
    health.set_not_serving("b.B");
    health.set_status("c.C", Status::Unknown);
    for client in clients(&health) {
        block_on(async {
            assert_eq!(check(&client, "").await, Ok(ServingStatus::Serving));
            assert_eq!(check(&client, "a.A").await, Ok(ServingStatus::Serving));
            assert_eq!(check(&client, "b.B").await, Ok(ServingStatus::NotServing));
            assert_eq!(check(&client, "c.C").await, Ok(ServingStatus::Unknown));
            let (code, message) = brief(check(&client, "d.D").await);
            assert_eq!(code, Code::NotFound);
            assert!(message.contains("nobody has set it"), "{message}");
        });
    }
}

#[test]
fn a_status_can_be_changed_and_forgotten() {
    let health = Health::default();
    let client = client(&health);
    block_on(async {
        health.set_serving("a.A");
        health.set_not_serving("a.A");
        assert_eq!(check(&client, "a.A").await, Ok(ServingStatus::NotServing));
        health.clear("a.A");
        health.clear("never set");
        assert_eq!(brief(check(&client, "a.A").await).0, Code::NotFound);
        health.set_not_serving("");
        assert_eq!(check(&client, "").await, Ok(ServingStatus::NotServing));
    });
    assert_eq!(health.status("a.A"), None);
    assert_eq!(health.status(""), Some(Status::NotServing));
}

#[test]
fn list_has_all_and_at_most_a_hundred() {
    let health = Health::new();
    for n in 1..100 {
        health.set_not_serving(format!("s.S{n}"));
    }
    for client in clients(&health) {
        let list = block_on(client.list(HealthListRequest {})).unwrap();
        let statuses = &list.message().statuses;
        assert_eq!(statuses.len(), 100);
        assert_eq!(statuses[""].status(), ServingStatus::Serving);
        assert_eq!(statuses["s.S99"].status(), ServingStatus::NotServing);
    }
    health.set_serving("one.more");
    for client in clients(&health) {
        let (code, message) = brief(block_on(client.list(HealthListRequest {})));
        assert_eq!(code, Code::ResourceExhausted);
        assert!(message.contains("101"), "{message}");
    }
}

#[test]
fn watch_tells_the_status_and_each_change() {
    let health = Health::new();
    for client in clients(&health) {
        health.clear("a.A");
        block_on(async {
            let mut watching = watch(&client, "a.A").await;
            assert_eq!(
                next(&mut watching).await,
                Some(ServingStatus::ServiceUnknown)
            );
            assert!(waits(&mut watching));
            health.set_serving("b.B");
            assert!(waits(&mut watching), "that was another service");
            health.set_serving("a.A");
            assert_eq!(next(&mut watching).await, Some(ServingStatus::Serving));
            health.set_serving("a.A");
            assert!(waits(&mut watching), "that was no change");
            health.set_not_serving("a.A");
            assert_eq!(next(&mut watching).await, Some(ServingStatus::NotServing));
            health.clear("a.A");
            assert_eq!(
                next(&mut watching).await,
                Some(ServingStatus::ServiceUnknown)
            );
        });
    }
}

#[test]
fn a_slow_watcher_learns_the_last_status_only() {
    let health = Health::new();
    let client = client(&health);
    block_on(async {
        let mut watching = watch(&client, "").await;
        assert_eq!(next(&mut watching).await, Some(ServingStatus::Serving));
        health.set_not_serving("");
        health.set_status("", Status::Unknown);
        assert_eq!(next(&mut watching).await, Some(ServingStatus::Unknown));
        health.set_serving("");
        health.set_status("", Status::Unknown);
        assert!(waits(&mut watching), "it is what it was");
    });
}

#[test]
fn a_shutdown_is_told_and_is_final() {
    let health = Health::new();
    health.set_serving("a.A");
    for client in clients(&health) {
        let health = health.clone();
        block_on(async {
            let [mut a, mut whole, mut unknown] = [
                watch(&client, "a.A").await,
                watch(&client, "").await,
                watch(&client, "b.B").await,
            ];
            if health.status("") == Some(Status::Serving) {
                for watching in [&mut a, &mut whole, &mut unknown] {
                    assert!(next(watching).await.is_some());
                    assert!(waits(watching));
                }
                health.shutdown();
                health.set_serving("a.A");
                health.set_serving("b.B");
                health.clear("");
            } else {
                // A call after the shutdown learns about it too.
                assert_eq!(
                    next(&mut unknown).await,
                    Some(ServingStatus::ServiceUnknown)
                );
            }
            for watching in [&mut a, &mut whole] {
                assert_eq!(next(watching).await, Some(ServingStatus::NotServing));
                assert_eq!(next(watching).await, None);
            }
            assert_eq!(next(&mut unknown).await, None);
            assert_eq!(check(&client, "").await, Ok(ServingStatus::NotServing));
            assert_eq!(check(&client, "a.A").await, Ok(ServingStatus::NotServing));
            assert_eq!(brief(check(&client, "b.B").await).0, Code::NotFound);
        });
    }
}

#[test]
fn check_can_be_a_get_request() {
    let router = Router::new().add_service(Health::new());
    let mut procedures: Vec<_> = router.procedures().collect();
    procedures.sort_by_key(|spec| spec.procedure().to_owned());
    let idempotent: Vec<_> = procedures
        .iter()
        .map(|spec| spec.idempotency() == connect_tower::Idempotency::NoSideEffects)
        .collect();
    assert_eq!(router.service_names(), [Health::NAME]);
    assert_eq!(idempotent, [true, true, false], "{procedures:?}");
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Set(Status),
    Clear,
    Read,
    Shutdown,
}

proptest! {
    /// Whatever happens in whatever order, a watcher never hears the same twice, never waits while there is news, and
    /// knows the truth when it waits.
    #[test]
    fn a_watcher_ends_up_with_the_truth(steps in prop::collection::vec(
        prop_oneof![
            4 => Just(Step::Set(Status::Serving)),
            4 => Just(Step::Set(Status::NotServing)),
            1 => Just(Step::Set(Status::Unknown)),
            2 => Just(Step::Clear),
            6 => Just(Step::Read),
            1 => Just(Step::Shutdown),
        ],
        0..24,
    )) {
        let health = Health::new();
        let client = client(&health);
        let mut watching = block_on(watch(&client, "a.A"));
        let mut shown = None;
        for step in steps.into_iter().chain([Step::Read]) {
            match step {
                Step::Set(status) => health.set_status("a.A", status),
                Step::Clear => health.clear("a.A"),
                Step::Shutdown => health.shutdown(),
                Step::Read => {
                    while let Some(Some(status)) = poll_until_stalled(pin!(next(&mut watching))) {
                        prop_assert_ne!(shown, Some(status));
                        shown = Some(status);
                    }
                    let truth = match health.status("a.A") {
                        None => ServingStatus::ServiceUnknown,
                        Some(Status::Unknown) => ServingStatus::Unknown,
                        Some(Status::Serving) => ServingStatus::Serving,
                        Some(Status::NotServing) => ServingStatus::NotServing,
                    };
                    prop_assert_eq!(shown, Some(truth));
                }
            }
        }
    }
}

#[test]
fn a_name_over_the_limit_is_not_watched() {
    let at_limit = "n".repeat(1024);
    let over = "n".repeat(1025);
    let health = Health::new();
    assert_eq!(health.max_name_bytes(), 1024);
    for client in clients(&health) {
        block_on(async {
            let mut watching = watch(&client, &at_limit).await;
            assert_eq!(
                next(&mut watching).await,
                Some(ServingStatus::ServiceUnknown)
            );
            let (code, message) = brief(watch_error(&client, &over).await);
            assert_eq!(code, Code::InvalidArgument);
            assert!(
                message.contains("has 1025 bytes, and at most 1024"),
                "{message}"
            );
        });
    }
    let health = health.with_max_name_bytes(2000);
    let client = client(&health);
    let mut watching = block_on(watch(&client, &over));
    assert_eq!(
        block_on(next(&mut watching)),
        Some(ServingStatus::ServiceUnknown)
    );
}

async fn watch_error(client: &HealthClient<InProcess>, name: &str) -> Result<(), Error> {
    let mut watching = client.watch(service(name)).await?.into_stream();
    watching.message().await.map(drop)
}
