//! Whole calls: the client machine against the server machine, by a list of operations.

mod link;

use std::time::Duration;

use bytes::Bytes;
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, ErrorDetail, ExpectHead, GetPolicy, Idempotency,
    Limits, Protocol, RecvHalf, Reset, SendHalf, ServerConfig, Spec, StreamType, Time, detect,
};
use http::{HeaderMap, Version};

use self::link::{Expected, Link, assert_contains};
use super::{COMPRESSIONS, input::Input};

/// A configuration, then operations until the bytes run out; then both sides are brought to their end.
///
/// What arrives is a prefix of what was sent. Each half ends once; a clean end means that everything arrived, and an
/// undisturbed call ends exactly as its sender meant: with its trailers, or with its error, details and metadata.
pub fn calls(data: &[u8]) {
    play_call(data);
}

/// What a call came to; for tests that a corpus reaches what it should.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// What the client spoke.
    pub protocol: Protocol,
    /// The procedure's stream type.
    pub stream_type: StreamType,
    /// The head reached the server.
    pub accepted: bool,
    /// Nothing got in the way, and both directions ended cleanly.
    pub succeeded: bool,
    /// Nothing got in the way, and the client received the server's error.
    pub failed: bool,
    /// Messages sent in both directions.
    pub messages: usize,
}

/// [`calls`], with what came of it.
pub fn play_call(data: &[u8]) -> Outcome {
    let mut input = Input::new(data);
    let mut call = Call::start(&mut input);
    while !input.is_empty() && call.sent_bytes < MAX_SENT_BYTES {
        call.apply(&mut input);
    }
    call.run_to_end();
    Outcome {
        protocol: call.client_send.protocol(),
        stream_type: call.spec.stream_type(),
        accepted: call.server.is_some(),
        succeeded: call.up.is_clean() && call.down.is_clean(),
        failed: call.down.is_failed_as_meant(),
        messages: call.up.sent.len() + call.down.sent.len(),
    }
}

/// More work than this in one call teaches nothing.
const MAX_SENT_BYTES: usize = 128 * 1024;

/// Sizes of messages that a side takes.
const LIMITS: [usize; 4] = [4 << 20, 16 << 10, 100, 0];

/// Names of metadata: those of a protocol are in both, where they are not reserved.
const LEADING: [&str; 4] = ["x-a", "x-a-bin", "user-agent", "grpc-trace-bin"];
const TRAILING: [&str; 4] = ["x-z", "x-z-bin", "grpc-retry-pushback-ms", "trailer-x"];
/// The prefix is Connect's own in a unary error's headers, so that name does not travel there.
const OF_ERROR: &[&str] = TRAILING.split_at(3).0;

struct Call {
    config: ServerConfig,
    spec: Spec,
    now: Time,
    deadline: Option<Time>,
    request_metadata: HeaderMap,
    response_metadata: HeaderMap,
    use_http2: bool,
    client_send: SendHalf,
    expect: Option<ExpectHead>,
    client_recv: Option<RecvHalf>,
    server: Option<(RecvHalf, SendHalf)>,
    up: Link,
    down: Link,
    sent_bytes: usize,
}

impl Call {
    fn start(input: &mut Input<'_>) -> Self {
        let mut client = ClientConfig::new()
            .with_compressions(COMPRESSIONS.clone())
            .with_protocol(input.pick(&Protocol::ALL))
            .with_codec(input.pick(&["proto", "json", "x-own"]))
            .with_grpc_web_text(input.bit())
            .with_min_compress_bytes(input.pick(&[8, 0, 1024]));
        let stream_type = input.pick(&StreamType::ALL);
        if input.bit() {
            client = client.with_get(GetPolicy::default());
        }
        if let Some(name) = input.pick(&[None, Some("gzip"), Some("zstd"), Some("identity")]) {
            client = client.with_send_compression(name);
        }
        let (up_limit, down_limit) = (input.pick(&LIMITS), input.pick(&LIMITS));
        client = client.with_limits(Limits::default().with_recv_message_bytes(down_limit));
        let spec = Spec::new("/test.v1.Test/Call", stream_type)
            .with_idempotency(Idempotency::NoSideEffects);
        let ticks = u64::from(input.byte());
        let request_metadata = input.metadata(&LEADING);
        let options = CallOptions::new()
            .with_timeout((ticks > 0).then(|| Duration::from_millis(16 * ticks)))
            .with_headers(request_metadata.clone());
        let response_metadata = input.metadata(&LEADING);
        let (client_send, expect) = client
            .start(&spec, &options, Time::ZERO)
            .expect("the configuration is valid");
        Self {
            config: ServerConfig::new()
                .with_compressions(COMPRESSIONS.clone())
                .with_min_compress_bytes(8)
                .with_limits(Limits::default().with_recv_message_bytes(up_limit)),
            spec,
            now: Time::ZERO,
            deadline: client_send.deadline(),
            request_metadata,
            response_metadata,
            use_http2: input.bit(),
            client_send,
            expect: Some(expect),
            client_recv: None,
            server: None,
            up: Link::new(up_limit),
            down: Link::new(down_limit),
            sent_bytes: 0,
        }
    }

    fn apply(&mut self, input: &mut Input<'_>) {
        match input.byte() % 16 {
            0 => self.client_message(input),
            1 => self.server_message(input),
            2 => self.upstream(usize::from(input.byte()) + 1, usize::from(input.byte()) + 1),
            3 => self.downstream(usize::from(input.byte()) + 1, usize::from(input.byte()) + 1),
            4 => self.client_finish(),
            5 => self.server_finish(Ok(input.metadata(&TRAILING))),
            6 => {
                let error = error(input);
                self.server_finish(Err(error));
            }
            7 => self.server_head(),
            8 => self.client_cancel(),
            9 => self.lose_upstream(input),
            10 => self.lose_downstream(input),
            11 => self.pass(Duration::from_millis(u64::from(input.byte()) * 8)),
            12 => self.up.corrupt(input.byte(), input.byte()),
            13 => self.down.corrupt(input.byte(), input.byte()),
            14 => self.client_send.set_compression(input.bit()),
            _ => {
                let on = input.bit();
                if let Some((_, send)) = &mut self.server {
                    send.set_compression(on);
                }
            }
        }
    }

    fn client_message(&mut self, input: &mut Input<'_>) {
        let (message, encode) = (input.message(), input.bit());
        self.sent_bytes += message.len();
        if send(&mut self.client_send, &message, encode) {
            self.up.record_sent(message);
        }
    }

    fn server_message(&mut self, input: &mut Input<'_>) {
        let (message, encode) = (input.message(), input.bit());
        self.sent_bytes += message.len();
        if let Some((_, half)) = &mut self.server {
            if send(half, &message, encode) {
                self.down.record_sent(message);
            }
        }
    }

    fn client_finish(&mut self) {
        if !self.client_send.is_finished() {
            let one_is_missing =
                !self.spec.stream_type().client_streams() && self.up.sent.is_empty();
            self.up.expected = Some(if one_is_missing {
                Expected::Canceled
            } else {
                Expected::Clean(HeaderMap::new())
            });
        }
        self.client_send.finish(Ok(HeaderMap::new()));
    }

    fn client_cancel(&mut self) {
        // Also after the end of the messages, while some wait.
        if !self.client_send.is_closed() {
            self.up.expected = Some(Expected::Canceled);
        }
        self.client_send.finish(Err(Error::canceled("on a whim")));
    }

    fn server_head(&mut self) {
        if let Some((_, send)) = &mut self.server {
            let _ = send.send_head(HeaderMap::new());
        }
    }

    fn server_finish(&mut self, outcome: Result<HeaderMap, Error>) {
        let Some((_, send)) = &mut self.server else {
            return;
        };
        if !send.is_finished() {
            let one_is_missing =
                !self.spec.stream_type().server_streams() && self.down.sent.is_empty();
            self.down.expected = Some(match &outcome {
                Ok(_) if one_is_missing => Expected::Failed(Error::internal(
                    "the call was finished without its one message",
                )),
                Ok(trailers) => Expected::Clean(trailers.clone()),
                Err(error) => Expected::Failed(error.clone()),
            });
        }
        send.finish(outcome);
    }

    fn lose_upstream(&mut self, input: &mut Input<'_>) {
        if let Some((recv, _)) = &mut self.server {
            self.up.lose(reset(input), recv);
        }
    }

    fn lose_downstream(&mut self, input: &mut Input<'_>) {
        if let Some(recv) = &mut self.client_recv {
            self.down.lose(reset(input), recv);
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        if self.deadline.is_some_and(|deadline| self.now >= deadline) {
            self.up.disturb();
            self.down.disturb();
        }
        self.client_send.handle_timeout(self.now);
        if let Some((recv, send)) = &mut self.server {
            recv.handle_timeout(self.now);
            send.handle_timeout(self.now);
            self.up.poll(recv);
        }
        if let Some(recv) = &mut self.client_recv {
            recv.handle_timeout(self.now);
            self.down.poll(recv);
        }
    }

    fn upstream(&mut self, cut: usize, count: usize) {
        if self.server.is_none() {
            self.accept();
        }
        if let Some((recv, _)) = &mut self.server {
            self.up.load(&mut self.client_send);
            self.up.deliver(recv, cut, count);
        }
    }

    fn accept(&mut self) {
        let Some(mut head) = self.client_send.poll_request_head() else {
            return;
        };
        if self.use_http2 {
            head.version = Version::HTTP_2;
        }
        assert_contains(&head.headers, &self.request_metadata);
        let accepted = detect(&head)
            .and_then(|detected| detected.accept(&head, &self.spec, &self.config, self.now));
        let (recv, mut send) = accepted.expect("our own client's head is served");
        if !self.response_metadata.is_empty() {
            send.send_head(self.response_metadata.clone())
                .expect("a new half has not sent its head");
        }
        self.server = Some((recv, send));
    }

    fn downstream(&mut self, cut: usize, count: usize) {
        let Some((_, send)) = &mut self.server else {
            return;
        };
        if let Some(head) = send.poll_response_head() {
            let expect = self.expect.take().expect("one head a call");
            let recv = expect.recv_head(head);
            assert_contains(recv.headers(), &self.response_metadata);
            self.client_recv = Some(recv);
        }
        if let Some(recv) = &mut self.client_recv {
            self.down.load(send);
            self.down.deliver(recv, cut, count);
        }
    }

    fn run_to_end(&mut self) {
        self.client_finish();
        self.upstream(usize::MAX, usize::MAX);
        self.server_finish(Ok(HeaderMap::new()));
        self.downstream(usize::MAX, usize::MAX);
        if self.server.is_none() {
            let reset = self.client_send.poll_transmit();
            assert!(reset.is_some(), "neither a head nor a reset");
            return;
        }
        assert!(self.up.has_ended() && self.down.has_ended());
        self.up.check_ending();
        self.down.check_ending();
    }
}

/// Whether the half took the message.
fn send(half: &mut SendHalf, message: &Bytes, encode: bool) -> bool {
    let outcome = if encode {
        half.send_message(|buffer| {
            buffer.extend_from_slice(message);
            Ok(())
        })
    } else {
        half.send_bytes(message.clone())
    };
    outcome.is_ok()
}

fn error(input: &mut Input<'_>) -> Error {
    let number = u32::from(input.byte() % 16) + 1;
    let code = Code::from_number(number).expect("1 to 16 are codes");
    let message = String::from_utf8_lossy(input.short()).into_owned();
    let mut error = Error::new(code, message);
    for _ in 0..input.byte() % 3 {
        error = error.add_detail(ErrorDetail::new("test.v1.Detail", input.short().to_vec()));
    }
    error.with_metadata(input.metadata(OF_ERROR))
}

fn reset(input: &mut Input<'_>) -> Reset {
    match input.byte() {
        0 => Reset::ConnectionLost,
        code => Reset::Http2(u32::from(code % 16)),
    }
}
