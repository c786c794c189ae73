//! Responses from bytes: any head, body and ending, as a client receives them.

use connect_proto::{
    CallOptions, ClientConfig, Error, Protocol, RecvHalf, Reset, SendHalf, Spec, StreamType, Time,
};
use http::{HeaderMap, Response, StatusCode};

use super::{
    COMPRESSIONS,
    input::{Input, header_lines, split_at_blank_line},
    streams::{Ending, LIMIT, limits, messages, same_at_any_cut, server_half},
};

/// Four bytes pick the client, the cut and the ending; then a line with the status, lines of headers, a blank line,
/// and the body. If the ending is trailers, they stand before a second blank line.
pub fn response(data: &[u8]) {
    let mut input = Input::new(data);
    let protocol = input.pick(&Protocol::ALL);
    let stream_type = input.pick(&StreamType::ALL);
    let cut = usize::from(input.byte() % 32) + 1;
    let ending = input.byte();
    let (head, mut body) = split_at_blank_line(input.rest());
    let status_end = head.iter().position(|&byte| byte == b'\n');
    let (status, lines) = head.split_at(status_end.unwrap_or(head.len()));
    let Ok(status) = StatusCode::from_bytes(status) else {
        return;
    };
    let headers = header_lines(lines);
    let ending = match ending % 4 {
        0 => Ending::Eof,
        1 => Ending::Reset(Reset::ConnectionLost),
        2 => Ending::Reset(Reset::Http2(u32::from(ending / 4) % 16)),
        _ => {
            let (lines, rest) = split_at_blank_line(body);
            body = rest;
            Ending::Trailers(header_lines(lines))
        }
    };
    let half = || client_half(protocol, stream_type, status, headers.clone());
    let events = same_at_any_cut(&half, body, cut, &ending);
    let is_unary_error = protocol == Protocol::Connect && status != StatusCode::OK;
    if is_unary_error || matches!(ending, Ending::Reset(_)) && messages(&events).is_empty() {
        assert!(
            events.last().is_some_and(Result::is_err),
            "a success out of nothing"
        );
    }
    assert!(
        messages(&events)
            .iter()
            .all(|message| message.len() <= LIMIT)
    );
}

/// The payload of a Connect EndStreamResponse, and as the body of a Connect unary error.
pub fn end_stream(data: &[u8]) {
    let stream = || {
        let content_type = "application/connect+proto";
        client(
            Protocol::Connect,
            StreamType::ServerStream,
            200,
            content_type,
        )
    };
    let events = same_at_any_cut(&stream, &envelope(2, data), 7, &Ending::Eof);
    if let Some(Err(error)) = events.last() {
        survives_the_wire(error);
    }
    let unary = || {
        client(
            Protocol::Connect,
            StreamType::Unary,
            400,
            "application/json",
        )
    };
    let events = same_at_any_cut(&unary, data, 7, &Ending::Eof);
    match events.last() {
        Some(Err(error)) => survives_the_wire(error),
        _ => panic!("HTTP 400 is never a success"),
    }
}

/// Lines of `name: value`, as HTTP trailers of gRPC and as the trailer frame of gRPC-Web.
pub fn grpc_trailers(data: &[u8]) {
    let grpc = || {
        let content_type = "application/grpc";
        client(Protocol::Grpc, StreamType::ServerStream, 200, content_type)
    };
    let ending = Ending::Trailers(header_lines(data));
    let events = same_at_any_cut(&grpc, b"", 1, &ending);
    if let Some(Err(error)) = events.last() {
        survives_the_wire(error);
    }
    let web = || {
        let content_type = "application/grpc-web";
        client(
            Protocol::GrpcWeb,
            StreamType::ServerStream,
            200,
            content_type,
        )
    };
    same_at_any_cut(&web, &envelope(0x80, data), 3, &Ending::Eof);
}

/// An error that was received is sent on by a proxy: its client must see the same, in every protocol.
fn survives_the_wire(error: &Error) {
    for (protocol, content_type) in [
        (Protocol::Connect, "application/proto"),
        (Protocol::Grpc, "application/grpc+proto"),
        (Protocol::GrpcWeb, "application/grpc-web+proto"),
    ] {
        let (_, mut send) = server_half(content_type, "x-none", "", StreamType::Unary);
        send.finish(Err(error.clone().forward()));
        let received = receive_error(protocol, &mut send);
        assert_eq!(received.code(), error.code());
        assert_eq!(received.message(), error.message());
        assert_eq!(received.details(), error.details());
    }
}

fn receive_error(protocol: Protocol, send: &mut SendHalf) -> Error {
    let head = send
        .poll_response_head()
        .expect("a finished half has a head");
    let mut half = client_half(protocol, StreamType::Unary, head.status, head.headers);
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            connect_proto::Transmit::Data(data) => half.recv_data(data),
            other => panic!("an error without a head before is one response, not {other:?}"),
        }
    }
    half.recv_eof();
    match half.poll_event() {
        Some(Err(error)) => error,
        other => panic!("not an error: {other:?}"),
    }
}

fn envelope(flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut wire = vec![flags];
    let len = u32::try_from(payload.len()).expect("fuzz input is short");
    wire.extend_from_slice(&len.to_be_bytes());
    wire.extend_from_slice(payload);
    wire
}

fn client(
    protocol: Protocol,
    stream_type: StreamType,
    status: u16,
    content_type: &'static str,
) -> RecvHalf {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", http::HeaderValue::from_static(content_type));
    let status = StatusCode::from_u16(status).expect("the status is valid");
    client_half(protocol, stream_type, status, headers)
}

fn client_half(
    protocol: Protocol,
    stream_type: StreamType,
    status: StatusCode,
    headers: HeaderMap,
) -> RecvHalf {
    let text = headers
        .get("content-type")
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc-web-text"));
    let config = ClientConfig::new()
        .with_protocol(protocol)
        .with_grpc_web_text(text)
        .with_compressions(COMPRESSIONS.clone())
        .with_limits(limits());
    let spec = Spec::new("/test.v1.Test/Call", stream_type);
    let (_, expect) = config
        .start(&spec, &CallOptions::new(), Time::ZERO)
        .expect("the configuration is valid");
    let (mut head, ()) = Response::new(()).into_parts();
    head.status = status;
    head.headers = headers;
    expect.recv_head(head)
}
