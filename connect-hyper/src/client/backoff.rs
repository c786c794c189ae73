//! How long to wait between failed attempts to connect.

use std::time::Duration;

/// The longest wait after the first failed attempt; each further one doubles it.
const FIRST: Duration = Duration::from_millis(50);

/// A random wait before the next attempt, after so many that failed.
///
/// It lies between zero and the doubled wait ("full jitter"): the clients of a server that was away do not come back all at
/// once.
pub(super) fn backoff(failures: u32, max: Duration) -> Duration {
    // Below 1.
    longest(failures, max).mul_f64(fastrand::f64())
}

fn longest(failures: u32, max: Duration) -> Duration {
    let doubled = 1_u32.checked_shl(failures.saturating_sub(1));
    FIRST.saturating_mul(doubled.unwrap_or(u32::MAX)).min(max)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const MAX: Duration = Duration::from_secs(1);

    #[test]
    fn the_longest_wait_doubles_up_to_its_maximum() {
        let waits = [1, 2, 3, 4, 5, 6, 7, 40, u32::MAX].map(|n| longest(n, MAX).as_millis());
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000]);
        assert_eq!(longest(3, Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn waits_are_spread_over_the_longest() {
        fastrand::seed(1);
        let waits: HashSet<Duration> = (0..100).map(|_| backoff(5, MAX)).collect();
        assert!(waits.iter().all(|wait| *wait < longest(5, MAX)));
        assert!(waits.len() > 90);
        assert!(waits.iter().min() < Some(&longest(2, MAX)));
        assert!(waits.iter().max() > Some(&longest(4, MAX)));
        assert_eq!(backoff(5, Duration::ZERO), Duration::ZERO);
        assert!(backoff(u32::MAX, Duration::MAX) <= Duration::MAX);
    }
}
