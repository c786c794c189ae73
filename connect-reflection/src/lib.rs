//! gRPC's server reflection, `grpc.reflection.v1` and `v1alpha`: tools such as grpcurl and `buf curl` ask a server about its
//! schemas, and can then call it without having them.
//!
//! [`Reflection`] answers from descriptor sets, which generated code has as constants (`descriptor_set` of connect-codegen)
//! and which `protoc --include_imports -o` and `buf build -o` write to files. It needs no runtime, and answers in every
//! protocol that the router speaks. Applications reach this crate as `reflection` of an adapter, such as
//! `connect_tokio::reflection` with the feature `reflection`.
//!
//! ```
//! use connect_health::Health;
//! use connect_reflection::Reflection;
//! use connect_tower::Router;
//!
//! # fn main() -> Result<(), connect_reflection::DescriptorError> {
//! # mod shop { pub use connect_health::v1::FILE_DESCRIPTOR_SET; }
//! let router = Router::new().add_service(Health::new()); // and the services of the package `shop`
//! let router = Reflection::new([shop::FILE_DESCRIPTOR_SET])?.add_to(router);
//! # assert_eq!(router.service_names().len(), 3);
//! # Ok(())
//! # }
//! ```
//!
//! Whoever may call the service learns all schemas that it was given, so where that is not for everybody, put it on a router
//! of its own or behind a gate.
//!
//! Specification: [gRPC Server Reflection Protocol](https://github.com/grpc/grpc/blob/master/doc/server-reflection.md).

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

use std::{fmt, sync::Arc};

use connect_tower::{Router, bytes::Bytes};

use self::{index::Index, service::Reflector};

/// Schemas, ready to be asked for.
///
/// A clone is cheap.
#[derive(Clone)]
pub struct Reflection {
    index: Arc<Index>,
}

impl Reflection {
    /// The schemas of these descriptor sets, each an encoded `google.protobuf.FileDescriptorSet`.
    ///
    /// A file may be in several sets. The schemas of gRPC's health and reflection services are always there.
    ///
    /// Files are given out as they are in the set: with comments and custom options, if these are there.
    ///
    /// # Errors
    ///
    /// If a set is malformed; if it lacks a file that another one imports, as without `--include_imports`; if two files of
    /// the same name differ in more than comments, or two files declare the same symbol.
    pub fn new<S: Into<Bytes>>(sets: impl IntoIterator<Item = S>) -> Result<Self, DescriptorError> {
        let index = Index::new(sets.into_iter().map(Into::into))?;
        Ok(Self {
            index: Arc::new(index),
        })
    }

    /// Serves both versions on this router, and lists all services that the router has by now and these two.
    ///
    /// So it is called last. A service that the router gets later can be described all the same, but is not listed.
    #[must_use]
    pub fn add_to(self, router: Router) -> Router {
        let mut services: Vec<_> = router
            .service_names()
            .into_iter()
            .map(String::from)
            .collect();
        services.push(v1::server_reflection::NAME.to_owned());
        services.push(v1alpha::server_reflection::NAME.to_owned());
        services.sort_unstable();
        services.dedup();
        let reflector = Reflector::new(self.index, services);
        router
            .add_service(v1::ServerReflectionServer::new(reflector.clone()))
            .add_service(v1alpha::ServerReflectionServer::new(reflector))
    }
}

impl fmt::Debug for Reflection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reflection")
            .field("files", &self.index.file_names())
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
}

impl fmt::Display for DescriptorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DescriptorError {}
