//! One endpoint, or many: a channel with one pays for no balancing.

use std::{fmt, sync::Arc};

use connect_tower::transport::{ChannelState, ChannelStats, TransportError};

use super::{
    endpoint::{Endpoint, Lease},
    group::{Group, Member},
    shared::Want,
};
use crate::runtime::Runtime;

/// The endpoints of a channel.
pub(super) enum Endpoints<R: Runtime> {
    One(Arc<Endpoint<R>>),
    Many(Arc<Group<R>>),
}

impl<R: Runtime> Endpoints<R> {
    /// A connection for a call, and the endpoint to tell how it ended, if there are others; see [`Endpoint::check_out`].
    pub(super) async fn check_out(
        &self,
        want: Want,
        skip_idle: bool,
    ) -> Result<(Lease, Option<Arc<Member<R>>>), TransportError> {
        match self {
            Self::One(endpoint) => {
                let lease = endpoint.check_out(want, skip_idle).await?;
                Ok((lease, None))
            }
            // In a box, to keep the future of other calls small.
            Self::Many(group) => {
                let (lease, member) = Box::pin(group.check_out(want, skip_idle)).await?;
                Ok((lease, Some(member)))
            }
        }
    }

    pub(super) fn state(&self) -> ChannelState {
        match self {
            Self::One(endpoint) => endpoint.state(),
            Self::Many(group) => group.state(),
        }
    }

    pub(super) async fn changed(&self, since: ChannelState) -> ChannelState {
        match self {
            Self::One(endpoint) => endpoint.changed(since).await,
            Self::Many(group) => group.state_changed(since).await,
        }
    }

    pub(super) fn outstanding(&self) -> usize {
        match self {
            Self::One(endpoint) => endpoint.outstanding(),
            Self::Many(group) => group.outstanding(),
        }
    }

    pub(super) fn stats(&self) -> ChannelStats {
        match self {
            Self::One(endpoint) => {
                let endpoint = endpoint.stats();
                ChannelStats {
                    state: endpoint.state,
                    endpoints: vec![endpoint],
                    ..ChannelStats::default()
                }
            }
            Self::Many(group) => group.stats(),
        }
    }

    pub(super) async fn drain(&self) {
        match self {
            Self::One(endpoint) => endpoint.drain().await,
            Self::Many(group) => group.drain().await,
        }
    }
}

impl<R: Runtime> fmt::Debug for Endpoints<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::One(endpoint) => endpoint.fmt(f),
            Self::Many(group) => group.fmt(f),
        }
    }
}
