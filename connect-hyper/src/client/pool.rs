//! A channel's connections: one for all HTTP/2 calls, and several of HTTP/1.1, for one call at a time each.
//!
//! Attempts that may give the shared HTTP/2 connection run in a task of their own, one at a time: calls that
//! come meanwhile wait for it, and one that is dropped while waiting takes nothing from the others. After a
//! failed attempt all calls share the next one, whatever they want, and it waits a little before.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};
use futures_channel::oneshot;
use hyper::client::conn::{http1, http2};

use super::{
    ChannelState, HttpVersion, Inner,
    body::RequestBody,
    connect::{Connected, Driven, Failure, Sender, Want, connect},
    places::{Handed, Place, Places},
    remote::Remote,
};
use crate::runtime::{Runtime, timeout};

/// The connections of a channel.
#[derive(Debug)]
pub(super) struct Pool<R: Runtime> {
    state: Mutex<State<R>>,
    /// Its lock is taken after that of the state.
    places: Places<R>,
}

#[derive(Debug)]
struct State<R: Runtime> {
    http2: Option<Http2>,
    attempt: Option<Attempt<R>>,
    /// TLS: the server chose HTTP/1.1 when it could have chosen HTTP/2.
    prefers_http1: bool,
    /// TLS: the server was asked for HTTP/2 alone, at this time, and refused with this error.
    no_http2: Option<(Instant, TransportError)>,
    /// How many attempts have failed since one succeeded.
    failures: u32,
    /// When to make the next attempt, after a failed one.
    retry_at: Option<Instant>,
    /// Oldest first.
    idle: Vec<Idle<R>>,
    reaping: bool,
}

/// An attempt to open a connection that is under way, and the calls that wait for it.
#[derive(Debug)]
struct Attempt<R: Runtime> {
    want: Want,
    waiting: Vec<Waiter<R>>,
}

impl<R: Runtime> Attempt<R> {
    fn add(&mut self, waiter: Waiter<R>) {
        // Calls that have gone away meanwhile are not to make it grow.
        if self.waiting.len() == self.waiting.capacity() {
            self.waiting.retain(|w| !w.outcome.is_canceled());
        }
        self.waiting.push(waiter);
    }
}

#[derive(Debug)]
struct Waiter<R: Runtime> {
    want: Want,
    outcome: oneshot::Sender<Outcome<R>>,
}

/// A connection for one call.
#[derive(Debug)]
pub(super) enum Acquired<R: Runtime> {
    Http1(Box<Http1<R>>),
    Http2(Http2),
}

enum Outcome<R: Runtime> {
    Acquired(Acquired<R>),
    /// There is a connection, but not for this call.
    Retry,
    Failed(TransportError),
}

/// The shared connection.
#[derive(Clone, Debug)]
pub(super) struct Http2 {
    pub(super) sender: http2::SendRequest<RequestBody>,
    pub(super) remote: Arc<Remote>,
}

/// A connection that one call uses at a time.
#[derive(Debug)]
pub(super) struct Http1<R: Runtime> {
    pub(super) sender: http1::SendRequest<RequestBody>,
    pub(super) remote: Arc<Remote>,
    /// Whether it has carried a call: the server may be closing it while the next one leaves.
    pub(super) is_used: bool,
    pub(super) driven: Driven,
    /// Passed on with the drop.
    _place: Place<R>,
    channel: Weak<Inner<R>>,
}

#[derive(Debug)]
struct Idle<R: Runtime> {
    connection: Box<Http1<R>>,
    since: Instant,
}

/// An HTTP/1.1 connection in the hands of a response. Dropped, the connection is closed.
pub(super) trait Lease: Send {
    /// Request and response are complete: others may use the connection.
    fn give_back(self: Box<Self>);
}

impl<R: Runtime> Lease for Http1<R> {
    fn give_back(self: Box<Self>) {
        if let Some(channel) = self.channel.upgrade() {
            channel.put_idle(self);
        }
    }
}

/// What a call is to do for a connection.
enum Plan<R: Runtime> {
    Use(Acquired<R>),
    Wait(oneshot::Receiver<Outcome<R>>),
    /// Start the attempt and wait for it.
    Start(oneshot::Receiver<Outcome<R>>),
    /// Open a connection of its own.
    Open(Place<R>),
    /// There are as many connections as may be: wait for one, or for the place of one.
    Queue(oneshot::Receiver<Handed<R>>),
    Fail(TransportError),
}

/// How long a server that has refused HTTP/2 is not asked for it again.
const NO_HTTP2: Duration = Duration::from_secs(10);

/// How long a call waits for an HTTP/1.1 connection that was given back; then it takes another.
const READY_TIMEOUT: Duration = Duration::from_millis(100);

/// How long to wait after the first failed attempt; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// How long to wait before the next attempt, after so many that failed.
///
/// There is no chance in it: only calls open connections, and so the clients of a server that comes back do not march
/// in step.
fn backoff(failures: u32, max: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
    FIRST_BACKOFF
        .saturating_mul(doubled.unwrap_or(u32::MAX))
        .min(max)
}

impl<R: Runtime> Pool<R> {
    /// No connections yet, and so many of HTTP/1.1 at most.
    pub(super) fn new(max_connections: usize) -> Self {
        Self {
            state: Mutex::new(State {
                http2: None,
                attempt: None,
                prefers_http1: false,
                no_http2: None,
                failures: 0,
                retry_at: None,
                idle: Vec::new(),
                reaping: false,
            }),
            places: Places::new(max_connections),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing that can panic runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ChannelState {
        let state = self.lock();
        let is_open = state.http2.as_ref().is_some_and(|c| !c.sender.is_closed())
            || state.idle.iter().any(|i| !i.connection.sender.is_closed())
            // In the hands of calls.
            || self.places.open() > state.idle.len();
        if is_open {
            ChannelState::Ready
        } else if state.attempt.is_some() || self.places.opening() > 0 {
            ChannelState::Connecting
        } else if state.failures > 0 {
            ChannelState::Failed
        } else {
            ChannelState::Idle
        }
    }

    /// Forgets the shared connection if it is still the one to this remote: no new call is to use it.
    pub(super) fn discard(&self, remote: &Arc<Remote>) {
        // Dropped when the lock is free: that wakes calls.
        let _discarded;
        let mut state = self.lock();
        // One is made for each connection.
        if state
            .http2
            .as_ref()
            .is_some_and(|c| Arc::ptr_eq(&c.remote, remote))
        {
            _discarded = state.http2.take();
        }
    }
}

impl<R: Runtime> Inner<R> {
    /// A connection for a call: an open one if there is, else a new one. `anew` passes over idle ones, for
    /// a call that has come upon one that was closed: others may be too.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        want: Want,
        anew: bool,
    ) -> Result<Acquired<R>, TransportError> {
        // What the call was handed after it had waited.
        let mut handed = None;
        loop {
            let waiting = match self.plan(want, anew, &mut handed) {
                Plan::Use(Acquired::Http1(mut connection)) => {
                    if connection.sender.is_ready() {
                        return Ok(Acquired::Http1(connection));
                    }
                    // Given back means that hyper has all of the request, and the response is complete. Most often its
                    // task has yet to notice, or the server closed. Else the server is still to take the request.
                    let ready = timeout(&self.runtime, READY_TIMEOUT, connection.sender.ready());
                    match Box::pin(ready).await {
                        Some(Ok(())) => return Ok(Acquired::Http1(connection)),
                        Some(Err(_)) | None => continue,
                    }
                }
                Plan::Use(acquired) => return Ok(acquired),
                Plan::Fail(error) => return Err(error),
                // In a box, to keep the future of a call small.
                Plan::Open(place) => return Box::pin(self.open(want, place)).await,
                Plan::Queue(waiting) => {
                    // The places live as long as the channel.
                    handed = waiting.await.ok();
                    continue;
                }
                Plan::Wait(waiting) => waiting,
                Plan::Start(waiting) => {
                    let channel = Arc::clone(self);
                    self.runtime.spawn(attempt(AttemptGuard {
                        channel,
                        ended: false,
                    }));
                    waiting
                }
            };
            match waiting.await {
                Ok(Outcome::Acquired(acquired)) => return Ok(acquired),
                Ok(Outcome::Failed(error)) => return Err(error),
                Ok(Outcome::Retry) => {}
                Err(oneshot::Canceled) => {
                    let error =
                        Error::unavailable("the runtime is shutting down: it runs no new tasks");
                    return Err(TransportError::new(Sent::No, error));
                }
            }
        }
    }

    /// Opens a connection for one call, which may turn out to be one to share.
    async fn open(
        self: &Arc<Self>,
        want: Want,
        place: Place<R>,
    ) -> Result<Acquired<R>, TransportError> {
        let connected = connect(self, want).await;
        let acquired = self.opened(connected, want, Some(place))?;
        // There was a place.
        acquired.ok_or_else(|| {
            TransportError::new(Sent::No, Error::internal("a connection without a place"))
        })
    }

    fn plan(&self, want: Want, anew: bool, handed: &mut Option<Handed<R>>) -> Plan<R> {
        // Dropped after the lock is free: that wakes calls.
        let (mut closed, mut _closed_http2) = (Vec::new(), None::<Http2>);
        let mut place = None;
        match handed.take() {
            Some(Handed::Connection(connection)) => return Plan::Use(Acquired::Http1(connection)),
            Some(Handed::Place(handed)) => place = Some(handed),
            None => {}
        }
        let mut state = self.pool.lock();
        if want == Want::Http1 || (want == Want::Either && state.prefers_http1) {
            if !anew {
                if let Some(idle) = state.take_idle(self, &mut closed) {
                    return Plan::Use(Acquired::Http1(idle));
                }
            }
            if state.failures > 0 {
                return self.join_attempt(&mut state, want);
            }
            let place = place
                .take()
                .map_or_else(|| self.pool.places.take_or_wait(), Ok);
            return place.map_or_else(
                |waiting| {
                    // A call that passes over idle connections is not to wait for them.
                    closed.extend((!state.idle.is_empty()).then(|| state.idle.remove(0)));
                    Plan::Queue(waiting)
                },
                Plan::Open,
            );
        }
        if let Some(http2) = &state.http2 {
            if !http2.sender.is_closed() {
                return Plan::Use(Acquired::Http2(http2.clone()));
            }
            _closed_http2 = state.http2.take();
        }
        if let (Want::Http2, Some((since, error))) = (want, &state.no_http2) {
            if self.runtime.now().saturating_duration_since(*since) < NO_HTTP2 {
                return Plan::Fail(error.clone());
            }
        }
        self.join_attempt(&mut state, want)
    }

    /// Waits for the attempt that is under way, or starts one.
    fn join_attempt(&self, state: &mut State<R>, want: Want) -> Plan<R> {
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            want,
            outcome: sender,
        };
        if let Some(attempt) = &mut state.attempt {
            attempt.add(waiter);
            return Plan::Wait(receiver);
        }
        // Over TLS it offers both, for calls that need HTTP/2 and calls that do not may wait for it.
        let may_choose = self.origin.is_tls()
            && self.settings.version != HttpVersion::Http2
            && !state.prefers_http1;
        state.attempt = Some(Attempt {
            want: match want {
                Want::Http2 if may_choose => Want::Either,
                want => want,
            },
            waiting: vec![waiter],
        });
        Plan::Start(receiver)
    }

    /// Takes what came of an attempt to connect. `place` is that of a call which opened a connection for itself.
    /// `None`: there is no place for this connection.
    fn opened(
        self: &Arc<Self>,
        connected: Result<Connected, Failure>,
        want: Want,
        place: Option<Place<R>>,
    ) -> Result<Option<Acquired<R>>, Failure> {
        let now = self.runtime.now();
        let mut state = self.pool.lock();
        let Connected { sender, remote } = match connected {
            Ok(connected) => connected,
            Err(failure) => {
                match &failure {
                    Failure::NoHttp2(error) => state.no_http2 = Some((now, error.clone())),
                    // Of calls that connect beside each other only one counts.
                    Failure::Other(_) if place.is_some() && state.failures > 0 => {}
                    Failure::Other(_) => {
                        state.failures = state.failures.saturating_add(1);
                        let wait = backoff(state.failures, self.settings.max_backoff);
                        state.retry_at = now.checked_add(wait);
                    }
                }
                return Err(failure);
            }
        };
        (state.failures, state.retry_at) = (0, None);
        match sender {
            Sender::Http1(sender, driven) => {
                state.prefers_http1 |= want == Want::Either;
                let Some(mut place) = place.or_else(|| self.pool.places.take()) else {
                    return Ok(None);
                };
                place.set_open();
                Ok(Some(Acquired::Http1(Box::new(Http1 {
                    sender,
                    remote,
                    is_used: false,
                    driven,
                    _place: place,
                    channel: Arc::downgrade(self),
                }))))
            }
            Sender::Http2(sender) => {
                (state.prefers_http1, state.no_http2) = (false, None);
                let http2 = Http2 { sender, remote };
                // One that has ended already was discarded before it came here.
                if !http2.sender.is_closed() {
                    state.http2 = Some(http2.clone());
                }
                Ok(Some(Acquired::Http2(http2)))
            }
        }
    }

    /// Gives the connection to a call that waits for one, or keeps it.
    fn put_idle(self: &Arc<Self>, mut connection: Box<Http1<R>>) {
        connection.is_used = true;
        let since = self.runtime.now();
        // Closed when the lock is free: that wakes calls.
        let mut closed = None;
        let start_reaper = loop {
            if connection.sender.is_closed() {
                return;
            }
            let mut state = self.pool.lock();
            let Some(waiter) = self.pool.places.next_waiter() else {
                if self.settings.max_idle == 0 {
                    closed = Some(connection);
                    break false;
                }
                if state.idle.len() >= self.settings.max_idle {
                    closed = Some(state.idle.remove(0).connection);
                }
                state.idle.push(Idle { connection, since });
                break !mem::replace(&mut state.reaping, true);
            };
            drop(state);
            match waiter.send(Handed::Connection(connection)) {
                Err(Handed::Connection(refused)) => connection = refused,
                Ok(()) | Err(Handed::Place(_)) => return,
            }
        };
        drop(closed);
        if start_reaper {
            self.runtime.spawn(reap(Arc::downgrade(self)));
        }
    }

    /// Closes idle connections whose time is over; when the next one's is, or `None` if none is left.
    fn close_expired(&self) -> Option<(R, Instant)> {
        let now = self.runtime.now();
        let timeout = self.settings.idle_timeout;
        let expired: Vec<Idle<R>>;
        let next = {
            let mut state = self.pool.lock();
            let is_live = |idle: &Idle<R>| {
                now.saturating_duration_since(idle.since) < timeout
                    && !idle.connection.sender.is_closed()
            };
            let (live, over) = mem::take(&mut state.idle).into_iter().partition(is_live);
            (state.idle, expired) = (live, over);
            let next = state
                .idle
                .first()
                .and_then(|idle| idle.since.checked_add(timeout));
            state.reaping = next.is_some();
            next
        };
        drop(expired);
        next.map(|next| (self.runtime.clone(), next))
    }
}

impl<R: Runtime> State<R> {
    /// The idle connection that was used last: it is the least likely to be closed by the server. Those that are over
    /// go to `closed`.
    fn take_idle(
        &mut self,
        channel: &Inner<R>,
        closed: &mut Vec<Idle<R>>,
    ) -> Option<Box<Http1<R>>> {
        let now = channel.runtime.now();
        while let Some(idle) = self.idle.pop() {
            let age = now.saturating_duration_since(idle.since);
            if age < channel.settings.idle_timeout && !idle.connection.sender.is_closed() {
                return Some(idle.connection);
            }
            closed.push(idle);
        }
        None
    }
}

/// Opens a connection and hands the outcome to all who wait. After a failure it waits before.
async fn attempt<R: Runtime>(mut guard: AttemptGuard<R>) {
    let channel = Arc::clone(&guard.channel);
    let retry_at = channel.pool.lock().retry_at;
    if let Some(retry_at) = retry_at {
        channel.runtime.sleep_until(retry_at).await;
    }
    let Some(want) = guard.want() else { return };
    let connected = connect(&channel, want).await;
    let mut acquired = channel.opened(connected, want, None);
    for waiter in guard.end() {
        let outcome = match (&mut acquired, waiter.want) {
            (Err(Failure::NoHttp2(_)), Want::Http1 | Want::Either) => Outcome::Retry,
            (Err(failure), _) => Outcome::Failed(failure.clone().into()),
            // It is in the pool: a call that nobody polls is not to hold a sender meanwhile.
            (Ok(Some(Acquired::Http2(_))), Want::Http2 | Want::Either) => Outcome::Retry,
            (Ok(http1 @ Some(Acquired::Http1(_))), Want::Http1 | Want::Either) => {
                http1.take().map_or(Outcome::Retry, Outcome::Acquired)
            }
            (Ok(_), _) => Outcome::Retry,
        };
        if let Err(Outcome::Acquired(refused)) = waiter.outcome.send(outcome) {
            acquired = Ok(Some(refused));
        }
    }
    if let Ok(Some(Acquired::Http1(connection))) = acquired {
        channel.put_idle(connection);
    }
}

/// Ends the attempt, also when a runtime drops its task, be it before the first poll: the calls that wait are
/// not to do so for ever.
struct AttemptGuard<R: Runtime> {
    channel: Arc<Inner<R>>,
    ended: bool,
}

impl<R: Runtime> AttemptGuard<R> {
    /// What to ask the server for. `None` if all calls have gone away: the attempt has then ended.
    fn want(&mut self) -> Option<Want> {
        // The calls are dropped when the lock is free.
        let _gone;
        let mut state = self.channel.pool.lock();
        let attempt = state.attempt.as_ref()?;
        if !attempt.waiting.iter().all(|w| w.outcome.is_canceled()) {
            return Some(attempt.want);
        }
        self.ended = true;
        _gone = state.attempt.take();
        None
    }

    /// The calls that wait. The next one starts another attempt, unless there is a connection now.
    fn end(&mut self) -> Vec<Waiter<R>> {
        if mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        let attempt = self.channel.pool.lock().attempt.take();
        attempt.map(|attempt| attempt.waiting).unwrap_or_default()
    }
}

impl<R: Runtime> Drop for AttemptGuard<R> {
    fn drop(&mut self) {
        drop(self.end());
    }
}

/// Closes idle connections when their time is over, as long as there are any.
async fn reap<R: Runtime>(channel: Weak<Inner<R>>) {
    while let Some((runtime, next)) = channel.upgrade().and_then(|c| c.close_expired()) {
        runtime.sleep_until(next).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_runtime::NoRuntime;

    #[test]
    fn calls_that_have_gone_away_do_not_make_an_attempt_grow() {
        let mut attempt: Attempt<NoRuntime> = Attempt {
            want: Want::Http2,
            waiting: Vec::new(),
        };
        let mut add = || {
            let (outcome, receiver) = oneshot::channel();
            let want = Want::Http2;
            attempt.add(Waiter { want, outcome });
            receiver
        };
        let _stays = add();
        (0..1000).for_each(|_| drop(add()));
        assert!(attempt.waiting.len() < 10);
        assert!(!attempt.waiting[0].outcome.is_canceled());
    }

    #[test]
    fn the_backoff_doubles_up_to_its_maximum() {
        let max = Duration::from_secs(1);
        let waits = [1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|n| backoff(n, max).as_millis());
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000]);
        assert_eq!(backoff(3, Duration::ZERO), Duration::ZERO);
    }
}
