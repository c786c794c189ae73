//! Both machines of a call wired to each other, through chunks of any size.

#![allow(dead_code, reason = "each test binary uses its own part")]

use bytes::Bytes;
use connect_proto::{
    CallOptions, ClientConfig, Error, ExpectHead, Idempotency, Protocol, RecvEvent, RecvHalf,
    Reset, SendHalf, ServerConfig, Spec, StreamType, Time, Transmit, detect,
};
use http::{HeaderMap, HeaderValue, Method, request, response};

/// What one side put on the wire after its head.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Frame {
    Data(Bytes),
    Trailers(HeaderMap),
    Eof,
    Reset(Error),
}

/// A recorded stream: a head and what followed.
#[derive(Debug)]
pub(crate) struct Recorded<H> {
    pub(crate) head: H,
    pub(crate) frames: Vec<Frame>,
}

pub(crate) type Events = Vec<Result<RecvEvent, Error>>;

pub(crate) fn spec(stream_type: StreamType) -> Spec {
    Spec::new("/test.v1.Test/Call", stream_type).with_idempotency(Idempotency::NoSideEffects)
}

/// All that a half has to transmit, to the end of its body.
pub(crate) fn drain(half: &mut SendHalf) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(transmit) = half.poll_transmit() {
        frames.push(match transmit {
            Transmit::Data(data) => Frame::Data(data),
            Transmit::Trailers(trailers) => Frame::Trailers(trailers),
            Transmit::Reset(error) => Frame::Reset(error),
        });
    }
    if half.is_end_stream() && !matches!(frames.last(), Some(Frame::Trailers(_) | Frame::Reset(_)))
    {
        frames.push(Frame::Eof);
    }
    frames
}

/// Everything polled out, as a driver does before it reads on.
pub(crate) fn poll_all(half: &mut RecvHalf, events: &mut Events) {
    while let Some(event) = half.poll_event() {
        events.push(event);
    }
}

/// Feeds a half the frames, data in chunks of `cut` bytes, and collects its events.
pub(crate) fn feed(half: &mut RecvHalf, frames: &[Frame], cut: usize) -> Events {
    let mut events = Events::new();
    poll_all(half, &mut events);
    for frame in frames {
        match frame {
            Frame::Data(data) => {
                for start in (0..data.len()).step_by(cut.max(1)) {
                    let end = data.len().min(start.saturating_add(cut.max(1)));
                    half.recv_data(data.slice(start..end));
                    poll_all(half, &mut events);
                }
            }
            Frame::Trailers(trailers) => half.recv_trailers(trailers.clone()),
            Frame::Eof => half.recv_eof(),
            Frame::Reset(_) => half.recv_reset(Reset::Http2(8)),
        }
        poll_all(half, &mut events);
    }
    events
}

/// The client's side of a call, up to the end of its request.
pub(crate) fn request(
    config: &ClientConfig,
    stream_type: StreamType,
    options: &CallOptions,
    messages: &[Bytes],
) -> (Recorded<request::Parts>, ExpectHead) {
    let (mut send, expect) = config
        .start(&spec(stream_type), options, Time::ZERO)
        .expect("a valid config");
    for message in messages {
        send_message(&mut send, message).expect("an open half");
    }
    send.finish(Ok(HeaderMap::new()));
    let head = send
        .poll_request_head()
        .expect("a head at the end of the request");
    let frames = drain(&mut send);
    (Recorded { head, frames }, expect)
}

pub(crate) fn send_message(half: &mut SendHalf, message: &Bytes) -> Result<(), Error> {
    half.send_message(|buffer| {
        buffer.extend_from_slice(message);
        Ok(())
    })
}

/// Accepts a recorded request.
pub(crate) fn accept(
    head: &request::Parts,
    stream_type: StreamType,
    config: &ServerConfig,
) -> (RecvHalf, SendHalf) {
    let mut head = head.clone();
    if head.version == http::Version::HTTP_11 {
        head.version = http::Version::HTTP_2;
    }
    let detected = detect(&head).expect("a call");
    detected
        .accept(&head, &spec(stream_type), config, Time::ZERO)
        .expect("a call that can be served")
}

/// The server's side of a call, to its end.
pub(crate) fn respond(
    send: &mut SendHalf,
    leading: HeaderMap,
    messages: &[Bytes],
    outcome: Result<HeaderMap, Error>,
) -> Recorded<response::Parts> {
    if outcome.is_ok() || !messages.is_empty() {
        send.send_head(leading).expect("an open half");
    }
    for message in messages {
        send_message(send, message).expect("an open half");
    }
    send.finish(outcome);
    let head = send.poll_response_head().expect("a head");
    let frames = drain(send);
    Recorded { head, frames }
}

/// A head as it would come from a peer.
pub(crate) fn post(content_type: &str) -> request::Parts {
    let (parts, ()) = http::Request::builder()
        .method(Method::POST)
        .version(http::Version::HTTP_2)
        .uri("/test.v1.Test/Call")
        .header("content-type", content_type)
        .body(())
        .expect("a valid head")
        .into_parts();
    parts
}

/// A head of a Connect GET.
pub(crate) fn get(query: &str) -> request::Parts {
    let mut head = post("");
    head.headers.clear();
    head.method = Method::GET;
    head.uri = format!("/test.v1.Test/Call?{query}").parse().unwrap();
    head
}

pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| {
            (
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect()
}

pub(crate) fn message(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

/// A client for each way to speak: protocol, gRPC-Web's text mode, GET.
pub(crate) fn clients() -> Vec<(&'static str, ClientConfig)> {
    let with = |protocol| ClientConfig::new().with_protocol(protocol);
    vec![
        ("connect", with(Protocol::Connect)),
        (
            "connect get",
            with(Protocol::Connect).with_get(connect_proto::GetPolicy::default()),
        ),
        ("grpc", with(Protocol::Grpc)),
        ("grpc-web", with(Protocol::GrpcWeb)),
        (
            "grpc-web-text",
            with(Protocol::GrpcWeb).with_grpc_web_text(true),
        ),
    ]
}

/// One envelope as it stands on the wire.
pub(crate) fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![flags];
    out.extend_from_slice(
        &u32::try_from(payload.len())
            .expect("a short payload")
            .to_be_bytes(),
    );
    out.extend_from_slice(payload);
    out
}
