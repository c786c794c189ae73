//! The core as a client: a connection for each call, and responses that are read as they are asked for.
//!
//! It mirrors [`server`](crate::server), with the halves the other way round: the sending half makes the request, and the
//! receiving half comes out of the response's head. The steps are: start the call,
//! connect, send the request, read the head of the response, and feed its body to the half, which the iterator does.

use std::{
    io::{self, ErrorKind},
    marker::PhantomData,
    net::{TcpStream, ToSocketAddrs},
    time::Duration,
};

use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    CallOptions, ClientConfig, Error, ExpectHead, RecvEvent, RecvHalf, Reset, SendHalf, Side, Spec,
    Time, Transmit,
};
use http::{HeaderMap, HeaderValue, Version, header, request};

use crate::{
    http1::{self, Connection},
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
    options: &CallOptions,
    request: &Req,
) -> Result<Responses<Res>, Error>
where
    Prost: Encode<Req> + Decode<Res>,
{
    let codec = Codecs::default()
        .get(config.codec())
        .cloned()
        .ok_or_else(|| Error::internal("there is no such codec"))?;
    let (mut send, expect) = start(config, spec, options, request, &codec)?;
    let head = request_head(addr, &mut send)?;
    let deadline = expect.deadline().unwrap_or(Time::MAX);
    let mut http = connect(addr, deadline)
        .map_err(|error| failure(deadline, &format!("connect to {addr}"), &error))?;
    let sent = send_request(&mut http, &head, &mut send);
    // A server may answer before it has read everything: what it says counts for more than why writing failed.
    let head = http.read_response().map_err(|error| match sent {
        Err(error) => failure(deadline, &format!("send the request to {addr}"), &error),
        Ok(()) => failure(deadline, &format!("read the response of {addr}"), &error),
    })?;
    Ok(Responses {
        recv: expect.recv_head(head),
        codec,
        http,
        message: PhantomData,
    })
}

/// Starts the call, and gives the sending half all that it will send: one message, and the end. Nothing has left yet.
fn start<Req>(
    config: &ClientConfig,
    spec: &Spec,
    options: &CallOptions,
    request: &Req,
    codec: &Codec,
) -> Result<(SendHalf, ExpectHead), Error>
where
    Prost: Encode<Req>,
{
    let (mut send, expect) = config.start(spec, options, now())?;
    send.send_message(|buffer| Prost::encode(request, codec, buffer))?;
    send.finish(Ok(HeaderMap::new()));
    Ok((send, expect))
}

/// The head of the request: the core's, with what HTTP/1.1 wants besides.
fn request_head(addr: &str, send: &mut SendHalf) -> Result<request::Parts, Error> {
    let mut head = send
        .poll_request_head()
        .ok_or_else(|| Error::internal("a finished request has a head"))?;
    if head.version == Version::HTTP_2 {
        let message = "this protocol needs HTTP/2, which is not spoken here";
        return Err(Error::unimplemented(message));
    }
    let host = HeaderValue::from_str(addr)
        .map_err(|_| Error::internal(format!("{addr:?} cannot be the host of a request")))?;
    head.headers.insert(header::HOST, host);
    Ok(head)
}

/// Connects to the first address that answers.
fn connect(addr: &str, deadline: Time) -> io::Result<Connection> {
    let mut failure = io::Error::new(ErrorKind::NotFound, "the name has no address");
    for addr in addr.to_socket_addrs()? {
        // A timeout of zero is an error of its own.
        let left = deadline.saturating_since(now());
        match TcpStream::connect_timeout(&addr, left.max(Duration::from_millis(1))) {
            Ok(stream) => return Connection::new(stream, deadline),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// Sends the request, by the sending half's loop. All of it is there, so it leaves at once, and its length is known.
fn send_request(
    http: &mut Connection,
    head: &request::Parts,
    send: &mut SendHalf,
) -> io::Result<()> {
    let mut out = http1::encode_request(head, send.exact_len());
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(data) => out.extend_from_slice(&data),
            Transmit::Trailers(_) => {} // only gRPC's, which needs HTTP/2
            Transmit::Reset(error) => return Err(io::Error::other(error)),
        }
    }
    http.write(&out)
}

/// The messages of a response, read as they are asked for.
#[derive(Debug)]
pub struct Responses<M> {
    recv: RecvHalf,
    codec: Codec,
    http: Connection,
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
                    let message = Prost::decode(message, &self.codec);
                    return Some(message.map_err(|error| error.into_error(Side::Client)));
                }
                Some(Ok(RecvEvent::End(_))) => return None,
                Some(Err(error)) => return Some(Err(error)),
                None if self.recv.is_ended() => return None,
                None => match self.http.read_body() {
                    Ok(Some(data)) => self.recv.recv_data(data),
                    Ok(None) => self.recv.recv_eof(),
                    Err(error) if error.kind() == ErrorKind::InvalidData => {
                        self.recv
                            .fail(Error::malformed(Side::Client, error.to_string()));
                    }
                    Err(_) => {
                        // Whether the deadline or the server ended it, the half decides by the time.
                        self.recv.handle_timeout(now());
                        self.recv.recv_reset(Reset::ConnectionLost);
                    }
                },
            }
        }
    }
}

/// Why a call has no response. An error after the deadline is the deadline's.
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
