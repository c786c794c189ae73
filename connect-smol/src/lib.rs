//! ConnectRPC on smol: one service answers Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2, on one port.
//!
//! This crate is what a program depends on: it brings all of [`connect_tower`] (handlers, routers, clients,
//! errors), and adds a [`Server`] and a [`Channel`] that run on smol. A library that only has handlers or
//! clients depends on `connect-tower` and stays free of a runtime.
//!
//! ```
//! use connect_smol::{Channel, Router, Server};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! smol::block_on(async {
//!     let server = Server::bind("127.0.0.1:0").await?;
//!     let uri = format!("http://{}", server.local_addr()?);
//!     smol::spawn(server.serve(Router::new())).detach(); // Router::new().add_service(…)
//!
//!     let channel = Channel::new(uri)?; // connects when the first call needs it
//!     # drop(channel);
//!     # Ok(())
//! })
//! # }
//! ```
//!
//! # The same as on tokio
//!
//! Every name here is also one of `connect-tokio`, and is called in the same way: to move a program, change the crate's
//! name and what starts the runtime. Servers and channels run on smol's global executor by default; [`Smol`]
//! shows how to use your own executor, or a single thread.
//!
//! # TLS
//!
//! A server takes a certificate and key, and if asked demands certificates of its clients; a channel takes the
//! authorities to trust: your own, or by the features `webpki-roots` and `native-roots` those of the web or of the operating
//! system. rustls does the work, with ring or aws-lc-rs; no process-wide provider is needed.
//!
//! ```no_run
//! use connect_smol::{Channel, ClientTls, Server, ServerTls};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let tls = ServerTls::from_pem(std::fs::read("server.pem")?, std::fs::read("server.key")?)?;
//! let server = Server::bind("0.0.0.0:443").await?.with_tls(tls);
//!
//! let tls = ClientTls::new().add_ca(std::fs::read("ca.pem")?)?;
//! let channel = Channel::builder("https://example.com").with_tls(tls).build()?;
//! # drop((server, channel));
//! # Ok(())
//! # }
//! ```
//!
//! # Shutting down
//!
//! ```no_run
//! use connect_smol::{Router, Server};
//!
//! # async fn run(stop: smol::channel::Receiver<()>) -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::bind("127.0.0.1:8080").await?;
//! // Ends when somebody sends, or the last sender is gone: by a thread that waits for Ctrl-C, for example.
//! let stop = async {
//!     let _ = stop.recv().await;
//! };
//! // Returns when all calls have ended, or after 25 seconds: see `Server::with_drain_timeout`.
//! server.serve_with_shutdown(Router::new(), stop).await;
//! # Ok(())
//! # }
//! ```
//!
//! # No tokio at run time
//!
//! `cargo tree` shows a crate of the name `tokio`: hyper and h2 use its IO traits and its channels, which are data
//! structures. Its reactor, timer and executor are not compiled in; see [`connect_hyper`].
//!
//! # Features
//!
//! - `tls` (default): [`ServerTls`] and [`ClientTls`], by [`rustls`].
//! - `ring` (default), `aws-lc-rs`: their cryptography; aws-lc-rs if both are on, and with neither what
//!   [`ServerTls::with_provider`] and [`ClientTls::with_provider`] name.
//! - `webpki-roots`, `native-roots`: authorities for clients to trust, Mozilla's or the operating system's.
//! - `gzip`, `zstd` (default): compressions that routers and clients know by default.
//! - `health`, `reflection`: gRPC's standard services, as modules of these names.
//! - `tracing`, `opentelemetry`: logs, spans and metrics of calls, in the module `telemetry`.
//! - `async-std`: the module `async_std`, which is this crate on async-std.

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "async-std")]
pub mod async_std;
mod io;
mod runtime;
#[cfg(feature = "tls")]
mod tls;

// What users write handlers, routers and clients with, and the macros for generated code.
#[cfg(feature = "health")]
#[doc(no_inline)]
pub use connect_health as health;
pub use connect_hyper::{
    CallTasks, EndpointAddress, Flood, HttpService, HttpVersion, ServerEvent, ServerHandle,
    client::{
        Balance, Candidate, Connect, Connecting, Ejection, HealthCheck, LeastOutstanding,
        PickFirst, Resolve, Resolving, RoundRobin,
    },
    runtime::{ListenAddr, ListenOptions, StreamListener},
};
#[cfg(feature = "reflection")]
#[doc(no_inline)]
pub use connect_reflection as reflection;
#[cfg(feature = "tls")]
pub use connect_rustls::{ClientTls, ReloadableTls, ServerTls, TlsError, rustls};
#[cfg(any(feature = "opentelemetry", feature = "tracing"))]
#[doc(no_inline)]
pub use connect_telemetry as telemetry;
#[doc(no_inline)]
pub use connect_tower::*;

pub use self::{io::FuturesIo, runtime::Smol};

/// smol's clock for calls that no [`Server`] and no [`Channel`] drives: in process, or in another HTTP server. Without a
/// timer they keep no deadlines.
///
/// ```
/// use std::time::Duration;
/// use connect_smol::{
///     Client, Code, InProcess, Prost, Request, Response, Router, Spec, StreamType, timer,
/// };
///
/// # smol::block_on(async {
/// const SLOW: Spec = Spec::new("/demo.v1.Demo/Slow", StreamType::Unary);
///
/// let router = Router::new().unary(SLOW, |_: Request<String>| async {
///     std::future::pending::<()>().await;
///     Ok(Response::new(String::new()))
/// });
/// let client = Client::new(InProcess::new(router).with_timer(timer()));
/// let request = Request::new(String::new()).with_timeout(Duration::from_millis(10));
/// let answer: Result<Response<String>, _> = client.unary::<Prost, _, _>(&SLOW, request).await;
/// assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
/// # });
/// ```
#[must_use]
pub fn timer() -> rt::SharedTimer {
    std::sync::Arc::new(Smol::default())
}

/// A server on smol; see [`connect_hyper::Server`] for what it can do.
///
/// `L` is the listener: a `smol::net::TcpListener`, or any [`connect_hyper::runtime::Listener`]; `M` are those that
/// [`add_listener`](connect_hyper::Server::add_listener) added.
pub type Server<L = smol::net::TcpListener, M = ()> = connect_hyper::Server<Smol, L, M>;

/// A client's way to one server, on smol; see [`connect_hyper::Channel`] for what it can do.
pub type Channel = connect_hyper::Channel<Smol>;

/// A [`Channel`] that others may drop, by [`downgrade`](connect_hyper::Channel::downgrade).
pub type WeakChannel = connect_hyper::WeakChannel<Smol>;

/// Makes a [`Channel`]; see [`connect_hyper::ChannelBuilder`] for what can be chosen.
pub type ChannelBuilder = connect_hyper::ChannelBuilder<Smol>;
