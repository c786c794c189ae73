//! Who runs, who waits, and whose turn is next.

use std::{
    collections::BTreeMap,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use connect_proto::Time;

use super::adaptive::{Limit, Took};
use crate::call::{permits::Hold, rt::SharedTimer};

/// The calls of a limit.
#[derive(Debug)]
pub(crate) struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    limit: Limit,
    running: usize,
    /// Who waits, by the number of its ticket, and so in the order in which they came. Whose ticket is gone may run.
    waiting: BTreeMap<u64, Waker>,
    next_ticket: u64,
    refused: u64,
}

/// How a call fares that wants to run.
pub(crate) enum Entry {
    Runs(Permit),
    Waits(Waiting),
    /// There is no place to wait, either; how many were refused before.
    Refused(u64),
}

/// A call that runs, until this is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    queue: Arc<Queue>,
    /// If the limit is to learn how long the handler takes, until it has.
    latency: Option<Latency>,
}

#[derive(Debug)]
struct Latency {
    timer: SharedTimer,
    /// When the handler began.
    began: Option<Time>,
}

/// A call that waits for its turn.
pub(crate) struct Waiting {
    queue: Arc<Queue>,
    ticket: u64,
    began: bool,
}

impl Queue {
    pub(crate) fn new(limit: Limit) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            limit,
            running: 0,
            waiting: BTreeMap::new(),
            next_ticket: 0,
            refused: 0,
        })))
    }

    pub(crate) fn limit(&self) -> usize {
        self.state().limit.get()
    }

    pub(crate) fn running(&self) -> usize {
        self.state().running
    }

    pub(crate) fn waiting(&self) -> usize {
        self.state().waiting.len()
    }

    /// Lets a call run, or wait if no more than so many wait already.
    pub(crate) fn enter(self: &Arc<Self>, max_waiting: usize) -> Entry {
        let mut state = self.state();
        if state.waiting.is_empty() && state.running < state.limit.get() {
            state.running += 1;
            drop(state);
            return Entry::Runs(Permit::new(self));
        }
        if state.waiting.len() >= max_waiting {
            return Entry::Refused(state.refuse());
        }
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.waiting.insert(ticket, Waker::noop().clone());
        drop(state);
        Entry::Waits(Waiting {
            queue: self.clone(),
            ticket,
            began: false,
        })
    }

    /// Counts a call that has waited too long; how many were refused before.
    pub(crate) fn refuse(&self) -> u64 {
        self.state().refuse()
    }

    fn leave(&self) {
        let mut state = self.state();
        state.running -= 1;
        Self::admit(state);
    }

    /// Learns how long a handler took.
    fn learn(&self, took: &Took) {
        let mut state = self.state();
        let running = state.running;
        state.limit.learn(took, running);
        Self::admit(state);
    }

    /// Lets those run for whom there is room.
    fn admit(mut state: MutexGuard<'_, State>) {
        let mut next = Vec::new();
        while state.running < state.limit.get() {
            let Some((_, waker)) = state.waiting.pop_first() else {
                break;
            };
            state.running += 1;
            next.push(waker);
        }
        drop(state);
        next.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No user's code runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn refuse(&mut self) -> u64 {
        let before = self.refused;
        self.refused += 1;
        before
    }
}

impl Permit {
    fn new(queue: &Arc<Queue>) -> Self {
        Self {
            queue: queue.clone(),
            latency: None,
        }
    }

    /// How long the handler takes says something about the server's load.
    pub(crate) fn measured(mut self, timer: &SharedTimer) -> Self {
        self.latency = Some(Latency {
            timer: timer.clone(),
            began: None,
        });
        self
    }

    /// The handler is over, if it ever began.
    fn learn(&mut self, is_answered: bool) {
        let Some(latency) = self.latency.take() else {
            return;
        };
        if let Some(began) = latency.began {
            self.queue.learn(&Took {
                began,
                ended: latency.timer.now(),
                is_answered,
            });
        }
    }
}

/// The client's own time does not count: for sending its message, and for taking the answer.
impl Hold for Permit {
    fn begin(&mut self) {
        if let Some(latency) = &mut self.latency {
            latency.began = Some(latency.timer.now());
        }
    }

    fn answer(&mut self) {
        self.learn(true);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.learn(false);
        self.queue.leave();
    }
}

impl Future for Waiting {
    type Output = Permit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Permit> {
        let mut state = self.queue.state();
        if let Some(known) = state.waiting.get_mut(&self.ticket) {
            let old = mem::replace(known, cx.waker().clone());
            drop(state);
            // With a waker a task can end, and with it calls of this queue.
            drop(old);
            return Poll::Pending;
        }
        drop(state);
        self.began = true;
        Poll::Ready(Permit::new(&self.queue))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.began {
            return;
        }
        let waited = self.queue.state().waiting.remove(&self.ticket);
        if waited.is_none() {
            // Its turn had come.
            self.queue.leave();
        }
    }
}
