//! The core as a client: a connection a call, and responses that are read as they are asked for.
//!
//! It mirrors [`server`](crate::server): here the sending half makes the request, and the receiving half comes out of
//! the response's head.

use std::{
    io::{self, ErrorKind},
    marker::PhantomData,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    CallOptions, ClientConfig, Code, Error, RecvEvent, RecvHalf, Reset, SendHalf, Side, Spec, Time,
    Transmit,
};
use http::{HeaderMap, StatusCode, Version, header::HOST, request, response};
use httparse::EMPTY_HEADER;

use crate::{
    http1::{self, Body, Connection, MAX_HEADERS, invalid},
    now,
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
    let mut connection = connect(addr, deadline)
        .map_err(|error| failure(deadline, &format!("connect to {addr}"), &error))?;
    let sent = write_request(&mut connection, addr, head, &mut send);
    // A server may answer before it has read everything: what it says counts for more than why writing failed.
    let (head, body) = read_response(&mut connection).map_err(|error| match sent {
        Err(error) => failure(deadline, &format!("send the request to {addr}"), &error),
        Ok(()) => failure(deadline, &format!("read the response of {addr}"), &error),
    })?;
    Ok(Responses {
        recv: expect.recv_head(head),
        trailers: HeaderMap::new(),
        codec,
        connection,
        body,
        message: PhantomData,
    })
}

/// The messages of a response, read as they are asked for.
#[derive(Debug)]
pub struct Responses<M> {
    recv: RecvHalf,
    trailers: HeaderMap,
    codec: Codec,
    connection: Connection,
    body: Body,
    message: PhantomData<fn() -> M>,
}

impl<M> Responses<M> {
    /// The leading metadata.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.recv.headers()
    }

    /// The trailing metadata; empty until the last message was taken.
    #[must_use]
    pub fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }
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
                Some(Ok(RecvEvent::End(trailers))) => self.trailers = trailers,
                Some(Err(error)) => return Some(Err(error)),
                None if self.recv.is_ended() => return None,
                None => match self.connection.read_body(&mut self.body) {
                    Ok(Some(data)) => self.recv.recv_data(data),
                    Ok(None) => self.recv.recv_eof(),
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
        let left = deadline
            .saturating_since(now())
            .max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&addr, left) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                let mut connection = Connection::new(stream);
                connection.wait_until(deadline);
                return Ok(connection);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// The sending half's loop. All of the request is there, so it leaves at once, and its length is known.
fn write_request(
    connection: &mut Connection,
    addr: &str,
    mut head: request::Parts,
    send: &mut SendHalf,
) -> io::Result<()> {
    let mut out = Vec::new();
    head.headers.insert(HOST, addr.parse().map_err(invalid)?);
    let start = format!("{} {} HTTP/1.1", head.method, head.uri);
    http1::put_head(&mut out, &start, &head.headers, send.exact_len(), true);
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(data) => out.extend_from_slice(&data),
            Transmit::Trailers(_) => {}
            Transmit::Reset(error) => return Err(io::Error::other(error)),
        }
    }
    connection.write(&out)
}

/// The head of the response, and its body. Heads of status 1xx are no response yet.
fn read_response(connection: &mut Connection) -> io::Result<(response::Parts, Body)> {
    loop {
        let (text, mut headers) = (connection.read_head()?, [EMPTY_HEADER; MAX_HEADERS]);
        let mut head = httparse::Response::new(&mut headers);
        if head.parse(&text).map_err(invalid)?.is_partial() {
            return Err(invalid("this is not the head of an HTTP/1.1 response"));
        }
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::from_u16(head.code.unwrap_or_default()).map_err(invalid)?;
        parts.headers = http1::header_map(head.headers)?;
        if !parts.status.is_informational() {
            let body = Body::of(&parts.headers, Side::Client)?;
            return Ok((parts, body));
        }
    }
}

/// What became of a call that has no response: the deadline's doing if it has come.
fn failure(deadline: Time, phase: &str, error: &io::Error) -> Error {
    if now() >= deadline {
        return Error::deadline_exceeded(format!("{phase}: the deadline has passed"));
    }
    let message = format!("{phase}: {error}");
    match error.kind() {
        ErrorKind::InvalidData => Error::internal(message),
        _ => Error::unavailable(message),
    }
}
