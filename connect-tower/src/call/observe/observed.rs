//! The observers of one call, and what is counted for them.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use connect_proto::{Error, MessageSize, Time};

use pin_project_lite::pin_project;

use super::{CallEnd, CallObserver, CallStart, Observer, Traffic};
use crate::call::{
    attempts::Attempts,
    deadline::{Deadline, deadline_exceeded},
    panics::quietly,
    rt::SharedTimer,
};

/// The observers of one call, for each part of it that has something to tell.
#[derive(Clone)]
pub(crate) struct Observed(Arc<Inner>);

struct Inner {
    observers: Vec<Box<dyn CallObserver>>,
    timer: Option<SharedTimer>,
    began: Time,
    deadline: OnceLock<Deadline>,
    /// Why the call fails, as soon as that is known.
    error: OnceLock<Error>,
    has_ended: AtomicBool,
    attempts: Mutex<Attempts>,
    sent: Counters,
    received: Counters,
}

impl Observed {
    /// Lets observers begin a call; `None` if none of them wants to know more.
    pub(crate) fn begin(
        observers: &[Arc<dyn Observer>],
        start: &mut CallStart<'_>,
        timer: Option<SharedTimer>,
    ) -> Option<CallGuard> {
        let began = timer.as_ref().map_or(Time::ZERO, |timer| timer.now());
        let begin = |observer: &Arc<dyn Observer>| quietly(|| observer.begin(start)).flatten();
        let observers: Vec<_> = observers.iter().filter_map(begin).collect();
        if observers.is_empty() {
            return None;
        }
        Some(CallGuard(Self(Arc::new(Inner {
            observers,
            timer,
            began,
            deadline: OnceLock::new(),
            error: OnceLock::new(),
            has_ended: AtomicBool::new(false),
            attempts: Mutex::default(),
            sent: Counters::default(),
            received: Counters::default(),
        }))))
    }

    /// Runs work in the scope of every observer, the first one's outermost.
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut work = Some(work);
        let mut output = None;
        // A panic of the work is no business of the observers.
        let mut run = || {
            if let Some(work) = work.take() {
                output = Some(catch_unwind(AssertUnwindSafe(work)));
            }
        };
        quietly(|| enter(&self.0.observers, &mut run));
        // For one that has not run it.
        run();
        match output {
            Some(Ok(output)) => output,
            Some(Err(panic)) => resume_unwind(panic),
            None => unreachable!("the work was run"),
        }
    }

    pub(crate) fn attempt(&self, attempts: Attempts) {
        {
            let mut known = self.0.attempts();
            *known = known.most(attempts);
        }
        self.tell(|observer| observer.attempt(attempts));
    }

    pub(crate) fn sent(&self, size: MessageSize) {
        self.0.sent.add(size);
        self.tell(|observer| observer.sent(size));
    }

    pub(crate) fn received(&self, size: MessageSize) {
        self.0.received.add(size);
        self.tell(|observer| observer.received(size));
    }

    /// Sets the deadline that says why the call was dropped.
    pub(crate) fn set_deadline(&self, deadline: &Deadline) {
        let _ = self.0.deadline.set(deadline.clone());
    }

    /// The call will end with this error. The first one counts.
    pub(crate) fn fail(&self, error: Error) {
        let _ = self.0.error.set(error);
    }

    /// Ends the call, unless it has ended: with success if nothing has failed.
    fn end(&self, dropped: bool) {
        let inner = &*self.0;
        if inner.has_ended.swap(true, Ordering::Relaxed) {
            return;
        }
        let now = inner.timer.as_ref().map(|timer| timer.now());
        let end = CallEnd {
            error: inner.error.get(),
            dropped,
            duration: now.map(|now| now.saturating_since(inner.began)),
            attempts: *inner.attempts(),
            sent: inner.sent.total(),
            received: inner.received.total(),
        };
        self.tell(|observer| observer.end(&end));
    }

    fn tell(&self, tell: impl Fn(&dyn CallObserver)) {
        for observer in &self.0.observers {
            quietly(|| tell(&**observer));
        }
    }
}

impl Inner {
    fn attempts(&self) -> MutexGuard<'_, Attempts> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn enter(observers: &[Box<dyn CallObserver>], work: &mut dyn FnMut()) {
    match observers.split_first() {
        Some((first, rest)) => first.in_scope(&mut || enter(rest, work)),
        None => work(),
    }
}

/// Ends an observed call: by one of its methods, or as a dropped one.
pub(crate) struct CallGuard(Observed);

impl CallGuard {
    pub(crate) fn observed(&self) -> &Observed {
        &self.0
    }

    /// Ends the call with this outcome, unless something has failed before.
    pub(crate) fn end(&self, outcome: Result<(), &Error>) {
        if let Err(error) = outcome {
            self.0.fail(error.clone());
        }
        self.0.end(false);
    }

    /// Ends the call as one that was dropped.
    pub(crate) fn end_dropped(&self) {
        let inner = &*self.0.0;
        if inner.has_ended.load(Ordering::Relaxed) {
            return;
        }
        let late = inner.deadline.get().is_some_and(Deadline::has_passed);
        self.0.fail(match late {
            true => deadline_exceeded(),
            false => Error::canceled("the call was dropped before its end"),
        });
        self.0.end(true);
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        self.end_dropped();
    }
}

/// Runs work in the scope of a call's observers, if it has any.
pub(crate) fn in_scope<T>(call: Option<&CallGuard>, work: impl FnOnce() -> T) -> T {
    match call {
        Some(call) => call.observed().in_scope(work),
        None => work(),
    }
}

pin_project! {
    /// Polls a future in the scope of a call's observers, if it has any.
    pub(crate) struct InScope<'a, F> {
        call: Option<&'a CallGuard>,
        #[pin]
        future: F,
    }
}

impl<'a, F: Future> InScope<'a, F> {
    pub(crate) fn new(call: Option<&'a CallGuard>, future: F) -> Self {
        Self { call, future }
    }
}

impl<F: Future> Future for InScope<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        in_scope(*this.call, || this.future.poll(cx))
    }
}

/// What went one way.
#[derive(Default)]
struct Counters {
    messages: AtomicU64,
    encoded_bytes: AtomicU64,
    wire_bytes: AtomicU64,
}

impl Counters {
    fn add(&self, size: MessageSize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        let (encoded, wire) = (size.encoded() as u64, size.wire() as u64);
        self.encoded_bytes.fetch_add(encoded, Ordering::Relaxed);
        self.wire_bytes.fetch_add(wire, Ordering::Relaxed);
    }

    fn total(&self) -> Traffic {
        Traffic {
            messages: self.messages.load(Ordering::Relaxed),
            encoded_bytes: self.encoded_bytes.load(Ordering::Relaxed),
            wire_bytes: self.wire_bytes.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for Observed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("observers", &self.0.observers.len())
            .finish_non_exhaustive()
    }
}
