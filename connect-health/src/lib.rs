//! gRPC's health service, `grpc.health.v1.Health`: load balancers, orchestrators and clients ask it whether a server, or
//! one of its services, can take calls.
//!
//! [`Health`] is both the service and the handle that sets what it says. It needs no runtime, and answers in every
//! protocol that the router speaks. Applications reach this crate as `health` of an adapter, such as `connect_tokio::health`
//! with the feature `health`.
//!
//! ```
//! use connect_health::{Health, Status};
//! use connect_tower::Router;
//!
//! let health = Health::new();
//! let router = Router::new().add_service(health.clone());
//!
//! health.set_serving("shop.v1.Orders");
//! health.set_status("shop.v1.Stock", Status::NotServing);
//! assert_eq!(health.status(""), Some(Status::Serving));
//! # drop(router);
//! ```
//!
//! Before a graceful shutdown of the server call [`Health::shutdown`], so that nobody sends new calls, and the streams that
//! watch end.
//!
//! Specification: [gRPC Health Checking Protocol](https://github.com/grpc/grpc/blob/master/doc/health-checking.md).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod response;
mod service;
mod statuses;
mod watch;

/// Messages and client of the service, generated from `grpc/health/v1/health.proto`.
pub mod v1 {
    include!("generated/grpc.health.v1.rs");
}

use std::fmt;

use connect_tower::{Methods, Service};

use self::{statuses::Statuses, v1::HealthServer};

/// The health of a server and of its services: a service to add to a router, and the handle to set what it says.
///
/// A clone is the same health. The server as a whole has the empty name, and is [`Serving`](Status::Serving) by
/// default; a service is unknown until its status is set. Names are full, `package.Service`, as generated code has them
/// in constants.
#[derive(Clone)]
pub struct Health {
    statuses: Statuses,
    max_name_bytes: usize,
}

/// Whether a service takes calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Status {
    /// It is known, and nothing more was said.
    Unknown,
    /// It takes calls.
    Serving,
    /// It does not.
    NotServing,
}

impl Health {
    /// A server that serves, with no service that is known by name.
    #[must_use]
    pub fn new() -> Self {
        let health = Self {
            statuses: Statuses::default(),
            max_name_bytes: 1024,
        };
        health.set_serving("");
        health
    }

    /// Sets how long the name in a `Watch` may be, in bytes; 1024 by default.
    ///
    /// The caller chooses the name, and it is kept as long as the stream is open. A longer one is refused with
    /// `invalid_argument`. `Check` keeps no name, and answers `not_found` as for any unknown one.
    #[must_use]
    pub fn with_max_name_bytes(mut self, bytes: usize) -> Self {
        self.max_name_bytes = bytes;
        self
    }

    /// How long the name in a `Watch` may be, in bytes.
    #[must_use]
    pub fn max_name_bytes(&self) -> usize {
        self.max_name_bytes
    }

    /// Says that a service takes calls: short for [`set_status`](Self::set_status).
    pub fn set_serving(&self, service: impl Into<String>) {
        self.set_status(service, Status::Serving);
    }

    /// Says that a service takes no calls: short for [`set_status`](Self::set_status).
    pub fn set_not_serving(&self, service: impl Into<String>) {
        self.set_status(service, Status::NotServing);
    }

    /// Says how a service is, and tells everybody who watches it. The empty name is the server as a whole.
    ///
    /// After [`shutdown`](Self::shutdown) it has no effect.
    pub fn set_status(&self, service: impl Into<String>, status: Status) {
        self.statuses.set(service.into(), status);
    }

    /// Forgets a service: from now on it is unknown.
    ///
    /// After [`shutdown`](Self::shutdown) it has no effect.
    pub fn clear(&self, service: &str) {
        self.statuses.clear(service);
    }

    /// How a service is; `None` if it is unknown.
    #[must_use]
    pub fn status(&self, service: &str) -> Option<Status> {
        self.statuses.get(service)
    }

    /// Says that nothing takes calls any more, for good.
    ///
    /// All services and the server as a whole are [`NotServing`](Status::NotServing) from now on. Those who watch are told,
    /// and then their streams end, so that a server that waits for its calls to end is not held up.
    pub fn shutdown(&self) {
        self.statuses.shut_down();
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("statuses", &self.statuses.all())
            .finish()
    }
}

impl Service for Health {
    const NAME: &'static str = v1::health::NAME;

    fn register(self, methods: &mut Methods) {
        HealthServer::new(self).register(methods);
    }
}
