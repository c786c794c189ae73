//! The writes of one poll of a connection's task, put together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

/// Puts the first write of a poll off until the connection's calls have been polled too. h2 keeps what it could not write and
/// adds what they have to send: the body of a request, which hyper hands over only after its head, leaves with the head.
///
/// Shared by the connection's task, which begins a turn with each of its polls, and its IO.
#[derive(Clone, Debug, Default)]
pub(super) struct WriteTurn(Arc<AtomicBool>);

impl WriteTurn {
    /// The task of the connection is polled, and polls all that wakes it meanwhile once more.
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Ready if this is not the first write of the turn; else who writes is woken, to come again in the same one.
    pub(super) fn poll_others_first(&self, cx: &Context<'_>) -> Poll<()> {
        // Only one task begins turns and writes: there is nothing to compare and swap.
        if !self.0.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        self.0.store(false, Ordering::Relaxed);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn the_first_write_of_each_turn_is_put_off_once() {
        let turn = WriteTurn::default();
        let cx = Context::from_waker(Waker::noop());
        assert!(turn.poll_others_first(&cx).is_ready());
        for _ in 0..2 {
            turn.begin();
            assert!(turn.poll_others_first(&cx).is_pending());
            assert!(turn.poll_others_first(&cx).is_ready());
        }
    }
}
