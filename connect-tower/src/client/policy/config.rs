//! Which calls of a client are retried or hedged, wait for a connection, and how long they may take.

use std::{collections::HashMap, time::Duration};

use connect_proto::Spec;

use super::{
    rules::{HedgePolicy, RetryPolicy},
    throttle::{Budget, RetryThrottle},
};

/// What holds for the calls of a client, by procedure, service, or for all: gRPC's service config.
///
/// The most exact one counts alone: that of the procedure, else that of its service, else the default.
///
/// ```
/// use std::time::Duration;
/// use connect_tower::{MethodConfig, RetryPolicy, ServiceConfig};
///
/// let config = ServiceConfig::new()
///     .with_default(MethodConfig::new().with_retry(RetryPolicy::new()))
///     .with_method("shop.v1.Orders/Place", MethodConfig::new().with_timeout(Duration::from_secs(2)));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceConfig {
    /// By `service/method`; of a service by `service/`, of all by nothing.
    methods: HashMap<String, MethodConfig>,
    throttle: Option<RetryThrottle>,
}

impl ServiceConfig {
    /// A config that sets nothing, but for retries and hedges the default [`RetryThrottle`].
    #[must_use]
    pub fn new() -> Self {
        Self {
            methods: HashMap::new(),
            throttle: Some(RetryThrottle::new()),
        }
    }

    /// Sets what holds for calls of which nothing else is said.
    #[must_use]
    pub fn with_default(self, config: MethodConfig) -> Self {
        self.insert(String::new(), config)
    }

    /// Sets what holds for the procedures of a service, `package.Service`, of which nothing else is said.
    #[must_use]
    pub fn with_service(self, service: &str, config: MethodConfig) -> Self {
        self.insert(format!("{service}/"), config)
    }

    /// Sets what holds for a procedure, `package.Service/Method`, with or without a slash before.
    #[must_use]
    pub fn with_method(self, procedure: &str, config: MethodConfig) -> Self {
        let procedure = procedure.strip_prefix('/').unwrap_or(procedure);
        self.insert(procedure.to_owned(), config)
    }

    /// Sets the budget of retries and hedges; `None` for no limit. Default: [`RetryThrottle::new`].
    #[must_use]
    pub fn with_throttle(mut self, throttle: impl Into<Option<RetryThrottle>>) -> Self {
        self.throttle = throttle.into();
        self
    }

    /// Set by [`with_throttle`](Self::with_throttle).
    #[must_use]
    pub fn throttle(&self) -> Option<&RetryThrottle> {
        self.throttle.as_ref()
    }

    /// What holds for a procedure.
    #[must_use]
    pub fn find(&self, spec: &Spec) -> Option<&MethodConfig> {
        let procedure = spec.procedure().trim_start_matches('/');
        let service = procedure.rfind('/').map(|slash| &procedure[..=slash]);
        let names = [Some(procedure), service, Some("")];
        names
            .into_iter()
            .flatten()
            .find_map(|name| self.methods.get(name))
    }

    pub(super) fn insert(mut self, name: String, config: MethodConfig) -> Self {
        self.methods.insert(name, config);
        self
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.methods.contains_key(name)
    }
}

impl Default for ServiceConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// What holds for the calls of a procedure; see [`ServiceConfig`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct MethodConfig {
    timeout: Option<Duration>,
    wait_for_ready: Option<bool>,
    policy: Option<Policy>,
}

/// A call has one of them, not both.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Policy {
    Retry(RetryPolicy),
    Hedge(HedgePolicy),
}

impl MethodConfig {
    /// Sets nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long calls may take at most; what they say themselves counts if it is less. Default: as the client has it.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// Whether calls wait for a connection that do not [say](crate::Request::with_wait_for_ready) so themselves. Default: no.
    #[must_use]
    pub fn with_wait_for_ready(mut self, wait: bool) -> Self {
        self.wait_for_ready = Some(wait);
        self
    }

    /// Retries calls that fail. In place of [hedging](Self::with_hedge). Default: no retries.
    #[must_use]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.policy = Some(Policy::Retry(policy));
        self
    }

    /// Hedges calls. In place of [retries](Self::with_retry). Default: no hedging.
    #[must_use]
    pub fn with_hedge(mut self, policy: HedgePolicy) -> Self {
        self.policy = Some(Policy::Hedge(policy));
        self
    }

    /// Set by [`with_timeout`](Self::with_timeout).
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.timeout
    }

    /// Set by [`with_wait_for_ready`](Self::with_wait_for_ready).
    #[must_use]
    pub fn wait_for_ready(&self) -> Option<bool> {
        self.wait_for_ready
    }

    /// Set by [`with_retry`](Self::with_retry).
    #[must_use]
    pub fn retry(&self) -> Option<&RetryPolicy> {
        match &self.policy {
            Some(Policy::Retry(policy)) => Some(policy),
            Some(Policy::Hedge(_)) | None => None,
        }
    }

    /// Set by [`with_hedge`](Self::with_hedge).
    #[must_use]
    pub fn hedge(&self) -> Option<&HedgePolicy> {
        match &self.policy {
            Some(Policy::Hedge(policy)) => Some(policy),
            Some(Policy::Retry(_)) | None => None,
        }
    }
}

/// A config with the budget that the clones of a client share.
#[derive(Debug)]
pub(crate) struct Policies {
    pub(crate) config: ServiceConfig,
    pub(crate) budget: Option<Budget>,
}

impl Policies {
    pub(crate) fn new(config: ServiceConfig) -> Self {
        Self {
            budget: config.throttle.map(Budget::new),
            config,
        }
    }
}
