//! Bodies and trailers from bytes.

use std::convert::Infallible;

use bytes::{Bytes, BytesMut};
use connect_proto::{
    CallOptions, CallPolicy, ClientCall, ClientConfig, Compression, CompressionError, Error, Gzip,
    Limits, Protocol, RecvEvent, RecvHalf, ServerConfig, Spec, StreamType, Time, Zstd, detect,
    envelope::Deframer,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Version};

/// The first byte is the size of the chunks, the rest a stream of envelopes.
pub fn envelopes(data: &[u8]) {
    let Some((&cut, wire)) = data.split_first() else {
        return;
    };
    let whole = deframe(wire, usize::MAX);
    let chunked = deframe(wire, usize::from(cut) + 1);
    assert_eq!(whole, chunked, "envelopes depend on cuts");
}

fn deframe(wire: &[u8], cut: usize) -> (Vec<(u8, Bytes)>, bool) {
    let mut deframer = Deframer::new();
    let mut envelopes = Vec::new();
    for chunk in wire.chunks(cut.min(wire.len().max(1))) {
        deframer.push(Bytes::copy_from_slice(chunk));
        while let Ok(Some(envelope)) = deframer.next(|_| Ok::<_, Infallible>(())) {
            envelopes.push((envelope.flags, envelope.payload));
        }
    }
    (envelopes, deframer.is_partial())
}

/// The payload of a Connect EndStreamResponse, and as the body of a Connect unary error.
pub fn end_stream(data: &[u8]) {
    let mut wire = vec![2];
    wire.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    wire.extend_from_slice(data);
    let stream = || {
        client_half(
            Protocol::Connect,
            StreamType::ServerStream,
            200,
            "application/connect+proto",
        )
    };
    same_at_any_cut(&stream, &wire, 7);
    let error = || {
        client_half(
            Protocol::Connect,
            StreamType::Unary,
            400,
            "application/json",
        )
    };
    let events = same_at_any_cut(&error, data, 7);
    assert!(
        events.last().is_some_and(Result::is_err),
        "HTTP 400 is never a success"
    );
}

/// Lines of `name: value`, as HTTP trailers of gRPC and as the trailer frame of gRPC-Web.
pub fn grpc_trailers(data: &[u8]) {
    let mut trailers = HeaderMap::new();
    for line in data.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = trailers.try_append(name, value);
        }
    }
    let mut half = client_half(
        Protocol::Grpc,
        StreamType::ServerStream,
        200,
        "application/grpc",
    );
    half.recv_trailers(trailers);
    assert!(half.poll_event().is_some(), "trailers are an ending");
    assert!(half.poll_event().is_none());

    let mut wire = vec![0x80];
    wire.extend_from_slice(&u32::try_from(data.len()).unwrap_or(u32::MAX).to_be_bytes());
    wire.extend_from_slice(data);
    let web = || {
        client_half(
            Protocol::GrpcWeb,
            StreamType::ServerStream,
            200,
            "application/grpc-web",
        )
    };
    same_at_any_cut(&web, &wire, 3);
}

/// The first byte picks content type, compression and cut; the rest is the body of a request.
pub fn request_body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else {
        return;
    };
    let (content_type, header) = [
        ("application/proto", "content-encoding"),
        ("application/connect+json", "connect-content-encoding"),
        ("application/grpc", "grpc-encoding"),
        ("application/grpc-web+proto", "grpc-encoding"),
        ("application/grpc-web-text", "grpc-encoding"),
    ][usize::from(choice) % 5];
    let stream_type = match content_type {
        "application/proto" => StreamType::Unary,
        _ => [StreamType::ServerStream, StreamType::BidiStream][usize::from(choice / 5) % 2],
    };
    let encoding = ["identity", "gzip", "zstd"][usize::from(choice / 10) % 3];
    let half = || server_half(content_type, header, encoding, stream_type);
    let events = same_at_any_cut(&half, body, usize::from(choice) % 9 + 1);
    for event in events {
        if let Ok(RecvEvent::Message(message)) = event {
            assert!(message.len() <= LIMIT);
        }
    }
}

/// The first byte picks the algorithm; the rest is its input. Never more than the limit comes out.
pub fn decompress(data: &[u8]) {
    let Some((&choice, input)) = data.split_first() else {
        return;
    };
    let gzip = Gzip::default();
    let zstd = Zstd::default();
    let algorithm: &dyn Compression = if choice % 2 == 0 { &gzip } else { &zstd };
    let mut output = BytesMut::new();
    let outcome = algorithm.decompress(input, LIMIT, &mut output);
    match outcome {
        Ok(()) => assert!(output.len() <= LIMIT),
        Err(CompressionError::TooLarge { limit }) => assert_eq!(limit, LIMIT),
        Err(_) => {}
    }
    let mut packed = BytesMut::new();
    if algorithm.compress(input, &mut packed).is_ok() {
        let mut plain = BytesMut::new();
        let outcome = algorithm.decompress(&packed, input.len(), &mut plain);
        assert_eq!(outcome, Ok(()));
        assert_eq!(plain, input);
    }
}

type Events = Vec<Result<RecvEvent, Error>>;

fn same_at_any_cut(half: &dyn Fn() -> RecvHalf, wire: &[u8], cut: usize) -> Events {
    let whole = run(half(), wire, wire.len().max(1));
    let chunked = run(half(), wire, cut);
    assert_eq!(whole, chunked, "events depend on cuts");
    let is_ending = |event: &Result<RecvEvent, Error>| !matches!(event, Ok(RecvEvent::Message(_)));
    assert_eq!(whole.iter().filter(|event| is_ending(event)).count(), 1);
    assert!(whole.last().is_some_and(is_ending));
    whole
}

fn run(mut half: RecvHalf, wire: &[u8], cut: usize) -> Events {
    let mut events = Events::new();
    for chunk in wire.chunks(cut) {
        half.recv_data(Bytes::copy_from_slice(chunk));
        events.extend(std::iter::from_fn(|| half.poll_event()));
    }
    half.recv_eof();
    events.extend(std::iter::from_fn(|| half.poll_event()));
    events
}

fn client_half(
    protocol: Protocol,
    stream_type: StreamType,
    status: u16,
    content_type: &'static str,
) -> RecvHalf {
    let config = ClientConfig::new()
        .with_protocol(protocol)
        .with_limits(limits());
    let spec = Spec::new("/test.v1.Test/Call", stream_type);
    let (_, expect) = ClientCall::start(&config, &spec, CallOptions::default(), Time::ZERO)
        .expect("the configuration is valid");
    let (head, ()) = Response::builder()
        .status(status)
        .header("content-type", content_type)
        .body(())
        .expect("the head is valid")
        .into_parts();
    expect.recv_head(head)
}

fn server_half(
    content_type: &str,
    header: &str,
    encoding: &str,
    stream_type: StreamType,
) -> RecvHalf {
    let (head, ()) = Request::post("/test.v1.Test/Call")
        .version(Version::HTTP_2)
        .header("content-type", content_type)
        .header(header, encoding)
        .body(())
        .expect("the head is valid")
        .into_parts();
    let config = ServerConfig::new().with_limits(limits());
    let spec = Spec::new("/test.v1.Test/Call", stream_type);
    let policy = CallPolicy::from(&config);
    let accepted = detect(&head)
        .and_then(|detected| detected.accept(&head, &spec, &config, &policy, Time::ZERO));
    accepted.expect("the head can be served").0
}

fn limits() -> Limits {
    Limits::default()
        .with_recv_message_bytes(LIMIT)
        .with_trailer_bytes(LIMIT)
}

const LIMIT: usize = 16 * 1024;
