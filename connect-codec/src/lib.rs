//! Messages for ConnectRPC, without async and without IO.
//!
//! - [`Codec`] and [`Codecs`]: how the messages of a call are written, by name; `proto` and `json`
//!   are built in, others are registered as [`CustomCodec`].
//! - [`Encode`] and [`Decode`] on [`Prost`] or [`ProstBinary`]: the seam between calls and message
//!   libraries.
//! - [`json`]: canonical Protobuf JSON for generated messages and the well-known types.

pub mod json;

mod codec;
mod message;

pub use codec::{Codec, Codecs, CustomCodec, DynMessage};
pub use message::{Decode, Encode, MessageLibrary, Prost, ProstBinary};
