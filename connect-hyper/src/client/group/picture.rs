//! The states that a group's endpoints had at one moment.

use std::sync::Arc;

use connect_proto::Time;
use connect_tower::transport::ChannelState;

use super::{Member, health::Health};
use crate::{
    client::balance::{Candidate, Load},
    runtime::Runtime,
};

/// The endpoints of a group, by how fit they are for a call.
pub(super) struct Picture<R: Runtime> {
    /// With a connection.
    pub(super) ready: Tier<R>,
    /// Without one so far.
    pub(super) waiting: Tier<R>,
    /// With a connection, but ejected.
    pub(super) ejected: Tier<R>,
    /// Those that could not be reached the last time, or lost their connection while they were ejected.
    pub(super) failed: Tier<R>,
    /// Some have no connection, and none is being opened; or they have one, and are to be asked whether they serve.
    pub(super) has_lost: bool,
    /// When one of those that are ejected comes back.
    pub(super) changes_at: Option<Time>,
}

/// Endpoints that are equally fit; for the balancer, and for the group.
pub(super) struct Tier<R: Runtime> {
    pub(super) candidates: Vec<Candidate>,
    pub(super) members: Vec<Arc<Member<R>>>,
}

impl<R: Runtime> Picture<R> {
    pub(super) fn new(members: &[Arc<Member<R>>], now: Time) -> Self {
        let mut picture = Self::default();
        for member in members {
            picture.has_lost |= match (member.endpoint.state(), member.health()) {
                (ChannelState::Ready, health) => health == Some(Health::Unasked),
                _ => !member.is_connecting(),
            };
            let state = member.state();
            let ejected_until = member.ejected_until(now);
            if let Some(until) = ejected_until {
                let next = picture.changes_at.unwrap_or(until);
                picture.changes_at = Some(next.min(until));
            }
            let tier = match (ejected_until, state) {
                (None, ChannelState::Ready) => &mut picture.ready,
                (Some(_), ChannelState::Ready) => &mut picture.ejected,
                (None, ChannelState::Idle | ChannelState::Connecting) => &mut picture.waiting,
                (Some(_), _) | (None, ChannelState::Failed) => &mut picture.failed,
            };
            tier.push(Arc::clone(member));
        }
        picture
    }
}

impl<R: Runtime> Tier<R> {
    fn push(&mut self, member: Arc<Member<R>>) {
        let load: Arc<dyn Load> = Arc::clone(&member) as _;
        self.candidates.push(Candidate(load));
        self.members.push(member);
    }

    /// Those that are not among these.
    pub(super) fn without(&self, members: &[Arc<Member<R>>]) -> Self {
        let mut left = Self::default();
        for member in &self.members {
            if !members.iter().any(|it| Arc::ptr_eq(it, member)) {
                left.push(Arc::clone(member));
            }
        }
        left
    }
}

impl<R: Runtime> Default for Picture<R> {
    fn default() -> Self {
        Self {
            ready: Tier::default(),
            waiting: Tier::default(),
            ejected: Tier::default(),
            failed: Tier::default(),
            has_lost: false,
            changes_at: None,
        }
    }
}

impl<R: Runtime> Default for Tier<R> {
    fn default() -> Self {
        Self {
            candidates: Vec::new(),
            members: Vec::new(),
        }
    }
}

/// The better of two states: what a channel is when one of its endpoints is.
pub(super) fn better(a: ChannelState, b: ChannelState) -> ChannelState {
    let rank = |state| match state {
        ChannelState::Ready => 0,
        ChannelState::Connecting => 1,
        ChannelState::Idle => 2,
        ChannelState::Failed => 3,
    };
    match rank(b) < rank(a) {
        true => b,
        false => a,
    }
}
