//! How much a connection reads in one poll of its task.
//!
//! hyper and h2 read until the socket has nothing more. tokio's sockets stop that by themselves; others do not, and a peer
//! that sends without end would keep the thread for itself.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

/// Reads in one poll of a connection's task, before other tasks run.
const READS_PER_POLL: u32 = 32;

/// The reads that are left to a connection in this poll of its task. Shared by its task, which refills it, and its IO.
#[derive(Debug)]
pub(crate) struct ReadBudget(AtomicU32);

impl ReadBudget {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(READS_PER_POLL))
    }

    /// The task of the connection is polled again.
    pub(crate) fn refill(&self) {
        self.0.store(READS_PER_POLL, Ordering::Relaxed);
    }

    /// Ready if one more read may be done; else the task is woken for its next poll.
    pub(crate) fn poll_spend(&self, cx: &Context<'_>) -> Poll<()> {
        // Only one task spends and refills: there is nothing to compare and swap.
        let Some(left) = self.0.load(Ordering::Relaxed).checked_sub(1) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.0.store(left, Ordering::Relaxed);
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn a_budget_lasts_until_the_next_poll_of_the_task() {
        let budget = ReadBudget::new();
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..2 {
            for _ in 0..READS_PER_POLL {
                assert!(budget.poll_spend(&cx).is_ready());
            }
            assert!(budget.poll_spend(&cx).is_pending());
            assert!(budget.poll_spend(&cx).is_pending());
            budget.refill();
        }
    }
}
