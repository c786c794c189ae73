//! How long a connection lives: how long without calls, how long for a head, up to which age, for how many requests.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use connect_tower::rt::Sleep;

use super::{
    config::Config,
    drain::OpenConnection,
    floods::{CanceledCalls, Flood},
};
use crate::runtime::{Runtime, vary};

/// What a connection does, told by its calls and its IO. The connection is open while one of its calls is, wherever it runs.
#[derive(Debug)]
pub(super) struct Activity {
    open: AtomicUsize,
    begun: AtomicUsize,
    max_requests: usize,
    /// The client is to use another connection for its next calls.
    is_last: AtomicBool,
    /// Bytes came since the last call began or ended. On HTTP/1.1 they are of a head.
    has_received: AtomicBool,
    /// Calls that ended before they had an answer.
    canceled: AtomicUsize,
    flood: OnceLock<Flood>,
    _connection: OpenConnection,
}

impl Activity {
    pub(super) fn new(connection: OpenConnection, config: &Config) -> Arc<Self> {
        Arc::new(Self {
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            max_requests: config.max_requests_per_connection.unwrap_or(usize::MAX),
            is_last: AtomicBool::new(false),
            has_received: AtomicBool::new(false),
            canceled: AtomicUsize::new(0),
            flood: OnceLock::new(),
            _connection: connection,
        })
    }

    /// The number of calls that are open, and of those that ever began.
    fn calls(&self) -> (usize, usize) {
        let open = self.open.load(Ordering::Relaxed);
        (open, self.begun.load(Ordering::Relaxed))
    }

    pub(super) fn set_received(&self, received: bool) {
        self.has_received.store(received, Ordering::Relaxed);
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

/// One call, open until this is dropped.
#[derive(Debug)]
pub(super) struct ActiveCall(Arc<Activity>);

impl ActiveCall {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.set_received(false);
        activity.open.fetch_add(1, Ordering::Relaxed);
        let before = activity.begun.fetch_add(1, Ordering::Relaxed);
        if before + 1 >= activity.max_requests {
            activity.set_last();
        }
        Self(Arc::clone(activity))
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

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.set_received(false);
        self.0.open.fetch_sub(1, Ordering::Relaxed);
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
    runtime: R,
    activity: Arc<Activity>,
    version: LifetimeVersion,
    config: Arc<Config>,
    /// How many calls had begun at the last look.
    seen: usize,
    next_look: Option<Sleep>,
    /// Until the connection has its age; none if there is no such.
    age: Option<Sleep>,
    /// Since the client is to use another connection: until the calls that are left are ended.
    end: Option<Sleep>,
    /// The client was told, and the connection ends when it is idle.
    is_closing: bool,
    canceled: CanceledCalls,
}

/// What differs between the versions.
pub(super) enum LifetimeVersion {
    /// A client is told in the next answer, and has a time for each head.
    Http1 {
        /// While a part of a head is there.
        head: Option<Sleep>,
    },
    /// A client is told by a GOAWAY.
    Http2,
}

/// What a client has to close a connection that was idle.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl<R: Runtime> Lifetime<R> {
    pub(super) fn new(
        runtime: &R,
        config: &Arc<Config>,
        activity: Arc<Activity>,
        version: LifetimeVersion,
    ) -> Self {
        let age = config.max_connection_age;
        Self {
            runtime: runtime.clone(),
            activity,
            version,
            config: Arc::clone(config),
            seen: 0,
            next_look: None,
            age: age.map(|age| runtime.sleep(vary(age, fastrand::f64()))),
            end: None,
            is_closing: false,
            canceled: CanceledCalls::default(),
        }
    }

    /// After each poll of the connection.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if self.poll_head(cx).is_ready() {
            return Poll::Ready(Step::End);
        }
        let canceled = self.activity.canceled.load(Ordering::Relaxed);
        let of_late = self.canceled.note(canceled, || self.runtime.now());
        if of_late > self.config.max_canceled_calls.unwrap_or(usize::MAX) {
            self.activity.set_flood(Flood::CanceledCalls);
            return Poll::Ready(Step::End);
        }
        if self.end.is_none() && self.poll_is_last(cx) {
            self.age = None;
            self.activity.set_last();
            self.end = Some(self.runtime.sleep(self.config.max_connection_age_grace));
            if let LifetimeVersion::Http2 = self.version {
                self.is_closing = true;
                return Poll::Ready(Step::Close);
            }
        }
        if let Some(end) = &mut self.end {
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

    /// Ready when a head took too long.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let LifetimeVersion::Http1 { head } = &mut self.version else {
            return Poll::Pending;
        };
        let (open, _) = self.activity.calls();
        if open > 0 || !self.activity.has_received.load(Ordering::Relaxed) {
            *head = None;
            return Poll::Pending;
        }
        head.get_or_insert_with(|| self.runtime.sleep(self.config.header_read_timeout))
            .as_mut()
            .poll(cx)
    }

    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        loop {
            let idle_timeout = self.config.idle_timeout;
            let pause = match self.is_closing {
                true => idle_timeout.min(CLOSE_TIMEOUT),
                false => idle_timeout,
            };
            let next = self
                .next_look
                .get_or_insert_with(|| self.runtime.sleep(pause));
            if next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.next_look = None;
            let (open, begun) = self.activity.calls();
            let idle = open == 0 && begun == self.seen;
            self.seen = begun;
            if idle {
                let was_closing = std::mem::replace(&mut self.is_closing, true);
                return Poll::Ready(if was_closing { Step::End } else { Step::Close });
            }
        }
    }
}
