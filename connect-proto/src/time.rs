//! Time as the core sees it: an argument.

use std::time::Duration;

/// A point in time: the duration since an epoch that the driver picks, the same for one call.
///
/// The core has no clock. Drivers take [`Time`] from `Instant`, from `performance.now()` in a browser,
/// or from a test's own counter. Arithmetic saturates, so hostile timeouts cannot overflow it.
///
/// ```
/// use std::time::Duration;
/// use connect_proto::Time;
///
/// let now = Time::from_epoch(Duration::from_secs(5));
/// assert_eq!(now.saturating_add(Duration::MAX), Time::MAX);
/// assert_eq!(Time::MAX.saturating_since(now), Duration::MAX - Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Time(Duration);

impl Time {
    /// The driver's epoch.
    pub const ZERO: Self = Self(Duration::ZERO);
    /// The end of time: a deadline that never comes.
    pub const MAX: Self = Self(Duration::MAX);

    /// The point that lies this long after the driver's epoch.
    #[must_use]
    pub const fn from_epoch(since_epoch: Duration) -> Self {
        Self(since_epoch)
    }

    /// How long after the driver's epoch this point lies.
    #[must_use]
    pub const fn since_epoch(self) -> Duration {
        self.0
    }

    /// The point this much later, or [`Time::MAX`].
    #[must_use]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }

    /// How much later this point is than the other; zero if it is earlier.
    #[must_use]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}
