//! The policy for timeouts, and what the headers `grpc-timeout` and `connect-timeout-ms` have in common.
//!
//! Each protocol reads and writes its own header.

use std::time::Duration;

use http::HeaderValue;

use crate::{Error, excerpt::excerpt};

/// How long a side lets calls take: bounds for what the caller asks, and a default.
///
/// On a server it applies to what the client requested, on a client to the option of the call. Without any
/// setting a requested timeout is taken as it is, and a call without one may take for ever.
///
/// ```
/// use std::time::Duration;
/// use connect_proto::DeadlinePolicy;
///
/// let policy = DeadlinePolicy::default()
///     .with_default_timeout(Duration::from_secs(10))
///     .with_max(Duration::from_secs(60));
/// assert_eq!(policy.apply(None), Some(Duration::from_secs(10)));
/// assert_eq!(policy.apply(Some(Duration::from_secs(5))), Some(Duration::from_secs(5)));
/// assert_eq!(policy.apply(Some(Duration::from_secs(3600))), Some(Duration::from_secs(60)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[must_use]
pub struct DeadlinePolicy {
    min: Option<Duration>,
    max: Option<Duration>,
    default: Option<Duration>,
}

impl DeadlinePolicy {
    /// Raises shorter timeouts to this one. Default: none.
    ///
    /// It also holds for a timeout of zero, which has passed when it arrives.
    pub fn with_min(mut self, min: Duration) -> Self {
        self.min = Some(min);
        self
    }

    /// Lowers longer timeouts to this one, calls without a timeout included. Default: none.
    ///
    /// Connect, "Unary-Request": "server implementations may clamp timeouts to an appropriate maximum". It
    /// is stronger than [`with_min`](Self::with_min).
    pub fn with_max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// The timeout of calls that have none. Default: none, such calls may take for ever.
    ///
    /// The bounds apply to it as well.
    pub fn with_default_timeout(mut self, timeout: Duration) -> Self {
        self.default = Some(timeout);
        self
    }

    /// The timeout of a call for which `requested` was asked; `None` is no timeout at all, on both sides.
    #[must_use]
    pub fn apply(&self, requested: Option<Duration>) -> Option<Duration> {
        let raised = requested
            .or(self.default)
            .map(|timeout| self.min.map_or(timeout, |min| timeout.max(min)));
        match (raised, self.max) {
            (Some(timeout), Some(max)) => Some(timeout.min(max)),
            (timeout, max) => timeout.or(max),
        }
    }
}

/// A number of 1 to `max` digits, and nothing else: no sign, no space.
pub(crate) fn parse_digits(digits: &[u8], max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > max {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })
}

pub(crate) fn invalid(name: &str, value: &HeaderValue, expected: &str) -> Error {
    Error::invalid_argument(format!("{name}: {expected}, got {}", excerpt(value)))
}

/// `text` is digits and letters, so the fallback is never taken.
pub(crate) fn ascii_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests;
