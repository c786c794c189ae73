//! Random pauses between tries, so that many clients do not come back at the same moment.

use std::{
    cell::Cell,
    hash::{BuildHasher, RandomState},
    time::Duration,
};

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
    longest.mul_f64(fraction())
}

/// A number from 0 up to, but without, 1. It is for pauses, not for secrets.
fn fraction() -> f64 {
    thread_local! {
        // The seeds of the standard library's hash maps are random, and need no further dependency.
        static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(0));
    }
    // SplitMix64 (Steele, Lea, Flood 2014): a counter, whose bits are mixed.
    let state = STATE.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
    STATE.set(state);
    let mut mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    // As many bits as a float holds without rounding.
    let bits = u32::try_from(mixed >> 32).unwrap_or(u32::MAX);
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
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
