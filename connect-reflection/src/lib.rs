//! gRPC's server reflection, `grpc.reflection.v1` and `v1alpha`: tools such as grpcurl and `buf curl` ask a server about its
//! schemas, and can then call it without having them.
//!
//! [`Reflection`] is a service to add to a router, before or after the others. It answers from the descriptor sets that
//! generated code hands to the router with each service. It needs no runtime, and answers in every protocol that the router
//! speaks. Applications reach this crate as `reflection` of an adapter, such as `connect_tokio::reflection` with the feature
//! `reflection`.
//!
//! ```
//! use connect_reflection::Reflection;
//! use connect_tower::Router;
//!
//! let router = Router::new().add_service(Reflection::new()); // and services of generated code
//! # assert_eq!(router.service_names().len(), 2);
//! ```
//!
//! Whoever may call the service learns all schemas of the router. Where that is not for everybody, add the service to a
//! second router with a gate, and merge that router into the first.
//!
//! Specification: [gRPC Server Reflection Protocol](https://github.com/grpc/grpc/blob/master/doc/server-reflection.md).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod index;
mod service;

/// Messages and client of the service, generated from `grpc/reflection/v1/reflection.proto`.
pub mod v1 {
    include!("generated/grpc.reflection.v1.rs");
}

/// Client of the service's first version, over the messages of [`v1`], which are the same.
pub mod v1alpha {
    include!("generated/grpc.reflection.v1alpha.rs");
}

use std::fmt;

use connect_tower::{Methods, Router, Service, bytes::Bytes};

use self::{index::Index, service::Reflector};

/// The reflection service, in both versions: a service to add to a router.
///
/// It lists the services of the router that serves it, itself included, and describes them by the router's
/// [descriptor sets](Router::descriptor_sets). Generated code adds these with each service, unless its option
/// `descriptor_set` is off. Whichever services the router gets later, or by merging, are there too.
///
/// Files are given out as they are in the set: with comments and custom options, if these are there.
///
/// The sets are read when the first call comes. If they do not go together, each call fails with `internal` and the reason;
/// [`check`](Self::check) finds that when the server starts.
#[derive(Clone, Default)]
pub struct Reflection {
    sets: Vec<Bytes>,
}

impl Reflection {
    /// Describes what the router has descriptor sets of.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Describes what this set has too: an encoded `google.protobuf.FileDescriptorSet`, as `buf build -o` and
    /// `protoc --include_imports -o` write it. It is for services without generated code, and for messages that travel in
    /// an `Any` only.
    ///
    /// Where the router's sets have a file of the same name, or another file that declares the same message, enum or
    /// service, the file of this set is given out instead.
    #[must_use]
    pub fn add_descriptor_set(mut self, set: impl Into<Bytes>) -> Self {
        self.sets.push(set.into());
        self
    }

    /// Reads the sets as a call does that comes to this router, to find what is wrong with them before there are calls.
    ///
    /// # Errors
    ///
    /// If a set is malformed; if a file imports one that is in none of the sets, as without `--include_imports`; if two
    /// files of the same name differ in more than comments, or two files declare the same symbol.
    pub fn check(&self, router: &Router) -> Result<(), DescriptorError> {
        Index::new(&self.sets, router.descriptor_sets()).map(drop)
    }
}

impl Service for Reflection {
    const NAME: &'static str = v1::server_reflection::NAME;

    fn register(self, methods: &mut Methods) {
        let reflector = Reflector::new(self.sets);
        methods.pass_router();
        v1::ServerReflectionServer::new(reflector.clone()).register(methods);
        v1alpha::ServerReflectionServer::new(reflector).register(methods);
    }
}

impl fmt::Debug for Reflection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflection")
            .field("sets", &self.sets.len())
            .finish()
    }
}

/// Descriptor sets are malformed, incomplete or do not go together; the text says which file, and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DescriptorError {
    message: String,
}

impl DescriptorError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
        }
    }

    /// The same, with the set in which it was found.
    pub(crate) fn within(self, set: &str) -> Self {
        Self::new(format!("{set}: {}", self.message))
    }
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DescriptorError {}
