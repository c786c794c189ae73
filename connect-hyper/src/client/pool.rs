//! A channel's connections: one for all HTTP/2 calls, and idle ones of HTTP/1.1.
//!
//! Attempts that may give the shared HTTP/2 connection run in a task of their own, one at a time: calls that
//! come meanwhile wait for it, and one that is dropped while waiting takes nothing from the others.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Instant,
};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};
use futures_channel::oneshot;
use hyper::client::conn::{http1, http2};

use super::{
    ChannelState, HttpVersion, Inner,
    body::RequestBody,
    connect::{Connected, Sender, Want, connect},
    remote::Remote,
};
use crate::runtime::Runtime;

/// The connections of a channel.
#[derive(Debug)]
pub(super) struct Pool<R: Runtime>(Mutex<State<R>>);

#[derive(Debug)]
struct State<R: Runtime> {
    http2: Option<Http2>,
    /// The calls that wait for the attempt at a shared connection that is under way.
    attempt: Option<Vec<Waiter<R>>>,
    /// TLS: the server chose HTTP/1.1 when it could have chosen HTTP/2.
    prefers_http1: bool,
    /// The latest attempt failed.
    failed: bool,
    /// Oldest first.
    idle: Vec<Idle<R>>,
    reaping: bool,
}

/// A call that waits for the attempt at a shared connection.
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
    /// The server chose HTTP/1.1, and somebody else took the connection.
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
    Open,
}

impl<R: Runtime> Default for Pool<R> {
    fn default() -> Self {
        Self(Mutex::new(State {
            http2: None,
            attempt: None,
            prefers_http1: false,
            failed: false,
            idle: Vec::new(),
            reaping: false,
        }))
    }
}

impl<R: Runtime> Pool<R> {
    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // Nothing that can panic runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> ChannelState {
        let state = self.lock();
        let open = state.http2.as_ref().is_some_and(|c| !c.sender.is_closed())
            || state.idle.iter().any(|i| !i.connection.sender.is_closed());
        match &state.attempt {
            _ if open => ChannelState::Ready,
            Some(_) => ChannelState::Connecting,
            None if state.failed => ChannelState::Failed,
            None => ChannelState::Idle,
        }
    }

    /// Forgets the shared connection if it is still this one: no new call is to use it.
    pub(super) fn discard(&self, connection: &Http2) {
        let mut state = self.lock();
        if let Some(current) = &state.http2 {
            // One is made for each connection.
            if Arc::ptr_eq(&current.remote, &connection.remote) {
                state.http2 = None;
            }
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
        loop {
            let waiting = match self.plan(want, anew) {
                Plan::Use(Acquired::Http1(mut connection)) => {
                    // Given back means that request and response are complete: what is left is that the
                    // connection's task notices, or that the server closed.
                    match connection.sender.ready().await {
                        Ok(()) => return Ok(Acquired::Http1(connection)),
                        Err(_closed) => continue,
                    }
                }
                Plan::Use(acquired) => return Ok(acquired),
                Plan::Open => return self.open(want).await,
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
                // A server may speak HTTP/2 and still prefer HTTP/1.1: offer nothing else.
                Ok(Outcome::Retry) if want == Want::Http2 => return self.open(want).await,
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
    async fn open(self: &Arc<Self>, want: Want) -> Result<Acquired<R>, TransportError> {
        // In a box, to keep the future of a call small.
        let connected = Box::pin(connect(self, want)).await;
        self.opened(connected, want)
    }

    /// What the attempt at a shared connection offers: over TLS both, for calls that need HTTP/2 and calls
    /// that do not may wait for it.
    fn shared_want(&self) -> Want {
        match self.origin.is_tls() && self.settings.version != HttpVersion::Http2 {
            true => Want::Either,
            false => Want::Http2,
        }
    }

    fn plan(&self, want: Want, anew: bool) -> Plan<R> {
        let mut state = self.pool.lock();
        if want == Want::Http1 || (want == Want::Either && state.prefers_http1) {
            let idle = if anew { None } else { state.take_idle(self) };
            return idle.map_or(Plan::Open, |idle| Plan::Use(Acquired::Http1(idle)));
        }
        if let Some(http2) = &state.http2 {
            if !http2.sender.is_closed() {
                return Plan::Use(Acquired::Http2(http2.clone()));
            }
            state.http2 = None;
        }
        let (sender, receiver) = oneshot::channel();
        let waiter = Waiter {
            want,
            outcome: sender,
        };
        if let Some(waiting) = &mut state.attempt {
            waiting.push(waiter);
            Plan::Wait(receiver)
        } else {
            state.attempt = Some(vec![waiter]);
            Plan::Start(receiver)
        }
    }

    /// Takes a connection that a call opened for itself.
    fn opened(
        self: &Arc<Self>,
        connected: Result<Connected, TransportError>,
        want: Want,
    ) -> Result<Acquired<R>, TransportError> {
        let mut state = self.pool.lock();
        state.failed = connected.is_err();
        let Connected { sender, remote } = connected?;
        match sender {
            Sender::Http1(sender) => {
                state.prefers_http1 |= want == Want::Either;
                Ok(Acquired::Http1(Box::new(Http1 {
                    sender,
                    remote,
                    channel: Arc::downgrade(self),
                })))
            }
            Sender::Http2(sender) => {
                state.prefers_http1 = false;
                let http2 = Http2 { sender, remote };
                state.http2 = Some(http2.clone());
                Ok(Acquired::Http2(http2))
            }
        }
    }

    fn put_idle(self: &Arc<Self>, connection: Box<Http1<R>>) {
        let since = self.runtime.now();
        let start_reaper = {
            let mut state = self.pool.lock();
            if connection.sender.is_closed() || self.settings.max_idle == 0 {
                return;
            }
            if state.idle.len() >= self.settings.max_idle {
                state.idle.remove(0);
            }
            state.idle.push(Idle { connection, since });
            !mem::replace(&mut state.reaping, true)
        };
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
    /// The idle connection that was used last: it is the least likely to be closed by the server.
    fn take_idle(&mut self, channel: &Inner<R>) -> Option<Box<Http1<R>>> {
        let now = channel.runtime.now();
        while let Some(Idle { connection, since }) = self.idle.pop() {
            let age = now.saturating_duration_since(since);
            if age < channel.settings.idle_timeout && !connection.sender.is_closed() {
                return Some(connection);
            }
        }
        None
    }
}

/// Opens the shared connection and hands the outcome to all who wait.
async fn attempt<R: Runtime>(mut guard: AttemptGuard<R>) {
    let channel = Arc::clone(&guard.channel);
    let want = channel.shared_want();
    let connected = connect(&channel, want).await;
    let acquired = channel.opened(connected, want);
    let waiting = guard.end();
    match acquired {
        Err(error) => {
            for waiter in waiting {
                let _ = waiter.outcome.send(Outcome::Failed(error.clone()));
            }
        }
        Ok(Acquired::Http2(http2)) => {
            for waiter in waiting {
                let acquired = Acquired::Http2(http2.clone());
                let _ = waiter.outcome.send(Outcome::Acquired(acquired));
            }
        }
        Ok(Acquired::Http1(connection)) => {
            let mut connection = Some(connection);
            for waiter in waiting {
                let outcome = match connection.take_if(|_| waiter.want != Want::Http2) {
                    Some(connection) => Outcome::Acquired(Acquired::Http1(connection)),
                    None => Outcome::Retry,
                };
                if let Err(Outcome::Acquired(Acquired::Http1(refused))) =
                    waiter.outcome.send(outcome)
                {
                    connection = Some(refused);
                }
            }
            if let Some(connection) = connection {
                channel.put_idle(connection);
            }
        }
    }
}

/// Ends the attempt, also when a runtime drops its task, be it before the first poll: the calls that wait are
/// not to do so for ever.
struct AttemptGuard<R: Runtime> {
    channel: Arc<Inner<R>>,
    ended: bool,
}

impl<R: Runtime> AttemptGuard<R> {
    /// The calls that wait. The next one starts another attempt, unless there is a connection now.
    fn end(&mut self) -> Vec<Waiter<R>> {
        if mem::replace(&mut self.ended, true) {
            return Vec::new();
        }
        self.channel.pool.lock().attempt.take().unwrap_or_default()
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
