//! The calls that wait for a connection, the first to come first.

use std::collections::VecDeque;

use futures_channel::oneshot;

use crate::client::shared::Want;

/// Calls that wait for a `T`. Some may have gone away.
pub(super) struct Queue<T>(VecDeque<Waiter<T>>);

pub(super) struct Waiter<T> {
    want: Want,
    answer: oneshot::Sender<T>,
}

impl<T> Queue<T> {
    pub(super) fn new() -> Self {
        Self(VecDeque::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether one more may wait, if so many may.
    pub(super) fn has_room(&mut self, max: usize) -> bool {
        if self.0.len() >= max {
            self.remove_gone();
        }
        self.0.len() < max
    }

    pub(super) fn add(&mut self, want: Want) -> oneshot::Receiver<T> {
        let (answer, waiting) = oneshot::channel();
        // Calls that have gone away are not to make it grow.
        if self.0.len() == self.0.capacity() {
            self.remove_gone();
        }
        self.0.push_back(Waiter { want, answer });
        waiting
    }

    pub(super) fn remove_gone(&mut self) {
        self.0.retain(|waiter| !waiter.answer.is_canceled());
    }

    /// The place of the first call with such a wish.
    pub(super) fn first(&self, is_for: impl Fn(Want) -> bool) -> Option<usize> {
        self.0
            .iter()
            .position(|waiter| is_for(waiter.want) && !waiter.answer.is_canceled())
    }

    pub(super) fn take(&mut self, place: usize) -> Option<Waiter<T>> {
        self.0.remove(place)
    }

    /// Takes all calls with such a wish.
    pub(super) fn take_all(&mut self, is_taken: impl Fn(Want) -> bool) -> Vec<Waiter<T>> {
        let (taken, others) = std::mem::take(&mut self.0)
            .into_iter()
            .partition(|waiter| is_taken(waiter.want));
        self.0 = others;
        taken.into()
    }

    /// Whether there are so many calls with such a wish.
    pub(super) fn has(&self, count: usize, is_for: impl Fn(Want) -> bool) -> bool {
        let live = |w: &&Waiter<T>| is_for(w.want) && !w.answer.is_canceled();
        self.0.iter().filter(live).take(count).count() == count
    }

    /// The different wishes.
    pub(super) fn wants(&mut self) -> Vec<Want> {
        self.remove_gone();
        let mut wants = Vec::new();
        for waiter in &self.0 {
            if !wants.contains(&waiter.want) {
                wants.push(waiter.want);
            }
        }
        wants
    }
}

impl<T> Waiter<T> {
    /// Without the lock: an answer for a call that has gone away is dropped here.
    pub(super) fn answer(self, answer: T) {
        let _ = self.answer.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_have_gone_away_do_not_make_the_queue_grow() {
        let mut queue: Queue<()> = Queue::new();
        let _stays = queue.add(Want::Http2);
        (0..1000).for_each(|_| drop(queue.add(Want::Http2)));
        assert!(queue.len() < 10);
        assert_eq!(queue.first(|_| true), Some(0));
        assert!(!queue.has(2, |_| true));
    }
}
