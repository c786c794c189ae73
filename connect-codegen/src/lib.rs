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
//! is checked in. The command `connect-codegen`, which needs neither, checks schemas, generates code,
//! compares it with what is checked in, and explains what becomes of an element.
//!
//! # How it works
//!
//! [`Config::compile`] turns files into descriptors (by protox, or
//! editions by an installed compiler), the [`plugin`] gets them from its
//! caller; both do what [`generate`] does, which any other frontend may call. The descriptors become
//! one model of the schema, in which everything is resolved: names and paths in Rust, features of
//! editions, presence, boxes, options. Every emitter is a function of it: messages, JSON, services.
//!
//! Messages are those of prost: the same names, types and attributes as prost-build's.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod code;
mod config;
mod descriptor;
mod emit;
mod error;
mod generate;
mod layout;
mod names;
mod nearest;
mod options;
mod plugin;
mod schema;

#[cfg(feature = "compile")]
mod compile;
#[cfg(feature = "command")]
mod explain;
#[cfg(feature = "compile")]
mod installed;
#[cfg(feature = "compile")]
mod unread;

#[cfg(feature = "compile")]
pub use compile::{Schemas, descriptors};
pub use config::{Config, Layout, Progress, Stage};
pub use error::Error;
pub use generate::generate;
pub use layout::GeneratedFile;
pub use plugin::{help, plugin};
