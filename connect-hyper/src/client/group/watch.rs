//! Asking endpoints whether they serve: the client's side of `grpc.health.v1`, as gRFC A17 has it.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
    time::Duration,
};

use connect_proto::{ClientConfig, Code, Error, Protocol, Spec, StreamType};
use connect_tower::{
    CallBody, Client, Prost, Request, Transport,
    rt::{Backoff, SharedTimer},
    transport::{ChannelState, FailureKind, Sent, TransportError},
};
use http::Version;

use super::{
    Group, Member,
    health::{Health, HealthRecord},
};
use crate::{
    client::{
        balance::Load,
        connection::Http2Connection,
        endpoint::{Endpoint, Http2Lease, Lease},
        exchange::{Outcome, exchange},
        health_check::HealthCheck,
        response_body::ChannelBody,
        shared::Shared,
    },
    runtime::{Runtime, race, timeout},
};

static WATCH: Spec = Spec::new("/grpc.health.v1.Health/Watch", StreamType::ServerStream);

/// `HealthCheckResponse.ServingStatus`: all other numbers are no reason to send calls.
const SERVING: i32 = 1;

/// Between streams that gave no answer: the figures of gRPC's connection back-off.
const PAUSES: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(120));

impl<R: Runtime> Group<R> {
    /// Asks an endpoint that has a connection, unless it is being asked or nobody wants to know. Whether it does.
    pub(super) fn watch_health(self: &Arc<Self>, member: &Arc<Member<R>>) -> bool {
        let Some(check) = &self.settings.health_check else {
            return false;
        };
        let started = member.with_health(HealthRecord::start);
        let Some(stopped) = started.flatten() else {
            return false;
        };
        let watch = HealthWatch {
            group: Arc::downgrade(self),
            member: Arc::downgrade(member),
            shared: Arc::clone(&self.shared),
            endpoint: Arc::clone(&member.endpoint),
            check: check.clone(),
            has_ended: false,
        };
        self.shared.runtime.spawn(async move {
            race(watch.run(), stopped).await;
        });
        true
    }
}

/// Watches a connection of an endpoint. It holds neither the group nor the endpoint's record: both end it.
struct HealthWatch<R: Runtime> {
    group: Weak<Group<R>>,
    member: Weak<Member<R>>,
    shared: Arc<Shared<R>>,
    endpoint: Arc<Endpoint<R>>,
    check: HealthCheck,
    /// The connection is lost. Else, if this is dropped, a runtime that is shutting down has done so.
    has_ended: bool,
}

impl<R: Runtime> HealthWatch<R> {
    async fn run(mut self) {
        self.watch_endpoint().await;
        self.has_ended = true;
    }

    /// Asks until the connection takes no more calls: another may be to another server.
    async fn watch_endpoint(&self) {
        let want = self.shared.want(Version::HTTP_2);
        let mut failures = 0;
        while self.endpoint.state() == ChannelState::Ready {
            match self.endpoint.watch(want).await {
                Ok(Some((connection, let_go))) => {
                    let shared = Arc::clone(&self.shared);
                    let of = OfConnection { shared, connection };
                    race(self.watch_connection(of), let_go).await;
                    return;
                }
                // Nothing can be asked beside the calls.
                Ok(None) => {
                    self.tell(Health::Serving, None);
                    self.endpoint.changed(ChannelState::Ready).await;
                    return;
                }
                Err(error) => self.tell(Health::NotServing, Some(error.error())),
            }
            failures += 1;
            let pause = self.shared.runtime.sleep(PAUSES.pause(failures));
            race(pause, self.endpoint.changed(ChannelState::Ready)).await;
        }
    }

    /// Asks, and asks again when the stream has ended.
    async fn watch_connection(&self, of: OfConnection<R>) {
        let config = ClientConfig::new().with_protocol(Protocol::Grpc);
        let client = Client::new(of).with_config(config);
        let mut failures = 0;
        loop {
            match self.watch(&client).await {
                // What it has said holds until it says something else. A stream may end for reasons of its own.
                Ok(()) => failures = 0,
                // It does not know of health, and so says nothing against calls.
                Err(error) if error.code() == Code::Unimplemented => {
                    self.tell(Health::Serving, None);
                    return std::future::pending().await;
                }
                // It was not asked. The connection is about to be let go.
                Err(error) if Sent::of(&error) == Some(Sent::No) => {}
                Err(error) => self.tell(Health::NotServing, Some(&error)),
            }
            failures += 1;
            self.shared.runtime.sleep(PAUSES.pause(failures)).await;
        }
    }

    /// Heeds what the endpoint says until the stream ends.
    ///
    /// # Errors
    ///
    /// Why it has said nothing.
    async fn watch(&self, client: &Client<OfConnection<R>>) -> Result<(), Error> {
        let mut request = Request::new(self.check.service().to_owned());
        self.check.add_headers(request.headers_mut());
        // The messages of the service, a string and a number with the tag 1, are those of `StringValue` and `Int32Value`.
        let first = async {
            let opening = client.server_stream::<Prost, String, i32>(&WATCH, request);
            let mut stream = opening.await?.into_message();
            let status = stream.message().await?;
            Ok::<_, Error>((stream, status))
        };
        let limit = self.shared.settings.connect_timeout;
        let answered = timeout(&self.shared.runtime, limit, first).await;
        let (mut stream, status) = answered.unwrap_or_else(|| {
            let text = format!("no answer within {limit:?}");
            Err(Error::deadline_exceeded(text))
        })?;
        let Some(mut status) = status else {
            return Err(Error::unavailable("the stream ended without an answer"));
        };
        loop {
            let health = match status {
                SERVING => Health::Serving,
                _ => Health::NotServing,
            };
            self.tell(health, None);
            match stream.message().await {
                Ok(Some(next)) => status = next,
                Ok(None) | Err(_) => return Ok(()),
            }
        }
    }

    /// The endpoint has said something, or nothing.
    fn tell(&self, health: Health, error: Option<&Error>) {
        let (Some(group), Some(member)) = (self.group.upgrade(), self.member.upgrade()) else {
            return;
        };
        let has_changed = member.with_health(|record| record.set(health));
        if has_changed != Some(true) {
            return;
        }
        if health == Health::NotServing {
            let service = self.check.service();
            let why = error.map_or_else(|| "it is not serving".into(), ToString::to_string);
            let detail = format!(
                "health check of {} for {service:?}: {why}",
                member.address()
            );
            let failure = Error::unavailable("no connection to a server that serves calls");
            let failure = TransportError::of_kind(FailureKind::NoConnection, failure);
            group.lock().failure = Some(failure.with_detail(detail));
        }
        group.changed();
    }
}

/// Calls are not to wait for an answer any more.
impl<R: Runtime> Drop for HealthWatch<R> {
    fn drop(&mut self) {
        if let Some(member) = self.member.upgrade() {
            let health = match self.has_ended {
                true => Health::Unasked,
                false => Health::NotServing,
            };
            member.with_health(|record| record.set(health));
            member.end_attempt();
        }
        if let Some(group) = self.group.upgrade() {
            group.changed();
        }
    }
}

/// Calls on one connection, beside those that are counted.
#[derive(Clone)]
struct OfConnection<R: Runtime> {
    shared: Arc<Shared<R>>,
    connection: Arc<Http2Connection>,
}

impl<R: Runtime> Transport for OfConnection<R> {
    type Body = ChannelBody;
    type Future = Pin<Box<dyn Future<Output = Outcome> + Send>>;

    fn send(&self, request: http::Request<CallBody>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        let lease = Lease::Http2(Http2Lease::uncounted(Arc::clone(&self.connection)));
        Box::pin(async move {
            let path = shared.target.path(request.uri())?;
            exchange(&shared.target, lease, request, path).await
        })
    }

    fn timer(&self) -> Option<SharedTimer> {
        Some(SharedTimer::clone(&self.shared.timer))
    }
}
