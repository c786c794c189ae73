//! The core as a client: a connection a call, and responses that are read as they are asked for.
//!
//! It mirrors [`server`](crate::server): here the sending half makes the request, and the receiving half comes out of
//! the response's head. HTTP's bodies are the server's `Connection`.

use std::{
    io::{self, ErrorKind},
    marker::PhantomData,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, RecvEvent, RecvHalf, Reset, SendHalf, Spec, Time,
    Transmit,
};
use http::{HeaderMap, HeaderValue, Response, Version, header, request, response};
use httparse::Status::Complete;

use crate::{
    now,
    server::{Connection, invalid, put_head},
};

/// Calls a procedure: sends the request, and waits for the head of the response.
///
/// The messages of the response are the items of what is returned, one for a unary call; an error is the last item.
/// Dropping it closes the connection, which cancels the call.
///
/// # Errors
///
/// `internal` for a call that cannot be made: a codec, compression or path that does not exist. `unavailable` if there is
/// no connection or it was lost, `deadline_exceeded` if the timeout of `config` or `options` has passed.
pub fn call<Req, Res>(
    addr: &str,
    config: &ClientConfig,
    spec: &Spec,
    options: CallOptions,
    request: &Req,
) -> Result<Responses<Res>, Error>
where
    Prost: Encode<Req> + Decode<Res>,
{
    let codec = Codecs::default().get(config.codec()).cloned();
    let codec = codec.ok_or_else(|| Error::internal("there is no such codec"))?;
    let (mut send, expect) = config.start(spec, options, now())?;
    send.send_message(|buffer| Prost::encode(request, &codec, buffer))?;
    send.finish(Ok(HeaderMap::new()));
    let head = send.poll_request_head();
    let head = head.ok_or_else(|| Error::internal("a finished request has a head"))?;
    if head.version == Version::HTTP_2 {
        return Err(Error::unimplemented(
            "this protocol needs HTTP/2, which is not spoken here",
        ));
    }

    let deadline = expect.deadline().unwrap_or(Time::MAX);
    let mut http = connect(addr, deadline)
        .map_err(|error| failure(deadline, &format!("connect to {addr}"), &error))?;
    let sent = write_request(&mut http, addr, head, &mut send);
    // A server may answer before it has read everything: what it says counts for more than why writing failed.
    let head = read_head(&mut http).map_err(|error| match sent {
        Err(error) => failure(deadline, &format!("send the request to {addr}"), &error),
        Ok(()) => failure(deadline, &format!("read the response of {addr}"), &error),
    })?;
    let framing = [header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let until_close = !framing.iter().any(|name| head.headers.contains_key(name));
    if until_close {
        http.left = u64::MAX;
    }
    Ok(Responses {
        recv: expect.recv_head(head),
        codec,
        http,
        until_close,
        message: PhantomData,
    })
}

/// The messages of a response, read as they are asked for.
#[derive(Debug)]
pub struct Responses<M> {
    recv: RecvHalf,
    codec: Codec,
    http: Connection,
    /// Whether the body ends where the connection does.
    until_close: bool,
    message: PhantomData<fn() -> M>,
}

impl<M> Iterator for Responses<M>
where
    Prost: Decode<M>,
{
    type Item = Result<M, Error>;

    /// The receiving half's loop, as on the server: events until there is none, then what the socket has.
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.recv.poll_event() {
                Some(Ok(RecvEvent::Message(message))) => {
                    // What a server sends is never the client's invalid argument.
                    let message = Prost::decode(message, &self.codec);
                    return Some(message.map_err(|error| error.with_code(Code::Internal)));
                }
                Some(Ok(RecvEvent::End(_))) => return None,
                Some(Err(error)) => return Some(Err(error)),
                None if self.recv.is_ended() => return None,
                None => match self.http.read_body() {
                    Ok(Some(data)) => self.recv.recv_data(data),
                    Ok(None) => self.recv.recv_eof(),
                    Err(e) if self.until_close && e.kind() == ErrorKind::UnexpectedEof => {
                        self.recv.recv_eof();
                    }
                    Err(error) if error.kind() == ErrorKind::InvalidData => {
                        self.recv.fail(Error::internal(error.to_string()));
                    }
                    Err(_) => {
                        self.recv.handle_timeout(now());
                        self.recv.recv_reset(Reset::ConnectionLost);
                    }
                },
            }
        }
    }
}

fn connect(addr: &str, deadline: Time) -> io::Result<Connection> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for addr in addr.to_socket_addrs()? {
        let left = deadline.saturating_since(now());
        match TcpStream::connect_timeout(&addr, left.max(Duration::from_millis(1))) {
            Ok(stream) => return Connection::new(stream, deadline),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The sending half's loop. All of the request is there, so it leaves at once, and its length is known.
fn write_request(
    http: &mut Connection,
    addr: &str,
    mut head: request::Parts,
    send: &mut SendHalf,
) -> io::Result<()> {
    let host = HeaderValue::from_str(addr).map_err(invalid)?;
    head.headers.insert(header::HOST, host);
    let start = format!("{} {} HTTP/1.1", head.method, head.uri);
    let mut out = put_head(&start, &head.headers, send.exact_len());
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(data) => out.extend_from_slice(&data),
            Transmit::Trailers(_) => {} // only gRPC's
            Transmit::Reset(error) => return Err(io::Error::other(error)),
        }
    }
    http.write(&out)
}

/// The head of the response. Those of status 1xx are no response yet.
fn read_head(http: &mut Connection) -> io::Result<response::Parts> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 100];
        let mut head = httparse::Response::new(&mut headers);
        let Complete(len) = head.parse(&http.buffer).map_err(invalid)? else {
            http.fill()?;
            continue;
        };
        let mut response = Response::builder().status(head.code.unwrap_or_default());
        for header in head.headers.iter() {
            response = response.header(header.name, header.value);
        }
        let (parts, ()) = response.body(()).map_err(invalid)?.into_parts();
        http.expect_body(len, &parts.headers)?;
        if !parts.status.is_informational() {
            return Ok(parts);
        }
    }
}

/// What became of a call that has no response: the deadline's doing if it has come.
fn failure(deadline: Time, phase: &str, error: &io::Error) -> Error {
    if now() >= deadline || error.kind() == ErrorKind::WouldBlock {
        return Error::deadline_exceeded(format!("{phase}: the deadline has passed"));
    }
    let message = format!("{phase}: {error}");
    match error.kind() {
        ErrorKind::InvalidData => Error::internal(message),
        _ => Error::unavailable(message),
    }
}
