//! The core as a server: blocking HTTP/1.1 on `std::net` and `httparse`, a thread and a connection for each call.
//!
//! To be read from top to bottom. A call is two halves that know no socket: [`RecvHalf`] takes the request's bytes and
//! yields messages and one ending; [`SendHalf`] takes messages and an outcome and yields a head and bytes. Nothing here
//! asks which protocol is spoken, or whether a message is compressed, enveloped or part of a URL.

use std::io::ErrorKind::{Interrupted, InvalidData, UnexpectedEof, WouldBlock};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::{thread, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use connect_codec::{Codec, Codecs, Decode, Encode, Prost};
use connect_proto::{
    DeadlinePolicy, Error, RecvEvent, RecvHalf, Rejection, Reset, SendHalf, ServerConfig, Spec,
    Time, Transmit, detect,
};
use http::{HeaderMap, Method, Request, header, request::Parts};
use httparse::Status::{Complete, Partial};

use crate::{INTRODUCE, SAY, eliza, now};

/// How many connections are served at a time, each by a thread. The kernel keeps more waiting.
pub const MAX_CONNECTIONS: usize = 64;
/// How long to wait for a head; the timeout of calls that name none, and the longest that they may name.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long after its deadline a call's answer may still be on its way out.
const GRACE: Duration = Duration::from_secs(5);
/// The longest head, in bytes, and the most that is read ahead.
const MAX_HEAD: usize = 16 * 1024;
/// Begins the answer to what is no head: there is no protocol to answer in.
const BAD_REQUEST: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n";

/// The one message of a request, and the ways out of its answer.
type Call<'a> = (Bytes, &'a mut SendHalf, &'a mut Connection);
type Handler = fn(Call<'_>) -> Result<(), Error>;

static PROCEDURES: [(Spec, Handler); 2] = [
    (SAY, |call| reply(call, eliza::say)),
    (INTRODUCE, |call| reply(call, eliza::introduce)),
];

/// Serves for ever. It fails if there is no thread to serve with.
pub fn serve(listener: &TcpListener) -> io::Result<()> {
    let deadlines = DeadlinePolicy::default().with_default(TIMEOUT);
    let config = ServerConfig::new().with_deadline_policy(deadlines.with_max(TIMEOUT));
    thread::scope(|threads| {
        for _ in 0..MAX_CONNECTIONS {
            thread::Builder::new().spawn_scoped(threads, || {
                loop {
                    let served = serve_connection(listener, &config);
                    served.unwrap_or_else(|error| eprintln!("a connection broke: {error}"));
                }
            })?;
        }
        Ok(())
    })
}

fn serve_connection(listener: &TcpListener, config: &ServerConfig) -> io::Result<()> {
    let mut http = Connection::new(listener.accept()?.0, now().saturating_add(TIMEOUT))?;
    match http.read_head() {
        Ok(head) => serve_call(&mut http, config, &head)?,
        Err(error) => http.write(format!("{BAD_REQUEST}{error}\n").as_bytes())?,
    }
    // What was written shall arrive: the kernel would reset a connection with bytes unread.
    http.stream.shutdown(Shutdown::Write)?;
    http.deadline = now().saturating_add(Duration::from_secs(1));
    while http.fill().is_ok() {
        http.buffer.clear();
    }
    Ok(())
}

/// One call, in the four steps of every driver.
fn serve_call(http: &mut Connection, config: &ServerConfig, head: &Parts) -> io::Result<()> {
    // 1. The head decides, before a byte of the body is read: which protocol, codec and compression, and whether they
    // can be had. A rejection is a whole answer: in the caller's protocol, or in plain HTTP where that tells more.
    let (mut recv, mut send, handler) = match accept(config, head) {
        Ok(accepted) => accepted,
        Err(rejection) => {
            let (parts, body) = rejection.into_response().into_parts();
            let start = format!("HTTP/1.1 {}", parts.status);
            let out = put_head(&start, &parts.headers, Some(body.len() as u64));
            let body = Some(&body[..]).filter(|_| head.method != Method::HEAD);
            return http.write(&[&out, body.unwrap_or_default()].concat());
        }
    };

    // 2. The request. The core keeps no time: it says by when, and the driver sees that no socket waits for longer.
    http.deadline = send.deadline().unwrap_or(Time::MAX);
    if head.headers.contains_key(header::EXPECT) {
        http.write(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let request = receive(http, &mut recv);

    // 3. The handler, if the request has ended well.
    http.deadline = http.deadline.saturating_add(GRACE);
    let outcome = request.and_then(|request| handler((request, &mut send, http)));

    // 4. The one place where a call ends, well or badly. The core writes it in the caller's protocol.
    send.finish(outcome.map(|()| HeaderMap::new()));
    transmit(&mut send, http)
}

fn accept(config: &ServerConfig, head: &Parts) -> Result<(RecvHalf, SendHalf, Handler), Rejection> {
    let path = head.uri.path();
    let known = PROCEDURES.iter().find(|(spec, _)| spec.procedure() == path);
    let (spec, handler) = known.ok_or_else(|| Rejection::not_found(path))?;
    let call = detect(head)?;
    let codecs = Codecs::default();
    if codecs.get(call.codec()).is_none() {
        return Err(call.unsupported_codec(head, spec, codecs.names()));
    }
    let (recv, send) = call.accept(head, spec, config, now())?;
    Ok((recv, send, *handler))
}

/// The receiving half's loop: take events until there is none, then feed what the socket has, whatever that is.
fn receive(http: &mut Connection, recv: &mut RecvHalf) -> Result<Bytes, Error> {
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
                Err(e) if e.kind() == InvalidData => {
                    recv.fail(Error::invalid_argument(e.to_string()));
                }
                Err(_) => recv.recv_reset(Reset::ConnectionLost),
            },
        }
    }
}

/// Sends all that a function makes of the request. Each message is encoded into the buffer that leaves.
fn reply<Req, Res, Replies: IntoIterator<Item = Res>>(
    (request, send, http): Call<'_>,
    function: fn(Req) -> Result<Replies, Error>,
) -> Result<(), Error>
where
    Prost: Decode<Req> + Encode<Res>,
{
    let codecs = Codecs::default();
    let codec = codecs.get(send.codec()).unwrap_or(&Codec::Proto);
    for message in function(Prost::decode(request, codec)?)? {
        send.handle_timeout(now());
        send.send_message(|buffer| Prost::encode(&message, codec, buffer))?;
        transmit(send, http).map_err(|error| Error::canceled(error.to_string()))?;
    }
    Ok(())
}

/// The sending half's loop: take the head once it is known, then all that is there of the body.
fn transmit(send: &mut SendHalf, http: &mut Connection) -> io::Result<()> {
    let mut out = Vec::new();
    if let Some(head) = send.poll_response_head() {
        let start = format!("HTTP/1.1 {}", head.status);
        out = put_head(&start, &head.headers, send.exact_len());
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

/// A body of unknown length ends with the connection. If it broke off, the end that its protocol marks is missing.
pub(crate) fn put_head(start: &str, headers: &HeaderMap, len: Option<u64>) -> Vec<u8> {
    let len = len.map_or_else(String::new, |len| format!("content-length: {len}\r\n"));
    let mut out = format!("{start}\r\nconnection: close\r\n{len}").into_bytes();
    for (name, value) in headers {
        out.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    out
}

/// HTTP/1.1 below the core. What breaks its rules is an error of the kind `InvalidData`.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    deadline: Time,
    /// What was read and not yet used.
    pub(crate) buffer: BytesMut,
    /// How much is left of the body, or of its chunk.
    pub(crate) left: u64,
    chunked: bool,
}

impl Connection {
    pub(crate) fn new(stream: TcpStream, deadline: Time) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            deadline,
            buffer: BytesMut::new(),
            left: 0,
            chunked: false,
        })
    }

    fn read_head(&mut self) -> io::Result<Parts> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; 100];
            let mut head = httparse::Request::new(&mut headers);
            if let Complete(len) = head.parse(&self.buffer).map_err(invalid)? {
                let request = Request::builder().method(head.method.unwrap_or_default());
                let mut request = request.uri(head.path.unwrap_or_default());
                for header in head.headers.iter() {
                    request = request.header(header.name, header.value);
                }
                let (parts, ()) = request.body(()).map_err(invalid)?.into_parts();
                let hosts = parts.headers.get_all(header::HOST).iter();
                if head.version != Some(1) || hosts.count() != 1 {
                    return Err(invalid("this is not HTTP/1.1 with one host"));
                }
                self.expect_body(len, &parts.headers)?;
                return Ok(parts);
            }
            self.fill()?;
        }
    }

    /// RFC 9112, 6.3: what follows a head of this length. What could be understood in two ways is refused.
    pub(crate) fn expect_body(&mut self, head: usize, headers: &HeaderMap) -> io::Result<()> {
        let values = |name| Vec::from_iter(headers.get_all(name).iter().map(|v| v.as_bytes()));
        let coding = values(header::TRANSFER_ENCODING);
        let len = values(header::CONTENT_LENGTH);
        match (&coding[..], &len[..]) {
            ([], []) => {}
            ([], [len]) if len.iter().all(u8::is_ascii_digit) => {
                self.left = String::from_utf8_lossy(len).parse().map_err(invalid)?;
            }
            ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => self.chunked = true,
            _ => return Err(invalid("the length of the body is unclear")),
        }
        // The empty line after the head is the one before the first chunk.
        self.buffer.advance(head - 2 * usize::from(self.chunked));
        Ok(())
    }

    /// The next bytes of the body; `None` at its end.
    pub fn read_body(&mut self) -> io::Result<Option<Bytes>> {
        while self.chunked && self.left == 0 {
            match self.buffer.get(2..).map(httparse::parse_chunk_size) {
                None | Some(Ok(Partial)) => self.fill()?,
                Some(Ok(Complete((len, size @ 1..)))) if self.buffer.starts_with(b"\r\n") => {
                    self.buffer.advance(2 + len);
                    self.left = size;
                }
                // The last one. Trailers may follow, and say nothing to these protocols.
                Some(Ok(_)) if self.buffer.starts_with(b"\r\n0") => self.chunked = false,
                _ => return Err(invalid("a chunk has no size, or is longer than that")),
            }
        }
        while self.left > 0 && self.buffer.is_empty() {
            self.fill()?;
        }
        let len = self.left.min(self.buffer.len() as u64);
        self.left -= len;
        Ok((len > 0).then(|| self.buffer.split_to(len as usize).freeze()))
    }

    /// Reads what the socket has. It may wake early and have nothing. To wait for no time is an error of its own.
    pub(crate) fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; MAX_HEAD];
        let room = &mut bytes[self.buffer.len()..];
        if room.is_empty() {
            return Err(invalid("a head, or a line between chunks, is too long"));
        }
        self.stream
            .set_read_timeout(Some(self.deadline.saturating_since(now())))?;
        match self.stream.read(room) {
            Ok(0) => return Err(UnexpectedEof.into()),
            Ok(len) => self.buffer.extend_from_slice(&room[..len]),
            Err(error) if matches!(error.kind(), WouldBlock | Interrupted) => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        for piece in bytes.chunks(MAX_HEAD) {
            self.stream
                .set_write_timeout(Some(self.deadline.saturating_since(now())))?;
            self.stream.write_all(piece)?;
        }
        Ok(())
    }
}

/// An error of the peer's: it broke the rules of HTTP.
pub(crate) fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(InvalidData, reason)
}
