//! The work that `benches/instructions.rs` counts and `benches/time.rs` times: the core's hot paths, without IO.
//!
//! Each type is one scenario. `new` does all that a server or client does once; `run` does what it does for each call,
//! and returns a number that depends on the whole work, so that none of it can be left out.

mod calls;
mod messages;

pub use calls::{EndStream, UnaryClient, UnaryServer};
pub use messages::{Decode, Gzip16K, StreamRecv, StreamSend};

/// A message as small as most: a string, an integer and a flag, encoded as Protobuf.
pub const SMALL: &[u8] = b"\x0a\x12twenty-five bytes!\x10\xac\x02\x18\x01";
