//! Placeholder docs.

mod body;
mod client;
mod deadline;
mod error_writer;
mod gate;
mod handler;
mod in_process;
mod incoming;
mod intercepted;
mod interceptor;
mod methods;
mod payload;
mod peer;
mod request;
mod response;
mod router;
pub mod rt;
mod service;
mod sink;
mod streaming;
pub mod transport;

use std::{error::Error as StdError, future::Future, pin::Pin};

pub use connect_codec::{
    Codec, Codecs, CustomCodec, Decode, DynMessage, Encode, MessageLibrary, Prost, ProstBinary,
};
pub use connect_proto::{
    CallPolicy, ClientConfig, Code, Compression, CompressionError, Compressions, DeadlinePolicy,
    Error, ErrorDetail, GetPolicy, Idempotency, Limits, Protocol, ServerConfig, Spec, StreamType,
    Time, metadata,
};

pub use body::CallBody;
pub use client::{BidiCall, BidiReceiver, BidiSender, Client, ClientStreamCall};
pub use deadline::Deadline;
pub use error_writer::error_response;
pub use gate::{CallHead, Gate, GateFn, gate_fn};
pub use in_process::{InProcess, InProcessFuture};
pub use incoming::IncomingBody;
pub use interceptor::{Before, Call, Interceptor, Next, Reply, before};
pub use methods::{Methods, Service};
pub use payload::{Payload, Payloads};
pub use peer::Peer;
pub use request::{IntoRequest, Request};
pub use response::{Response, ResponseStream};
pub use router::{RouteConflict, Router};
pub use service::RouterFuture;
pub use streaming::Streaming;
pub use transport::{BodyError, Sent, ServiceTransport, Transport, TransportError};

pub(crate) type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;
