//! One endpoint of a group, and what is known of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use connect_proto::{Code, Time};
use connect_tower::{
    Deadline,
    transport::{ChannelState, EndpointStats, Outcome, OutcomeListener, Sent, TransportError},
};
use http::Response;

use super::{
    Group,
    health::{Health, HealthRecord},
};
use crate::{
    client::{
        address::EndpointAddress,
        balance::{Ejection, Load, Record},
        endpoint::Endpoint,
    },
    runtime::Runtime,
};

/// An endpoint of a group.
pub(in crate::client) struct Member<R: Runtime> {
    pub(in crate::client) endpoint: Arc<Endpoint<R>>,
    address: EndpointAddress,
    group: Weak<Group<R>>,
    /// The group is opening a connection of it.
    is_connecting: AtomicBool,
    /// How many times it has done so.
    attempts: AtomicU64,
    record: Mutex<Record>,
    /// Where it is asked whether it serves.
    health: Option<Mutex<HealthRecord>>,
    /// Failures are counted.
    ejects: bool,
    /// A connection was lost, and that was counted.
    is_lost: AtomicBool,
}

impl<R: Runtime> Member<R> {
    pub(super) fn new(group: &Arc<Group<R>>, address: EndpointAddress) -> Arc<Self> {
        let endpoint = Endpoint::new(Arc::clone(&group.shared), address.clone());
        Arc::new(Self {
            endpoint: Arc::new(endpoint),
            address,
            group: Arc::downgrade(group),
            is_connecting: AtomicBool::new(false),
            attempts: AtomicU64::new(0),
            record: Mutex::default(),
            health: group
                .settings
                .health_check
                .as_ref()
                .map(|_| Mutex::new(HealthRecord::new())),
            ejects: group.settings.ejection.is_some(),
            is_lost: AtomicBool::new(false),
        })
    }

    /// Whether the group may begin to open a connection.
    pub(super) fn begin_connecting(&self) -> bool {
        !self.is_connecting.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_connecting(&self) {
        self.end_attempt();
        self.is_connecting.store(false, Ordering::Release);
    }

    /// To connect, or to learn whether it serves.
    pub(super) fn end_attempt(&self) {
        self.attempts.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.is_connecting.load(Ordering::Acquire)
    }

    /// Of its connections, and of what it says of itself.
    pub(super) fn state(&self) -> ChannelState {
        match (self.endpoint.state(), self.health()) {
            (ChannelState::Ready, Some(Health::Unasked | Health::Asked)) => {
                ChannelState::Connecting
            }
            (ChannelState::Ready, Some(Health::NotServing)) => ChannelState::Failed,
            (state, _) => state,
        }
    }

    pub(super) fn stats(&self, now: Time) -> EndpointStats {
        EndpointStats {
            state: self.state(),
            is_ejected: self.is_ejected(now),
            ..self.endpoint.stats()
        }
    }

    /// What it says of itself, where it is asked.
    pub(super) fn health(&self) -> Option<Health> {
        self.with_health(|record| record.health())
    }

    pub(super) fn with_health<T>(&self, work: impl FnOnce(&mut HealthRecord) -> T) -> Option<T> {
        let record = self.health.as_ref()?.lock();
        Some(work(&mut record.unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes no more calls, and is not asked for its health any more.
    pub(super) fn close(&self) {
        self.with_health(HealthRecord::stop);
        self.endpoint.close();
    }

    /// How many attempts to connect have ended.
    pub(super) fn attempts(&self) -> u64 {
        self.attempts.load(Ordering::Acquire)
    }

    /// A call has a connection of it.
    pub(super) fn found(&self) {
        if self.is_lost.load(Ordering::Acquire) {
            self.is_lost.store(false, Ordering::Release);
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_ejected(&self, now: Time) -> bool {
        self.record().is_ejected(now)
    }

    /// Until when it is ejected, if it is.
    pub(super) fn ejected_until(&self, now: Time) -> Option<Time> {
        self.record().ejected_until(now)
    }

    /// Notes a failure; whether it is ejected by that.
    pub(super) fn fail(&self, ejection: &Ejection, now: Time, has_room: bool) -> bool {
        self.record().failed(ejection, now, has_room)
    }
}

/// A call that an endpoint has and has not answered. Dropped at its deadline it is one that the endpoint has failed, dropped
/// before it nobody wants it any more.
pub(in crate::client) struct Unanswered<R: Runtime> {
    /// None where the end of the call does not matter.
    member: Option<Arc<Member<R>>>,
    deadline: Option<Deadline>,
}

impl<R: Runtime> Unanswered<R> {
    pub(in crate::client) fn new(
        member: Option<Arc<Member<R>>>,
        deadline: Option<Deadline>,
    ) -> Self {
        Self {
            member: member.filter(|member| member.ejects),
            deadline,
        }
    }

    /// It has a response, or none.
    pub(in crate::client) fn end<B>(mut self, outcome: &mut Result<Response<B>, TransportError>) {
        let Some(member) = self.member.take() else {
            return;
        };
        match outcome {
            Ok(response) => {
                response.extensions_mut().insert(Outcome::new(member));
            }
            // One that was surely not begun says nothing about the server: it may be shutting down.
            Err(error) if error.sent() == Sent::No => {}
            Err(error) => member.ended(Some(error.error().code())),
        }
    }
}

impl<R: Runtime> Drop for Unanswered<R> {
    fn drop(&mut self) {
        let is_late = self.deadline.as_ref().is_some_and(Deadline::has_passed);
        if let (Some(member), true) = (&self.member, is_late) {
            member.ended(Some(Code::DeadlineExceeded));
        }
    }
}

/// Calls tell how they ended.
impl<R: Runtime> OutcomeListener for Member<R> {
    fn ended(&self, code: Option<Code>) {
        let Some(group) = self.group.upgrade() else {
            return;
        };
        match &group.settings.ejection {
            None => {}
            // Its caller has given it up.
            Some(_) if code == Some(Code::Canceled) => {}
            Some(ejection) if ejection.is_failure(code) => {
                // All calls that a lost connection had count as one failure: the server may be back in a moment.
                let is_lost = self.endpoint.state() != ChannelState::Ready;
                if !is_lost || !self.is_lost.swap(true, Ordering::AcqRel) {
                    group.failed(self);
                }
            }
            Some(_) => self.record().succeeded(),
        }
    }
}

impl<R: Runtime> Load for Member<R> {
    fn address(&self) -> &EndpointAddress {
        &self.address
    }

    fn outstanding(&self) -> usize {
        self.endpoint.outstanding()
    }
}
