//! How long an HTTP/2 connection lives without calls.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use connect_tower::rt::Sleep;

use super::drain::OpenConnection;
use crate::runtime::Runtime;

/// The calls of an HTTP/2 connection, counted. The connection is open while one of them is, wherever it runs.
#[derive(Debug)]
pub(super) struct Activity {
    open: AtomicUsize,
    begun: AtomicUsize,
    _connection: OpenConnection,
}

impl Activity {
    pub(super) fn new(connection: OpenConnection) -> Self {
        Self {
            open: AtomicUsize::new(0),
            begun: AtomicUsize::new(0),
            _connection: connection,
        }
    }

    /// The number of calls that are open, and of those that ever began.
    fn calls(&self) -> (usize, usize) {
        let open = self.open.load(Ordering::Relaxed);
        (open, self.begun.load(Ordering::Relaxed))
    }
}

/// One call, open until this is dropped.
#[derive(Debug)]
pub(super) struct ActiveCall(Arc<Activity>);

impl ActiveCall {
    pub(super) fn new(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for ActiveCall {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Finds out that an HTTP/2 connection has had no call for a while. A look now and then, so that calls pay no timer.
pub(super) struct IdleWatch<R> {
    runtime: R,
    timeout: Duration,
    activity: Arc<Activity>,
    /// How many calls had begun at the last look.
    seen: usize,
    next: Option<Sleep>,
    closing: bool,
}

/// What to do with a connection without calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Idle {
    /// Tell the client that it ends.
    Close,
    /// End it: the client got a GOAWAY and did nothing.
    End,
}

/// What a client has to close a connection that was idle.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl<R: Runtime> IdleWatch<R> {
    pub(super) fn new(runtime: &R, timeout: Duration, activity: Arc<Activity>) -> Self {
        Self {
            runtime: runtime.clone(),
            timeout,
            activity,
            seen: 0,
            next: None,
            closing: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Idle> {
        loop {
            let pause = match self.closing {
                true => self.timeout.min(CLOSE_TIMEOUT),
                false => self.timeout,
            };
            let next = self.next.get_or_insert_with(|| self.runtime.sleep(pause));
            if next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.next = None;
            let (open, begun) = self.activity.calls();
            let idle = open == 0 && begun == self.seen;
            self.seen = begun;
            if idle {
                let was_closing = std::mem::replace(&mut self.closing, true);
                return Poll::Ready(if was_closing { Idle::End } else { Idle::Close });
            }
        }
    }
}
