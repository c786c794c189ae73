//! Messages for ConnectRPC, without async and without IO.
//!
//! - [`Codec`] and [`Codecs`]: how the messages of a call are written, by name; `proto` and `json`
//!   are built in, others are registered as [`CustomCodec`].
//! - [`Encode`] and [`Decode`] on [`Prost`] or [`ProstBinary`]: the seam between calls and message
//!   libraries.
//! - [`ErrorExt`] and [`rpc`]: typed error details, and the standard ones of `google.rpc`.
//! - [`json`]: canonical Protobuf JSON for generated messages and the well-known types.

pub mod json;

mod codec;
mod details;
mod message;

/// What generated code names. Not part of the public API.
#[doc(hidden)]
pub mod __codegen {
    pub use crate as codec;
    pub use prost;
    pub use prost_types;
    pub use serde;
}

pub use codec::{Codec, Codecs, CustomCodec, DynMessage};
pub use details::{ErrorExt, rpc};
pub use message::{Decode, Encode, MessageLibrary, Prost, ProstBinary};
