//! The core as a server: a thread and a connection for each call.
//!
//! To be read from top to bottom. A call is two halves that know no socket: [`RecvHalf`] takes the request's bytes, and
//! yields messages and one ending; [`SendHalf`] takes messages and an outcome, and yields a head and bytes. A driver, which
//! this is, moves bytes between them and the socket, in four steps:
//!
//! 1. **Detect** what the head asks for: a procedure, and the protocol in which it is called.
//! 2. **Accept** the call, which gives the two halves, or reject it, which gives a whole answer.
//! 3. **Feed** the receiving half with the body, until it yields the request.
//! 4. **Answer** with what the handler returns, by the sending half.
//!
//! Nothing here asks which protocol is spoken, or whether a message is compressed, enveloped or part of a URL.

use std::{
    io::{self, ErrorKind},
    net::TcpListener,
    thread,
    time::Duration,
};

use bytes::Bytes;
use connect_codec::{Codecs, Decode, Encode, Prost};
use connect_proto::{
    DeadlinePolicy, Error, RecvEvent, RecvHalf, Rejection, Reset, SendHalf, ServerConfig, Side,
    Spec, Time, Transmit, detect,
};
use http::{HeaderMap, Method, Response, StatusCode, header, request, response};

use crate::{
    INTRODUCE, SAY, eliza,
    http1::{self, Connection},
    now,
};

/// How many connections are served at a time, each by a thread. The kernel keeps more waiting.
pub const MAX_CONNECTIONS: usize = 64;
/// How long to wait for a head; the timeout of calls that name none, and the longest that they may name.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its deadline a call's answer may still be on its way out.
const GRACE: Duration = Duration::from_secs(5);

/// What is served: a procedure, and the function that answers its calls.
struct Procedure {
    spec: Spec,
    handler: Handler,
}

/// Takes the one message of a request, and sends what answers it.
type Handler = fn(Bytes, &mut SendHalf, &mut Connection) -> Result<(), Error>;

/// Everything that is served.
static PROCEDURES: [Procedure; 2] = [
    Procedure {
        spec: SAY,
        handler: |request, send, http| send_all(eliza::say, request, send, http),
    },
    Procedure {
        spec: INTRODUCE,
        handler: |request, send, http| send_all(eliza::introduce, request, send, http),
    },
];

/// Serves for ever.
///
/// # Errors
///
/// If there is no thread to serve with.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    // With a default and a maximum, no call is without a deadline, and so no socket waits for ever.
    let deadlines = DeadlinePolicy::default()
        .with_default_timeout(TIMEOUT)
        .with_max(TIMEOUT);
    let config = ServerConfig::new().with_deadline_policy(deadlines);
    thread::scope(|threads| {
        for _ in 0..MAX_CONNECTIONS {
            thread::Builder::new().spawn_scoped(threads, || {
                loop {
                    if let Err(error) = serve_connection(listener, &config) {
                        eprintln!("a connection broke: {error}");
                    }
                }
            })?;
        }
        Ok(())
    })
}

/// One connection, which has one call.
fn serve_connection(listener: &TcpListener, config: &ServerConfig) -> io::Result<()> {
    let (stream, _) = listener.accept()?;
    let mut http = Connection::new(stream, now().saturating_add(TIMEOUT))?;
    match http.read_request() {
        Ok(head) => serve_call(&mut http, config, &head)?,
        Err(error) => refuse(&mut http, error)?,
    }
    http.close()
}

/// One call: the four steps of every driver.
fn serve_call(
    http: &mut Connection,
    config: &ServerConfig,
    head: &request::Parts,
) -> io::Result<()> {
    let mut call = match accept(config, head) {
        Ok(call) => call,
        Err(rejection) => return reject(http, head, rejection),
    };
    // The core keeps no time. It says by when, and the driver sees that no socket waits for longer.
    let deadline = call.send.deadline().unwrap_or(Time::MAX);
    http.set_deadline(deadline);
    if head.headers.contains_key(header::EXPECT) {
        http.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let request = feed(http, &mut call.recv);
    // Even that the deadline has passed is an answer, and needs time to leave.
    http.set_deadline(deadline.saturating_add(GRACE));
    answer(http, &mut call, request)
}

/// A call that was accepted.
struct Call {
    recv: RecvHalf,
    send: SendHalf,
    handler: Handler,
}

/// Steps 1 and 2: the head decides, before a byte of the body is read.
fn accept(config: &ServerConfig, head: &request::Parts) -> Result<Call, Rejection> {
    let path = head.uri.path();
    let procedure = PROCEDURES
        .iter()
        .find(|procedure| procedure.spec.procedure() == path)
        .ok_or_else(|| Rejection::not_found(path))?;
    // Which protocol is spoken, in which codec.
    let detected = detect(head)?;
    let codecs = Codecs::default();
    if codecs.get(detected.codec()).is_none() {
        return Err(detected.unsupported_codec(head, &procedure.spec, codecs.names()));
    }
    // Here a server would ask whether this caller may call: `detected.reject` answers those who may not.
    let (recv, send) = detected.accept(head, &procedure.spec, config, now())?;
    Ok(Call {
        recv,
        send,
        handler: procedure.handler,
    })
}

/// Instead of steps 3 and 4: a rejection is a whole answer, in the caller's protocol, or in plain HTTP where that says more.
fn reject(http: &mut Connection, head: &request::Parts, rejection: Rejection) -> io::Result<()> {
    let (answer, body) = rejection.into_response().into_parts();
    match head.method {
        // HTTP's rule: the head that another method would get, and no body.
        Method::HEAD => http.write(&http1::encode_response(&answer, Some(body.len() as u64))),
        _ => write_response(http, &answer, &body),
    }
}

/// Step 3, the receiving half's loop: take events until there is none, then feed what the socket has, whatever that is.
fn feed(http: &mut Connection, recv: &mut RecvHalf) -> Result<Bytes, Error> {
    let mut request = Bytes::new();
    loop {
        recv.handle_timeout(now());
        match recv.poll_event() {
            Some(Ok(RecvEvent::Message(message))) => request = message,
            Some(Ok(RecvEvent::End(_))) => return Ok(request),
            Some(Err(error)) => return Err(error),
            None => match http.read_body() {
                Ok(Some(data)) => recv.recv_data(data),
                Ok(None) => recv.recv_eof(),
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    recv.fail(Error::malformed(Side::Server, error.to_string()));
                }
                Err(_) => recv.recv_reset(Reset::ConnectionLost),
            },
        }
    }
}

/// Step 4: the handler, if the request has ended well, and the one place where a call ends, well or badly. The core writes
/// the outcome in the caller's protocol.
fn answer(http: &mut Connection, call: &mut Call, request: Result<Bytes, Error>) -> io::Result<()> {
    let outcome = request.and_then(|request| (call.handler)(request, &mut call.send, http));
    call.send.finish(outcome.map(|()| HeaderMap::new()));
    transmit(http, &mut call.send)
}

/// What handlers do: decode the request, in the codec that the caller named, and send all that a function makes of it. Each
/// message is encoded into the buffer that leaves.
fn send_all<Req, Res, Replies>(
    function: fn(Req) -> Result<Replies, Error>,
    request: Bytes,
    send: &mut SendHalf,
    http: &mut Connection,
) -> Result<(), Error>
where
    Prost: Decode<Req> + Encode<Res>,
    Replies: IntoIterator<Item = Res>,
{
    let codecs = Codecs::default();
    let codec = codecs
        .get(send.codec())
        .ok_or_else(|| Error::internal("a codec was accepted that is not there"))?;
    let request = Prost::decode(request, codec).map_err(|error| error.into_error(Side::Server))?;
    for message in function(request)? {
        send.handle_timeout(now());
        send.send_message(|buffer| Prost::encode(&message, codec, buffer))?;
        transmit(http, send).map_err(|error| Error::canceled(error.to_string()))?;
    }
    Ok(())
}

/// The sending half's loop: take the head once it is known, then all that is there of the body.
fn transmit(http: &mut Connection, send: &mut SendHalf) -> io::Result<()> {
    let mut out = Vec::new();
    if let Some(head) = send.poll_response_head() {
        out = http1::encode_response(&head, send.exact_len());
    }
    while let Some(transmit) = send.poll_transmit() {
        match transmit {
            Transmit::Data(data) => out.extend_from_slice(&data),
            Transmit::Trailers(_) => {} // only gRPC's, and `detect` has refused it on HTTP/1.1
            Transmit::Reset(error) => return Err(io::Error::other(error)),
        }
    }
    http.write(&out)
}

/// Answers what is no head of a request. There is no protocol to answer in, so this is plain HTTP.
fn refuse(http: &mut Connection, error: io::Error) -> io::Result<()> {
    match error.kind() {
        ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
            let (mut head, ()) = Response::new(()).into_parts();
            head.status = StatusCode::BAD_REQUEST;
            write_response(http, &head, format!("{error}\n").as_bytes())
        }
        _ => Err(error),
    }
}

/// A response that is there as a whole.
fn write_response(http: &mut Connection, head: &response::Parts, body: &[u8]) -> io::Result<()> {
    let mut out = http1::encode_response(head, Some(body.len() as u64));
    out.extend_from_slice(body);
    http.write(&out)
}
