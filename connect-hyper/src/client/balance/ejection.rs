//! Endpoints that fail calls get none for a while.

use std::time::Duration;

use connect_proto::{Code, Time};

/// When an endpoint of a channel gets no calls for a while, because it fails them: a server that answers, but whose disk is
/// full.
///
/// An endpoint is ejected after so many failures in a row ([`with_failures`](Self::with_failures)): calls that ended with one of
/// the [codes](Self::with_codes), and those without an answer at their deadline as `deadline_exceeded`. Calls that the caller has
/// given up before count as nothing, and so do those that the server surely did not begin; the calls that a lost connection had
/// count as one. A connection that cannot be opened needs no ejection: without one an endpoint gets no calls anyway, and it is to
/// have them again as soon as its server is back.
///
/// Then others get its calls for the [time](Self::with_time), and for twice, three times as long when it is ejected again, up
/// to [`with_max_time`](Self::with_max_time). At most a [share](Self::with_max_share) of the endpoints is ejected at the same
/// time: when all of them fail, the fault is elsewhere.
#[derive(Clone, Debug)]
pub struct Ejection {
    failures: u32,
    codes: Vec<Code>,
    time: Duration,
    max_time: Duration,
    max_share: f64,
}

impl Ejection {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self {
            failures: 5,
            codes: vec![
                Code::Unavailable,
                Code::Internal,
                Code::Unknown,
                Code::DeadlineExceeded,
            ],
            time: Duration::from_secs(30),
            max_time: Duration::from_secs(300),
            max_share: 0.5,
        }
    }

    /// After how many failures in a row an endpoint is ejected. Default: 5. At least 1.
    #[must_use]
    pub fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Set by [`with_failures`](Self::with_failures).
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// Which codes count as failures of the endpoint. Default: `unavailable`, `internal`, `unknown` and
    /// `deadline_exceeded`. All others, success included, show that it is well.
    #[must_use]
    pub fn with_codes(mut self, codes: impl IntoIterator<Item = Code>) -> Self {
        self.codes = codes.into_iter().collect();
        self
    }

    /// Set by [`with_codes`](Self::with_codes).
    #[must_use]
    pub fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// How long an endpoint is ejected for the first time; the second time in a row twice as long, then three times. Default: 30
    /// seconds.
    #[must_use]
    pub const fn with_time(mut self, time: Duration) -> Self {
        self.time = time;
        self
    }

    /// Set by [`with_time`](Self::with_time).
    #[must_use]
    pub const fn time(&self) -> Duration {
        self.time
    }

    /// The longest time that an endpoint is ejected. An endpoint that was well for as long begins anew with the shortest.
    /// Default: 5 minutes.
    #[must_use]
    pub const fn with_max_time(mut self, time: Duration) -> Self {
        self.max_time = time;
        self
    }

    /// Set by [`with_max_time`](Self::with_max_time).
    #[must_use]
    pub const fn max_time(&self) -> Duration {
        self.max_time
    }

    /// The largest share of the endpoints that may be ejected at the same time, from 0 to 1, rounded down. Default: 0.5.
    /// One endpoint alone is never ejected but with 1.
    #[must_use]
    pub const fn with_max_share(mut self, share: f64) -> Self {
        self.max_share = share.clamp(0.0, 1.0);
        self
    }

    /// Set by [`with_max_share`](Self::with_max_share).
    #[must_use]
    pub const fn max_share(&self) -> f64 {
        self.max_share
    }

    /// Whether a call that ended so counts as a failure of its endpoint. `None` is success.
    pub(in crate::client) fn is_failure(&self, code: Option<Code>) -> bool {
        code.is_some_and(|code| self.codes.contains(&code))
    }

    /// How many of so many endpoints may be ejected.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a count lies between zero and the count"
    )]
    pub(in crate::client) fn max_ejected(&self, endpoints: usize) -> usize {
        (endpoints as f64 * self.max_share) as usize
    }
}

impl Default for Ejection {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of one endpoint.
#[derive(Debug, Default)]
pub(in crate::client) struct Record {
    /// Failures since the last success.
    failures: u32,
    /// How often it was ejected in a row.
    ejections: u32,
    /// Until when it is ejected, or was the last time.
    until: Option<Time>,
}

impl Record {
    pub(in crate::client) fn is_ejected(&self, now: Time) -> bool {
        self.ejected_until(now).is_some()
    }

    pub(in crate::client) fn ejected_until(&self, now: Time) -> Option<Time> {
        self.until.filter(|until| now < *until)
    }

    pub(in crate::client) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// Notes a failure; whether the endpoint is ejected by it. `has_room` says whether one more may be.
    pub(in crate::client) fn failed(
        &mut self,
        settings: &Ejection,
        now: Time,
        has_room: bool,
    ) -> bool {
        if self.is_ejected(now) {
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        if self.failures < settings.failures || !has_room {
            return false;
        }
        let was_well = self
            .until
            .is_some_and(|until| now.saturating_since(until) >= settings.max_time);
        self.ejections = match was_well {
            true => 1,
            false => self.ejections.saturating_add(1),
        };
        let time = settings.time.saturating_mul(self.ejections);
        self.until = Some(now.saturating_add(time.min(settings.max_time)));
        self.failures = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_epoch(Duration::from_secs(seconds))
    }

    /// Fails until the endpoint is ejected, and says for how many seconds that is.
    fn eject(record: &mut Record, settings: &Ejection, now: u64) -> u64 {
        for _ in 1..settings.failures() {
            assert!(!record.failed(settings, at(now), true));
        }
        assert!(record.failed(settings, at(now), true));
        (now..).find(|&s| !record.is_ejected(at(s))).unwrap() - now
    }

    #[test]
    fn failures_in_a_row_eject() {
        let (settings, mut record) = (Ejection::new(), Record::default());
        for _ in 0..10 {
            for _ in 0..4 {
                assert!(!record.failed(&settings, at(0), true));
            }
            record.succeeded();
        }
        assert_eq!(eject(&mut record, &settings, 0), 30);
    }

    #[test]
    fn each_time_is_longer_up_to_a_bound() {
        let (settings, mut record) = (Ejection::new(), Record::default());
        let mut now = 0;
        let mut times = Vec::new();
        for _ in 0..12 {
            let time = eject(&mut record, &settings, now);
            times.push(time);
            now += time + 1;
        }
        assert_eq!(
            times,
            [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]
        );
        // It was well for as long as that.
        assert_eq!(eject(&mut record, &settings, now + 300), 30);
    }

    #[test]
    fn what_fails_while_it_is_ejected_changes_nothing() {
        let settings = Ejection::new().with_failures(1);
        let mut record = Record::default();
        assert_eq!(eject(&mut record, &settings, 0), 30);
        for second in 0..30 {
            assert!(!record.failed(&settings, at(second), true));
        }
        assert!(!record.is_ejected(at(30)));
    }

    #[test]
    fn without_room_nothing_is_ejected() {
        let settings = Ejection::new().with_failures(1);
        let mut record = Record::default();
        assert!(!record.failed(&settings, at(0), false));
        assert!(!record.is_ejected(at(0)));
        assert!(record.failed(&settings, at(0), true));
    }

    #[test]
    fn at_most_a_share_is_ejected() {
        let most = |share, count| Ejection::new().with_max_share(share).max_ejected(count);
        assert_eq!(
            [1, 2, 3, 4, 5].map(|count| most(0.5, count)),
            [0, 1, 1, 2, 2]
        );
        assert_eq!([1, 2, 3].map(|count| most(1.0, count)), [1, 2, 3]);
        assert_eq!([most(0.0, 9), most(-1.0, 9), most(2.0, 9)], [0, 0, 9]);
    }

    #[test]
    fn codes_are_failures_as_set() {
        let settings = Ejection::new();
        assert!(settings.is_failure(Some(Code::Unavailable)));
        assert!(settings.is_failure(Some(Code::DeadlineExceeded)));
        assert!(!settings.is_failure(Some(Code::NotFound)));
        assert!(!settings.is_failure(None));
        let settings = settings.with_codes([Code::NotFound]);
        assert!(settings.is_failure(Some(Code::NotFound)));
        assert!(!settings.is_failure(Some(Code::Unavailable)));
    }

    #[test]
    fn getters_read_what_setters_have_set() {
        let second = Duration::from_secs;
        let settings = Ejection::new()
            .with_failures(0)
            .with_codes([Code::Aborted])
            .with_time(second(1))
            .with_max_time(second(2))
            .with_max_share(0.25);
        assert_eq!(settings.failures(), 1);
        assert_eq!(settings.codes(), [Code::Aborted]);
        assert_eq!(settings.time(), second(1));
        assert_eq!(settings.max_time(), second(2));
        assert!((settings.max_share() - 0.25).abs() < f64::EPSILON);
    }
}
