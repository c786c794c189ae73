//! Fuzz targets: functions of bytes that must return, whatever the bytes.
//!
//! Each checks the core's contract beyond "does not panic": the same events at any cut, one ending, bounded messages.

mod calls;
mod heads;
mod streams;

pub use calls::calls;
pub use heads::{detect, get_query};
pub use streams::{decompress, end_stream, envelopes, grpc_trailers, request_body};

/// A fuzz target: its name, which is that of its corpus folder, and the function.
pub type Target = (&'static str, fn(&[u8]));

/// Every target, for runners.
pub const TARGETS: [Target; 8] = [
    ("calls", calls),
    ("decompress", decompress),
    ("detect", detect),
    ("end_stream", end_stream),
    ("envelopes", envelopes),
    ("get_query", get_query),
    ("grpc_trailers", grpc_trailers),
    ("request_body", request_body),
];
