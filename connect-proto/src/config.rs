//! What a server or a client decides once, and what one call may change of it.

mod client;
mod limits;
mod server;

pub use client::{CallOptions, ClientConfig, GetPolicy};
pub use limits::Limits;
pub use server::{CallPolicy, ServerConfig};

/// When a message is worth compressing, in bytes before compression.
const DEFAULT_MIN_COMPRESS_BYTES: usize = 1024;
