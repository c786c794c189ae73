//! The standard error details, as messages: [`BadRequest`], [`RetryInfo`], [`ErrorInfo`] and so on.
//!
//! Names and numbers are those of the Protobuf package `google.rpc`. The constructors are short for
//! what is most often said; fields that they leave out are public.
//!
//! ```
//! use std::time::Duration;
//! use connect_codec::{ErrorExt, rpc::{BadRequest, ErrorInfo, RetryInfo}};
//! use connect_proto::Error;
//!
//! let wrong = BadRequest::new().violation("name", "must not be empty").violation("age", "too low");
//! let error = Error::invalid_argument("bad user").add_message_detail(&wrong);
//! assert_eq!(error.message_detail::<BadRequest>(), Some(wrong));
//!
//! let later = RetryInfo::new(Duration::from_secs(5));
//! let error = Error::unavailable("out of capacity").add_message_detail(&later);
//! let delay = error.message_detail::<RetryInfo>().and_then(|info| info.delay());
//! assert_eq!(delay, Some(Duration::from_secs(5)));
//!
//! let why = ErrorInfo::new("QUOTA", "shop.example.com").add_metadata("zone", "eu-1");
//! assert_eq!(why.metadata["zone"], "eu-1");
//! ```

use std::time::Duration;

include!("generated/google.rpc.rs");

impl BadRequest {
    /// A bad request of which nothing is said yet; add [`violation`](Self::violation)s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a field, as a path such as `address.city` or `phones[1]`, and what is wrong with it.
    #[must_use]
    pub fn violation(mut self, field: impl Into<String>, description: impl Into<String>) -> Self {
        self.field_violations.push(bad_request::FieldViolation {
            field: field.into(),
            description: description.into(),
            ..bad_request::FieldViolation::default()
        });
        self
    }
}

impl PreconditionFailure {
    /// A failure of which nothing is said yet; add [`violation`](Self::violation)s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind of precondition such as `TOS`, what it is about, and how it failed.
    #[must_use]
    pub fn violation(
        mut self,
        kind: impl Into<String>,
        subject: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        self.violations.push(precondition_failure::Violation {
            r#type: kind.into(),
            subject: subject.into(),
            description: description.into(),
        });
        self
    }
}

impl QuotaFailure {
    /// A failure of which nothing is said yet; add [`violation`](Self::violation)s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds whose quota has run out, such as `user:ada`, and how.
    #[must_use]
    pub fn violation(mut self, subject: impl Into<String>, description: impl Into<String>) -> Self {
        self.violations.push(quota_failure::Violation {
            subject: subject.into(),
            description: description.into(),
            ..quota_failure::Violation::default()
        });
        self
    }
}

impl Help {
    /// Help without a link yet; add [`link`](Self::link)s.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds what there is to read, and where.
    #[must_use]
    pub fn link(mut self, description: impl Into<String>, url: impl Into<String>) -> Self {
        self.links.push(help::Link {
            description: description.into(),
            url: url.into(),
        });
        self
    }
}

impl ErrorInfo {
    /// A reason, in `UPPER_SNAKE_CASE`, and the domain that defines it, such as `pubsub.example.com`.
    #[must_use]
    pub fn new(reason: impl Into<String>, domain: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            domain: domain.into(),
            ..Self::default()
        }
    }

    /// Adds something about the error, in place of what there may be by this key.
    #[must_use]
    pub fn add_metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.insert(key.into(), value.into());
        self
    }
}

impl RetryInfo {
    /// When the call may be made again: so long from now, at most 10,000 years.
    #[must_use]
    pub fn new(delay: Duration) -> Self {
        let delay = prost_types::Duration::try_from(delay.min(LONGEST));
        Self {
            retry_delay: delay.ok(),
        }
    }

    /// When the call may be made again: so long after the answer; `None` if that is not said, or is
    /// negative.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        Duration::try_from(self.retry_delay?).ok()
    }
}

impl ResourceInfo {
    /// The type of a resource and its name: what was not found, or exists already.
    #[must_use]
    pub fn new(resource_type: impl Into<String>, resource_name: impl Into<String>) -> Self {
        Self {
            resource_type: resource_type.into(),
            resource_name: resource_name.into(),
            ..Self::default()
        }
    }
}

impl RequestInfo {
    /// What the request is called in the server's logs.
    #[must_use]
    pub fn new(request_id: impl Into<String>) -> Self {
        Self {
            request_id: request_id.into(),
            ..Self::default()
        }
    }
}

impl DebugInfo {
    /// What happened, for developers. Not for peers that are not to know how the server is made.
    #[must_use]
    pub fn new(detail: impl Into<String>) -> Self {
        Self {
            detail: detail.into(),
            ..Self::default()
        }
    }
}

impl LocalizedMessage {
    /// A message for users, in the language of this locale (`en-US`).
    #[must_use]
    pub fn new(locale: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            locale: locale.into(),
            message: message.into(),
        }
    }
}

/// `google.protobuf.Duration`: "Must be from -315,576,000,000 seconds to +315,576,000,000 seconds inclusive".
const LONGEST: Duration = Duration::from_secs(315_576_000_000);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_survive_within_what_the_message_can_say() {
        for (delay, kept) in [
            (Duration::ZERO, Duration::ZERO),
            (Duration::new(1, 500_000_000), Duration::new(1, 500_000_000)),
            (Duration::MAX, LONGEST),
        ] {
            assert_eq!(RetryInfo::new(delay).delay(), Some(kept));
        }
        assert_eq!(RetryInfo::default().delay(), None);
        let retry_delay = Some(prost_types::Duration {
            seconds: -1,
            nanos: 0,
        });
        assert_eq!(RetryInfo { retry_delay }.delay(), None);
    }
}
