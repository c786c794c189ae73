//! Timeouts on the wire, `grpc-timeout` and `connect-timeout-ms`, and the policy for them.
//!
//! Not here: the deadline that a timeout leads to, which is a point in time.

use std::time::Duration;

use http::HeaderValue;

use crate::Error;

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
///     .default_timeout(Duration::from_secs(10))
///     .max(Duration::from_secs(60));
/// assert_eq!(policy.apply(None), Some(Duration::from_secs(10)));
/// assert_eq!(policy.apply(Some(Duration::from_secs(5))), Some(Duration::from_secs(5)));
/// assert_eq!(policy.apply(Some(Duration::from_secs(3600))), Some(Duration::from_secs(60)));
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
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
    pub fn min(mut self, min: Duration) -> Self {
        self.min = Some(min);
        self
    }

    /// Lowers longer timeouts to this one, calls without a timeout included. Default: none.
    ///
    /// Connect, "Unary-Request": "server implementations may clamp timeouts to an appropriate maximum". It
    /// is stronger than [`min`](Self::min).
    pub fn max(mut self, max: Duration) -> Self {
        self.max = Some(max);
        self
    }

    /// The timeout of calls that have none. Default: none, such calls may take for ever.
    ///
    /// The bounds apply to it as well.
    pub fn default_timeout(mut self, timeout: Duration) -> Self {
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
    /// Enough to recognise the value in a log.
    const SHOWN: usize = 32;
    let bytes = value.as_bytes();
    let shown = bytes[..bytes.len().min(SHOWN)].escape_ascii();
    let dots = if bytes.len() > SHOWN { "..." } else { "" };
    Error::invalid_argument(format!("{name}: {expected}, got \"{shown}{dots}\""))
}

/// `text` is digits and letters, so the fallback is never taken.
fn ascii_value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("0"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Code;

    const MAX_GRPC: Duration = Duration::from_secs(99_999_999 * 3600);

    fn value(bytes: &[u8]) -> HeaderValue {
        HeaderValue::from_bytes(bytes).unwrap()
    }

    /// gRPC, "Requests": Timeout, TimeoutValue, TimeoutUnit.
    #[test]
    fn grpc_timeouts_are_read() {
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("2M", Duration::from_secs(120)),
            ("3S", Duration::from_secs(3)),
            ("4m", Duration::from_millis(4)),
            ("5u", Duration::from_micros(5)),
            ("6n", Duration::from_nanos(6)),
            ("0S", Duration::ZERO),
            ("00000001S", Duration::from_secs(1)),
            ("99999999n", Duration::from_nanos(99_999_999)),
            ("99999999H", MAX_GRPC),
        ] {
            assert_eq!(parse_grpc(&value(text.as_bytes())), Ok(expected), "{text}");
        }
    }

    #[test]
    fn bad_grpc_timeouts_are_refused() {
        for text in [
            &b""[..],
            b"S",
            b"1",
            b"123456789n",
            b"000000001S",
            b"-1S",
            b"+1S",
            b"1 S",
            b" 1S",
            b"1s",
            b"1h",
            b"1.5S",
            b"1SS",
            b"0x1S",
            b"1\xff",
            b"\xff1S",
        ] {
            let error = parse_grpc(&value(text)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(
                error
                    .message()
                    .starts_with("grpc-timeout: expected 1 to 8 digits")
            );
        }
        let error = parse_grpc(&value(b"soon\xff")).unwrap_err();
        assert!(error.message().ends_with(r#"got "soon\xff""#), "{error}");
        let error = parse_grpc(&value(&[b'9'; 10_000])).unwrap_err();
        assert!(error.message().len() < 200, "{error}");
    }

    /// Connect, "Unary-Request": Timeout-Milliseconds.
    #[test]
    fn connect_timeouts_are_read() {
        for (text, millis) in [
            ("0", 0),
            ("1", 1),
            ("0005000", 5_000),
            ("9999999999", 9_999_999_999),
        ] {
            let expected = Duration::from_millis(millis);
            assert_eq!(
                parse_connect(&value(text.as_bytes())),
                Ok(expected),
                "{text}"
            );
        }
        for text in [
            &b""[..],
            b"10000000000",
            b"00000000001",
            b"-1",
            b"+1",
            b"1.0",
            b"1e3",
            b"1S",
            b" 1",
            b"1\xff",
        ] {
            let error = parse_connect(&value(text)).unwrap_err();
            assert_eq!(error.code(), Code::InvalidArgument);
            assert!(
                error
                    .message()
                    .starts_with("connect-timeout-ms: expected 1 to 10 digits")
            );
        }
    }

    #[test]
    fn the_finest_unit_that_fits_is_written() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(1), "1n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_000), "100000u"),
            (Duration::from_nanos(100_000_001), "100001u"),
            (Duration::from_secs(1), "1000000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(99_999), "99999000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::from_secs(100_000_000), "1666667M"),
            (Duration::from_secs(6_000_000_000), "1666667H"),
            (MAX_GRPC, "99999999H"),
            (Duration::MAX, "99999999H"),
        ] {
            assert_eq!(format_grpc(timeout), expected, "{timeout:?}");
        }
        for (timeout, expected) in [
            (Duration::ZERO, "0"),
            (Duration::from_nanos(1), "1"),
            (Duration::from_micros(1_001), "2"),
            (Duration::from_secs(5), "5000"),
            (Duration::from_millis(9_999_999_999), "9999999999"),
            (Duration::MAX, "9999999999"),
        ] {
            assert_eq!(format_connect(timeout), expected, "{timeout:?}");
        }
    }

    /// Every magnitude alike.
    fn timeouts() -> impl Strategy<Value = Duration> {
        (any::<u64>(), 0_u32..64, 0..1_000_000_000_u32)
            .prop_map(|(secs, shift, nanos)| Duration::new(secs >> shift, nanos))
    }

    proptest! {
        #[test]
        fn written_timeouts_are_read_back_and_never_shorter(timeout in timeouts()) {
            let grpc = parse_grpc(&format_grpc(timeout)).unwrap();
            prop_assert!(grpc >= timeout.min(MAX_GRPC));
            prop_assert!(grpc <= timeout.saturating_add(timeout / 100_000 + Duration::from_nanos(1)));

            let connect = parse_connect(&format_connect(timeout)).unwrap();
            prop_assert!(connect >= timeout.min(Duration::from_millis(9_999_999_999)));
            prop_assert!(connect < timeout.saturating_add(Duration::from_millis(1)));
        }

        #[test]
        fn any_value_is_read_or_refused(bytes in proptest::collection::vec(b' '..=b'~', 0..20)) {
            let value = value(&bytes);
            for error in [parse_grpc(&value).err(), parse_connect(&value).err()].into_iter().flatten() {
                prop_assert_eq!(error.code(), Code::InvalidArgument);
            }
        }

        #[test]
        fn a_policy_bounds_every_call(
            requested in proptest::option::of(timeouts()),
            default in proptest::option::of(timeouts()),
            bounds in (timeouts(), timeouts()),
        ) {
            let (min, max) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
            let mut policy = DeadlinePolicy::default().min(min).max(max);
            if let Some(default) = default {
                policy = policy.default_timeout(default);
            }
            let applied = policy.apply(requested).unwrap();
            prop_assert_eq!(applied, requested.or(default).unwrap_or(max).clamp(min, max));
        }
    }

    #[test]
    fn a_policy_applies_what_is_set() {
        let second = Duration::from_secs(1);
        let minute = Duration::from_secs(60);
        let hour = Duration::from_secs(3600);
        let none = DeadlinePolicy::default();
        for (policy, requested, expected) in [
            (none.clone(), None, None),
            (none.clone(), Some(Duration::ZERO), Some(Duration::ZERO)),
            (none.clone(), Some(Duration::MAX), Some(Duration::MAX)),
            // An omitted timeout is an infinite one.
            (none.clone().max(minute), None, Some(minute)),
            (none.clone().max(minute), Some(hour), Some(minute)),
            (none.clone().max(minute), Some(second), Some(second)),
            (none.clone().min(minute), None, None),
            (none.clone().min(minute), Some(Duration::ZERO), Some(minute)),
            (none.clone().min(minute), Some(hour), Some(hour)),
            (none.clone().default_timeout(minute), None, Some(minute)),
            (none.clone().default_timeout(minute), Some(hour), Some(hour)),
            (
                none.clone().default_timeout(hour).max(minute),
                None,
                Some(minute),
            ),
            (
                none.clone().default_timeout(second).min(minute),
                None,
                Some(minute),
            ),
            // The upper bound wins over a lower one above it.
            (none.min(hour).max(minute), Some(second), Some(minute)),
        ] {
            assert_eq!(
                policy.apply(requested),
                expected,
                "{policy:?} {requested:?}"
            );
        }
    }
}
