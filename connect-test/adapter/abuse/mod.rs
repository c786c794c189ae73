//! Hostile peers through real sockets: what ends them, that others are served meanwhile, and what is held in memory.
//!
//! A test binary of its own in each adapter, included by path as `adapter` is, because its allocator counts: so its tests run
//! one after the other. Nothing here measures time.

mod attacks;
mod client;
mod connections;
#[path = "../frames.rs"]
mod frames;
mod memory;
mod messages;
mod peer;
mod server_http2;
#[path = "../support.rs"]
#[allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "other tests use the rest"
)]
mod support;

use connect_tower::CallBody;

/// That a server which echoes serves others meanwhile.
async fn is_served(channel: &crate::rt::Channel) {
    let answer = support::call(channel, support::post(CallBody::full("hi"))).await;
    assert_eq!(answer.unwrap().body(), "hi");
}
