//! The tutorial of the core: the Eliza service over blocking sockets, on connect-proto and connect-codec alone.
//!
//! [`server`] drives the core as a server: read it first. [`client`] drives it as a client. Below both lies [`http1`], the
//! part of HTTP that the core leaves to its driver. `docs/embedding.md` walks through them.

pub mod client;
pub mod eliza;
pub mod http1;
pub mod server;

use std::{sync::LazyLock, time::Instant};

use connect_proto::{Idempotency, Spec, StreamType, Time};

/// One sentence, one answer.
pub const SAY: Spec = Spec::new("/connectrpc.eliza.v1.ElizaService/Say", StreamType::Unary)
    .with_idempotency(Idempotency::NoSideEffects);

/// One name, several sentences of greeting.
pub const INTRODUCE: Spec = Spec::new(
    "/connectrpc.eliza.v1.ElizaService/Introduce",
    StreamType::ServerStream,
);

/// The time for the core, which has no clock of its own. It may be counted from any moment: here from the first use.
#[must_use]
pub fn now() -> Time {
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    Time::from_epoch(EPOCH.elapsed())
}
