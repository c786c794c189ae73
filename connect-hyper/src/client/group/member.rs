//! One endpoint of a group, and what is known of it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use connect_proto::{Code, Time};
use connect_tower::transport::{Outcome, OutcomeListener, Sent, TransportError};
use http::Response;

use super::Group;
use crate::{
    client::{
        address::EndpointAddress,
        balance::{Ejection, Load, Record},
        endpoint::{ChannelState, Endpoint},
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
            ejects: group.settings.ejection.is_some(),
            is_lost: AtomicBool::new(false),
        })
    }

    /// Whether the group may begin to open a connection.
    pub(super) fn begin_connecting(&self) -> bool {
        !self.is_connecting.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_connecting(&self) {
        self.attempts.fetch_add(1, Ordering::AcqRel);
        self.is_connecting.store(false, Ordering::Release);
    }

    pub(super) fn is_connecting(&self) -> bool {
        self.is_connecting.load(Ordering::Acquire)
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

    /// Is told how the call of this response ends, if that matters.
    pub(in crate::client) fn follow<B>(self: Arc<Self>, response: &mut Response<B>) {
        if self.ejects {
            response.extensions_mut().insert(Outcome::new(self));
        }
    }

    /// A call had no response. One that was surely not begun says nothing about the server: it may be shutting down.
    pub(in crate::client) fn lost(&self, error: &TransportError) {
        if error.sent() != Sent::No {
            self.ended(Some(error.error().code()));
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
