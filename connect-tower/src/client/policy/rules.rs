//! What is retried and hedged, and when.

use std::time::Duration;

use connect_proto::{Code, Idempotency, Spec};

use crate::transport::Sent;

/// How often a call is attempted at most, whatever a policy says (gRFC A6, "Limits on Retries and Hedges").
const MAX_ATTEMPTS: u32 = 5;

/// What a policy allows a server to ask for, unless it says otherwise.
const MAX_PUSHBACK: Duration = Duration::from_secs(60);

/// A set of error codes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
struct Codes(u32);

impl Codes {
    fn contains(self, code: Code) -> bool {
        self.0 & (1 << code.number()) != 0
    }

    fn iter(self) -> impl Iterator<Item = Code> {
        Code::ALL
            .into_iter()
            .filter(move |code| self.contains(*code))
    }
}

impl FromIterator<Code> for Codes {
    fn from_iter<I: IntoIterator<Item = Code>>(codes: I) -> Self {
        let bits = codes.into_iter().map(|code| 1 << code.number());
        Self(bits.fold(0, |all, bit: u32| all | bit))
    }
}

/// Retries of calls that failed: which, how often, and after which pauses. gRFC A6, "Retry Policy Capabilities".
///
/// A call is retried if its error has one of the codes, and if it does no harm: the server surely did not begin it, or the
/// procedure is idempotent by its schema, or the policy is for [any method](Self::with_any_method). It is not after the first
/// message of its response, nor if the pause would end after its deadline: the error is then that of the last attempt. A pause
/// is random, between zero and a bound that grows with each; or it is what the server asks for, by `grpc-retry-pushback-ms`, or
/// by `retry-after` in seconds. A pushback that is negative, no number, or [too long](Self::with_max_pushback), is the server's
/// wish for no retry. Without a [timer](crate::Client::timer) nothing is retried.
///
/// Attempts lie inside of interceptors, which see one call. The second and each further one says in
/// `grpc-previous-rpc-attempts` how many there were. With a policy a response is handed over with its first message rather than
/// with its head. Two kinds of stream are handed over with the head, and errors that come later are not retried: streams of
/// responses in gRPC, whose errors come in the head; and streams both ways, whose caller may need the head to go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryPolicy {
    max_attempts: u32,
    initial_backoff: Duration,
    max_backoff: Duration,
    multiplier: f64,
    max_pushback: Duration,
    codes: Codes,
    any_method: bool,
}

impl RetryPolicy {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: 3,
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(1),
            multiplier: 2.0,
            max_pushback: MAX_PUSHBACK,
            codes: Codes::from_iter([Code::Unavailable]),
            any_method: false,
        }
    }

    /// How often a call is attempted at most, the first attempt included: 2 to 5, the nearest of which counts. Default: 3.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.clamp(2, MAX_ATTEMPTS);
        self
    }

    /// The longest pause before the first retry. Default: 100 milliseconds.
    #[must_use]
    pub fn with_initial_backoff(mut self, backoff: Duration) -> Self {
        self.initial_backoff = backoff;
        self
    }

    /// The longest pause of all. Default: 1 second.
    #[must_use]
    pub fn with_max_backoff(mut self, backoff: Duration) -> Self {
        self.max_backoff = backoff;
        self
    }

    /// By how much the longest pause grows with each retry. Default: 2. What is no finite number above 0 counts as 1.
    #[must_use]
    pub fn with_backoff_multiplier(mut self, multiplier: f64) -> Self {
        let is_usable = multiplier.is_finite() && multiplier > 0.0;
        self.multiplier = if is_usable { multiplier } else { 1.0 };
        self
    }

    /// The longest pause that a server may ask for. Where it asks for a longer one, there is no retry. Default: 1 minute.
    #[must_use]
    pub fn with_max_pushback(mut self, pushback: Duration) -> Self {
        self.max_pushback = pushback;
        self
    }

    /// The codes of errors after which a call is retried. Default: `unavailable`.
    #[must_use]
    pub fn with_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = Codes::from_iter(codes);
        self
    }

    /// Whether calls are retried whatever their procedure, though a server may have begun them. Default: no, only those that
    /// are idempotent by their schema.
    #[must_use]
    pub fn with_any_method(mut self, any: bool) -> Self {
        self.any_method = any;
        self
    }

    /// Set by [`with_max_attempts`](Self::with_max_attempts).
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Set by [`with_initial_backoff`](Self::with_initial_backoff).
    #[must_use]
    pub fn initial_backoff(&self) -> Duration {
        self.initial_backoff
    }

    /// Set by [`with_max_backoff`](Self::with_max_backoff).
    #[must_use]
    pub fn max_backoff(&self) -> Duration {
        self.max_backoff
    }

    /// Set by [`with_backoff_multiplier`](Self::with_backoff_multiplier).
    #[must_use]
    pub fn backoff_multiplier(&self) -> f64 {
        self.multiplier
    }

    /// Set by [`with_max_pushback`](Self::with_max_pushback).
    #[must_use]
    pub fn max_pushback(&self) -> Duration {
        self.max_pushback
    }

    /// Set by [`with_codes`](Self::with_codes), in the order of their numbers.
    pub fn codes(&self) -> impl Iterator<Item = Code> + use<> {
        self.codes.iter()
    }

    /// Set by [`with_any_method`](Self::with_any_method).
    #[must_use]
    pub fn any_method(&self) -> bool {
        self.any_method
    }

    pub(crate) fn retries(&self, code: Code) -> bool {
        self.codes.contains(code)
    }

    /// Whether another attempt of a call that came so far does no harm.
    pub(crate) fn is_safe(&self, spec: &Spec, sent: Sent) -> bool {
        sent == Sent::No || self.any_method || spec.idempotency() != Idempotency::Unknown
    }

    /// The longest pause after so many others.
    pub(crate) fn backoff(&self, pauses: u32) -> Duration {
        let exponent = i32::try_from(pauses).unwrap_or(i32::MAX);
        let grown = self.initial_backoff.as_secs_f64() * self.multiplier.powi(exponent);
        Duration::try_from_secs_f64(grown).map_or(self.max_backoff, |it| it.min(self.max_backoff))
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// Hedging: several attempts of one call at once, of which the first that succeeds is the response. gRFC A6, "Hedging Policy".
///
/// A call is hedged if its procedure is idempotent by its schema, or if the policy is for
/// [any method](Self::with_any_method); and if it has one request message. A further attempt is sent when there was no response
/// for the delay, and at once after an error with one of the codes. Any other error ends the call. The attempts run in the
/// call's own future, and those that have lost are dropped, which cancels them. The server's pushback is heeded as for
/// [retries](crate::RetryPolicy): what is too long, or would end after the call's deadline, means no further attempt. Without a
/// [timer](crate::Client::timer) there is no delay to end: only errors without a pushback send further attempts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HedgePolicy {
    max_attempts: u32,
    delay: Duration,
    max_pushback: Duration,
    codes: Codes,
    any_method: bool,
}

impl HedgePolicy {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub fn new() -> Self {
        Self {
            max_attempts: 2,
            delay: Duration::from_millis(100),
            max_pushback: MAX_PUSHBACK,
            codes: Codes::from_iter([Code::Unavailable]),
            any_method: false,
        }
    }

    /// How many attempts there are at most, the first included: 2 to 5, the nearest of which counts. Default: 2.
    #[must_use]
    pub fn with_max_attempts(mut self, attempts: u32) -> Self {
        self.max_attempts = attempts.clamp(2, MAX_ATTEMPTS);
        self
    }

    /// How long an attempt goes on alone. Default: 100 milliseconds. Zero sends all at once.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The longest pause that a server may ask for. Where it asks for a longer one, there is no further attempt. Default: 1 minute.
    #[must_use]
    pub fn with_max_pushback(mut self, pushback: Duration) -> Self {
        self.max_pushback = pushback;
        self
    }

    /// The codes of errors that do not end the call, as long as another attempt may succeed. Default: `unavailable`.
    #[must_use]
    pub fn with_non_fatal_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = Codes::from_iter(codes);
        self
    }

    /// Whether calls are hedged whatever their procedure. Default: no, only those that are idempotent by their schema.
    #[must_use]
    pub fn with_any_method(mut self, any: bool) -> Self {
        self.any_method = any;
        self
    }

    /// Set by [`with_max_attempts`](Self::with_max_attempts).
    #[must_use]
    pub fn max_attempts(&self) -> u32 {
        self.max_attempts
    }

    /// Set by [`with_delay`](Self::with_delay).
    #[must_use]
    pub fn delay(&self) -> Duration {
        self.delay
    }

    /// Set by [`with_max_pushback`](Self::with_max_pushback).
    #[must_use]
    pub fn max_pushback(&self) -> Duration {
        self.max_pushback
    }

    /// Set by [`with_non_fatal_codes`](Self::with_non_fatal_codes), in the order of their numbers.
    pub fn non_fatal_codes(&self) -> impl Iterator<Item = Code> + use<> {
        self.codes.iter()
    }

    /// Set by [`with_any_method`](Self::with_any_method).
    #[must_use]
    pub fn any_method(&self) -> bool {
        self.any_method
    }

    pub(crate) fn is_fatal(&self, code: Code) -> bool {
        !self.codes.contains(code)
    }

    pub(crate) fn is_for(&self, spec: &Spec) -> bool {
        self.any_method || spec.idempotency() != Idempotency::Unknown
    }
}

impl Default for HedgePolicy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoffs_grow_up_to_the_longest() {
        let policy = RetryPolicy::new();
        let bounds = [0, 1, 2, 3, 4, 5, 1_000, u32::MAX].map(|n| policy.backoff(n).as_millis());
        assert_eq!(bounds, [100, 200, 400, 800, 1000, 1000, 1000, 1000]);
        let policy = policy.with_backoff_multiplier(0.5);
        assert_eq!([0, 1].map(|n| policy.backoff(n).as_millis()), [100, 50]);
        assert_eq!(policy.with_backoff_multiplier(f64::NAN).multiplier, 1.0);
    }

    #[test]
    fn a_set_has_its_codes_and_no_others() {
        let codes = [Code::Canceled, Code::Unavailable, Code::Unauthenticated];
        let set = Codes::from_iter(codes);
        assert_eq!(set.iter().collect::<Vec<_>>(), codes);
        assert!(!set.contains(Code::Internal));
    }
}
