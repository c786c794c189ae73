//! Statuses as `grpc.health.v1` says them.

use crate::{
    Status,
    v1::{HealthCheckResponse, health_check_response::ServingStatus},
};

/// A status on the wire; `None` is a service that nobody knows.
pub(crate) fn response(status: Option<Status>) -> HealthCheckResponse {
    let status = match status {
        None => ServingStatus::ServiceUnknown,
        Some(Status::Unknown) => ServingStatus::Unknown,
        Some(Status::Serving) => ServingStatus::Serving,
        Some(Status::NotServing) => ServingStatus::NotServing,
    };
    HealthCheckResponse {
        status: status.into(),
    }
}
