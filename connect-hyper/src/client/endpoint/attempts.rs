//! What the attempts to connect have shown: which version the server speaks, and how many have failed.

use std::time::Duration;

use connect_proto::Time;
use connect_tower::{rt::Backoff, transport::TransportError};

use crate::client::shared::Want;

/// An attempt to open a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt {
    pub(super) want: Want,
    /// Whether all calls wait for it, or one.
    pub(super) is_shared: bool,
}

#[derive(Debug, Default)]
pub(super) struct Attempts {
    /// The attempt that all calls share is under way.
    pub(super) is_connecting: bool,
    /// TLS: the server chose HTTP/1.1 when it could have chosen HTTP/2.
    pub(super) prefers_http1: bool,
    /// TLS: the server was asked for HTTP/2 alone, at this time, and refused with this error.
    no_http2: Option<(Time, TransportError)>,
    /// How many have failed since one succeeded.
    failures: u32,
    /// When to make the next one, after a failed one.
    pub(super) retry_at: Option<Time>,
}

/// The longest wait after the first failed attempt; each further one doubles it.
const FIRST_BACKOFF: Duration = Duration::from_millis(50);

/// How long a server that has refused HTTP/2 is not asked for it again.
const NO_HTTP2: Duration = Duration::from_secs(10);

impl Attempts {
    /// Whether a call must have HTTP/1.1, as far as is known.
    pub(super) fn needs_http1(&self, want: Want) -> bool {
        want.needs_http1(self.prefers_http1)
    }

    pub(super) fn have_failed(&self) -> bool {
        self.failures > 0
    }

    /// The attempt that all calls share, unless it is under way. Where both versions may be offered it does so: calls that
    /// need HTTP/2 and calls that do not may wait for it.
    pub(super) fn start(&mut self, want: Want, can_offer_both: bool) -> Option<Attempt> {
        if std::mem::replace(&mut self.is_connecting, true) {
            return None;
        }
        let want = match want {
            Want::Http2 if can_offer_both && !self.prefers_http1 => Want::Either,
            want => want,
        };
        Some(Attempt {
            want,
            is_shared: true,
        })
    }

    /// Why a call with this wish need not wait.
    pub(super) fn refusal(&self, want: Want, now: Time) -> Option<&TransportError> {
        let (since, error) = self.no_http2.as_ref()?;
        let is_refused = want == Want::Http2 && now.saturating_since(*since) < NO_HTTP2;
        is_refused.then_some(error)
    }

    pub(super) fn speaks_http1(&mut self, attempt: Attempt) {
        (self.failures, self.retry_at) = (0, None);
        self.prefers_http1 |= attempt.want == Want::Either;
    }

    pub(super) fn speaks_http2(&mut self) {
        (self.failures, self.retry_at) = (0, None);
        (self.prefers_http1, self.no_http2) = (false, None);
    }

    pub(super) fn refused_http2(&mut self, now: Time, error: TransportError) {
        self.no_http2 = Some((now, error));
    }

    /// An attempt has failed. Of those at the same time only one counts.
    pub(super) fn failed(&mut self, attempt: Attempt, now: Time, max_backoff: Duration) {
        if attempt.is_shared || self.failures == 0 {
            self.failures = self.failures.saturating_add(1);
            let wait = Backoff::new(FIRST_BACKOFF, max_backoff).pause(self.failures);
            self.retry_at = Some(now.saturating_add(wait));
        }
    }
}
