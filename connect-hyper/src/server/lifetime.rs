//! How long a connection lives: how long without calls, how long for a head, up to which age, for how many requests.

use std::{
    fmt,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_tower::rt::Sleep;

use super::{
    context::ServerContext,
    drain::OpenConnection,
    floods::{CanceledCalls, Flood},
};
use crate::{
    read_budget::ReadBudget,
    runtime::{Runtime, vary},
};

/// What the parts of a connection share: what it does, told by its calls and its IO, and the server that it is of. The connection
/// is open while one of its calls is, wherever it runs.
pub(super) struct Activity<R> {
    pub(super) server: Arc<ServerContext<R>>,
    pub(super) connection: OpenConnection,
    /// The reads that are left in this poll of the connection's task.
    pub(super) reads: ReadBudget,
    begun: AtomicUsize,
    /// The client is to use another connection for its next calls.
    is_last: AtomicBool,
    /// Bytes came since the last call began or ended. On HTTP/1.1 they are of a head.
    has_received: AtomicBool,
    /// Nothing came since the client was last told that the connection ends.
    is_silent: AtomicBool,
    /// The socket takes nothing. What it is to take may be of a call that has ended.
    is_blocked: AtomicBool,
    /// Calls that ended before they had an answer.
    canceled: AtomicUsize,
    flood: OnceLock<Flood>,
}

impl<R> Activity<R> {
    pub(super) fn new(server: Arc<ServerContext<R>>, connection: OpenConnection) -> Arc<Self> {
        Arc::new(Self {
            server,
            connection,
            reads: ReadBudget::new(),
            begun: AtomicUsize::new(0),
            is_last: AtomicBool::new(false),
            has_received: AtomicBool::new(false),
            is_silent: AtomicBool::new(false),
            is_blocked: AtomicBool::new(false),
            canceled: AtomicUsize::new(0),
            flood: OnceLock::new(),
        })
    }

    /// The number of calls that are open, and of those that ever began.
    fn calls(&self) -> (usize, usize) {
        let open = self.connection.calls().load(Ordering::Relaxed);
        (open, self.begun.load(Ordering::Relaxed))
    }

    /// Whether a call is open.
    pub(super) fn has_calls(&self) -> bool {
        self.calls().0 > 0
    }

    /// Something came from the client.
    pub(super) fn note_read(&self) {
        self.is_silent.store(false, Ordering::Relaxed);
        self.set_received(true);
    }

    /// How many calls ended before they had an answer.
    pub(super) fn canceled(&self) -> usize {
        self.canceled.load(Ordering::Relaxed)
    }

    pub(super) fn set_received(&self, received: bool) {
        self.has_received.store(received, Ordering::Relaxed);
    }

    pub(super) fn set_blocked(&self, blocked: bool) {
        self.is_blocked.store(blocked, Ordering::Relaxed);
    }

    fn is_blocked(&self) -> bool {
        self.is_blocked.load(Ordering::Relaxed)
    }

    /// What the connection is ended for, if it is for that.
    pub(super) fn flood(&self) -> Option<Flood> {
        self.flood.get().copied()
    }

    pub(super) fn set_flood(&self, flood: Flood) {
        // The first counts.
        let _ = self.flood.set(flood);
    }

    fn is_last(&self) -> bool {
        self.is_last.load(Ordering::Relaxed)
    }

    fn set_last(&self) {
        self.is_last.store(true, Ordering::Relaxed);
    }
}

impl<R> fmt::Debug for Activity<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Activity")
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

/// One call, open until this is dropped.
#[derive(Debug)]
pub(super) struct ActiveCall<R>(Arc<Activity<R>>);

impl<R> ActiveCall<R> {
    pub(super) fn new(activity: Arc<Activity<R>>) -> Self {
        activity.set_received(false);
        activity.connection.calls().fetch_add(1, Ordering::Relaxed);
        let begun = activity.begun.fetch_add(1, Ordering::Relaxed) + 1;
        let max = activity.server.config.max_requests_per_connection;
        if max.is_some_and(|max| begun >= max) {
            activity.set_last();
        }
        Self(activity)
    }

    pub(super) fn server(&self) -> &ServerContext<R> {
        &self.0.server
    }

    /// The call has ended without an answer, by its client.
    pub(super) fn set_canceled(&self) {
        self.0.canceled.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the answer should send the client's next call to another connection.
    pub(super) fn is_last(&self) -> bool {
        self.0.is_last()
    }
}

impl<R> Drop for ActiveCall<R> {
    fn drop(&mut self) {
        self.0.set_received(false);
        self.0.connection.calls().fetch_sub(1, Ordering::Relaxed);
    }
}

/// What to do with a connection.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Tell the client that it ends, and go on with its calls.
    Close,
    /// End it.
    End,
}

/// Ends a connection in time. Calls pay no timer: it looks now and then.
pub(super) struct Lifetime<R> {
    activity: Arc<Activity<R>>,
    version: LifetimeVersion,
    /// How many calls had begun at the last look, if it found the connection idle.
    seen: Option<usize>,
    next_look: Option<Sleep>,
    /// Until the connection has its age; none if there is no such.
    age: Option<Sleep>,
    /// The client was told to use another connection, or is told in the next answer.
    is_told: bool,
    /// Since then, of a connection that has little time left.
    last: Option<Box<LastTimes>>,
    /// The server shuts down: it is its drain that ends the calls that are left.
    is_draining: bool,
    /// The client was told, and the connection ends when it is idle.
    is_closing: bool,
    /// HTTP/2: the connection was idle at a look since, though its client is there: what is left of an answer waits for its window.
    is_waiting: bool,
    canceled: CanceledCalls,
}

/// What ends a connection whose client was told to use another one.
#[derive(Default)]
struct LastTimes {
    /// For its age or the number of its requests: until the calls that are left are ended.
    end: Option<Sleep>,
    /// HTTP/2: until the client counts as gone, if nothing comes from it: with what it was told it got a ping.
    silence: Option<Sleep>,
}

/// What differs between the versions.
pub(super) enum LifetimeVersion {
    /// A client is told in the next answer, and has a time for each head.
    Http1(Box<Heads>),
    /// A client is told by a GOAWAY.
    Http2,
}

/// The heads of an HTTP/1.1 connection.
#[derive(Default)]
pub(super) struct Heads {
    /// While a part of one is there.
    timeout: Option<Sleep>,
    /// The server drains: the connection closes, once no part of a head is there.
    is_to_close: bool,
}

/// What a client has to close a connection that was idle.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl<R: Runtime> Lifetime<R> {
    pub(super) fn new(activity: Arc<Activity<R>>, version: LifetimeVersion) -> Self {
        let ServerContext {
            runtime, config, ..
        } = &*activity.server;
        let age = config.max_connection_age;
        Self {
            version,
            seen: Some(0),
            next_look: None,
            age: age.map(|age| runtime.sleep(vary(age, fastrand::f64()))),
            is_told: false,
            last: None,
            is_draining: false,
            is_closing: false,
            is_waiting: false,
            canceled: CanceledCalls::default(),
            activity,
        }
    }

    fn last_times(&mut self) -> &mut LastTimes {
        self.last.get_or_insert_default()
    }

    /// The server drains. To be called before the connection is polled, and so reads what has come already: that is answered,
    /// and the last answer says so. hyper, told to shut down, would leave it.
    pub(super) fn drain(&mut self) {
        self.is_draining = true;
        self.activity.set_last();
        if let LifetimeVersion::Http1(heads) = &mut self.version {
            heads.is_to_close = true;
        }
    }

    /// After each poll of the connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if self.poll_head(cx).is_ready() {
            return Poll::Ready(Step::End);
        }
        let (canceled, server) = (self.activity.canceled(), &self.activity.server);
        let of_late = self.canceled.note(canceled, || server.runtime.now());
        if of_late > server.config.max_canceled_calls.unwrap_or(usize::MAX) {
            self.activity.set_flood(Flood::CanceledCalls);
            return Poll::Ready(Step::End);
        }
        if !self.is_told && self.poll_is_last(cx) {
            self.is_told = true;
            self.age = None;
            self.activity.set_last();
            if !self.is_draining {
                let grace = self.activity.server.config.max_connection_age_grace;
                self.last_times().end = Some(self.activity.server.runtime.sleep(grace));
            }
            if let LifetimeVersion::Http2 = self.version {
                return Poll::Ready(self.close());
            }
        }
        if self.take_drained() {
            return Poll::Ready(Step::Close);
        }
        if self.poll_silence(cx).is_ready() {
            return Poll::Ready(Step::End);
        }
        if let Some(LastTimes { end: Some(end), .. }) = self.last.as_deref_mut() {
            if end.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Step::End);
            }
        }
        self.poll_idle(cx)
    }

    /// Whether it is time to send the client's next call to another connection.
    fn poll_is_last(&mut self, cx: &mut Context<'_>) -> bool {
        let age = self.age.as_mut().map(|age| age.as_mut().poll(cx));
        age.is_some_and(|age| age.is_ready()) || self.activity.is_last()
    }

    /// Closes a connection that is to end when it is idle.
    fn close(&mut self) -> Step {
        let was_closing = std::mem::replace(&mut self.is_closing, true);
        // From now on it looks more often.
        self.seen = self.idle_calls();
        self.next_look = None;
        // With the first GOAWAY goes a ping, and with no other.
        if let (LifetimeVersion::Http2, false) = (&self.version, was_closing) {
            self.activity.is_silent.store(true, Ordering::Relaxed);
            if let Some((_, timeout)) = self.activity.server.config.keep_alive {
                let silence = self.activity.server.runtime.sleep(timeout);
                self.last_times().silence = Some(silence);
            }
        }
        Step::Close
    }

    /// Ready when a client that was told is known to have gone, with the calls that it waited for.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(last) = self.last.as_deref_mut() else {
            return Poll::Pending;
        };
        let Some(silence) = &mut last.silence else {
            return Poll::Pending;
        };
        ready!(silence.as_mut().poll(cx));
        last.silence = None;
        // A ping behind bytes that the socket does not take has not left: the write timeout ends that.
        match self.activity.is_silent.load(Ordering::Relaxed) && !self.activity.is_blocked() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// HTTP/1.1: whether a part of a request's head is there.
    fn is_receiving(&self) -> bool {
        let (open, _) = self.activity.calls();
        matches!(self.version, LifetimeVersion::Http1(_))
            && open == 0
            && self.activity.has_received.load(Ordering::Relaxed)
    }

    /// HTTP/1.1: whether the connection is to close, as the server drains.
    fn take_drained(&mut self) -> bool {
        let is_receiving = self.is_receiving();
        match &mut self.version {
            LifetimeVersion::Http1(heads) if !is_receiving => {
                std::mem::take(&mut heads.is_to_close)
            }
            LifetimeVersion::Http1(_) | LifetimeVersion::Http2 => false,
        }
    }

    /// Ready when a head took too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let is_receiving = self.is_receiving();
        let LifetimeVersion::Http1(heads) = &mut self.version else {
            return Poll::Pending;
        };
        if !is_receiving {
            heads.timeout = None;
            return Poll::Pending;
        }
        let ServerContext {
            runtime, config, ..
        } = &*self.activity.server;
        let timeout = &mut heads.timeout;
        let timeout = timeout.get_or_insert_with(|| runtime.sleep(config.header_read_timeout));
        timeout.as_mut().poll(cx)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let ServerContext {
                runtime, config, ..
            } = &*self.activity.server;
            let pause = match (self.is_closing, self.is_waiting) {
                (false, _) => config.idle_timeout,
                (true, false) => config.idle_timeout.min(CLOSE_TIMEOUT),
                (true, true) => config.write_timeout,
            };
            let next = self.next_look.get_or_insert_with(|| runtime.sleep(pause));
            if next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.next_look = None;
            let now = self.idle_calls();
            let before = std::mem::replace(&mut self.seen, now);
            if now.is_none() || now != before {
                self.is_waiting = false;
                continue;
            }
            if !self.is_closing {
                return Poll::Ready(self.close());
            }
            // HTTP/2 ends by itself when its last stream has ended. One of a client that is there may wait for its window, as
            // long as for a write.
            let is_http1 = matches!(self.version, LifetimeVersion::Http1(_));
            if is_http1 || self.is_waiting || self.activity.is_silent.load(Ordering::Relaxed) {
                return Poll::Ready(Step::End);
            }
            self.is_waiting = true;
        }
    }

    /// How many calls have begun so far, on a connection that is idle now.
    fn idle_calls(&self) -> Option<usize> {
        let (open, begun) = self.activity.calls();
        let is_busy = open > 0 || self.activity.is_blocked() || self.is_receiving();
        (!is_busy).then_some(begun)
    }
}
