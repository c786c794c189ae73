//! ConnectRPC clients in browsers: generated clients call Connect and gRPC-Web services over `fetch`.
//!
//! This crate is what a program for `wasm32-unknown-unknown` depends on: it brings all of [`connect_tower`] (clients,
//! messages, errors, interceptors), and adds a [`FetchTransport`]. It works wherever the global scope has `fetch`: in pages,
//! in workers of every kind, and in Node.js 20 or newer.
//!
//! ```no_run
//! use connect_web::{
//!     Client, ClientConfig, Error, FetchTransport, Prost, Protocol, Request, Response, Spec, StreamType,
//! };
//!
//! const UPPER: Spec = Spec::new("/demo.v1.Text/Upper", StreamType::Unary);
//!
//! # async fn example() -> Result<(), Error> {
//! let transport = FetchTransport::new("https://api.example.com")?;
//! let client = Client::new(transport)
//!     .with_config(ClientConfig::new().with_protocol(Protocol::GrpcWeb));
//! let request = Request::new("hi".to_owned());
//! let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await?;
//! assert_eq!(response.message(), "HI");
//! # Ok(())
//! # }
//! ```
//!
//! Generated clients are made the same way: `ElizaServiceClient::new(transport)`. `wasm_bindgen_futures::spawn_local` runs
//! them.
//!
//! # What works over `fetch`
//!
//! | | Connect | gRPC-Web | gRPC |
//! |---|---|---|---|
//! | unary | yes, by GET too | yes | no |
//! | server stream | yes, message by message | yes, message by message | no |
//! | client stream, bidirectional | no | no | no |
//!
//! What does not work fails with `unimplemented` before anything is sent: browsers do not stream a request's body while they
//! read the response, and do not show trailers, which gRPC needs.
//!
//! # Deadlines and cancellation
//!
//! Timeouts are sent to the server and kept here too, by `performance.now()` and `setTimeout`; pages in the background may
//! be woken up to a second late, or later. A call that is dropped, or whose time is up, is aborted: the browser resets
//! the HTTP/2 stream or closes the connection.
//!
//! # Threads
//!
//! Calls are `Send`, so that interceptors and spawners that ask for it take them; but the browser's objects in them belong
//! to one thread. In programs with threads (shared memory, which needs a nightly compiler) a call must be polled and dropped
//! by the worker that began it; elsewhere it panics.
//!
//! # Features
//!
//! - `gzip`: compression inside of streams, and of requests; not on by default. A browser asks for compressed responses by
//!   itself, and inflates those of unary Connect calls. With the feature calls ask for compressed messages by the header
//!   `connect-accept-encoding` or `grpc-accept-encoding`, which a server of another origin must allow.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod base;
mod body;
mod fetch;
mod head;
mod js;
mod timer;

#[doc(no_inline)]
pub use connect_tower::*;

pub use self::{
    body::FetchBody,
    fetch::{Credentials, FetchFuture, FetchTransport},
    timer::timer,
};
