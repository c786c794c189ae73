//! Load: how many calls run at once, which wait, and how the rest are refused.

pub(crate) mod adaptive;
mod queue;

use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use connect_proto::{CallPolicy, Code, Error, Protocol, Spec, StreamType};

use self::{
    adaptive::{AdaptiveLimit, Limit},
    queue::{Entry, Permit, Queue, Waiting},
};
use crate::{
    call::rt::SharedTimer,
    server::gate::{CallHead, Gate},
};

/// A [`Gate`] that lets so many calls run at once, and refuses the rest before a byte of their bodies is read.
///
/// A call runs until the last of its response was taken, or it was dropped. What is refused learns that it may come again,
/// and when: its error is `unavailable`, with `grpc-retry-pushback-ms` in gRPC and gRPC-Web (gRFC A6, "Pushback") and
/// `retry-after` in Connect (RFC 9110, section 10.2.3).
///
/// It limits what it stands before: a router, a service that was [merged](crate::Router::merge) with a limit of its own, or,
/// by a [filter](Self::with_filter), some methods. Clones share the number: one in each of two services'
/// routers limits both together. A call that passes the same limit twice counts twice.
///
/// ```
/// use std::time::Duration;
///
/// use connect_tower::{ConcurrencyLimit, Router};
///
/// let limit = ConcurrencyLimit::new(200)
///     .with_queue(100, Duration::from_millis(500))
///     // Health checks and reflection pass: who is refused one takes a busy server for a dead one.
///     .with_filter(|spec| !spec.service().starts_with("grpc."));
/// let router = Router::new().add_gate(limit.clone());
/// assert_eq!((limit.running(), limit.waiting(), limit.limit()), (0, 0, 200));
/// ```
#[derive(Clone)]
pub struct ConcurrencyLimit {
    queue: Arc<Queue>,
    max_waiting: usize,
    max_wait: Duration,
    code: Code,
    pushback: Option<Duration>,
    filter: Option<Arc<Filter>>,
}

type Filter = dyn Fn(&Spec) -> bool + Send + Sync;

impl ConcurrencyLimit {
    /// Lets so many calls run at once; at least 1.
    #[must_use]
    pub fn new(calls: usize) -> Self {
        Self::of(Limit::Fixed(calls.max(1)))
    }

    /// Lets as many calls run at once as the server has time for.
    #[must_use]
    pub fn adaptive(limit: AdaptiveLimit) -> Self {
        Self::of(Limit::adaptive(limit))
    }

    fn of(limit: Limit) -> Self {
        Self {
            queue: Queue::new(limit),
            max_waiting: 0,
            max_wait: Duration::ZERO,
            code: Code::Unavailable,
            pushback: Some(Duration::from_secs(1)),
            filter: None,
        }
    }

    /// Lets so many calls wait for their turn, first come, first served, each for so long and no longer than its own deadline.
    /// Default: none waits.
    ///
    /// A queue takes up bursts. It should be short: who waits in a long one has gone when its turn comes. Without a
    /// [timer](crate::Router::with_timer) nothing ends the wait but a turn.
    #[must_use]
    pub fn with_queue(mut self, calls: usize, max_wait: Duration) -> Self {
        self.max_waiting = calls;
        self.max_wait = max_wait;
        self
    }

    /// The code of the error of refused calls. Default: `unavailable`, as gRPC's servers and proxies answer under load, which
    /// clients try again; `resource_exhausted` speaks of a quota of the caller's.
    #[must_use]
    pub fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }

    /// When clients may come again whose calls were refused; `None` says nothing. Each is told a time between a half and one and
    /// a half of this, so that they do not come back together; in Connect in whole seconds, rounded up. Default: 1 second.
    #[must_use]
    pub fn with_pushback(mut self, pushback: impl Into<Option<Duration>>) -> Self {
        self.pushback = pushback.into();
        self
    }

    /// Limits only the calls of these procedures; all others pass, and do not count. Default: all are limited.
    #[must_use]
    pub fn with_filter(mut self, filter: impl Fn(&Spec) -> bool + Send + Sync + 'static) -> Self {
        self.filter = Some(Arc::new(filter));
        self
    }

    /// How many calls may wait, and how long; see [`with_queue`](Self::with_queue).
    #[must_use]
    pub fn queue(&self) -> (usize, Duration) {
        (self.max_waiting, self.max_wait)
    }

    /// See [`with_code`](Self::with_code).
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// See [`with_pushback`](Self::with_pushback).
    #[must_use]
    pub fn pushback(&self) -> Option<Duration> {
        self.pushback
    }

    /// How many calls may run at once, at this moment.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.queue.limit()
    }

    /// How many calls run, at this moment.
    #[must_use]
    pub fn running(&self) -> usize {
        self.queue.running()
    }

    /// How many calls wait, at this moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.waiting()
    }

    async fn admit(&self, head: &CallHead) -> Result<Permit, Error> {
        match self.queue.enter(self.max_waiting) {
            Entry::Runs(permit) => Ok(permit),
            Entry::Waits(waiting) => match wait(waiting, self.max_wait, head.timer()).await {
                Some(permit) => Ok(permit),
                None => {
                    let message = format!(
                        "the server is busy: the call has waited {:?} for its turn; try again later",
                        self.max_wait
                    );
                    Err(self.refusal(message, head.protocol(), self.queue.refuse()))
                }
            },
            Entry::Refused(before) => {
                let message = format!(
                    "the server is busy: it runs {} calls at once, and {} may wait; try again later",
                    self.limit(),
                    self.max_waiting
                );
                Err(self.refusal(message, head.protocol(), before))
            }
        }
    }

    /// The error of a call before which so many were refused.
    fn refusal(&self, message: String, protocol: Protocol, before: u64) -> Error {
        let error = Error::new(self.code, message);
        let Some(pushback) = self.pushback else {
            return error;
        };
        let pushback = spread(pushback, before);
        let added = match protocol {
            Protocol::Connect => {
                let seconds = pushback.as_secs() + u64::from(pushback.subsec_nanos() > 0);
                error.add_header("retry-after", seconds)
            }
            Protocol::Grpc | Protocol::GrpcWeb => {
                // gRPC's libraries read 32 bits.
                let millis = pushback.as_millis().min(i32::MAX as u128) as u64;
                error.add_header("grpc-retry-pushback-ms", millis)
            }
        };
        // Numbers are valid values, so neither fails.
        added.unwrap_or_else(|error| error)
    }
}

/// Between a half and one and a half of a duration: far from what those just before got. Multiples of the golden ratio spread
/// evenly, however many there are.
fn spread(duration: Duration, number: u64) -> Duration {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let fraction = (number.wrapping_mul(GOLDEN) >> 32) as u32;
    let more = (duration.as_nanos() * u128::from(fraction)) >> 32;
    let more = Duration::from_nanos(u64::try_from(more).unwrap_or(u64::MAX));
    (duration / 2).saturating_add(more)
}

/// The turn of a call, if it comes in time.
async fn wait(waiting: Waiting, max: Duration, timer: &SharedTimer) -> Option<Permit> {
    let mut waiting = pin!(waiting);
    let mut sleep = timer.sleep(max);
    poll_fn(|cx| match waiting.as_mut().poll(cx) {
        Poll::Ready(permit) => Poll::Ready(Some(permit)),
        Poll::Pending => sleep.as_mut().poll(cx).map(|()| None),
    })
    .await
}

impl Gate for ConcurrencyLimit {
    async fn gate(&self, head: &mut CallHead, _: &mut CallPolicy) -> Result<(), Error> {
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter(head.spec()))
        {
            return Ok(());
        }
        let mut permit = self.admit(head).await?;
        if head.spec().stream_type() == StreamType::Unary {
            permit = permit.measured(head.timer());
        }
        head.permits.add(permit);
        Ok(())
    }
}

impl fmt::Debug for ConcurrencyLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConcurrencyLimit")
            .field("limit", &self.limit())
            .field("running", &self.running())
            .field("waiting", &self.waiting())
            .field("queue", &self.queue())
            .field("code", &self.code)
            .field("pushback", &self.pushback)
            .finish_non_exhaustive()
    }
}
