//! Timeouts on the wire, `grpc-timeout` and `connect-timeout-ms`, and the policy for them.
//!
//! Not here: the deadline that a timeout leads to, which is a point in time.

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

/// How much more time a client may have than its `connect-timeout-ms` says: it counts whole milliseconds, and clients may
/// leave out the rest. Zero is no rest of anything: that call has no time left.
pub(crate) const fn connect_rounding(timeout: Duration) -> Duration {
    if timeout.is_zero() {
        Duration::ZERO
    } else {
        Duration::from_millis(1)
    }
}

/// Reads `grpc-timeout`.
///
/// gRPC, "Requests": `TimeoutValue` is a "positive integer as ASCII string of at most 8 digits",
/// followed by a unit. Zero is taken as well, as peers do: that call has no time left. The largest value,
/// 99999999 hours, fits a [`Duration`].
pub(crate) fn parse_grpc(value: &HeaderValue) -> Result<Duration, Error> {
    let duration = value.as_bytes().split_last().and_then(|(unit, digits)| {
        let amount = parse_digits(digits, 8)?;
        Some(match unit {
            b'H' => Duration::from_secs(amount * 3600),
            b'M' => Duration::from_secs(amount * 60),
            b'S' => Duration::from_secs(amount),
            b'm' => Duration::from_millis(amount),
            b'u' => Duration::from_micros(amount),
            b'n' => Duration::from_nanos(amount),
            _ => return None,
        })
    });
    duration.ok_or_else(|| {
        invalid(
            "grpc-timeout",
            value,
            "expected 1 to 8 digits and a unit out of H, M, S, m, u, n",
        )
    })
}

/// Reads `connect-timeout-ms`.
///
/// Connect, "Unary-Request": `Timeout-Milliseconds` is a "positive integer as ASCII string of at most 10
/// digits". Zero is taken as well: that call has no time left.
pub(crate) fn parse_connect(value: &HeaderValue) -> Result<Duration, Error> {
    parse_digits(value.as_bytes(), 10)
        .map(Duration::from_millis)
        .ok_or_else(|| invalid("connect-timeout-ms", value, "expected 1 to 10 digits"))
}

/// Writes `grpc-timeout` in the finest unit that 8 digits allow.
///
/// It rounds up, so that the peer never gives up before this side does: by less than one part in 100,000,
/// and the largest value is 99999999 hours. Only zero is written as zero.
pub(crate) fn format_grpc(timeout: Duration) -> HeaderValue {
    const UNITS: [(u128, char); 6] = [
        (1, 'n'),
        (1_000, 'u'),
        (1_000_000, 'm'),
        (1_000_000_000, 'S'),
        (60_000_000_000, 'M'),
        (3_600_000_000_000, 'H'),
    ];
    const MAX: u128 = 99_999_999;

    let nanos = timeout.as_nanos();
    let (amount, unit) = UNITS
        .into_iter()
        .map(|(size, unit)| (nanos.div_ceil(size), unit))
        .find(|(amount, _)| *amount <= MAX)
        .unwrap_or((MAX, 'H'));
    ascii_value(&format!("{amount}{unit}"))
}

/// Writes `connect-timeout-ms`, rounded up to whole milliseconds and at most 9999999999 of them.
pub(crate) fn format_connect(timeout: Duration) -> HeaderValue {
    let millis = timeout.as_nanos().div_ceil(1_000_000).min(9_999_999_999);
    ascii_value(&millis.to_string())
}

/// A number of 1 to `max` digits, and nothing else: no sign, no space.
fn parse_digits(digits: &[u8], max: usize) -> Option<u64> {
    if digits.is_empty() || digits.len() > max {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| {
        digit
            .is_ascii_digit()
            .then(|| number * 10 + u64::from(digit - b'0'))
    })
}

fn invalid(name: &str, value: &HeaderValue, expected: &str) -> Error {
    Error::invalid_argument(format!("{name}: {expected}, got {}", excerpt(value)))
}

/// `text` is digits and letters, so the fallback is never taken.
fn ascii_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests;
