//! Messages inside a stream, envelopes, and compression.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use connect_proto::{
    Compression, Gzip, Protocol, RecvEvent, RecvHalf, SendHalf, ServerConfig, Spec, StreamType,
    Time, Transmit, detect, envelope::Deframer,
};
use http::{HeaderMap, Request, Version, request};

use crate::{
    SMALL,
    calls::{drain, encode, enveloped},
};

const SPEC: Spec = Spec::new("/bench.v1.Echo/Bidi", StreamType::BidiStream);

/// Messages of a stream.
const MESSAGES: usize = 1000;

/// As much as an HTTP/2 frame carries.
const FRAME: usize = 16 * 1024;

/// What a server has of a streaming call before its body.
#[derive(Debug)]
struct Server {
    config: ServerConfig,
    head: request::Parts,
}

impl Server {
    fn new(protocol: Protocol) -> Self {
        let content_type = match protocol {
            Protocol::Connect => "application/connect+proto",
            Protocol::Grpc => "application/grpc+proto",
            Protocol::GrpcWeb => "application/grpc-web+proto",
        };
        let head = Request::post(SPEC.procedure()).version(Version::HTTP_2);
        let head = head.header("content-type", content_type).body(());
        let (head, ()) = head.expect("the head is valid").into_parts();
        let config = ServerConfig::new();
        Self { config, head }
    }

    fn accept(&self) -> (RecvHalf, SendHalf) {
        let accepted = detect(&self.head)
            .and_then(|call| call.accept(&self.head, &SPEC, &self.config, Time::ZERO));
        accepted.expect("the call can be served")
    }
}

/// Receives a stream of 1000 small messages, to its end.
#[derive(Debug)]
pub struct StreamRecv {
    server: Server,
    chunks: Vec<Bytes>,
}

impl StreamRecv {
    /// The messages in chunks of an HTTP/2 frame, or each in one of its own.
    #[must_use]
    pub fn new(protocol: Protocol, joined: bool) -> Self {
        let message = enveloped(0, SMALL);
        let chunks = if joined {
            let wire = Bytes::from(message.repeat(MESSAGES));
            (0..wire.len())
                .step_by(FRAME)
                .map(|at| wire.slice(at..wire.len().min(at + FRAME)))
                .collect()
        } else {
            vec![message; MESSAGES]
        };
        let server = Server::new(protocol);
        Self { server, chunks }
    }

    /// Receives them all.
    #[must_use]
    pub fn run(&self) -> usize {
        let (mut recv, _) = self.server.accept();
        let mut received = 0;
        for chunk in &self.chunks {
            recv.recv_data(chunk.clone());
            while let Some(event) = recv.poll_event() {
                if let Ok(RecvEvent::Message(message)) = event {
                    received += message.len();
                }
            }
        }
        recv.recv_eof();
        assert!(matches!(recv.poll_event(), Some(Ok(RecvEvent::End(_)))));
        assert_eq!(received, MESSAGES * SMALL.len());
        received
    }
}

/// Sends a stream of 1000 small messages.
#[derive(Debug)]
pub struct StreamSend {
    server: Server,
    joined: bool,
}

impl StreamSend {
    /// With as many messages before each transmission as the half wants, or with one.
    #[must_use]
    pub fn new(protocol: Protocol, joined: bool) -> Self {
        let server = Server::new(protocol);
        Self { server, joined }
    }

    /// Sends them all.
    #[must_use]
    pub fn run(&self) -> usize {
        let (_, mut send) = self.server.accept();
        send.send_head(HeaderMap::new()).expect("the half is open");
        let _ = send.poll_response_head();
        let mut size = 0;
        for _ in 0..MESSAGES {
            encode(&mut send, SMALL);
            if !self.joined || !send.wants_message() {
                while let Some(Transmit::Data(data)) = send.poll_transmit() {
                    size += data.len();
                }
            }
        }
        send.finish(Ok(HeaderMap::new()));
        size + drain(&mut send)
    }
}

/// Cuts a body into envelopes.
#[derive(Debug)]
pub struct Decode {
    chunks: Vec<Bytes>,
}

impl Decode {
    /// A body of this many messages of this size, in chunks of an HTTP/2 frame.
    #[must_use]
    pub fn new(messages: usize, size: usize) -> Self {
        let wire = Bytes::from(enveloped(0, &vec![b'm'; size]).repeat(messages));
        let chunks = (0..wire.len())
            .step_by(FRAME)
            .map(|at| wire.slice(at..wire.len().min(at + FRAME)))
            .collect();
        Self { chunks }
    }

    /// Decodes it.
    #[must_use]
    pub fn run(&self) -> usize {
        let mut deframer = Deframer::new();
        let mut size = 0;
        for chunk in &self.chunks {
            deframer.push(chunk.clone());
            while let Ok(Some(envelope)) = deframer.next_envelope(|_| Ok::<_, Infallible>(())) {
                size += envelope.payload.len();
            }
        }
        assert!(!deframer.is_partial());
        size
    }
}

/// Compresses and decompresses 16 KiB of log lines, with contexts from the pool.
#[derive(Debug)]
pub struct Gzip16K {
    gzip: Gzip,
    plain: Vec<u8>,
    packed: BytesMut,
}

impl Default for Gzip16K {
    fn default() -> Self {
        Self::new()
    }
}

impl Gzip16K {
    /// Text that shrinks about as logs do.
    #[must_use]
    pub fn new() -> Self {
        let mut plain = Vec::with_capacity(FRAME + 80);
        let mut number: u32 = 1;
        while plain.len() < FRAME {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let line = format!(
                "level=info user={number} path=/v1/items/{} ms={}\n",
                number % 97,
                number >> 22
            );
            plain.extend_from_slice(line.as_bytes());
        }
        plain.truncate(FRAME);
        let gzip = Gzip::new();
        let mut packed = BytesMut::new();
        gzip.compress(&plain, &mut packed).expect("gzip compresses");
        Self {
            gzip,
            plain,
            packed,
        }
    }

    /// Compresses.
    #[must_use]
    pub fn compress(&self) -> usize {
        let mut output = BytesMut::new();
        let outcome = self.gzip.compress(&self.plain, &mut output);
        outcome.expect("gzip compresses");
        output.len()
    }

    /// Decompresses.
    #[must_use]
    pub fn decompress(&self) -> usize {
        let mut output = BytesMut::new();
        let outcome = self.gzip.decompress(&self.packed, FRAME, &mut output);
        outcome.expect("gzip decompresses what it made");
        output.len()
    }
}
