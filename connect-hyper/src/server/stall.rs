//! Clients that do not take their answers, and when they are cut off.
//!
//! hyper asks an answer's body for more only when the client's window (HTTP/2) or the socket has room. So a body whose
//! client stopped reading is polled by nobody, and cannot keep its call's deadline itself. Here the connection keeps it:
//! an HTTP/2 call that waits for the window too long is dropped, which resets its stream (`placement.rs`); a connection
//! whose socket takes nothing for too long fails (`io.rs`). Only what waits has a timer.

use std::{
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Duration,
};

use connect_tower::{Deadline, Time, rt::Sleep};

use super::context::ServerContext;
use crate::runtime::Runtime;

/// How long after its deadline a call may still end in its protocol's own way, should the client read again.
const GRACE: Duration = Duration::from_millis(500);

impl<R: Runtime> ServerContext<R> {
    /// A timer for an answer that begins to wait for its client now: no longer than the write timeout, nor than the call's end.
    pub(super) fn write_timer(&self, call_end: Option<Time>) -> Sleep {
        let timeout = self.config.write_timeout;
        let Some(end) = call_end else {
            return self.runtime.sleep(timeout);
        };
        let left = end.saturating_since(self.runtime.now()).min(timeout);
        self.runtime.sleep(left)
    }

    /// The latest end of a call with this deadline, whatever its client reads.
    pub(super) fn latest_end(&self, deadline: &Deadline) -> Time {
        let left = deadline.remaining().saturating_add(GRACE);
        self.runtime.now().saturating_add(left)
    }
}

/// The end of an HTTP/1.1 connection's present call, set by the call and read by the connection's IO.
#[derive(Clone, Debug, Default)]
pub(super) struct CallEnd(Arc<Mutex<Option<Time>>>);

impl CallEnd {
    pub(super) fn set(&self, end: Option<Time>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    pub(super) fn get(&self) -> Option<Time> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The progress of one HTTP/2 call's answer: written by the service and the body, read by the future around them, with
/// hyper's own future in between.
#[derive(Debug, Default)]
pub(super) struct AnswerProgress {
    end: OnceLock<Time>,
    body: AtomicU8,
    is_answered: AtomicBool,
}

/// What an answer's body said when it was asked last.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub(super) enum BodyPoll {
    /// It was not asked since the last look.
    NotPolled = 0,
    /// It had a frame, or its end.
    Ready = 1,
    /// It had none.
    Pending = 2,
}

impl AnswerProgress {
    /// There is an answer. The call ends then, at the latest.
    pub(super) fn set_answered(&self, end: Option<Time>) {
        self.is_answered.store(true, Ordering::Relaxed);
        if let Some(end) = end {
            // An answer has one head.
            let _ = self.end.set(end);
        }
    }

    pub(super) fn is_answered(&self) -> bool {
        self.is_answered.load(Ordering::Relaxed)
    }

    pub(super) fn end(&self) -> Option<Time> {
        self.end.get().copied()
    }

    pub(super) fn set_body(&self, body: BodyPoll) {
        // Relaxed: one task polls all of a call.
        self.body.store(body as u8, Ordering::Relaxed);
    }

    /// What the body said since the last look.
    pub(super) fn take_body(&self) -> BodyPoll {
        let last = self.body.load(Ordering::Relaxed);
        self.set_body(BodyPoll::NotPolled);
        match last {
            0 => BodyPoll::NotPolled,
            1 => BodyPoll::Ready,
            _ => BodyPoll::Pending,
        }
    }
}
