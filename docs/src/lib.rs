//! The guide, so that `cargo test` compiles and runs the code of every chapter.
//!
//! A chapter is read where it lies, in `docs/`. Its Rust blocks are doctests of a module here; files and commands are
//! checked by `tests/`. The rest of this crate is what the blocks stand on. See `build.rs` for the lines that readers do not
//! see.

pub mod certificates;
mod services;

use std::{error::Error, future::Future};

pub use services::{Greeter, router, talk_router};

/// `docs/proto/hello/v1/hello.proto`, the service of the README.
pub mod hello {
    connect_tokio::include_proto!("hello.v1");
}

/// `docs/proto/greet/v1/greet.proto`, the service of the first chapter.
pub mod greet {
    connect_tokio::include_proto!("greet.v1");
}

/// The same, whose handlers take views.
pub mod viewed {
    include!(concat!(env!("OUT_DIR"), "/viewed/greet.v1.rs"));
}

/// `docs/proto/shop/shop.proto`, whose messages keep unknown fields.
pub mod shop {
    connect_tokio::include_proto!("shop");
}

/// `docs/proto/talk/v1/talk.proto`, the service of the chapter on streaming.
pub mod talk {
    connect_tokio::include_proto!("talk.v1");
}

/// Runs the end of a doctest, on a runtime of its own.
///
/// # Panics
///
/// With the error, so that the test fails.
pub fn run(future: impl Future<Output = Result<(), Box<dyn Error>>>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Err(error) = runtime.block_on(future) {
        panic!("{error}");
    }
}

#[cfg(doctest)]
mod chapters {
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/project.md"))]
    mod project {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/services.md"))]
    mod services {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/clients.md"))]
    mod clients {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/codegen.md"))]
    mod codegen {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/streaming.md"))]
    mod streaming {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/errors.md"))]
    mod errors {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/tls.md"))]
    mod tls {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/health.md"))]
    mod health {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/deployment.md"))]
    mod deployment {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/observability.md"))]
    mod observability {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/flows.md"))]
    mod flows {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/embedding.md"))]
    mod embedding {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/web.md"))]
    mod web {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/performance.md"))]
    mod performance {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/simulation.md"))]
    mod simulation {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/from_tonic.md"))]
    mod from_tonic {}
    #[doc = include_str!(concat!(env!("OUT_DIR"), "/crates.md"))]
    mod crates {}
}
