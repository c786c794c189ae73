//! The connections of an endpoint and the calls that wait for one, under one lock.
//!
//! What the lock guards changes in [`State`]'s methods, which call nothing foreign. What follows from a change, be it a
//! connection that is dropped or a call that is told, [`Pool::with`] does when the lock is free.

mod connecting;

use std::{
    fmt,
    future::Future,
    mem,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use connect_proto::{Error, Time};
use connect_tower::{
    rt::SharedTimer,
    transport::{ChannelState, EndpointStats, Sent, TransportError},
};
use futures_channel::oneshot;
use http::Request;

use super::{
    attempts::{Attempt, Attempts},
    http1::Http1s,
    http2::{Places, Watch},
    queue::{Queue, Waiter},
    watch::{Watched, Watchers},
};
use crate::client::{
    connection::{Http1Connection, Http2Connection, SendResult},
    remote::Remote,
    request_body::RequestBody,
    settings::Settings,
    shared::Want,
};
use crate::runtime::Runtime;

pub(super) struct Pool {
    me: Weak<Self>,
    timer: SharedTimer,
    settings: Settings,
    /// Whether a server may choose between the versions.
    can_offer_both: bool,
    state: Mutex<State>,
}

struct State {
    http1: Http1s,
    http2: Places,
    /// The calls without a connection.
    queue: Queue<Answer>,
    /// How many calls have a connection.
    lent: usize,
    attempts: Attempts,
    /// It takes no more calls.
    is_closed: bool,
    /// A task lets go of connections whose time is over.
    has_keeper: bool,
    watchers: Watchers,
    after: After,
}

/// What a call learns that waits.
type Answer = Result<Lease, TransportError>;

/// What is to be done when the lock is free. Connections that are let go, and those who watch, need only be dropped.
#[derive(Default)]
struct After {
    answers: Vec<(Waiter<Answer>, Answer)>,
    watchers: Vec<oneshot::Sender<()>>,
    http1: Vec<Arc<Http1Connection>>,
    http2: Vec<Arc<Http2Connection>>,
}

/// What there is for a call.
pub(super) enum Found {
    Open(Lease),
    /// It is to wait. So many attempts are to be started.
    Later(oneshot::Receiver<Answer>, Vec<Attempt>),
}

/// A connection that is lent to a call until this is dropped.
#[derive(Debug)]
pub(in crate::client) enum Lease {
    Http1(Http1Lease),
    Http2(Http2Lease),
}

/// An HTTP/1.1 connection for a call alone. Dropped under a call it is closed.
#[derive(Debug)]
pub(in crate::client) struct Http1Lease {
    pub(in crate::client) connection: Arc<Http1Connection>,
    /// A call began to use it, and has not ended.
    is_in_use: bool,
    pool: Weak<Pool>,
}

/// A place on an HTTP/2 connection.
#[derive(Debug)]
pub(in crate::client) struct Http2Lease {
    pub(in crate::client) connection: Arc<Http2Connection>,
    /// None if it is not counted.
    pool: Weak<Pool>,
}

/// How often connections that are in use are looked at, at most.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);

impl Pool {
    pub(super) fn new(timer: SharedTimer, settings: Settings, can_offer_both: bool) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            timer,
            settings,
            can_offer_both,
            state: Mutex::new(State::new()),
        })
    }

    /// Changes the state, and then does what follows from that.
    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        // Nothing that can panic runs under the lock.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let value = change(&mut state);
        let watched = state.watched();
        let mut after = mem::take(&mut state.after);
        after.watchers = state.watchers.take(watched);
        drop(state);
        for (waiter, answer) in after.answers {
            waiter.answer(answer);
        }
        value
    }

    pub(super) fn state(&self) -> ChannelState {
        self.with(|state| state.watched().state)
    }

    pub(super) fn outstanding(&self) -> usize {
        self.with(|state| state.lent + state.queue.len())
    }

    /// But for the address, and what a group knows of it.
    pub(super) fn stats(&self) -> EndpointStats {
        self.with(|state| {
            state.queue.remove_gone();
            EndpointStats {
                state: state.watched().state,
                connections: state.http1.open + state.http2.len(),
                idle_connections: state.http1.idle() + state.http2.idle(),
                active_calls: state.lent,
                waiting_calls: state.queue.len(),
                ..EndpointStats::default()
            }
        })
    }

    /// The state; if it is this one, also something that ends when it changes.
    pub(super) fn watch(
        &self,
        since: ChannelState,
    ) -> (ChannelState, Option<oneshot::Receiver<()>>) {
        self.with(|state| {
            let now = state.watched().state;
            (now, (now == since).then(|| state.watchers.add()))
        })
    }

    /// Takes no more calls. Those that wait fail.
    pub(super) fn close(&self) {
        let now = self.timer.now();
        self.with(|state| {
            state.is_closed = true;
            state.fail_all(|_| true, &closed());
            let idle = state.http1.remove_expired(now, Duration::ZERO);
            state.after.http1.extend(idle);
            state.after.http2.extend(state.http2.remove_all());
        });
    }

    /// `None` once it is closed and its last call has ended; else something that ends when this may have changed.
    pub(super) fn watch_drain(&self) -> Option<oneshot::Receiver<()>> {
        self.with(|state| (!state.watched().has_drained).then(|| state.watchers.add()))
    }

    /// A connection for a call: an open one if there is room, else one to wait for.
    pub(super) fn find(&self, want: Want, skip_idle: bool) -> Result<Found, TransportError> {
        let now = self.timer.now();
        self.with(|state| {
            if state.is_closed {
                return Err(closed());
            }
            if let Some(lease) = self.take(state, want, skip_idle, now) {
                return Ok(Found::Open(lease));
            }
            if let Some(refusal) = state.attempts.refusal(want, now) {
                return Err(refusal.clone());
            }
            if !state.queue.has_room(self.settings.max_waiting_calls) {
                return Err(too_many(self.settings.max_waiting_calls));
            }
            let waiting = state.queue.add(want);
            let attempts = self.next_attempt(state, want, now);
            Ok(Found::Later(waiting, attempts.into_iter().collect()))
        })
    }

    fn take(&self, state: &mut State, want: Want, skip_idle: bool, now: Time) -> Option<Lease> {
        if !state.attempts.needs_http1(want) {
            let connection = state.http2.take(now)?;
            return Some(self.lend_http2(state, connection));
        }
        if skip_idle {
            if !state.http1.has_room(self.settings.max_connections) {
                // It is not to wait for those that it passes over.
                state.after.http1.extend(state.http1.take_oldest());
            }
            return None;
        }
        let connection = state.http1.take(now, self.settings.http1_idle_timeout)?;
        Some(self.lend_http1(state, connection))
    }

    fn lend_http1(&self, state: &mut State, connection: Arc<Http1Connection>) -> Lease {
        state.lent += 1;
        Lease::Http1(Http1Lease {
            connection,
            is_in_use: false,
            pool: Weak::clone(&self.me),
        })
    }

    fn lend_http2(&self, state: &mut State, connection: Arc<Http2Connection>) -> Lease {
        state.lent += 1;
        Lease::Http2(Http2Lease {
            connection,
            pool: Weak::clone(&self.me),
        })
    }

    /// A connection of HTTP/2 that is watched from now on, with something that ends when it takes no more calls. The inner
    /// `None` if it has no room for that, the outer if there is none.
    pub(super) fn watch_http2(&self) -> Option<Option<Watch>> {
        let now = self.timer.now();
        self.with(|state| state.http2.watch(now))
    }

    /// Gives an HTTP/1.1 connection to the next call that waits for one, or keeps it.
    fn offer_http1(&self, state: &mut State, connection: Arc<Http1Connection>, now: Time) {
        if connection.is_closed() || state.is_closed {
            state.after.http1.push(connection);
            return;
        }
        match state.take_waiter(true) {
            Some(waiter) => {
                let lease = self.lend_http1(state, connection);
                state.after.answers.push((waiter, Ok(lease)));
            }
            None => {
                let surplus = state.http1.keep(connection, now, self.settings.max_idle);
                state.after.http1.extend(surplus);
            }
        }
    }

    /// Gives the places that are free to the calls that wait for one.
    fn fill_http2(&self, state: &mut State, now: Time) {
        while state.has_waiters(1, false) {
            let Some(connection) = state.http2.take(now) else {
                return;
            };
            if let Some(waiter) = state.take_waiter(false) {
                let lease = self.lend_http2(state, connection);
                state.after.answers.push((waiter, Ok(lease)));
            }
        }
    }

    /// Lets go of connections whose time is over. When to do so again, `None` if there is none left; and the attempts to be
    /// started, for calls that waited for one of them.
    pub(super) fn expire(&self) -> (Option<Time>, Vec<Attempt>) {
        let now = self.timer.now();
        self.with(|state| {
            self.remove_expired(state, now);
            let attempts = self.next_attempts(state, now);
            if state.http1.open == 0 && state.http2.is_empty() {
                state.has_keeper = false;
                return (None, attempts);
            }
            let (http1, http2) = (self.settings.http1_idle_timeout, self.settings.idle_timeout);
            // One that is in use now is over by then at the earliest.
            let pause = http1.min(http2).max(SHORTEST_PAUSE);
            let nexts = [
                state.http1.next_expiry(http1),
                state.http2.next_expiry(http2),
            ];
            let next = nexts
                .into_iter()
                .flatten()
                .chain([now.saturating_add(pause)])
                .min();
            (next, attempts)
        })
    }

    /// Lets go of connections that are idle for too long, too old, or closed.
    fn remove_expired(&self, state: &mut State, now: Time) {
        let http1 = state
            .http1
            .remove_expired(now, self.settings.http1_idle_timeout);
        state.after.http1.extend(http1);
        let http2 = state.http2.remove_expired(now, self.settings.idle_timeout);
        state.after.http2.extend(http2);
    }

    /// Whether somebody must call [`expire`](Self::expire), as nobody does.
    pub(super) fn needs_keeper(&self) -> bool {
        self.with(|state| !mem::replace(&mut state.has_keeper, true))
    }
}

impl State {
    fn new() -> Self {
        Self {
            http1: Http1s::default(),
            http2: Places::default(),
            queue: Queue::new(),
            lent: 0,
            attempts: Attempts::default(),
            is_closed: false,
            has_keeper: false,
            watchers: Watchers::new(),
            after: After::default(),
        }
    }

    fn watched(&self) -> Watched {
        let state = if self.http1.open > 0 || !self.http2.is_empty() {
            ChannelState::Ready
        } else if self.attempts.is_connecting || self.http1.opening > 0 {
            ChannelState::Connecting
        } else if self.attempts.have_failed() {
            ChannelState::Failed
        } else {
            ChannelState::Idle
        };
        Watched {
            state,
            has_drained: self.is_closed && self.lent == 0,
        }
    }

    /// Whether so many calls wait for a connection of this version.
    fn has_waiters(&self, count: usize, http1: bool) -> bool {
        self.queue
            .has(count, |want| self.attempts.needs_http1(want) == http1)
    }

    /// Takes the first call that waits for a connection of this version.
    fn take_waiter(&mut self, http1: bool) -> Option<Waiter<Answer>> {
        let attempts = &self.attempts;
        let first = self.queue.first(|want| attempts.needs_http1(want) == http1);
        self.queue.take(first?)
    }

    /// Fails the calls with such wishes. Whether there were any.
    fn fail_all(&mut self, is_failed: impl Fn(Want) -> bool, error: &TransportError) -> bool {
        let failed = self.queue.take_all(is_failed);
        let any = !failed.is_empty();
        let answers = failed
            .into_iter()
            .map(|waiter| (waiter, Err(error.clone())));
        self.after.answers.extend(answers);
        any
    }
}

impl Http1Lease {
    pub(in crate::client) fn remote(&self) -> &Arc<Remote> {
        &self.connection.remote
    }

    /// Whether another call has used it before.
    pub(in crate::client) fn is_used(&self) -> bool {
        self.connection.is_used()
    }

    pub(super) fn is_ready(&self) -> bool {
        self.connection.is_ready()
    }

    /// Waits until the connection takes a request, but not for long. `false` if it takes none; then it is closed.
    pub(super) async fn ready<R: Runtime>(&mut self, runtime: &R) -> bool {
        self.is_in_use = !self.connection.ready(runtime).await;
        !self.is_in_use
    }

    /// Queues a request, or gives it back if the connection has ended.
    pub(in crate::client) fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<impl Future<Output = SendResult> + use<>, Box<Request<RequestBody>>> {
        self.is_in_use = true;
        self.connection.send(request)
    }

    /// Request and response are complete: other calls may use the connection.
    pub(in crate::client) fn set_complete(&mut self) {
        self.is_in_use = false;
        self.connection.set_used();
    }
}

impl Drop for Http1Lease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let now = pool.timer.now();
            pool.with(|state| {
                state.lent -= 1;
                if !self.is_in_use {
                    pool.offer_http1(state, Arc::clone(&self.connection), now);
                }
            });
        }
    }
}

impl Http2Lease {
    /// Of a call that is none of the connection's calls.
    pub(in crate::client) fn uncounted(connection: Arc<Http2Connection>) -> Self {
        let pool = Weak::new();
        Self { connection, pool }
    }

    /// The connection has failed: no new call is to use it.
    pub(in crate::client) fn retire(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.with(|state| {
                let retired = state.http2.remove(&self.connection);
                state.after.http2.extend(retired);
            });
        }
    }
}

impl Drop for Http2Lease {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.upgrade() {
            let now = pool.timer.now();
            pool.with(|state| {
                state.lent -= 1;
                state.http2.release(&self.connection, now);
                pool.fill_http2(state, now);
            });
        }
    }
}

pub(in crate::client) fn too_many(max: usize) -> TransportError {
    let error = Error::resource_exhausted(format!(
        "{max} calls wait for room on the connections to the server, and no more may: send fewer at once, or allow more \
         connections or waiting calls"
    ));
    TransportError::new(Sent::No, error)
}

fn closed() -> TransportError {
    let error = Error::unavailable("the connections to the server are being closed");
    TransportError::new(Sent::No, error)
}

/// A task was dropped before it had done its work.
pub(super) fn shutting_down() -> TransportError {
    let error = Error::unavailable("the runtime is shutting down: it runs no new tasks");
    TransportError::new(Sent::No, error)
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").finish_non_exhaustive()
    }
}
