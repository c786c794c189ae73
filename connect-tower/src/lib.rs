//! ConnectRPC calls as async Rust, on [`tower_service`] and [`http_body`]: no runtime, no sockets.
//!
//! This crate turns the protocol core (`connect-proto`) and messages (`connect-codec`) into what programs are written
//! with: handlers, a [`Router`], [`Client`]s, [`Gate`]s and [`Interceptor`]s. A router serves Connect, gRPC and gRPC-Web on
//! the same paths; a client speaks the one that it is configured for.
//!
//! Applications use it through an adapter, such as `connect-tokio`, which re-exports all of it beside a server and a
//! channel. A library that only has handlers or clients depends on this crate alone.
//!
//! # Example
//!
//! A service without generated code, and a client that calls it in the same process, on no runtime at all:
//!
//! ```
//! use connect_tower::{
//!     Client, Error, InProcess, Prost, Request, Response, ResponseStream, Router, Spec, StreamType, Streaming,
//! };
//!
//! const UPPER: Spec = Spec::new("/demo.v1.Text/Upper", StreamType::Unary);
//! const CHAT: Spec = Spec::new("/demo.v1.Text/Chat", StreamType::BidiStream);
//!
//! fn router() -> Router {
//!     Router::new()
//!         .unary(UPPER, |request: Request<String>| async move {
//!             if request.message().is_empty() {
//!                 return Err(Error::invalid_argument("there is nothing to say"));
//!             }
//!             Ok(Response::new(request.into_message().to_uppercase()))
//!         })
//!         .bidi_stream(CHAT, |request: Request<Streaming<String>>| async move {
//!             let mut lines = request.into_stream();
//!             Ok(Response::new(ResponseStream::generate(|mut answers| async move {
//!                 while let Some(line) = lines.message().await? {
//!                     answers.send(format!("{line}?")).await;
//!                 }
//!                 Ok(())
//!             })))
//!         })
//! }
//!
//! async fn talk() -> Result<(), Error> {
//!     let client = Client::new(InProcess::new(router()));
//!
//!     let request = Request::new("hi".to_owned()).add_header("x-tenant", "blue")?;
//!     let response: Response<String> = client.unary::<Prost, _, _>(&UPPER, request).await?;
//!     assert_eq!(response.message(), "HI");
//!
//!     let mut chat = client.bidi_stream::<Prost, String, String>(&CHAT, Request::new(()));
//!     chat.send("really".to_owned()).await?;
//!     assert_eq!(chat.message().await?.as_deref(), Some("really?"));
//!     chat.close_send();
//!     assert_eq!(chat.message().await?, None);
//!     Ok(())
//! }
//! # let mut future = std::pin::pin!(talk());
//! # let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
//! # loop {
//! #     if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
//! #         break done;
//! #     }
//! # }?;
//! # Ok::<(), Error>(())
//! ```
//!
//! # What runs where
//!
//! Nothing is spawned. A call's future and its bodies are pulled by whoever awaits them, and dropping them cancels the
//! call: on a server the handler is dropped, on a client the stream is reset. The one thing that is needed of a runtime is
//! a [`Timer`](rt::Timer), and that only for deadlines.
//!
//! # Features
//!
//! - `gzip` (default) and `zstd`: compressions that routers and clients know by default.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod call;
mod client;
mod in_process;
mod interceptor;
mod message;
mod server;
pub mod transport;

pub use call::rt;
pub use server::cors;

use std::{error::Error as StdError, future::Future, pin::Pin};

pub use connect_codec::{
    Codec, Codecs, CustomCodec, Decode, DecodeError, DynMessage, Encode, ErrorExt, Extension,
    InvalidCodecName, KeepUnknownFields, MessageLibrary, Prost, ProstBinary, ProtoOptions,
    UnknownFields, UnknownFieldsIter, UnknownValue, json, rpc, view,
};
// Crates whose types are in signatures here, or are fields of generated messages: nobody has to list them too.
#[doc(no_inline)]
pub use connect_codec::{bytes, prost_types};
#[cfg(feature = "gzip")]
pub use connect_proto::Gzip;
#[cfg(feature = "zstd")]
pub use connect_proto::Zstd;
pub use connect_proto::{
    CallPolicy, ClientConfig, Code, Compression, CompressionError, Compressions, DeadlinePolicy,
    Error, ErrorDetail, GetPolicy, Idempotency, Limits, MessageSize, Protocol, ServerConfig, Side,
    Spec, StreamType, Time, metadata,
};
#[doc(no_inline)]
pub use http;

pub use call::attempts::Attempts;
pub use call::body::CallBody;
pub use call::connection::Connection;
pub use call::deadline::Deadline;
pub use call::incoming::IncomingBody;
pub use call::observe::{CallEnd, CallObserver, CallStart, Observer, Traffic};
pub use call::payload::{Payload, Payloads};
pub use call::peer::Peer;
pub use call::receive::{ReceiveBudget, ReceiveLimits};
pub use client::policy::{
    config::{MethodConfig, ServiceConfig},
    rules::{HedgePolicy, RetryPolicy},
    throttle::RetryThrottle,
};
pub use client::retry::resends::Resends;
pub use client::{BidiCall, BidiReceiver, BidiSender, Client, ClientStreamCall};
pub use in_process::{InProcess, InProcessFuture};
pub use interceptor::{Before, Call, Interceptor, Next, Reply, before};
pub use message::generate::Yielder;
pub use message::request::{IntoRequest, IntoStreamRequest, Request};
pub use message::response::{Response, ResponseStream};
pub use message::streaming::Streaming;
pub use server::bearer::{Bearer, bearer};
pub use server::error_writer::error_response;
pub use server::gate::{CallHead, Gate, GateFn, gate_fn};
pub use server::load::{ConcurrencyLimit, adaptive::AdaptiveLimit};
pub use server::methods::{Methods, Service};
pub use server::router::{RouteConflict, Router};
pub use server::service::RouterFuture;
pub use server::stats::ServerStats;
pub use transport::{
    BodyError, ChannelState, ChannelStats, EndpointStats, FailureKind, Sent, ServiceFuture,
    ServiceTransport, Transport, TransportError,
};

/// What generated code names. Not part of the public API.
#[doc(hidden)]
pub mod __codegen {
    pub use connect_codec::__codegen::*;

    pub use crate::{__client as client, __server as server};
    pub use crate::{
        BidiCall, Client, ClientConfig, ClientStreamCall, Codecs, Error, Idempotency, Interceptor,
        IntoRequest, IntoStreamRequest, Methods, Observer, Prost, ProstBinary, Request, Resends,
        Response, ResponseStream, RetryPolicy, Service, ServiceConfig, Spec, StreamType, Streaming,
        Transport, call::rt::SharedTimer,
    };
}

/// Includes the code that a `build.rs` has generated by connect-codegen from the `.proto` files of one package.
///
/// The code takes all that it needs through the crate whose macro includes it, so nothing else has to be listed as a
/// dependency. Give each package a module of its own:
///
/// ```text
/// mod eliza {
///     connect_tower::include_proto!("connectrpc.eliza.v1");
/// }
/// ```
///
/// Packages that refer to each other are included together, by [`include_protos!`](crate::include_protos).
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        #[allow(unused_imports)]
        use $crate::__codegen as connect_rs;
        ::core::include!(::core::concat!(
            ::core::env!(
                "OUT_DIR",
                "there is no build.rs: it compiles the schemas by connect_codegen::Config"
            ),
            "/",
            $package,
            ".rs"
        ));
    };
}

/// Includes the code of all packages that a `build.rs` has generated by connect-codegen, as a tree of modules.
///
/// ```text
/// mod proto {
///     connect_tower::include_protos!();
/// }
/// use proto::connectrpc::eliza::v1::SayRequest;
/// ```
///
/// The name of the file can be given, if the `build.rs` has chosen another one.
#[macro_export]
macro_rules! include_protos {
    () => {
        $crate::include_protos!("_protos.rs");
    };
    ($file:literal) => {
        #[allow(unused_imports)]
        use $crate::__codegen as connect_rs;
        ::core::include!(::core::concat!(
            ::core::env!(
                "OUT_DIR",
                "there is no build.rs: it compiles the schemas by connect_codegen::Config"
            ),
            "/",
            $file
        ));
    };
}

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
