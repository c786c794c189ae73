//! A call's deadline, and waiting no longer than it.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    mem,
    pin::{Pin, pin},
    task::{Context, Poll},
    time::Duration,
};

use connect_proto::{Error, Time};

use crate::call::rt::{SharedTimer, Sleep};

/// The point in time at which a call ends by itself.
///
/// A router leaves it in the extensions of responses that their client may be slow to take, for the HTTP server to see; a client
/// in those of requests, for the transport.
///
/// A handler reads from it how much time is left, and hands it on to the calls that it makes itself:
///
/// ```
/// use connect_tower::Request;
///
/// # fn of_the_incoming_call() -> Request<()> { Request::new(()) }
/// let incoming = of_the_incoming_call();
/// let outgoing = Request::new(String::from("downstream")).with_deadline(incoming.deadline().cloned());
/// ```
///
/// A client hands it on by itself if [asked to](crate::Client::with_deadline_propagation).
#[derive(Clone, Debug)]
pub struct Deadline {
    at: Time,
    timer: SharedTimer,
}

impl Deadline {
    /// A deadline at this time of the timer's.
    #[must_use]
    pub fn new(at: Time, timer: SharedTimer) -> Self {
        Self { at, timer }
    }

    /// The deadline of a call; none for the end of time, as no timer can wake that late.
    pub(crate) fn at_time(at: Time, timer: &SharedTimer) -> Option<Self> {
        (at < Time::MAX).then(|| Self::new(at, timer.clone()))
    }

    /// A deadline this long after now.
    #[must_use]
    pub fn after(timeout: Duration, timer: SharedTimer) -> Self {
        Self::new(timer.now().saturating_add(timeout), timer)
    }

    /// The deadline of the call that is being served here: by the gate, the interceptor, the handler or the response stream
    /// that asks. `None` if that call has none, and elsewhere.
    ///
    /// Nobody else can know it: a task that a handler spawns is polled by its runtime. Read it before, and take it along:
    ///
    /// ```
    /// use connect_tower::{Deadline, Request};
    ///
    /// # fn spawn(task: impl Future<Output = ()>) {}
    /// let deadline = Deadline::current();
    /// spawn(async move {
    ///     let outgoing = Request::new(String::from("downstream")).with_deadline(deadline);
    ///     // …
    /// });
    /// ```
    #[must_use]
    pub fn current() -> Option<Self> {
        // The value is gone while its thread ends.
        CURRENT.try_with(|current| current.borrow().clone()).ok()?
    }

    /// The present time of the timer that measures it.
    pub(crate) fn now(&self) -> Time {
        self.timer.now()
    }

    /// The time, counted from the epoch of the timer that measures it.
    #[must_use]
    pub fn at(&self) -> Time {
        self.at
    }

    /// How much time is left; zero once the deadline has passed.
    #[must_use]
    pub fn remaining(&self) -> Duration {
        self.at.saturating_since(self.timer.now())
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn has_passed(&self) -> bool {
        self.timer.now() >= self.at
    }

    /// Ready when the deadline has passed.
    pub async fn passed(&self) {
        let mut deadline_timer = DeadlineTimer::new(self.clone());
        poll_fn(|cx| deadline_timer.poll(cx)).await;
    }
}

thread_local! {
    /// That of the call whose code is being polled on this thread.
    static CURRENT: RefCell<Option<Deadline>> = const { RefCell::new(None) };
}

/// The deadline of a call, or that it has none, while its code runs. Calls nest, where one is served in the process of its
/// client.
pub(crate) struct CallScope(Option<Deadline>);

impl CallScope {
    pub(crate) fn new(deadline: Option<Deadline>) -> Self {
        Self(deadline)
    }

    /// Runs a piece of the call's code, which must not panic.
    pub(crate) fn enter<T>(&mut self, work: impl FnOnce() -> T) -> T {
        // The two change places, so that no count of the timer's owners changes with each poll.
        self.swap();
        let output = work();
        self.swap();
        output
    }

    /// Runs a part of the call that waits.
    pub(crate) async fn run<F: Future + Unpin>(mut self, mut future: F) -> F::Output {
        poll_fn(|cx| self.enter(|| Pin::new(&mut future).poll(cx))).await
    }

    fn swap(&mut self) {
        let _ = CURRENT.try_with(|current| mem::swap(&mut *current.borrow_mut(), &mut self.0));
    }
}

/// Waits for a deadline. The first poll makes the sleep, so that a call that never waits costs no timer.
pub(crate) struct DeadlineTimer {
    deadline: Deadline,
    sleep: Option<Sleep>,
}

impl DeadlineTimer {
    pub(crate) fn new(deadline: Deadline) -> Self {
        Self {
            deadline,
            sleep: None,
        }
    }

    /// A timer for a deadline that the core has set; none without one.
    pub(crate) fn at(deadline: Option<Time>, timer: &SharedTimer) -> Option<Self> {
        deadline
            .and_then(|at| Deadline::at_time(at, timer))
            .map(Self::new)
    }

    pub(crate) fn deadline(&self) -> &Deadline {
        &self.deadline
    }

    /// The present time if the deadline has passed.
    pub(crate) fn check(&self) -> Option<Time> {
        let now = self.deadline.timer.now();
        (now >= self.deadline.at).then_some(now)
    }

    /// Ready with the present time once the deadline has passed; may be polled again.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Time> {
        let Deadline { at, timer } = &self.deadline;
        loop {
            let sleep = self.sleep.get_or_insert_with(|| timer.sleep_until(*at));
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.sleep = None;
            let now = timer.now();
            if now >= *at {
                return Poll::Ready(now);
            }
        }
    }
}

/// Whichever comes first: the future's output, or the error of a deadline that has passed.
pub(crate) async fn within_deadline<F: Future>(
    future: F,
    mut deadline_timer: Option<&mut DeadlineTimer>,
) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    poll_fn(|cx| poll_within_deadline(future.as_mut().poll(cx), deadline_timer.as_deref_mut(), cx))
        .await
}

/// What was polled, or the error of a deadline that has passed meanwhile.
pub(crate) fn poll_within_deadline<T>(
    polled: Poll<T>,
    deadline_timer: Option<&mut DeadlineTimer>,
    cx: &mut Context<'_>,
) -> Poll<Result<T, Error>> {
    match (polled, deadline_timer) {
        (Poll::Ready(output), _) => Poll::Ready(Ok(output)),
        (Poll::Pending, Some(deadline_timer)) => {
            deadline_timer.poll(cx).map(|_| Err(deadline_exceeded()))
        }
        (Poll::Pending, None) => Poll::Pending,
    }
}

/// The error of a deadline that passes where the core has no half to say it.
pub(crate) fn deadline_exceeded() -> Error {
    Error::deadline_exceeded("the deadline passed before the call was complete")
}
