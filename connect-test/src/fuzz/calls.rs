//! Whole calls: the client machine against the server machine, by a list of operations.

use std::time::Duration;

use arbitrary::{Arbitrary, Unstructured};
use bytes::Bytes;
use connect_proto::{
    CallOptions, CallPolicy, ClientCall, ClientConfig, Error, ErrorDetail, ExpectHead, GetPolicy,
    Idempotency, Protocol, RecvEvent, RecvHalf, Reset, SendHalf, ServerConfig, Spec, StreamType,
    Time, Transmit, detect,
};
use http::{HeaderMap, Version};

#[derive(Arbitrary, Debug)]
struct Setup {
    protocol: u8,
    stream_type: u8,
    json: bool,
    text: bool,
    get: bool,
    compression: u8,
    timeout_ms: Option<u16>,
}

#[derive(Arbitrary, Debug)]
enum Op {
    ClientSend(Vec<u8>),
    ClientFinish,
    ClientCancel,
    ServerHead,
    ServerSend(Vec<u8>),
    ServerFinish,
    ServerFail(u8, String),
    /// Moves data from client to server, in chunks of this many bytes.
    Upstream(u8),
    Downstream(u8),
    LoseUpstream,
    LoseDownstream,
    Pass(u16),
}

/// A setup, then operations until the bytes run out; then both sides are brought to their end.
///
/// What arrives is a prefix of what was sent, each half ends at most once, and a clean end means that everything
/// arrived.
pub fn calls(data: &[u8]) {
    let mut bytes = Unstructured::new(data);
    let Ok(setup) = Setup::arbitrary(&mut bytes) else {
        return;
    };
    let Some(mut call) = Call::start(&setup) else {
        return;
    };
    while let (false, Ok(op)) = (bytes.is_empty(), Op::arbitrary(&mut bytes)) {
        call.apply(op);
    }
    call.run_to_end();
}

struct Call {
    config: ServerConfig,
    spec: Spec,
    now: Time,
    client_send: SendHalf,
    expect: Option<ExpectHead>,
    client_recv: Option<RecvHalf>,
    server: Option<(RecvHalf, SendHalf)>,
    up: Tally,
    down: Tally,
}

/// What went one way, and what came out.
#[derive(Default)]
struct Tally {
    sent: Vec<Bytes>,
    received: usize,
    ending: Option<bool>,
}

impl Tally {
    fn record(&mut self, event: &Result<RecvEvent, Error>) {
        assert!(self.ending.is_none(), "an event after the ending");
        match event {
            Ok(RecvEvent::Message(message)) => {
                assert_eq!(
                    Some(message),
                    self.sent.get(self.received),
                    "a message changed"
                );
                self.received += 1;
            }
            Ok(RecvEvent::End(_)) => {
                assert_eq!(self.received, self.sent.len(), "a clean end lost messages");
                self.ending = Some(true);
            }
            Err(_) => self.ending = Some(false),
        }
    }
}

impl Call {
    fn start(setup: &Setup) -> Option<Self> {
        let mut client = ClientConfig::new()
            .with_protocol(Protocol::ALL[usize::from(setup.protocol) % 3])
            .with_codec(if setup.json { "json" } else { "proto" })
            .with_grpc_web_text(setup.text)
            .with_min_compress_bytes(8);
        if setup.get {
            client = client.with_get(GetPolicy::default());
        }
        match setup.compression % 3 {
            1 => client = client.with_send_compression("gzip"),
            2 => client = client.with_send_compression("zstd"),
            _ => {}
        }
        let stream_type = StreamType::ALL[usize::from(setup.stream_type) % 4];
        let spec = Spec::new("/test.v1.Test/Call", stream_type)
            .with_idempotency(Idempotency::NoSideEffects);
        let mut options = CallOptions::default();
        options.timeout = setup.timeout_ms.map(|ms| Duration::from_millis(ms.into()));
        let (client_send, expect) = ClientCall::start(&client, &spec, options, Time::ZERO).ok()?;
        Some(Self {
            config: ServerConfig::new().with_min_compress_bytes(8),
            spec,
            now: Time::ZERO,
            client_send,
            expect: Some(expect),
            client_recv: None,
            server: None,
            up: Tally::default(),
            down: Tally::default(),
        })
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::ClientSend(message) => {
                let message = Bytes::from(message);
                if self.client_send.send_bytes(message.clone()).is_ok() {
                    self.up.sent.push(message);
                }
            }
            Op::ClientFinish => self.client_send.finish(Ok(HeaderMap::new())),
            Op::ClientCancel => self
                .client_send
                .finish(Err(Error::canceled("by the fuzzer"))),
            Op::ServerHead => {
                if let Some((_, send)) = &mut self.server {
                    send.send_head(HeaderMap::new());
                }
            }
            Op::ServerSend(message) => {
                if let Some((_, send)) = &mut self.server {
                    let message = Bytes::from(message);
                    if send.send_bytes(message.clone()).is_ok() {
                        self.down.sent.push(message);
                    }
                }
            }
            Op::ServerFinish => self.server_finish(Ok(HeaderMap::new())),
            Op::ServerFail(number, message) => {
                let code = connect_proto::Code::from_number(u32::from(number % 16) + 1)
                    .expect("1 to 16 are codes");
                let detail = ErrorDetail::new("a.B", vec![number]);
                self.server_finish(Err(Error::new(code, message).with_detail(detail)));
            }
            Op::Upstream(cut) => self.upstream(usize::from(cut) + 1),
            Op::Downstream(cut) => self.downstream(usize::from(cut) + 1),
            Op::LoseUpstream => {
                if let Some((recv, _)) = &mut self.server {
                    recv.recv_reset(Reset::ConnectionLost);
                }
                self.poll();
            }
            Op::LoseDownstream => {
                if let Some(recv) = &mut self.client_recv {
                    recv.recv_reset(Reset::Http2(8));
                }
                self.poll();
            }
            Op::Pass(ms) => {
                self.now = self.now.saturating_add(Duration::from_millis(ms.into()));
                self.client_send.handle_timeout(self.now);
                if let Some((recv, send)) = &mut self.server {
                    recv.handle_timeout(self.now);
                    send.handle_timeout(self.now);
                }
                if let Some(recv) = &mut self.client_recv {
                    recv.handle_timeout(self.now);
                }
                self.poll();
            }
        }
    }

    fn server_finish(&mut self, outcome: Result<HeaderMap, Error>) {
        if let Some((_, send)) = &mut self.server {
            send.finish(outcome);
        }
    }

    fn upstream(&mut self, cut: usize) {
        if self.server.is_none() {
            let Some(mut head) = self.client_send.poll_request_head() else {
                return;
            };
            head.version = Version::HTTP_2;
            let policy = CallPolicy::from(&self.config);
            let accepted = detect(&head).and_then(|detected| {
                detected.accept(&head, &self.spec, &self.config, &policy, self.now)
            });
            self.server = Some(accepted.expect("our own client's head is served"));
        }
        if let Some((recv, _)) = &mut self.server {
            transmit(&mut self.client_send, recv, cut, &mut self.up);
        }
    }

    fn downstream(&mut self, cut: usize) {
        let Some((_, send)) = &mut self.server else {
            return;
        };
        if let Some(head) = send.poll_response_head() {
            let expect = self.expect.take().expect("one head a call");
            self.client_recv = Some(expect.recv_head(head));
        }
        if let Some(recv) = &mut self.client_recv {
            transmit(send, recv, cut, &mut self.down);
        }
    }

    fn poll(&mut self) {
        if let Some((recv, _)) = &mut self.server {
            poll(recv, &mut self.up);
        }
        if let Some(recv) = &mut self.client_recv {
            poll(recv, &mut self.down);
        }
    }

    fn run_to_end(&mut self) {
        self.client_send.finish(Ok(HeaderMap::new()));
        self.upstream(usize::MAX);
        self.server_finish(Ok(HeaderMap::new()));
        self.downstream(usize::MAX);
        if self.server.is_some() {
            assert!(self.up.ending.is_some(), "the request has not ended");
            assert!(self.down.ending.is_some(), "the response has not ended");
        }
    }
}

fn transmit(from: &mut SendHalf, to: &mut RecvHalf, cut: usize, tally: &mut Tally) {
    poll(to, tally);
    while let Some(transmit) = from.poll_transmit() {
        match transmit {
            Transmit::Data(data) => {
                for chunk in data.chunks(cut.min(data.len().max(1))) {
                    to.recv_data(data.slice_ref(chunk));
                    poll(to, tally);
                }
            }
            Transmit::Trailers(trailers) => to.recv_trailers(trailers),
            Transmit::Reset(_) => to.recv_reset(Reset::Http2(8)),
        }
        poll(to, tally);
    }
    if from.is_end_stream() {
        to.recv_eof();
    }
    poll(to, tally);
}

fn poll(half: &mut RecvHalf, tally: &mut Tally) {
    while let Some(event) = half.poll_event() {
        tally.record(&event);
    }
}
