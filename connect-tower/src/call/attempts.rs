//! How many requests a call has taken.

use http::Extensions;

/// How many requests a call has taken so far.
///
/// It is among the [extensions](crate::Response::extensions) of a response that did not come at the first try, and among those
/// of the HTTP request of each further try: where it is missing, there was one.
///
/// ```
/// use connect_tower::{Attempts, Response};
///
/// let response = Response::new("at the first try");
/// let attempts = Attempts::of(response.extensions());
/// assert_eq!((attempts.count(), attempts.resends()), (1, 0));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Attempts {
    count: u32,
    resends: u32,
}

impl Attempts {
    /// What the extensions of a response, or of an HTTP request, say.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Self {
        extensions.get().copied().unwrap_or_default()
    }

    /// How many attempts there were that a server may have begun, the last included: 1 without retries.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// How many requests were sent again because no server had begun them. They are no attempts.
    #[must_use]
    pub fn resends(self) -> u32 {
        self.resends
    }

    /// Says so in the extensions, if there is anything to say.
    pub(crate) fn tell(self, extensions: &mut Extensions) {
        if self != Self::default() {
            extensions.insert(self);
        }
    }

    /// That attempt of several, the first being 1.
    pub(crate) fn nth(count: u32) -> Self {
        Self { count, resends: 0 }
    }

    pub(crate) fn add_attempt(&mut self) {
        self.count = self.count.saturating_add(1);
    }

    /// What two attempts that run at once know together.
    pub(crate) fn most(self, other: Self) -> Self {
        Self {
            count: self.count.max(other.count),
            resends: self.resends.max(other.resends),
        }
    }

    pub(crate) fn add_resend(&mut self) {
        self.resends = self.resends.saturating_add(1);
    }
}

impl Default for Attempts {
    /// The first attempt.
    fn default() -> Self {
        Self {
            count: 1,
            resends: 0,
        }
    }
}
