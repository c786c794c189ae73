//! Whole unary calls, and the end of a stream.

use bytes::Bytes;
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, ErrorDetail, Protocol, RecvEvent, RecvHalf, SendHalf,
    ServerConfig, Spec, StreamType, Time, Transmit, detect,
};
use http::{HeaderMap, HeaderValue, Request, Response, Version, request, response};

use crate::SMALL;

const PATH: &str = "/bench.v1.Echo/Unary";
const SPEC: Spec = Spec::new(PATH, StreamType::Unary);

/// A server's share of one unary call with a small message: detect, accept, receive, send, finish.
#[derive(Debug)]
pub struct UnaryServer {
    config: ServerConfig,
    head: request::Parts,
    body: Bytes,
}

impl UnaryServer {
    /// A call with a small message and the headers that the protocol's usual clients send.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self::with_message(protocol, Bytes::from_static(SMALL))
    }

    /// A call with this message, which no compression is used for.
    #[must_use]
    pub fn with_message(protocol: Protocol, message: Bytes) -> Self {
        let mut head = Request::post(PATH).version(Version::HTTP_2);
        let pairs: &[(&str, &str)] = match protocol {
            Protocol::Connect => &[
                ("content-type", "application/proto"),
                ("accept-encoding", "gzip"),
                ("connect-protocol-version", "1"),
            ],
            Protocol::Grpc => &[
                ("content-type", "application/grpc"),
                ("grpc-accept-encoding", "identity,deflate,gzip"),
                ("te", "trailers"),
            ],
            Protocol::GrpcWeb => &[
                ("content-type", "application/grpc-web+proto"),
                ("grpc-accept-encoding", "gzip"),
                ("x-grpc-web", "1"),
            ],
        };
        for (name, value) in pairs {
            head = head.header(*name, *value);
        }
        let head = head
            .header("user-agent", "bench/1.0 (some client)")
            .body(());
        let (head, ()) = head.expect("the head is valid").into_parts();
        let body = match protocol {
            Protocol::Connect => message,
            Protocol::Grpc | Protocol::GrpcWeb => enveloped(0, &message),
        };
        let config = ServerConfig::new().with_min_compress_bytes(usize::MAX);
        Self { config, head, body }
    }

    /// Serves the call, echoing its message.
    #[must_use]
    pub fn run(&self) -> usize {
        let accepted = detect(&self.head)
            .and_then(|call| call.accept(&self.head, &SPEC, &self.config, Time::ZERO));
        let (mut recv, mut send) = accepted.expect("the call can be served");
        recv.recv_data(self.body.clone());
        assert!(recv.poll_event().is_none());
        recv.recv_eof();
        let message = one_message(&mut recv);
        encode(&mut send, &message);
        send.finish(Ok(HeaderMap::new()));
        let head = send.poll_response_head().expect("the call is finished");
        head.headers.len() + drain(&mut send)
    }
}

/// A client's share of the same call.
#[derive(Debug)]
pub struct UnaryClient {
    config: ClientConfig,
    head: response::Parts,
    body: Bytes,
    trailers: Option<HeaderMap>,
}

impl UnaryClient {
    /// A client with the default configuration, and its peer's answer.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        let content_type = match protocol {
            Protocol::Connect => "application/proto",
            Protocol::Grpc => "application/grpc+proto",
            Protocol::GrpcWeb => "application/grpc-web+proto",
        };
        let head = Response::builder().header("content-type", content_type);
        let head = head
            .header("date", "Mon, 23 Nov 2026 11:00:00 GMT")
            .body(());
        let (head, ()) = head.expect("the head is valid").into_parts();
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static("0"));
        let (body, trailers) = match protocol {
            Protocol::Connect => (Bytes::from_static(SMALL), None),
            Protocol::Grpc => (enveloped(0, SMALL), Some(trailers)),
            Protocol::GrpcWeb => {
                let mut body = enveloped(0, SMALL).to_vec();
                body.extend_from_slice(&enveloped(0x80, b"grpc-status: 0\r\n"));
                (body.into(), None)
            }
        };
        Self {
            config: ClientConfig::new().with_protocol(protocol),
            head,
            body,
            trailers,
        }
    }

    /// Makes the call and receives its answer.
    #[must_use]
    pub fn run(&self) -> usize {
        let started = self.config.start(&SPEC, &CallOptions::new(), Time::ZERO);
        let (mut send, expect) = started.expect("the configuration is valid");
        encode(&mut send, SMALL);
        send.finish(Ok(HeaderMap::new()));
        let head = send.poll_request_head().expect("the request is finished");
        let sent = head.headers.len() + drain(&mut send);
        let mut recv = expect.recv_head(self.head.clone());
        recv.recv_data(self.body.clone());
        assert!(recv.poll_event().is_none());
        match &self.trailers {
            Some(trailers) => recv.recv_trailers(trailers.clone()),
            None => recv.recv_eof(),
        }
        sent + one_message(&mut recv).len()
    }
}

/// The end of a Connect stream that failed, in JSON: written by the server's half and read by the client's.
#[derive(Debug)]
pub struct EndStream {
    error: Error,
    server: UnaryServer,
    client: UnaryClient,
}

impl Default for EndStream {
    fn default() -> Self {
        Self::new()
    }
}

impl EndStream {
    /// An error with a detail and two entries of metadata.
    #[must_use]
    pub fn new() -> Self {
        let mut metadata = HeaderMap::new();
        metadata.insert("x-cost", HeaderValue::from_static("237"));
        metadata.insert("x-region", HeaderValue::from_static("north"));
        let error = Error::new(Code::Unavailable, "overloaded: back off and retry")
            .add_detail(ErrorDetail::new(
                "google.rpc.RetryInfo",
                &b"\x0a\x02\x08\x3c"[..],
            ))
            .with_metadata(metadata);
        let content_type = HeaderValue::from_static("application/connect+proto");
        let mut server = UnaryServer::new(Protocol::Connect);
        server
            .head
            .headers
            .insert("content-type", content_type.clone());
        let mut client = UnaryClient::new(Protocol::Connect);
        client.head.headers.insert("content-type", content_type);
        Self {
            error,
            server,
            client,
        }
    }

    /// Ends the stream with the error and receives it.
    #[must_use]
    pub fn run(&self) -> usize {
        let spec = Spec::new(PATH, StreamType::BidiStream);
        let UnaryServer { head, config, .. } = &self.server;
        let accepted = detect(head).and_then(|call| call.accept(head, &spec, config, Time::ZERO));
        let (_, mut send) = accepted.expect("the call can be served");
        send.finish(Err(self.error.clone()));
        let _ = send.poll_response_head();
        let options = CallOptions::new();
        let started = self.client.config.start(&spec, &options, Time::ZERO);
        let (_, expect) = started.expect("the configuration is valid");
        let mut recv = expect.recv_head(self.client.head.clone());
        while let Some(Transmit::Data(data)) = send.poll_transmit() {
            recv.recv_data(data);
        }
        assert!(recv.poll_event().is_none());
        recv.recv_eof();
        match recv.poll_event() {
            Some(Err(error)) => error.details().len() + error.message().len(),
            other => panic!("not an error: {other:?}"),
        }
    }
}

pub(crate) fn enveloped(flags: u8, payload: &[u8]) -> Bytes {
    let len = u32::try_from(payload.len()).expect("the payload is short");
    let mut wire = vec![flags];
    wire.extend_from_slice(&len.to_be_bytes());
    wire.extend_from_slice(payload);
    wire.into()
}

pub(crate) fn encode(send: &mut SendHalf, message: &[u8]) {
    let outcome = send.send_message(|buffer| {
        buffer.extend_from_slice(message);
        Ok(())
    });
    outcome.expect("the half is open");
}

/// Takes out all that is to be sent; returns its size.
pub(crate) fn drain(send: &mut SendHalf) -> usize {
    let mut size = 0;
    while let Some(transmit) = send.poll_transmit() {
        size += match transmit {
            Transmit::Data(data) => data.len(),
            Transmit::Trailers(trailers) => trailers.len(),
            Transmit::Reset(error) => panic!("reset: {error}"),
        };
    }
    assert!(send.is_end_stream());
    size
}

fn one_message(recv: &mut RecvHalf) -> Bytes {
    let Some(Ok(RecvEvent::Message(message))) = recv.poll_event() else {
        panic!("no message");
    };
    assert!(matches!(recv.poll_event(), Some(Ok(RecvEvent::End(_)))));
    message
}
