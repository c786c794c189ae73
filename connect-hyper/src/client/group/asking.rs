//! Asking the resolver: when it is asked, what is made of its answer, and what it has to tell by itself.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
    time::Duration,
};

use connect_proto::{Error, Time};
use connect_tower::transport::{FailureKind, TransportError};
use futures_channel::oneshot;

use super::{Group, Member, shutting_down};
use crate::{
    client::{address::EndpointAddress, balance::Load, resolve::Resolve},
    runtime::{Either, Runtime, race, timeout},
};

/// How often a resolver is asked at most.
const MIN_RESOLVE_INTERVAL: Duration = Duration::from_secs(1);

/// How long a resolver that had news is not listened to: one that always says so is not to keep a thread busy.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

impl<R: Runtime> Group<R> {
    /// Asks the resolver, unless it is being asked; after a while, if that was a moment ago.
    pub(super) fn resolve(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.is_resolving || state.is_closed {
            return;
        }
        state.is_resolving = true;
        let not_before = state
            .asked_at
            .map(|asked_at| asked_at.saturating_add(MIN_RESOLVE_INTERVAL));
        let mut listen = None;
        if state.listening.is_none() {
            let (listening, dropped) = oneshot::channel();
            state.listening = Some(listening);
            listen = Some(dropped);
        }
        drop(state);
        if let Some(dropped) = listen {
            let resolver = Arc::clone(&self.settings.resolver);
            let listening = listen_to(resolver, Arc::downgrade(self), dropped);
            self.shared.runtime.spawn(listening);
        }
        self.start_asking(not_before);
    }

    /// The resolver says that there is news.
    fn resolve_now(self: &Arc<Self>) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        state.has_news = state.is_resolving;
        if !std::mem::replace(&mut state.is_resolving, true) {
            drop(state);
            self.start_asking(None);
        }
    }

    fn start_asking(self: &Arc<Self>, not_before: Option<Time>) {
        let runtime = &self.shared.runtime;
        let asking = Asking {
            group: Arc::downgrade(self),
            outcome: Err(shutting_down()),
        };
        runtime.spawn(asking.run(runtime.clone(), not_before));
    }

    async fn ask(&self) -> Result<Vec<EndpointAddress>, TransportError> {
        let (host, port) = self.shared.target.host_and_port();
        let limit = self.shared.settings.connect_timeout;
        let failed = |why: String, source: Option<std::io::Error>| {
            let error =
                Error::unavailable("no connection to the server: its endpoints are not known");
            let error = match source {
                Some(source) => error.with_source(source),
                None => error,
            };
            TransportError::of_kind(FailureKind::NoConnection, error)
                .with_detail(format!("resolve {host}: {why}"))
        };
        let asking = self.settings.resolver.resolve(host, port);
        match timeout(&self.shared.runtime, limit, asking).await {
            None => Err(failed(format!("no answer within {limit:?}"), None)),
            Some(Err(error)) => {
                let why = format!("{error}; check the host's name, or what the resolver asks");
                Err(failed(why, Some(error)))
            }
            Some(Ok(list)) if list.is_empty() => {
                let why = "there is no endpoint; is the service running anywhere?";
                Err(failed(why.into(), None))
            }
            Some(Ok(list)) => Ok(list),
        }
    }

    /// Takes the resolver's answer. Without one those stay that are known.
    fn resolved(self: &Arc<Self>, outcome: Result<Vec<EndpointAddress>, TransportError>) {
        let mut removed = Vec::new();
        let mut state = self.lock();
        state.is_resolving = false;
        let has_news = std::mem::take(&mut state.has_news);
        match outcome {
            Err(failure) => {
                state.unresolved += 1;
                state.failure = Some(failure);
            }
            Ok(_) if state.is_closed => {}
            Ok(list) => {
                let known = std::mem::take(&mut state.members).into_iter();
                let mut known: HashMap<_, _> = known.map(|it| (it.address().clone(), it)).collect();
                let mut seen = HashSet::new();
                for address in list {
                    if seen.insert(address.clone()) {
                        let member = known
                            .remove(&address)
                            .unwrap_or_else(|| Member::new(self, address));
                        state.members.push(member);
                    }
                }
                removed.extend(known.into_values());
                state.leaving.extend(removed.iter().cloned());
            }
        }
        drop(state);
        for member in removed {
            self.shared
                .runtime
                .spawn(leave(Arc::downgrade(self), member));
        }
        self.changed();
        if has_news {
            self.resolve_now();
        }
    }
}

/// A resolver that is being asked. A runtime may drop that: the calls are not to wait for ever.
struct Asking<R: Runtime> {
    group: Weak<Group<R>>,
    outcome: Result<Vec<EndpointAddress>, TransportError>,
}

impl<R: Runtime> Asking<R> {
    async fn run(mut self, runtime: R, not_before: Option<Time>) {
        if let Some(time) = not_before {
            runtime.sleep_until(time).await;
        }
        if let Some(group) = self.group.upgrade() {
            group.lock().asked_at = Some(group.now());
            self.outcome = group.ask().await;
        }
    }
}

impl<R: Runtime> Drop for Asking<R> {
    fn drop(&mut self) {
        let outcome = std::mem::replace(&mut self.outcome, Ok(Vec::new()));
        if let Some(group) = self.group.upgrade() {
            group.resolved(outcome);
        }
    }
}

/// An endpoint that the resolver names no more ends when its last call has.
async fn leave<R: Runtime>(group: Weak<Group<R>>, member: Arc<Member<R>>) {
    member.close();
    member.endpoint.drain().await;
    if let Some(group) = group.upgrade() {
        let mut state = group.lock();
        state.leaving.retain(|it| !Arc::ptr_eq(it, &member));
    }
}

/// Asks again whenever the resolver has news.
async fn listen_to<R: Runtime>(
    resolver: Arc<dyn Resolve>,
    group: Weak<Group<R>>,
    mut dropped: oneshot::Receiver<()>,
) {
    while let Either::Left(()) = race(resolver.changed(), &mut dropped).await {
        let Some(group) = group.upgrade() else { return };
        group.resolve_now();
        let pause = group.shared.runtime.sleep(NEWS_INTERVAL);
        drop(group);
        pause.await;
    }
}
