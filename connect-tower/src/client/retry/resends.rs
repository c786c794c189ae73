//! How often a request goes out again that no server has begun.

use std::time::Duration;

use crate::{
    call::rt::Backoff,
    transport::{FailureKind, Progress},
};

/// How often a client sends a request again that the server surely did not begin: one that met a connection which was being
/// closed, or that was [refused](FailureKind::Refused).
///
/// The caller sees nothing of it, and no policy has to allow it. A call ends these tries at its deadline. Otherwise they end
/// when nothing comes of them: a try counts as vain unless its connection served other calls meanwhile, as one did that a server
/// has ended after so many calls. Between vain tries, and after refusals, there are random pauses; each may be twice as long as
/// the one before, from 5 milliseconds up to a quarter of a second. Without a [timer](crate::Client::timer) there are none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Resends {
    max_vain: u32,
    max: u32,
}

impl Resends {
    /// The defaults, each stated at its setter.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            max_vain: 8,
            max: 1_000,
        }
    }

    /// After how many vain tries a call fails. Default: 8, which take half a second on average. With 1 the first failure
    /// is that of the call, with 0 too.
    #[must_use]
    pub const fn with_max_vain(mut self, tries: u32) -> Self {
        self.max_vain = tries;
        self
    }

    /// How often a request is sent again at most, whatever comes of it. Default: 1,000.
    #[must_use]
    pub const fn with_max(mut self, resends: u32) -> Self {
        self.max = resends;
        self
    }

    /// Set by [`with_max_vain`](Self::with_max_vain).
    #[must_use]
    pub const fn max_vain(&self) -> u32 {
        self.max_vain
    }

    /// Set by [`with_max`](Self::with_max).
    #[must_use]
    pub const fn max(&self) -> u32 {
        self.max
    }
}

impl Default for Resends {
    fn default() -> Self {
        Self::new()
    }
}

/// The tries of one call that failed.
#[derive(Debug, Default)]
pub(crate) struct FailedTries {
    resends: u32,
    /// Those that are vain so far: the connections of some may turn out to have served other calls.
    vain: Vec<Option<Progress>>,
    /// Refusals one after the other.
    refusals: u32,
    /// Attempts to connect that failed.
    connects: u32,
}

impl FailedTries {
    /// The pause before the request goes out again; `None` if it does not.
    pub(crate) fn resend(
        &mut self,
        kind: FailureKind,
        progress: Option<Progress>,
        limits: &Resends,
    ) -> Option<Duration> {
        self.vain.push(progress);
        // All of them each time: answers may have come since.
        let is_made = |progress: &Progress| progress.is_made();
        self.vain
            .retain(|progress| !progress.as_ref().is_some_and(is_made));
        let vain = u32::try_from(self.vain.len()).unwrap_or(u32::MAX);
        if vain >= limits.max_vain || self.resends >= limits.max {
            return None;
        }
        self.resends += 1;
        self.refusals = match kind {
            FailureKind::Refused => self.refusals + 1,
            _ => 0,
        };
        // The first goes out at once.
        Some(SHORT.pause(vain.max(self.refusals).saturating_sub(1)))
    }

    /// The pause before a call that waits for a connection asks again.
    pub(crate) fn wait_for_connection(&mut self) -> Duration {
        self.connects = self.connects.saturating_add(1);
        LONG.pause(self.connects)
    }
}

/// Between tries on connections that are there.
const SHORT: Backoff = Backoff::new(Duration::from_millis(5), LONGEST_SHORT);
const LONGEST_SHORT: Duration = Duration::from_millis(250);

/// While there is no connection. A channel has pauses of its own, which its calls share.
const LONG: Backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Answers;

    #[test]
    fn a_request_is_sent_again_until_that_is_vain() {
        let limits = Resends::new().with_max_vain(3);
        let mut tries = FailedTries::default();
        let mut resend = |progress| tries.resend(FailureKind::Unsent, progress, &limits);
        assert_eq!(resend(None), Some(Duration::ZERO));
        assert!(resend(None).is_some());
        assert_eq!(resend(None), None);
    }

    #[test]
    fn a_try_whose_connection_serves_others_is_not_vain() {
        let limits = Resends::new().with_max_vain(2).with_max(5);
        let answers = Answers::default();
        let mut tries = FailedTries::default();
        for _ in 0..5 {
            let progress = answers.more_than(answers.count());
            let pause = tries.resend(FailureKind::Unsent, Some(progress), &limits);
            assert_eq!(pause, Some(Duration::ZERO));
            // Only now: the answer comes after the failure.
            answers.add();
        }
        let progress = answers.more_than(0);
        assert_eq!(
            tries.resend(FailureKind::Unsent, Some(progress), &limits),
            None
        );
    }

    #[test]
    fn refusals_are_followed_by_pauses_though_others_are_served() {
        let answers = Answers::default();
        let mut tries = FailedTries::default();
        let mut pauses = Vec::new();
        for _ in 0..50 {
            answers.add();
            let progress = Some(answers.more_than(0));
            pauses.extend(tries.resend(FailureKind::Refused, progress, &Resends::new()));
        }
        assert_eq!(pauses.len(), 50);
        assert_eq!(pauses[0], Duration::ZERO);
        let first = Duration::from_millis(5);
        assert!(pauses[1..].iter().any(|pause| *pause > first));
        assert!(pauses.iter().all(|pause| *pause < LONGEST_SHORT));
    }
}
