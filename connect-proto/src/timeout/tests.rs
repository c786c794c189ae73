//! The policy.

use proptest::prelude::*;

use super::*;

/// Every magnitude alike.
fn timeouts() -> impl Strategy<Value = Duration> {
    (any::<u64>(), 0_u32..64, 0..1_000_000_000_u32)
        .prop_map(|(secs, shift, nanos)| Duration::new(secs >> shift, nanos))
}

proptest! {
    #[test]
    fn a_policy_bounds_every_call(
        requested in proptest::option::of(timeouts()),
        default in proptest::option::of(timeouts()),
        bounds in (timeouts(), timeouts()),
    ) {
        let (min, max) = (bounds.0.min(bounds.1), bounds.0.max(bounds.1));
        let mut policy = DeadlinePolicy::default().with_min(min).with_max(max);
        if let Some(default) = default {
            policy = policy.with_default_timeout(default);
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
        (none, None, None),
        (none, Some(Duration::ZERO), Some(Duration::ZERO)),
        (none, Some(Duration::MAX), Some(Duration::MAX)),
        // An omitted timeout is an infinite one.
        (none.with_max(minute), None, Some(minute)),
        (none.with_max(minute), Some(hour), Some(minute)),
        (none.with_max(minute), Some(second), Some(second)),
        (none.with_min(minute), None, None),
        (none.with_min(minute), Some(Duration::ZERO), Some(minute)),
        (none.with_min(minute), Some(hour), Some(hour)),
        (none.with_default_timeout(minute), None, Some(minute)),
        (none.with_default_timeout(minute), Some(hour), Some(hour)),
        (
            none.with_default_timeout(hour).with_max(minute),
            None,
            Some(minute),
        ),
        (
            none.with_default_timeout(second).with_min(minute),
            None,
            Some(minute),
        ),
        // The upper bound wins over a lower one above it.
        (
            none.with_min(hour).with_max(minute),
            Some(second),
            Some(minute),
        ),
    ] {
        assert_eq!(
            policy.apply(requested),
            expected,
            "{policy:?} {requested:?}"
        );
    }
}
