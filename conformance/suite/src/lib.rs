//! The server and the client that the official conformance suite examines, written once for every runtime.
//!
//! [`program`] is the whole of either but for its runtime: it reads what the runner wants ([`delimited`]), and starts
//! [`server::router`] on a server, or hands [`client::run`] a way to make channels. What needs a clock takes the
//! adapter's, as any handler can.

pub mod client;
pub mod compression;
mod convert;
pub mod delimited;
pub mod program;
pub mod server;

/// The suite's messages and its service.
#[allow(clippy::all, missing_debug_implementations, unreachable_pub)]
pub mod proto {
    connect_tower::include_proto!("connectrpc.conformance.v1");
}

use connect_tower::{
    Codecs,
    json::{JsonOptions, TypeRegistry},
};

/// `proto` and `json`; in JSON the suite's messages may stand in an `Any`.
fn codecs() -> Codecs {
    let mut types = TypeRegistry::default();
    proto::register_types(&mut types);
    Codecs::default().with_json(JsonOptions::default().with_types(types))
}
