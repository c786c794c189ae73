//! The core as a server: a thread a connection, one call after the other on each, and two halves a call.
//!
//! [`RecvHalf`] takes the request's bytes and yields messages and one ending; [`SendHalf`] takes messages and an outcome
//! and yields a head and bytes. Nothing below asks which protocol is spoken, or whether a message is compressed,
//! enveloped or part of a URL.

use std::{
    io::{self, ErrorKind},
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::Bytes;
use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    CallPolicy, DeadlinePolicy, Error, RecvEvent, RecvHalf, Rejection, Reset, SendHalf,
    ServerConfig, Spec, Time, Transmit, detect,
};
use http::{HeaderMap, Method, Response, StatusCode, header::EXPECT, request};

use crate::{
    INTRODUCE, SAY,
    eliza::{IntroduceRequest, IntroduceResponse, SayRequest, SayResponse},
    http1::{self, Body, Connection},
    now,
};

/// How many connections may be open, each with its thread. One more is closed at once.
pub const MAX_CONNECTIONS: usize = 256;
/// How long to wait for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The timeout of calls that name none, and the longest that a call may name.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its deadline a call's answer may still be on its way out.
const WRITE_GRACE: Duration = Duration::from_secs(5);

/// A procedure, and what answers its calls.
type Procedure = (Spec, fn(Bytes, &mut Answer<'_>) -> Result<(), Error>);

static PROCEDURES: [Procedure; 2] = [(SAY, say), (INTRODUCE, introduce)];

fn say(request: Bytes, answer: &mut Answer<'_>) -> Result<(), Error> {
    let SayRequest { sentence } = Prost::decode(request, &answer.codec)?;
    let sentence = format!("Why do you say \"{sentence}\"?");
    answer.send(&SayResponse { sentence })
}

fn introduce(request: Bytes, answer: &mut Answer<'_>) -> Result<(), Error> {
    let IntroduceRequest { name } = Prost::decode(request, &answer.codec)?;
    if name.is_empty() {
        return Err(Error::invalid_argument("name must not be empty"));
    }
    for sentence in [
        format!("Hello, {name}."),
        "I am Eliza.".into(),
        "How are you?".into(),
    ] {
        answer.send(&IntroduceResponse { sentence })?;
    }
    Ok(())
}

/// Serves until the listener fails.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    let deadlines = DeadlinePolicy::default()
        .with_default(CALL_TIMEOUT)
        .with_max(CALL_TIMEOUT);
    // Each thread has a clone: their number is the number of connections.
    let config = Arc::new(ServerConfig::new().with_deadline_policy(deadlines));
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
            Err(error) => return Err(error),
        };
        if Arc::strong_count(&config) > MAX_CONNECTIONS {
            continue;
        }
        let config = config.clone();
        let thread = thread::Builder::new().spawn(move || {
            if let Err(error) = serve_connection(stream, &config) {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = thread {
            eprintln!("{peer}: no thread for it: {error}");
        }
    }
}

fn serve_connection(stream: TcpStream, config: &ServerConfig) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut connection = Connection::new(stream);
    loop {
        connection.wait_until(now().saturating_add(HEAD_TIMEOUT));
        let is_last = match connection.read_request() {
            Ok(Some((head, body))) => serve_call(&mut connection, config, &head, body)?,
            Ok(None) => return Ok(()),
            Err(error) if error.kind() == ErrorKind::InvalidData => {
                // Without a head there is no protocol to answer in.
                let mut response = Response::new(Bytes::from(format!("{error}\n")));
                *response.status_mut() = StatusCode::BAD_REQUEST;
                write_whole(&mut connection, response, &Method::POST, true)?;
                true
            }
            Err(error) => return Err(error),
        };
        if is_last {
            connection.close();
            return Ok(());
        }
    }
}

/// Serves one call, from its head to the end of its answer. Returns whether the connection ends with it.
fn serve_call(
    connection: &mut Connection,
    config: &ServerConfig,
    head: &request::Parts,
    mut body: Body,
) -> io::Result<bool> {
    let (mut recv, send, procedure) = match accept(head, config) {
        Ok(accepted) => accepted,
        Err(rejection) => {
            // Nothing of the body was read: if there is one, it stands where the next head should.
            let is_last = http1::is_last(&head.headers) || !body.is_done();
            write_whole(connection, rejection.into_response(), &head.method, is_last)?;
            return Ok(is_last);
        }
    };

    // The core keeps no time: it says when the call must be over, and the driver sees that no socket waits for longer.
    let deadline = send.deadline().unwrap_or(Time::MAX);
    connection.wait_until(deadline);
    let expect = head.headers.get(EXPECT);
    if expect.is_some_and(|expect| expect == "100-continue") && !body.is_done() {
        connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let request = receive(connection, &mut body, &mut recv);

    connection.wait_until(deadline.saturating_add(WRITE_GRACE));
    let codecs = Codecs::default();
    let mut answer = Answer {
        // `accept` has refused codecs that the configuration does not name, and it names these.
        codec: codecs.get(send.codec()).cloned().unwrap_or(Codec::Proto),
        send,
        streams: procedure.0.stream_type().server_streams(),
        chunked: false,
        is_last: http1::is_last(&head.headers) || !body.is_done(),
        connection,
    };
    let outcome = request.and_then(|request| (procedure.1)(request, &mut answer));
    // The one place where a call ends, well or badly. The core writes it in the caller's protocol.
    answer.send.finish(outcome.map(|()| HeaderMap::new()));
    answer.transmit()?;
    Ok(answer.is_last)
}

/// Decides by the head alone, before a byte of the body is read: which protocol, codec and compression, and whether they
/// can be had. A rejection is a whole answer: in the caller's protocol, or in plain HTTP where that tells more.
fn accept(
    head: &request::Parts,
    config: &ServerConfig,
) -> Result<(RecvHalf, SendHalf, &'static Procedure), Rejection> {
    let path = head.uri.path();
    let known = PROCEDURES.iter().find(|(spec, _)| spec.procedure() == path);
    let Some(procedure) = known else {
        return Err(match detect(head) {
            Ok(detected) => detected.unknown_procedure(path),
            Err(_) => Rejection::not_found(path),
        });
    };
    let policy = CallPolicy::from(config);
    let (recv, send) = detect(head)?.accept(head, &procedure.0, config, &policy, now())?;
    Ok((recv, send, procedure))
}

/// The receiving half's loop: take events until there is none, then feed what the socket has, whatever that is.
fn receive(
    connection: &mut Connection,
    body: &mut Body,
    recv: &mut RecvHalf,
) -> Result<Bytes, Error> {
    let mut request = Bytes::new();
    loop {
        match recv.poll_event() {
            Some(Ok(RecvEvent::Message(message))) => request = message,
            Some(Ok(RecvEvent::End(_))) => return Ok(request),
            Some(Err(error)) => return Err(error),
            None => match connection.read_body(body) {
                Ok(Some(data)) => recv.recv_data(data),
                Ok(None) => recv.recv_eof(),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    return Err(Error::invalid_argument(error.to_string()));
                }
                Err(_) => {
                    // A half ends once: if the time is up, the reset comes too late to matter.
                    recv.handle_timeout(now());
                    recv.recv_reset(Reset::ConnectionLost);
                }
            },
        }
    }
}

/// The answer to a call, on its way out.
struct Answer<'a> {
    send: SendHalf,
    codec: Codec,
    connection: &'a mut Connection,
    /// Whether each message leaves at once. A single one waits for the outcome, with which its length is known.
    streams: bool,
    chunked: bool,
    is_last: bool,
}

impl Answer<'_> {
    /// Sends a message. It is encoded into the buffer that leaves.
    fn send<M>(&mut self, message: &M) -> Result<(), Error>
    where
        Prost: Encode<M>,
    {
        self.send.handle_timeout(now());
        self.send
            .send_message(|buffer| Prost::encode(message, &self.codec, buffer))?;
        if self.streams {
            self.transmit()
                .map_err(|error| Error::canceled(error.to_string()))?;
        }
        Ok(())
    }

    /// The sending half's loop: take the head once it is known, then all that is there of the body.
    fn transmit(&mut self) -> io::Result<()> {
        let mut out = Vec::new();
        if let Some(head) = self.send.poll_response_head() {
            let len = self.send.exact_len();
            self.chunked = len.is_none();
            let start = format!("HTTP/1.1 {} ", head.status.as_str());
            http1::put_head(&mut out, &start, &head.headers, len, self.is_last);
        }
        while let Some(transmit) = self.send.poll_transmit() {
            match transmit {
                Transmit::Data(data) if self.chunked => http1::put_chunk(&mut out, &data),
                Transmit::Data(data) => out.extend_from_slice(&data),
                // Only gRPC has trailers, and `detect` has refused it on HTTP/1.1.
                Transmit::Trailers(_) => {}
                // The body cannot end well any more: let the connection break off.
                Transmit::Reset(error) => return Err(io::Error::other(error)),
            }
        }
        if self.chunked && self.send.is_end_stream() {
            http1::put_chunk(&mut out, b"");
        }
        self.connection.write(&out)
    }
}

/// Writes an answer of which everything is known.
fn write_whole(
    connection: &mut Connection,
    response: Response<Bytes>,
    method: &Method,
    is_last: bool,
) -> io::Result<()> {
    let (head, body) = response.into_parts();
    let mut out = Vec::new();
    let start = format!("HTTP/1.1 {} ", head.status.as_str());
    http1::put_head(
        &mut out,
        &start,
        &head.headers,
        Some(body.len() as u64),
        is_last,
    );
    if method != Method::HEAD {
        out.extend_from_slice(&body);
    }
    connection.write(&out)
}
