//! The tutorial of the core: the Eliza service over blocking sockets, on connect-proto and connect-codec alone.
//!
//! [`server`] drives the core as a server: read it first. [`client`] drives it as a client. [`http1`] is the HTTP below
//! both, which the core never sees. `docs/embedding.md` walks through all three.

pub mod client;
pub mod http1;
pub mod server;

use std::{sync::LazyLock, time::Instant};

use connect_proto::{Idempotency, Spec, StreamType, Time};

/// The messages, generated from `eliza.proto` by `build.rs`.
pub mod eliza {
    connect_codec::include_proto!("connectrpc.eliza.v1");
}

/// One sentence, one answer.
pub const SAY: Spec = Spec::new("/connectrpc.eliza.v1.ElizaService/Say", StreamType::Unary)
    .with_idempotency(Idempotency::NoSideEffects);

/// One name, several sentences of greeting.
pub const INTRODUCE: Spec = Spec::new(
    "/connectrpc.eliza.v1.ElizaService/Introduce",
    StreamType::ServerStream,
);

/// The core has no clock: time is what its driver counts, here since the first use.
#[must_use]
pub fn now() -> Time {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    Time::from_epoch(EPOCH.elapsed())
}
