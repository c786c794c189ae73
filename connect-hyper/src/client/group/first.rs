//! The first connection to be had of several endpoints, for a balancer that does not connect to all of them.

use std::sync::Arc;

use connect_proto::Code;
use connect_tower::transport::{ChannelState, TransportError};

use super::{Group, Member, Search};
use crate::{
    client::{endpoint::Lease, staggered::Staggered},
    runtime::Runtime,
};

impl<R: Runtime> Group<R> {
    /// Whether there may be a quicker endpoint than this one, which was chosen.
    pub(super) fn may_be_overtaken(&self, member: &Member<R>) -> bool {
        !self.settings.balance.connects_to_all() && member.endpoint.state() != ChannelState::Ready
    }

    /// The first connection of this endpoint and of those that would be chosen after it, each tried a while after the one
    /// before. `None` if none of them has any.
    ///
    /// Whoever comes too late keeps its connection, for the next call that it gets.
    pub(super) async fn first_connection<'a>(
        self: &'a Arc<Self>,
        chosen: Arc<Member<R>>,
        search: &mut Search<'a, R>,
        skip_idle: bool,
    ) -> Result<Option<(Lease, Arc<Member<R>>)>, TransportError> {
        let (mut chosen, want) = (Some(chosen), search.want);
        let mut begun = search.tried.clone();
        let begin = || {
            let member = chosen.take().or_else(|| self.next_untried(&begun))?;
            begun.push(Arc::clone(&member));
            let endpoint = Arc::clone(&member.endpoint);
            let attempt = async move { endpoint.check_out(want, skip_idle).await };
            Some((member, attempt))
        };
        let delay = self.shared.settings.attempt_delay;
        let (mut attempts, mut begin) = (Staggered::new(delay), begin);
        while let Some((member, outcome)) = attempts.next(&self.shared.runtime, &mut begin).await {
            match outcome {
                Ok(lease) => return Ok(Some((lease, member))),
                Err(error) => self.passed_over(member, error, search)?,
            }
        }
        Ok(None)
    }

    /// An endpoint gave a call no connection: it looks for another.
    ///
    /// # Errors
    ///
    /// What is no reason to do so: a queue that is full, for example, is none to fill another.
    pub(super) fn passed_over(
        self: &Arc<Self>,
        member: Arc<Member<R>>,
        error: TransportError,
        search: &mut Search<'_, R>,
    ) -> Result<(), TransportError> {
        if error.error().code() != Code::Unavailable {
            return Err(error);
        }
        self.not_connected(&error);
        search.tried.push(member);
        search.failure = Some(error);
        Ok(())
    }
}
