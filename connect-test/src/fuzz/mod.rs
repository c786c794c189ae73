//! Fuzz targets: functions of bytes that must return, whatever the bytes.
//!
//! Each checks the core's contract beyond "does not panic": the same events at any cut, one ending, bounded messages,
//! and that what was sent is what arrives.

mod budget;
mod calls;
mod heads;
mod input;
mod responses;
mod streams;

use std::sync::LazyLock;

use connect_proto::Compressions;

pub use budget::decode_budget;
pub use calls::{Outcome, calls, play_call};
pub use heads::{detect, get_query};
pub use responses::{end_stream, grpc_trailers, response};
pub use streams::{decompress, envelopes, request_body};

/// A fuzz target: its name, which is that of its corpus folder, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, for runners.
pub const TARGETS: [Target; 10] = [
    ("calls", calls),
    ("decode_budget", decode_budget),
    ("decompress", decompress),
    ("detect", detect),
    ("end_stream", end_stream),
    ("envelopes", envelopes),
    ("get_query", get_query),
    ("grpc_trailers", grpc_trailers),
    ("request_body", request_body),
    ("response", response),
];

/// One for all runs: making contexts anew would take most of the time, and pooled ones are what is to be tested.
static COMPRESSIONS: LazyLock<Compressions> = LazyLock::new(Compressions::default);
