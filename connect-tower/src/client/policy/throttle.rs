//! A budget for retries and hedges: none while too many attempts fail.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many retries and hedges there may be beside calls that succeed: gRFC A6, "Throttling Retry Attempts and Hedged RPCs".
///
/// A client has so many tokens. An attempt that fails with a code of its policy takes one, a call that succeeds gives back a
/// fraction of one. While no more than half of them are left, nothing is retried and no hedge is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryThrottle {
    max_tokens: f64,
    token_ratio: f64,
}

impl RetryThrottle {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_tokens: 100.0,
            token_ratio: 0.1,
        }
    }

    /// How many tokens there are at most, and at first: above 0, up to 1,000; the nearest counts. Default: 100.
    #[must_use]
    pub fn with_max_tokens(mut self, tokens: f64) -> Self {
        self.max_tokens = clamp(tokens);
        self
    }

    /// Which part of a token a call gives back that succeeds: at least a thousandth, up to 1,000; the nearest counts.
    /// Default: 0.1.
    #[must_use]
    pub fn with_token_ratio(mut self, ratio: f64) -> Self {
        self.token_ratio = clamp(ratio);
        self
    }

    /// Set by [`with_max_tokens`](Self::with_max_tokens).
    #[must_use]
    pub fn max_tokens(&self) -> f64 {
        self.max_tokens
    }

    /// Set by [`with_token_ratio`](Self::with_token_ratio).
    #[must_use]
    pub fn token_ratio(&self) -> f64 {
        self.token_ratio
    }
}

impl Default for RetryThrottle {
    fn default() -> Self {
        Self::new()
    }
}

/// gRFC A6, "Throttling Configuration": at most 1,000 tokens, and three digits after the point.
fn clamp(number: f64) -> f64 {
    match number.is_nan() {
        true => 0.001,
        false => number.clamp(0.001, 1_000.0),
    }
}

/// The tokens of a client.
#[derive(Debug)]
pub(crate) struct Budget {
    throttle: RetryThrottle,
    tokens: Mutex<f64>,
}

impl Budget {
    pub(crate) fn new(throttle: RetryThrottle) -> Self {
        Self {
            throttle,
            tokens: Mutex::new(throttle.max_tokens),
        }
    }

    /// Whether there may be another attempt.
    pub(crate) fn allows(&self) -> bool {
        *self.lock() > self.throttle.max_tokens / 2.0
    }

    pub(crate) fn failed(&self) {
        let mut tokens = self.lock();
        *tokens = (*tokens - 1.0).max(0.0);
    }

    pub(crate) fn succeeded(&self) {
        let mut tokens = self.lock();
        *tokens = (*tokens + self.throttle.token_ratio).min(self.throttle.max_tokens);
    }

    fn lock(&self) -> MutexGuard<'_, f64> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
