//! The Connect, gRPC and gRPC-Web protocols as pure state machines.
//!
//! No IO, no async, no clock, no message type: bytes, `http` heads and time go in, events and bytes come out.

mod base64_text;
mod client;
mod code;
mod compression;
mod config;
pub mod envelope;
mod error;
pub mod metadata;
mod percent;
mod protocol;
mod recv;
mod send;
mod server;
mod spec;
mod status_details;
mod time;
mod timeout;

pub use client::{ClientCall, ExpectHead};
pub use code::{Code, UnknownCode};
#[cfg(feature = "gzip")]
pub use compression::Gzip;
#[cfg(feature = "zstd")]
pub use compression::Zstd;
pub use compression::{Compression, CompressionError, Compressions, InvalidCompressionName};
pub use config::{CallOptions, CallPolicy, ClientConfig, GetPolicy, Limits, ServerConfig};
pub use error::{Error, ErrorDetail};
pub use protocol::Protocol;
pub use recv::{RecvEvent, RecvHalf, Reset, Side};
pub use send::{SendHalf, Transmit};
pub use server::{Detected, Rejection, detect};
pub use spec::{Idempotency, Spec, StreamType};
pub use time::Time;
pub use timeout::DeadlinePolicy;
