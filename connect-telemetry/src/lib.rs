//! What operators see of ConnectRPC calls: an [`Observer`](connect_tower::Observer) for each way to look.
//!
//! - `Tracing` (feature `tracing`): a span for each call, current while the call is polled, and a line for each call when
//!   it ends, by [tracing](https://docs.rs/tracing).
//! - `OpenTelemetry` (feature `opentelemetry`): spans, metrics and the context of traces across processes, by the
//!   conventions of [OpenTelemetry](https://opentelemetry.io/docs/specs/semconv/rpc/).
//!
//! Either is added to a router or to a client by `add_observer`; both may be. Applications reach this crate as `telemetry`
//! of an adapter, such as `connect_tokio::telemetry` with the feature `tracing` or `opentelemetry`.
//!
//! They see every call, however it ends: see [`Observer`](connect_tower::Observer). Calls are timed by the router's or
//! client's timer, which servers and channels of an adapter have; without one there are spans and lines, but no durations.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod outcome;

#[cfg(feature = "opentelemetry")]
mod opentelemetry;
#[cfg(feature = "tracing")]
mod tracing;

#[cfg(feature = "opentelemetry")]
pub use self::opentelemetry::OpenTelemetry;
#[cfg(feature = "tracing")]
pub use self::tracing::Tracing;
