//! Random pauses between tries, so that many clients do not come back at the same moment.

use std::time::Duration;

/// Random pauses that grow: each lies between zero and a bound that doubles with every failure ("full jitter").
///
/// ```
/// use std::time::Duration;
///
/// use connect_tower::rt::Backoff;
///
/// let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
/// assert_eq!(backoff.pause(0), Duration::ZERO);
/// assert!(backoff.pause(1) < Duration::from_millis(50));
/// assert!(backoff.pause(2) < Duration::from_millis(100));
/// assert!(backoff.pause(100) < Duration::from_secs(1));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// With the bound of the first pause, and of all.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// The pause after so many failures, one after the other; none after none.
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        below(self.bound(failures))
    }

    fn bound(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

/// A random duration below this one ("full jitter"), for pauses that grow; zero for zero.
pub(crate) fn below(longest: Duration) -> Duration {
    longest.mul_f64(fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let bounds = [0, 1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|n| backoff.bound(n).as_millis());
        assert_eq!(bounds, [0, 50, 100, 200, 400, 800, 1000, 1000, 1000, 1000]);
        let none = Backoff::new(Duration::from_millis(50), Duration::ZERO);
        assert_eq!(none.pause(3), Duration::ZERO);
        let unbounded = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(unbounded.pause(u32::MAX) <= Duration::MAX);
    }

    #[test]
    fn pauses_are_spread_below_the_longest() {
        let longest = Duration::from_secs(100);
        let pauses: Vec<_> = (0..1000).map(|_| below(longest)).collect();
        assert!(pauses.iter().all(|pause| *pause < longest));
        for tenth in 0..10 {
            let within = |pause: &&Duration| pause.as_secs() / 10 == tenth;
            // A thousand times as unlikely as anything that has ever happened.
            assert!(pauses.iter().filter(within).count() > 30, "{tenth}");
        }
        assert_eq!(below(Duration::ZERO), Duration::ZERO);
        assert!(below(Duration::MAX) <= Duration::MAX);
    }
}
