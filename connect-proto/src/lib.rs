//! The Connect, gRPC and gRPC-Web protocols as pure state machines: server and client.
//!
//! A call is two independent one-way machines. A [`RecvHalf`] takes bytes and yields messages and one ending; a
//! [`SendHalf`] takes messages and an outcome and yields a head, bytes and trailers. Both serve all three protocols,
//! all stream types and both sides: bytes, `http` heads and [`Time`] go in, events and bytes come out. There is no IO
//! here, no async, no clock, no thread and no message type, so the same code runs under any runtime, in a server of
//! your own, in a browser and in a fuzzer.
//!
//! # A server's loop
//!
//! [`detect`] says what a request's head asks for, [`Detected::accept`] begins the call. Then feed the receiving half
//! until it has yielded its ending, and send what the sending half transmits:
//!
//! ```
//! use bytes::Bytes;
//! use connect_proto::{
//!     RecvEvent, ServerConfig, Spec, StreamType, Time, Transmit, detect,
//! };
//! use http::HeaderMap;
//!
//! /// One unary call, its request body in chunks as a socket gave them: the head and the body of the answer.
//! fn serve(
//!     head: &http::request::Parts,
//!     chunks: Vec<Bytes>,
//!     now: Time,
//! ) -> http::Response<Vec<u8>> {
//!     let spec = Spec::new("/greet.v1.GreetService/Greet", StreamType::Unary);
//!     let config = ServerConfig::new();
//!     let accepted = detect(head).and_then(|call| match call.codec() {
//!         "json" => call.accept(head, &spec, &config, now),
//!         _ => Err(call.unsupported_codec(head, &spec, ["json"])),
//!     });
//!     let (mut recv, mut send) = match accepted {
//!         Ok(halves) => halves,
//!         Err(rejection) => return rejection.into_response().map(|body| body.to_vec()),
//!     };
//!
//!     let mut chunks = chunks.into_iter();
//!     let mut request = None;
//!     let ending = loop {
//!         match recv.poll_event() {
//!             Some(Ok(RecvEvent::Message(message))) => request = Some(message),
//!             Some(Ok(RecvEvent::End(_trailers))) => break Ok(()),
//!             Some(Err(error)) => break Err(error),
//!             None => match chunks.next() {
//!                 Some(chunk) => recv.recv_data(chunk),
//!                 None => recv.recv_eof(),
//!             },
//!         }
//!     };
//!
//!     let answered = ending.and_then(|()| {
//!         let request = request.unwrap_or_default();
//!         send.send_message(|buffer| {
//!             buffer.extend_from_slice(b"hello, ");
//!             buffer.extend_from_slice(&request);
//!             Ok(())
//!         })
//!     });
//!     send.finish(answered.map(|()| HeaderMap::new()));
//!
//!     let head = send.poll_response_head().expect("finished halves have a head");
//!     let mut body = Vec::new();
//!     while let Some(transmit) = send.poll_transmit() {
//!         match transmit {
//!             Transmit::Data(data) => body.extend_from_slice(&data),
//!             Transmit::Trailers(_) | Transmit::Reset(_) => { /* HTTP/2 sends these as frames of their own */ }
//!         }
//!     }
//!     http::Response::from_parts(head, body)
//! }
//!
//! let (head, ()) = http::Request::post("/greet.v1.GreetService/Greet")
//!     .header("content-type", "application/json")
//!     .body(())?
//!     .into_parts();
//! let chunks = vec![Bytes::from_static(b"wo"), Bytes::from_static(b"rld")];
//! let response = serve(&head, chunks, Time::ZERO);
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.body(), b"hello, world");
//! # Ok::<(), http::Error>(())
//! ```
//!
//! # A client's loop
//!
//! [`ClientConfig::start`] gives the sending half and an [`ExpectHead`], which becomes the receiving half when the
//! response's head is there:
//!
//! ```
//! use bytes::Bytes;
//! use connect_proto::{
//!     CallOptions, ClientConfig, Error, RecvEvent, Spec, StreamType, Time, Transmit,
//! };
//! use http::HeaderMap;
//!
//! let spec = Spec::new("/greet.v1.GreetService/Greet", StreamType::Unary);
//! let config = ClientConfig::new().with_codec("json");
//! let (mut send, expect) = config.start(&spec, &CallOptions::new(), Time::ZERO)?;
//! send.send_bytes(Bytes::from_static(b"{}"))?;
//! send.finish(Ok(HeaderMap::new()));
//! let head = send.poll_request_head().expect("the message is there, so the head is");
//! assert_eq!(head.uri, "/greet.v1.GreetService/Greet");
//! assert_eq!(send.poll_transmit(), Some(Transmit::Data(Bytes::from_static(b"{}"))));
//! assert!(send.is_end_stream());
//!
//! // The transport sends that and comes back with a response.
//! let (head, ()) = http::Response::builder()
//!     .status(404)
//!     .header("content-type", "application/json")
//!     .body(())
//!     .expect("a valid head")
//!     .into_parts();
//! let mut recv = expect.recv_head(head);
//! recv.recv_data(Bytes::from_static(br#"{"code":"not_found","message":"nobody"}"#));
//! recv.recv_eof();
//! let event: Result<RecvEvent, Error> = recv.poll_event().expect("an ending");
//! let error = event.unwrap_err();
//! assert_eq!(error.to_string(), "not_found: nobody");
//! # Ok::<(), Error>(())
//! ```
//!
//! # The contract
//!
//! It is stated on [`RecvHalf`] and tested as properties: events do not depend on cuts; a half ends once, and
//! truncation is never a clean end; memory is bounded by [`Limits`]; what need not be copied is not; nothing panics on
//! input; where one message is allowed, it comes only with the clean end; and dropping a half means cancellation.
//!
//! # What is not here
//!
//! HTTP framing belongs to an HTTP library, message encoding to a codec, routing and handlers to `connect-tower`.
//!
//! # Features
//!
//! - `gzip` (default): gzip by `flate2`, with its `zlib-rs` backend.
//! - `zstd`: Zstandard by `zstd`, which builds C.
//!
//! Other compressions are added through the [`Compression`] trait.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod base64_text;
mod chunks;
mod client;
mod code;
mod compression;
mod config;
pub mod envelope;
mod error;
mod excerpt;
mod message_size;
pub mod metadata;
mod percent;
mod protocol;
mod recv;
mod send;
mod server;
mod side;
mod spec;
mod status_details;
mod time;
mod timeout;

pub use client::ExpectHead;
pub use code::{Code, UnknownCode};
#[cfg(feature = "gzip")]
pub use compression::Gzip;
#[cfg(feature = "zstd")]
pub use compression::Zstd;
pub use compression::{Compression, CompressionError, Compressions, InvalidCompressionName};
pub use config::{CallOptions, CallPolicy, ClientConfig, GetPolicy, Limits, ServerConfig};
pub use error::{Error, ErrorDetail};
pub use message_size::MessageSize;
pub use metadata::MetadataError;
pub use protocol::{Protocol, is_codec_name};
pub use recv::{RecvEvent, RecvHalf, Reset};
pub use send::{SendHalf, Transmit};
pub use server::{Detected, Rejection, detect};
pub use side::Side;
pub use spec::{Idempotency, Spec, StreamType};
pub use time::Time;
pub use timeout::DeadlinePolicy;
