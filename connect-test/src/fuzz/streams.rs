//! Bodies of requests from bytes, and what is below them: envelopes and compression.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use connect_proto::{
    CompressionError, Error, Limits, RecvEvent, RecvHalf, Reset, SendHalf, ServerConfig, Spec,
    StreamType, Time, detect,
    envelope::{Deframer, PREFIX_LEN},
};
use http::{HeaderMap, Request, Version};

use super::{COMPRESSIONS, input::Input};

/// The first byte is the size of the chunks, the rest a stream of envelopes.
pub fn envelopes(data: &[u8]) {
    let Some((&cut, wire)) = data.split_first() else {
        return;
    };
    let whole = deframe(wire, usize::MAX);
    let chunked = deframe(wire, usize::from(cut) + 1);
    assert_eq!(whole, chunked, "envelopes depend on cuts");
    let (envelopes, partial) = whole;
    let used: usize = envelopes.iter().map(|(_, p)| PREFIX_LEN + p.len()).sum();
    assert_eq!(partial, used < wire.len(), "bytes were lost or invented");
}

fn deframe(wire: &[u8], cut: usize) -> (Vec<(u8, Bytes)>, bool) {
    let mut deframer = Deframer::new();
    let mut envelopes = Vec::new();
    for chunk in wire.chunks(cut.min(wire.len().max(1))) {
        deframer.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(envelope)) = deframer.next_envelope(|_| Ok::<_, Infallible>(())) {
            envelopes.push((envelope.flags, envelope.payload));
        }
    }
    (envelopes, deframer.is_partial())
}

/// Four bytes pick content type, stream type, compression and cut; the rest is the body of a request.
pub fn request_body(data: &[u8]) {
    let mut input = Input::new(data);
    let (content_type, header) = input.pick(&[
        ("application/proto", "content-encoding"),
        ("application/connect+json", "connect-content-encoding"),
        ("application/grpc", "grpc-encoding"),
        ("application/grpc-web+proto", "grpc-encoding"),
        ("application/grpc-web-text", "grpc-encoding"),
    ]);
    let stream_type = match (content_type, input.byte() % 2) {
        ("application/proto", _) => StreamType::Unary,
        (_, 0) => StreamType::ServerStream,
        _ => StreamType::BidiStream,
    };
    let encoding = input.pick(&["identity", "gzip", "zstd"]);
    let cut = usize::from(input.byte() % 32) + 1;
    let half = || server_half(content_type, header, encoding, stream_type).0;
    let events = same_at_any_cut(&half, input.rest(), cut, &Ending::Eof);
    let messages = messages(&events);
    assert!(messages.iter().all(|message| message.len() <= LIMIT));
    let is_one = stream_type == StreamType::BidiStream || messages.len() == 1;
    assert!(is_one || events.last().is_some_and(Result::is_err));
}

/// The first byte picks the algorithm; the rest is its input. Never more than the limit comes out.
pub fn decompress(data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let name = ["gzip", "zstd"][usize::from(choice) % 2];
    let algorithm = COMPRESSIONS.get(name).expect("both features are on");
    let mut output = BytesMut::from(&b"before"[..]);
    match algorithm.decompress(input, LIMIT, &mut output) {
        Ok(()) => assert!(output.len() <= LIMIT + 6),
        Err(CompressionError::TooLarge { limit }) => assert_eq!((limit, output.len()), (LIMIT, 6)),
        Err(_) => assert_eq!(output.len(), 6),
    }
    assert!(output.starts_with(b"before"));
    let mut packed = BytesMut::new();
    if algorithm.compress(input, &mut packed).is_ok() {
        let mut plain = BytesMut::new();
        let outcome = algorithm.decompress(&packed, input.len(), &mut plain);
        assert_eq!(outcome, Ok(()));
        assert_eq!(plain, input);
    }
}

/// How a body ends.
pub(super) enum Ending {
    Eof,
    Reset(Reset),
    Trailers(HeaderMap),
}

pub(super) type Events = Vec<Result<RecvEvent, Error>>;

/// The events of a body, which must not depend on cuts and have one ending, at their end.
pub(super) fn same_at_any_cut(
    half: &dyn Fn() -> RecvHalf,
    wire: &[u8],
    cut: usize,
    ending: &Ending,
) -> Events {
    let whole = run(half(), wire, wire.len().max(1), ending);
    for cut in [cut, 1] {
        let chunked = run(half(), wire, cut, ending);
        assert_eq!(whole, chunked, "events depend on cuts");
    }
    let is_ending = |event: &Result<RecvEvent, Error>| !matches!(event, Ok(RecvEvent::Message(_)));
    assert_eq!(whole.iter().filter(|event| is_ending(event)).count(), 1);
    assert!(whole.last().is_some_and(is_ending));
    whole
}

fn run(mut half: RecvHalf, wire: &[u8], cut: usize, ending: &Ending) -> Events {
    let mut events = Events::new();
    for chunk in wire.chunks(cut) {
        half.recv_data(Bytes::copy_from_slice(chunk));
        events.extend(std::iter::from_fn(|| half.poll_event()));
        assert!(half.wants_data() || half.is_ended());
    }
    match ending {
        Ending::Eof => half.recv_eof(),
        Ending::Reset(reset) => half.recv_reset(*reset),
        Ending::Trailers(trailers) => half.recv_trailers(trailers.clone()),
    }
    events.extend(std::iter::from_fn(|| half.poll_event()));
    let ending = events.last().and_then(|event| event.as_ref().err());
    assert_eq!(half.error(), ending, "error() is not the ending");
    half.recv_data(Bytes::from_static(b"late"));
    half.recv_eof();
    assert!(half.poll_event().is_none(), "an event after the ending");
    events
}

pub(super) fn messages(events: &Events) -> Vec<&Bytes> {
    let message = |event| match event {
        &Ok(RecvEvent::Message(ref message)) => Some(message),
        _ => None,
    };
    events.iter().filter_map(message).collect()
}

pub(super) fn server_half(
    content_type: &str,
    header: &str,
    encoding: &str,
    stream_type: StreamType,
) -> (RecvHalf, SendHalf) {
    let (head, ()) = Request::post("/test.v1.Test/Call")
        .version(Version::HTTP_2)
        .header("content-type", content_type)
        .header(header, encoding)
        .body(())
        .expect("the head is valid")
        .into_parts();
    let config = ServerConfig::new()
        .with_compressions(COMPRESSIONS.clone())
        .with_limits(limits());
    let spec = Spec::new("/test.v1.Test/Call", stream_type);
    let accepted =
        detect(&head).and_then(|detected| detected.accept(&head, &spec, &config, Time::ZERO));
    accepted.expect("the head can be served")
}

pub(super) fn limits() -> Limits {
    Limits::default()
        .with_recv_message_bytes(LIMIT)
        .with_trailer_bytes(LIMIT)
        // What was received can be sent on whole.
        .with_sent_error_bytes(usize::MAX)
        .with_sent_header_bytes(usize::MAX)
}

/// The largest message and end of a stream, in bytes.
pub(super) const LIMIT: usize = 16 * 1024;
