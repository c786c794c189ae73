//! Generates Rust from `.proto` files for ConnectRPC: prost messages, canonical JSON, service
//! traits, servers and clients.
//!
//! A `build.rs` of one line is enough, and no installed `protoc`:
//!
//! ```no_run
//! fn main() -> Result<(), connect_codegen::Error> {
//!     connect_codegen::Config::new().compile(&["proto/eliza.proto"], &["proto"])
//! }
//! ```
//!
//! The code is then included by a macro of the adapter crate that the application uses, which also
//! supplies every crate that the code needs:
//!
//! ```text
//! mod eliza {
//!     connect_tokio::include_proto!("connectrpc.eliza.v1");
//! }
//! ```
//!
//! Several packages that refer to each other are included as a tree of modules by
//! `connect_tokio::include_protos!()`.
//!
//! `protoc` and `buf generate` run the same code as the plugin `protoc-gen-connect-prost`, for code that
//! is checked in.
//!
//! # How it works
//!
//! [`Config::compile`] turns files into descriptors (by protox), the [`plugin`] gets them from its
//! caller; both hand them to [`generate`], which any other frontend may call too. prost-build
//! generates the messages. How it names them in Rust is its own affair, so its output is parsed: each
//! message is found by its full name, each field by its number, and the JSON implementation is put
//! beside it. Services are written as token streams.

mod collisions;
mod config;
mod docs;
mod error;
mod extern_paths;
mod generate;
mod json;
mod layout;
mod model;
mod names;
mod options;
mod plugin;
mod schemas;
mod service;
mod transform;
mod well_known;
mod wire;

#[cfg(feature = "compile")]
mod compile;
#[cfg(feature = "compile")]
mod paths;

#[cfg(feature = "compile")]
pub use compile::descriptors;
pub use config::{Config, Layout};
pub use error::Error;
pub use generate::generate;
pub use layout::GeneratedFile;
pub use plugin::{help, plugin};
