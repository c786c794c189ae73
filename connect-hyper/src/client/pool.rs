//! A channel's connections, and the calls that wait for one: one for all HTTP/2 calls, and several of HTTP/1.1, for one call
//! at a time each.
//!
//! A call checks out a connection. If none is open for it, it waits in the queue, and an attempt to connect is started
//! if those under way are not enough. Every attempt is a task: a call that is dropped while it waits takes nothing from
//! the others, and what it leaves behind is used by the next.
//!
//! How many attempts there are: one that all calls share for HTTP/2, and while nobody knows which version the server prefers;
//! one for each waiting call where HTTP/1.1 is spoken. After a failure all calls share the next attempt, whatever
//! they want, and it waits a little first.

use std::{
    collections::VecDeque,
    future::Future,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_proto::{Error, Time};
use connect_tower::transport::{Sent, TransportError};
use futures_channel::oneshot;

use super::{
    ChannelState, HttpVersion, Inner,
    backoff::backoff,
    connect::{Connected, Failure, Want, connect},
    connection::{Driver, Http1Connection, Http2Connection},
    response_body::Reusable,
};
use crate::runtime::Runtime;

/// The connections of a channel.
#[derive(Debug)]
pub(super) struct Pool<R: Runtime>(Mutex<State<R>>);

#[derive(Debug)]
struct State<R: Runtime> {
    http2: Option<Arc<Http2Connection>>,
    /// HTTP/1.1 connections that no call uses. The one that was used last is the last.
    idle: Vec<Idle<R>>,
    /// How many HTTP/1.1 connections are open, idle or not.
    open: usize,
    /// How many HTTP/1.1 connections are being opened, each for one call.
    opening: usize,
    /// The attempt that all calls share is under way.
    is_connecting: bool,
    /// The calls without a connection, the first to come first. Some may have gone away.
    waiters: VecDeque<Waiter<R>>,
    /// TLS: the server chose HTTP/1.1 when it could have chosen HTTP/2.
    prefers_http1: bool,
    /// TLS: the server was asked for HTTP/2 alone, at this time, and refused with this error.
    no_http2: Option<(Time, TransportError)>,
    /// How many attempts have failed since one succeeded.
    failures: u32,
    /// When to make the next attempt, after a failed one.
    retry_at: Option<Time>,
    is_reaping: bool,
}

/// A connection for a call.
#[derive(Debug)]
pub(super) enum Connection<R: Runtime> {
    Http1(Box<Http1Connection<R>>),
    Http2(Arc<Http2Connection>),
}

type Outcome<R> = Result<Connection<R>, TransportError>;

/// A call that waits for a connection, seen from the pool.
#[derive(Debug)]
struct Waiter<R: Runtime> {
    want: Want,
    outcome: oneshot::Sender<Outcome<R>>,
}

/// The same, seen from the call.
struct Waiting<'a, R: Runtime> {
    outcome: oneshot::Receiver<Outcome<R>>,
    channel: &'a Arc<Inner<R>>,
}

#[derive(Debug)]
struct Idle<R: Runtime> {
    connection: Box<Http1Connection<R>>,
    since: Time,
}

/// An attempt to open a connection.
#[derive(Clone, Copy, Debug)]
struct Attempt {
    want: Want,
    /// Whether all calls wait for it, or one.
    is_shared: bool,
}

/// How long a server that has refused HTTP/2 is not asked for it again.
const NO_HTTP2: Duration = Duration::from_secs(10);

impl<R: Runtime> Pool<R> {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State {
            http2: None,
            idle: Vec::new(),
            open: 0,
            opening: 0,
            is_connecting: false,
            waiters: VecDeque::new(),
            prefers_http1: false,
            no_http2: None,
            failures: 0,
            retry_at: None,
            is_reaping: false,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ChannelState {
        let state = self.lock();
        let has_http2 = state.http2.as_ref().is_some_and(|c| !c.is_closed());
        let closed = state.idle.iter().filter(|i| i.connection.is_closed());
        if has_http2 || state.open > closed.count() {
            ChannelState::Ready
        } else if state.is_connecting || state.opening > 0 {
            ChannelState::Connecting
        } else if state.failures > 0 {
            ChannelState::Failed
        } else {
            ChannelState::Idle
        }
    }

    /// Forgets the shared connection if it is still this one: no new call is to use it.
    pub(super) fn discard(&self, connection: &Arc<Http2Connection>) {
        self.lock().http2.take_if(|c| Arc::ptr_eq(c, connection));
    }
}

impl<R: Runtime> Inner<R> {
    /// A connection for a call: an open one if there is, else a new one. `skip_idle` is for a call that has met an
    /// HTTP/1.1 connection that was closed: other idle ones may be too.
    pub(super) async fn check_out(self: &Arc<Self>, want: Want, skip_idle: bool) -> Outcome<R> {
        loop {
            let connection = match self.take_or_wait(want, skip_idle)? {
                Ok(connection) => connection,
                Err(waiting) => waiting.await?,
            };
            match &connection {
                // In a box, to keep the future of a call small.
                Connection::Http1(http1)
                    if !http1.is_ready() && !Box::pin(http1.ready(&self.runtime)).await => {}
                Connection::Http1(_) | Connection::Http2(_) => return Ok(connection),
            }
        }
    }

    /// An open connection, or a place in the queue.
    fn take_or_wait(
        self: &Arc<Self>,
        want: Want,
        skip_idle: bool,
    ) -> Result<Result<Connection<R>, Waiting<'_, R>>, TransportError> {
        // Dropped when the lock is free.
        let mut closed = Vec::new();
        let mut state = self.pool.lock();
        if state.needs_http1(want) {
            if !skip_idle {
                if let Some(idle) = state.take_idle(self, &mut closed) {
                    return Ok(Ok(Connection::Http1(idle)));
                }
            } else if !self.has_room(&state) && !state.idle.is_empty() {
                // It is not to wait for those that it passes over.
                closed.push(state.idle.remove(0));
            }
        } else {
            if let Some(http2) = state.http2.as_ref().filter(|c| !c.is_closed()) {
                return Ok(Ok(Connection::Http2(Arc::clone(http2))));
            }
            state.http2 = None;
            if let (Want::Http2, Some((since, error))) = (want, &state.no_http2) {
                if self.runtime.now().saturating_since(*since) < NO_HTTP2 {
                    return Err(error.clone());
                }
            }
        }
        let (sender, outcome) = oneshot::channel();
        state.add_waiter(Waiter {
            want,
            outcome: sender,
        });
        let attempt = self.next_attempt(&mut state, want);
        drop(state);
        self.start(attempt);
        Ok(Err(Waiting {
            outcome,
            channel: self,
        }))
    }

    fn has_room(&self, state: &State<R>) -> bool {
        state.open + state.opening < self.settings.max_connections
    }

    /// The attempt that calls with this wish need besides those under way.
    fn next_attempt(&self, state: &mut State<R>, want: Want) -> Option<Attempt> {
        let is_shared = state.failures > 0 || !state.needs_http1(want);
        if is_shared {
            if mem::replace(&mut state.is_connecting, true) {
                return None;
            }
            // Over TLS it offers both, for calls that need HTTP/2 and calls that do not may wait for it.
            let offers_both = self.target.is_tls()
                && self.settings.version != HttpVersion::Http2
                && !state.prefers_http1;
            let want = match want {
                Want::Http2 if offers_both => Want::Either,
                want => want,
            };
            return Some(Attempt { want, is_shared });
        }
        if !self.has_room(state) {
            return None;
        }
        let live = |w: &&Waiter<R>| state.needs_http1(w.want) && !w.outcome.is_canceled();
        let enough = state.opening + 1;
        if state.waiters.iter().filter(live).take(enough).count() < enough {
            return None;
        }
        state.opening = enough;
        Some(Attempt { want, is_shared })
    }

    /// The attempts that the calls in the queue need besides those under way.
    fn next_attempts(&self, state: &mut State<R>) -> Vec<Attempt> {
        state.waiters.retain(|w| !w.outcome.is_canceled());
        let mut wants: Vec<Want> = Vec::new();
        for waiter in &state.waiters {
            if !wants.contains(&waiter.want) {
                wants.push(waiter.want);
            }
        }
        let mut attempts = Vec::new();
        for want in wants {
            while let Some(attempt) = self.next_attempt(state, want) {
                attempts.push(attempt);
            }
        }
        attempts
    }

    /// Starts attempts. Without the lock: a runtime that is shutting down drops their tasks at once.
    fn start(self: &Arc<Self>, attempts: impl IntoIterator<Item = Attempt>) {
        for attempt in attempts {
            let attempt = RunningAttempt {
                channel: Arc::clone(self),
                attempt: Some(attempt),
            };
            self.runtime.spawn(attempt.run());
        }
    }

    fn connected(self: &Arc<Self>, attempt: Attempt, connected: Connected<R>) {
        let mut state = self.pool.lock();
        state.end_attempt(attempt);
        (state.failures, state.retry_at) = (0, None);
        match connected {
            Connected::Http1(connection, driver) => {
                state.prefers_http1 |= attempt.want == Want::Either;
                // The shared attempt may give one more than is allowed.
                let has_room = self.has_room(&state);
                state.open += usize::from(has_room);
                let waiter = state.next_http1_waiter().filter(|_| has_room);
                let attempts = self.next_attempts(&mut state);
                drop(state);
                if has_room {
                    self.runtime
                        .spawn(drive_http1(driver, OpenHttp1(Arc::downgrade(self))));
                    match waiter {
                        Some(waiter) => self.give(waiter, connection),
                        None => self.check_in(connection),
                    }
                }
                // Last: a call that such an attempt fails is to find the connection.
                self.start(attempts);
            }
            Connected::Http2(connection, driver) => {
                (state.prefers_http1, state.no_http2) = (false, None);
                let connection = Arc::new(connection);
                state.http2 = Some(Arc::clone(&connection));
                let waiters = state.take_waiters(|want| want != Want::Http1);
                let attempts = self.next_attempts(&mut state);
                drop(state);
                self.start(attempts);
                self.runtime.spawn(driver);
                for waiter in waiters {
                    let connection = Connection::Http2(Arc::clone(&connection));
                    let _ = waiter.outcome.send(Ok(connection));
                }
            }
        }
    }

    fn failed(self: &Arc<Self>, attempt: Attempt, failure: Failure) {
        let now = self.runtime.now();
        let mut state = self.pool.lock();
        state.end_attempt(attempt);
        let (error, waiters) = match failure {
            Failure::NoHttp2(error) => {
                state.no_http2 = Some((now, error.clone()));
                (error, state.take_waiters(|want| want == Want::Http2))
            }
            Failure::Other(error) => {
                // Of attempts at the same time only one counts.
                if attempt.is_shared || state.failures == 0 {
                    state.failures = state.failures.saturating_add(1);
                    let wait = backoff(state.failures, self.settings.max_backoff);
                    state.retry_at = Some(now.saturating_add(wait));
                }
                (error, state.take_failed(attempt))
            }
        };
        let attempts = self.next_attempts(&mut state);
        drop(state);
        self.start(attempts);
        for waiter in waiters {
            let _ = waiter.outcome.send(Err(error.clone()));
        }
    }

    /// Gives a connection to this call, or to the next if it has gone away.
    fn give(self: &Arc<Self>, waiter: Waiter<R>, connection: Box<Http1Connection<R>>) {
        if let Err(Ok(Connection::Http1(connection))) =
            waiter.outcome.send(Ok(Connection::Http1(connection)))
        {
            self.check_in(connection);
        }
    }

    /// Gives the connection to a call that waits for one, or keeps it.
    pub(super) fn check_in(self: &Arc<Self>, mut connection: Box<Http1Connection<R>>) {
        let since = self.runtime.now();
        // Dropped when the lock is free.
        let mut closed = None;
        let start_reaper = loop {
            if connection.is_closed() {
                return;
            }
            let mut state = self.pool.lock();
            let Some(waiter) = state.next_http1_waiter() else {
                if self.settings.max_idle == 0 {
                    closed = Some(connection);
                    break false;
                }
                if state.idle.len() >= self.settings.max_idle {
                    closed = Some(state.idle.remove(0).connection);
                }
                state.idle.push(Idle { connection, since });
                break !mem::replace(&mut state.is_reaping, true);
            };
            drop(state);
            match waiter.outcome.send(Ok(Connection::Http1(connection))) {
                Err(Ok(Connection::Http1(refused))) => connection = refused,
                _ => return,
            }
        };
        drop(closed);
        if start_reaper {
            self.runtime.spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Closes idle connections whose time is over; when the next one's is, or `None` if none is left.
    fn close_expired(&self) -> Option<(R, Time)> {
        let now = self.runtime.now();
        let timeout = self.settings.idle_timeout;
        // Dropped when the lock is free.
        let expired: Vec<Idle<R>>;
        let mut state = self.pool.lock();
        let is_live = |idle: &Idle<R>| {
            now.saturating_since(idle.since) < timeout && !idle.connection.is_closed()
        };
        (state.idle, expired) = mem::take(&mut state.idle).into_iter().partition(is_live);
        let oldest = state.idle.first();
        let next = oldest.map(|idle| idle.since.saturating_add(timeout));
        state.is_reaping = next.is_some();
        drop(state);
        drop(expired);
        next.map(|next| (self.runtime.clone(), next))
    }

    /// An HTTP/1.1 connection has ended: there is room for another.
    fn closed(self: &Arc<Self>) {
        let mut closed = Vec::new();
        let mut state = self.pool.lock();
        state.open -= 1;
        let mut index = 0;
        while let Some(idle) = state.idle.get(index) {
            match idle.connection.is_closed() {
                true => closed.push(state.idle.remove(index)),
                false => index += 1,
            }
        }
        let attempts = self.next_attempts(&mut state);
        drop(state);
        drop(closed);
        self.start(attempts);
    }
}

impl<R: Runtime> State<R> {
    /// Whether a call must have HTTP/1.1, as far as is known.
    fn needs_http1(&self, want: Want) -> bool {
        want.needs_http1(self.prefers_http1)
    }

    /// The idle connection that was used last: it is the least likely to be closed by the server. Those that are over
    /// go to `closed`.
    fn take_idle(
        &mut self,
        channel: &Inner<R>,
        closed: &mut Vec<Idle<R>>,
    ) -> Option<Box<Http1Connection<R>>> {
        let now = channel.runtime.now();
        while let Some(idle) = self.idle.pop() {
            let age = now.saturating_since(idle.since);
            if age < channel.settings.idle_timeout && !idle.connection.is_closed() {
                return Some(idle.connection);
            }
            closed.push(idle);
        }
        None
    }

    fn add_waiter(&mut self, waiter: Waiter<R>) {
        // Calls that have gone away are not to make it grow.
        if self.waiters.len() == self.waiters.capacity() {
            self.waiters.retain(|w| !w.outcome.is_canceled());
        }
        self.waiters.push_back(waiter);
    }

    /// Takes the first call that an HTTP/1.1 connection is for.
    fn next_http1_waiter(&mut self) -> Option<Waiter<R>> {
        let is_next = |w: &Waiter<R>| self.needs_http1(w.want) && !w.outcome.is_canceled();
        let index = self.waiters.iter().position(is_next)?;
        self.waiters.remove(index)
    }

    /// Takes the calls with such wishes.
    fn take_waiters(&mut self, mut is_taken: impl FnMut(Want) -> bool) -> Vec<Waiter<R>> {
        let (taken, others) = mem::take(&mut self.waiters)
            .into_iter()
            .partition(|waiter| is_taken(waiter.want));
        self.waiters = others;
        taken.into()
    }

    /// Takes the calls that fail with an attempt: the one that it was for, or all, but those only that cannot wait for an
    /// open connection instead.
    fn take_failed(&mut self, attempt: Attempt) -> Vec<Waiter<R>> {
        if attempt.is_shared {
            let (has_open, prefers_http1) = (self.open > 0, self.prefers_http1);
            let may_wait = |want: Want| has_open && want.needs_http1(prefers_http1);
            let failed = self.take_waiters(|want| !may_wait(want));
            if !failed.is_empty() {
                return failed;
            }
        }
        self.next_http1_waiter().into_iter().collect()
    }

    fn end_attempt(&mut self, attempt: Attempt) {
        match attempt.is_shared {
            true => self.is_connecting = false,
            false => self.opening -= 1,
        }
    }
}

impl<R: Runtime> Future for Waiting<'_, R> {
    type Output = Outcome<R>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<R>> {
        Poll::Ready(match ready!(Pin::new(&mut self.outcome).poll(cx)) {
            Ok(outcome) => outcome,
            Err(oneshot::Canceled) => {
                let error =
                    Error::unavailable("the runtime is shutting down: it runs no new tasks");
                Err(TransportError::new(Sent::No, error))
            }
        })
    }
}

/// A call that goes away leaves what it was given to the next.
impl<R: Runtime> Drop for Waiting<'_, R> {
    fn drop(&mut self) {
        self.outcome.close();
        if let Ok(Some(Ok(Connection::Http1(connection)))) = self.outcome.try_recv() {
            self.channel.check_in(connection);
        }
    }
}

impl<R: Runtime> Reusable for Http1Connection<R> {
    fn reuse(mut self: Box<Self>) {
        if let Some(channel) = self.channel.upgrade() {
            self.is_used = true;
            channel.check_in(self);
        }
    }
}

/// An attempt that is under way, in a task of its own. A runtime may drop that, be it before the first poll: the calls
/// are not to wait for ever.
struct RunningAttempt<R: Runtime> {
    channel: Arc<Inner<R>>,
    /// None once it has ended.
    attempt: Option<Attempt>,
}

impl<R: Runtime> RunningAttempt<R> {
    async fn run(mut self) {
        let Some(attempt) = self.attempt else { return };
        if attempt.is_shared && !self.wait().await {
            return;
        }
        let connected = connect(&self.channel, attempt.want).await;
        self.attempt = None;
        match connected {
            Ok(connected) => self.channel.connected(attempt, connected),
            Err(failure) => self.channel.failed(attempt, failure),
        }
    }

    /// Waits after a failed attempt. `false` if no call is left then: the next one starts another attempt.
    async fn wait(&mut self) -> bool {
        let retry_at = self.channel.pool.lock().retry_at;
        let Some(retry_at) = retry_at else {
            return true;
        };
        self.channel.runtime.sleep_until(retry_at).await;
        let mut state = self.channel.pool.lock();
        state.waiters.retain(|w| !w.outcome.is_canceled());
        if !state.waiters.is_empty() {
            return true;
        }
        state.is_connecting = false;
        self.attempt = None;
        false
    }
}

impl<R: Runtime> Drop for RunningAttempt<R> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt {
            let mut state = self.channel.pool.lock();
            state.end_attempt(attempt);
            let waiters = mem::take(&mut state.waiters);
            drop(state);
            drop(waiters);
        }
    }
}

/// Counts an HTTP/1.1 connection as open until it is dropped.
struct OpenHttp1<R: Runtime>(Weak<Inner<R>>);

impl<R: Runtime> Drop for OpenHttp1<R> {
    fn drop(&mut self) {
        if let Some(channel) = self.0.upgrade() {
            channel.closed();
        }
    }
}

async fn drive_http1<R: Runtime>(driver: Driver, open: OpenHttp1<R>) {
    driver.await;
    drop(open);
}

/// Closes idle connections when their time is over, as long as there are any.
async fn reap<R: Runtime>(channel: Weak<Inner<R>>) {
    while let Some((runtime, next)) = channel.upgrade().and_then(|c| c.close_expired()) {
        runtime.sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests;
