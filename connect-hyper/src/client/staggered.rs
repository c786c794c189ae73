//! Attempts that begin one after the other, each a while after the one before.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use connect_tower::rt::{Sleep, Timer};

/// Attempts of which the first that succeeds is wanted: of those that get no answer, none holds up the others.
///
/// Dropped, it drops the attempts that go on.
pub(super) struct Staggered<K, F> {
    /// How long one attempt is made alone; then the next begins beside it.
    delay: Duration,
    /// What each is of.
    attempts: Vec<(K, Pin<Box<F>>)>,
    next: Next,
}

/// When the next attempt begins.
enum Next {
    Now,
    Then(Sleep),
    /// There was no other.
    Never,
}

impl<K, F: Future> Staggered<K, F> {
    pub(super) fn new(delay: Duration) -> Self {
        Self {
            delay,
            attempts: Vec::new(),
            next: Next::Now,
        }
    }

    /// The output of the next attempt that ends, and what it was of; `None` when all have ended. `begin` makes the next, if
    /// there is another: at once when one has ended, else after the delay.
    pub(super) async fn next(
        &mut self,
        timer: &impl Timer,
        mut begin: impl FnMut() -> Option<(K, F)>,
    ) -> Option<(K, F::Output)> {
        poll_fn(|cx| self.poll(timer, &mut begin, cx)).await
    }

    fn poll(
        &mut self,
        timer: &impl Timer,
        begin: &mut impl FnMut() -> Option<(K, F)>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<(K, F::Output)>> {
        loop {
            for index in 0..self.attempts.len() {
                if let Poll::Ready(output) = self.attempts[index].1.as_mut().poll(cx) {
                    let (key, _) = self.attempts.remove(index);
                    // Whoever goes on has no use for its output.
                    self.next = Next::Now;
                    return Poll::Ready(Some((key, output)));
                }
            }
            let is_time = match &mut self.next {
                Next::Now => true,
                Next::Then(sleep) => sleep.as_mut().poll(cx).is_ready(),
                Next::Never => self.attempts.is_empty(),
            };
            if !is_time {
                return Poll::Pending;
            }
            match begin() {
                Some((key, attempt)) => {
                    self.attempts.push((key, Box::pin(attempt)));
                    self.next = Next::Then(timer.sleep(self.delay));
                }
                None if self.attempts.is_empty() => return Poll::Ready(None),
                None => {
                    self.next = Next::Never;
                    return Poll::Pending;
                }
            }
        }
    }
}
