//! ConnectRPC over HTTP/1.1 and HTTP/2 by hyper, for any async runtime.
//!
//! A program does not depend on this crate but on the adapter for its runtime (such as
//! `connect-tokio`), which names the types here with that runtime. What is here, written once:
//!
//! - [`server`]: connections of either HTTP version, TLS by ALPN, limits in time, graceful shutdown with a
//!   bound; it serves any `tower_service::Service` of HTTP, such as connect-tower's router.
//! - [`client`]: the [`Channel`], which connects, pools, shares and replaces connections, and is a
//!   [`Transport`](connect_tower::Transport) for generated clients.
//! - [`tls`]: the interface to TLS, and the settings of connect-rustls (feature `tls`).
//! - [`runtime`]: the traits that an adapter implements. A new runtime needs nothing else.
//!
//! # Which tokio crates are linked, and why that is no runtime
//!
//! hyper and h2 link `tokio` with the features `sync` and `io-util`, and h2 links `tokio-util` for its codec: channels, and
//! traits and helpers to read and write. These are data structures: without `rt`, `net` and `time` there is no
//! reactor, no timer and no executor in the program, and none is asked for. `.ci/layers` checks the features, and a
//! test of `connect-smol` that no tokio runtime is there when its server and client run.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod calls;
pub mod client;
mod frames;
mod pieces;
mod read_budget;
mod reset;
pub mod runtime;
pub mod server;
#[cfg(test)]
mod test_runtime;
pub mod tls;

#[cfg(feature = "tls")]
pub use self::tls::{ClientTls, ServerTls};
pub use self::{
    client::{Channel, ChannelBuilder, ChannelState, EndpointAddress, HttpVersion, WeakChannel},
    runtime::{Runtime, WorkerRuntime},
    server::{CallTasks, Flood, HttpService, Server, ServerEvent, ServerHandle},
};
