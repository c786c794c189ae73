//! A limit that finds its own number: additive increase, multiplicative decrease.

use std::time::Duration;

use connect_proto::Time;

/// How a [`ConcurrencyLimit`](crate::ConcurrencyLimit) finds out how many calls the server can run at once: by how long the
/// handlers of unary calls take, interceptors included. How long clients take to send their messages and to read their
/// answers does not count.
///
/// While they take no longer than a target and the limit is in use, it grows, by one for as many calls as run at once. When
/// one takes longer it shrinks by a tenth, at most once for the calls that ran together; one that its client gave up says
/// nothing unless it had taken longer already. Streams count as running, but how long they last says nothing. Time is that of the router's timer; without one, no call seems to take long.
///
/// ```
/// use std::time::Duration;
///
/// use connect_tower::{AdaptiveLimit, ConcurrencyLimit};
///
/// let limit = ConcurrencyLimit::adaptive(
///     AdaptiveLimit::new(Duration::from_millis(100)).with_max(500),
/// );
/// assert_eq!(limit.limit(), 20);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveLimit {
    target: Duration,
    initial: usize,
    min: usize,
    max: usize,
}

impl AdaptiveLimit {
    /// A limit of 20 calls to begin with, never under 1 and never over 1,000, that keeps unary calls below this latency: a
    /// few times what they take when the server has little to do.
    #[must_use]
    pub const fn new(target: Duration) -> Self {
        Self {
            target,
            initial: 20,
            min: 1,
            max: 1000,
        }
    }

    /// How many calls may run at first. Default: 20, or the nearest that minimum and maximum allow.
    #[must_use]
    pub const fn with_initial(mut self, calls: usize) -> Self {
        self.initial = calls;
        self
    }

    /// How many calls may run however long they take. Default: 1, and at least that.
    #[must_use]
    pub const fn with_min(mut self, calls: usize) -> Self {
        self.min = if calls == 0 { 1 } else { calls };
        self
    }

    /// How many calls may run at most. Default: 1,000; at least the minimum.
    #[must_use]
    pub const fn with_max(mut self, calls: usize) -> Self {
        self.max = calls;
        self
    }

    /// See [`new`](Self::new).
    #[must_use]
    pub const fn target(&self) -> Duration {
        self.target
    }

    /// See [`with_initial`](Self::with_initial).
    #[must_use]
    pub const fn initial(&self) -> usize {
        self.initial
    }

    /// See [`with_min`](Self::with_min).
    #[must_use]
    pub const fn min(&self) -> usize {
        self.min
    }

    /// See [`with_max`](Self::with_max).
    #[must_use]
    pub const fn max(&self) -> usize {
        self.max
    }
}

/// How many calls may run at once.
#[derive(Debug)]
pub(crate) enum Limit {
    Fixed(usize),
    Adaptive(Aimd),
}

#[derive(Debug)]
pub(crate) struct Aimd {
    target: Duration,
    min: f64,
    max: f64,
    limit: f64,
    /// When the limit was last lowered: calls that began before say nothing new.
    lowered: Option<Time>,
}

impl Limit {
    pub(crate) fn adaptive(settings: AdaptiveLimit) -> Self {
        let min = settings.min as f64;
        let max = (settings.max as f64).max(min);
        Self::Adaptive(Aimd {
            target: settings.target,
            min,
            max,
            limit: (settings.initial as f64).clamp(min, max),
            lowered: None,
        })
    }

    pub(crate) fn get(&self) -> usize {
        match self {
            Self::Fixed(calls) => *calls,
            Self::Adaptive(aimd) => aimd.limit as usize,
        }
    }

    /// Learns from a handler, one of so many that were running.
    pub(crate) fn learn(&mut self, took: &Took, running: usize) {
        if let Self::Adaptive(aimd) = self {
            aimd.learn(took, running as f64);
        }
    }
}

/// How long a handler took.
#[derive(Debug)]
pub(crate) struct Took {
    pub(crate) began: Time,
    pub(crate) ended: Time,
    /// It was not dropped before.
    pub(crate) is_answered: bool,
}

impl Aimd {
    fn learn(&mut self, took: &Took, running: f64) {
        let &Took {
            began,
            ended,
            is_answered,
        } = took;
        if ended.saturating_since(began) > self.target {
            if self.lowered.is_none_or(|at| began >= at) {
                self.limit = (self.limit * 0.9).max(self.min);
                self.lowered = Some(ended);
            }
        // A limit that nobody comes near says nothing about a larger one.
        } else if is_answered && running * 2.0 >= self.limit {
            self.limit = (self.limit + 1.0 / self.limit).min(self.max);
        }
    }
}
