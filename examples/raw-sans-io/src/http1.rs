//! HTTP/1.1 on a blocking socket: what stands below the core, on both sides.
//!
//! The core starts where HTTP's framing ends. It takes heads that are parsed, and bodies without chunks. So this module
//! reads heads (by `httparse`), finds out where a body ends, and takes the framing off it. A [`Connection`] has one call,
//! and is closed after it: nothing here looks for the next head.
//!
//! Two rules keep it safe. Everything has a limit: a head and a line between chunks may have [`MAX_HEAD`] bytes, and no read
//! or write lasts beyond the connection's deadline. And what could be understood in two ways is refused, as a proxy in front
//! may have understood it in the other one (this is how requests are smuggled).

use std::{
    io::{self, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bytes::{Buf, Bytes, BytesMut};
use connect_proto::Time;
use http::{HeaderMap, Request, Response, StatusCode, header, request, response};
use httparse::Status;

use crate::now;

/// The longest head, in bytes, and the most that is read ahead.
pub const MAX_HEAD: usize = 16 * 1024;
/// The most headers of a head.
pub const MAX_HEADERS: usize = 100;
/// How long a peer may take to read the last of what was written to it.
const LINGER: Duration = Duration::from_secs(1);

/// A connection for one call.
///
/// An error of the kind [`InvalidData`](ErrorKind::InvalidData) means that the peer broke the rules of HTTP,
/// [`UnexpectedEof`](ErrorKind::UnexpectedEof) that it closed too early, [`TimedOut`](ErrorKind::TimedOut) that the deadline
/// has passed. All others are the socket's.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// When reads and writes give up.
    deadline: Time,
    /// What was read from the socket and not yet used.
    buffer: BytesMut,
    /// What is still to come of the body.
    body: Body,
}

/// What is still to come of a body: RFC 9112, section 6.
#[derive(Clone, Copy, Debug)]
enum Body {
    /// Nothing: there is no body, or all of it was read.
    Complete,
    /// This many bytes.
    Length(u64),
    /// A chunk, of which the line with its size comes next.
    ChunkSize,
    /// This many bytes of a chunk, and the line break after them.
    Chunk(u64),
    /// Everything until the peer closes. Only responses may end so.
    UntilClose,
}

impl Connection {
    /// A connection on which no read or write lasts beyond `deadline`.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub fn new(stream: TcpStream, deadline: Time) -> io::Result<Self> {
        // What is written at once is meant to leave at once.
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            deadline,
            buffer: BytesMut::new(),
            body: Body::Complete,
        })
    }

    /// Sets when reads and writes give up.
    pub fn set_deadline(&mut self, deadline: Time) {
        self.deadline = deadline;
    }

    /// Reads the head of a request. Its body is read by [`read_body`](Self::read_body).
    ///
    /// # Errors
    ///
    /// See [`Connection`].
    pub fn read_request(&mut self) -> io::Result<request::Parts> {
        let head = self.read_head(parse_request)?;
        // Without a length, a request has no body.
        self.body = framing(&head.headers)?.unwrap_or(Body::Complete);
        Ok(head)
    }

    /// Reads the head of a response. Its body is read by [`read_body`](Self::read_body).
    ///
    /// # Errors
    ///
    /// See [`Connection`].
    pub fn read_response(&mut self) -> io::Result<response::Parts> {
        loop {
            let head = self.read_head(parse_response)?;
            if head.status.is_informational() {
                continue; // not yet the response: "103 Early Hints" and the like
            }
            self.body = match head.status {
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => Body::Complete,
                _ => framing(&head.headers)?.unwrap_or(Body::UntilClose),
            };
            return Ok(head);
        }
    }

    /// Reads until there is a whole head, and takes it off the buffer.
    fn read_head<T>(&mut self, parse: fn(&[u8]) -> io::Result<Parsed<T>>) -> io::Result<T> {
        loop {
            if let Status::Complete((head, len)) = parse(&self.buffer)? {
                self.buffer.advance(len);
                return Ok(head);
            }
            self.fill()?;
        }
    }

    /// Reads the next bytes of the body, without HTTP's framing: whatever has arrived. `None` is the end of a body that is
    /// complete; a body that broke off is an error.
    ///
    /// # Errors
    ///
    /// See [`Connection`].
    pub fn read_body(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            match self.body {
                Body::Complete => return Ok(None),
                Body::Length(0) => self.body = Body::Complete,
                Body::Length(left) => {
                    let data = self.read_at_most(left)?;
                    self.body = Body::Length(left - data.len() as u64);
                    return Ok(Some(data));
                }
                Body::ChunkSize => {
                    self.body = match self.read_chunk_size()? {
                        // The last chunk. Trailers may follow it; no protocol that runs on HTTP/1.1 uses them.
                        0 => Body::Complete,
                        size => Body::Chunk(size),
                    }
                }
                Body::Chunk(0) => {
                    self.read_chunk_end()?;
                    self.body = Body::ChunkSize;
                }
                Body::Chunk(left) => {
                    let data = self.read_at_most(left)?;
                    self.body = Body::Chunk(left - data.len() as u64);
                    return Ok(Some(data));
                }
                Body::UntilClose => match self.read_at_most(u64::MAX) {
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                        self.body = Body::Complete;
                    }
                    data => return data.map(Some),
                },
            }
        }
    }

    /// What is there, at least a byte, and no more than `limit`.
    fn read_at_most(&mut self, limit: u64) -> io::Result<Bytes> {
        while self.buffer.is_empty() {
            self.fill()?;
        }
        let available = self.buffer.len();
        let len = usize::try_from(limit).map_or(available, |limit| limit.min(available));
        Ok(self.buffer.split_to(len).freeze())
    }

    /// The line before a chunk: its size in hexadecimal digits, and extensions that nobody uses.
    fn read_chunk_size(&mut self) -> io::Result<u64> {
        loop {
            match httparse::parse_chunk_size(&self.buffer) {
                // `httparse` reads a line without digits as a size of zero.
                Ok(Status::Complete((len, size))) if self.buffer[0].is_ascii_hexdigit() => {
                    self.buffer.advance(len);
                    return Ok(size);
                }
                Ok(Status::Partial) => self.fill()?,
                _ => return Err(invalid("a chunk has no size")),
            }
        }
    }

    /// The line break after a chunk.
    fn read_chunk_end(&mut self) -> io::Result<()> {
        while self.buffer.len() < 2 {
            self.fill()?;
        }
        if !self.buffer.starts_with(b"\r\n") {
            return Err(invalid("a chunk is longer than its size"));
        }
        self.buffer.advance(2);
        Ok(())
    }

    /// Waits for the socket, and appends what it has to the buffer. A read may end early and without any bytes, so callers
    /// look at the buffer and come back.
    fn fill(&mut self) -> io::Result<()> {
        let mut bytes = [0; MAX_HEAD];
        let room = &mut bytes[self.buffer.len()..];
        if room.is_empty() {
            return Err(invalid("a head, or a line between chunks, is too long"));
        }
        self.stream.set_read_timeout(Some(self.time_left()?))?;
        match self.stream.read(room) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            Ok(len) => {
                self.buffer.extend_from_slice(&room[..len]);
                Ok(())
            }
            Err(error) if is_retryable(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes all of these bytes.
    ///
    /// # Errors
    ///
    /// See [`Connection`].
    pub fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            self.stream.set_write_timeout(Some(self.time_left()?))?;
            match self.stream.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(len) => bytes = &bytes[len..],
                Err(error) if is_retryable(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Closes the connection so that what was written arrives. A kernel resets a connection that is closed with bytes
    /// unread, and the reset overtakes the answer. So this waits for the peer to close, for a second at most.
    ///
    /// # Errors
    ///
    /// The socket's.
    pub fn close(mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)?;
        self.deadline = now().saturating_add(LINGER);
        loop {
            self.buffer.clear();
            if self.fill().is_err() {
                return Ok(());
            }
        }
    }

    /// How long the next read or write may take. A socket's timeout cannot be zero, which is why this is an error then.
    fn time_left(&self) -> io::Result<Duration> {
        match self.deadline.saturating_since(now()) {
            Duration::ZERO => Err(ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

/// The head of a request as bytes, with a body of this length.
#[must_use]
pub fn encode_request(head: &request::Parts, body_len: Option<u64>) -> Vec<u8> {
    let start = format!("{} {} HTTP/1.1", head.method, head.uri);
    encode_head(&start, &head.headers, body_len)
}

/// The head of a response as bytes. A body of unknown length ends where the connection does, which spares the framing: the
/// streams of all protocols mark their end themselves, so a client notices one that broke off.
#[must_use]
pub fn encode_response(head: &response::Parts, body_len: Option<u64>) -> Vec<u8> {
    let start = format!("HTTP/1.1 {}", head.status);
    encode_head(&start, &head.headers, body_len)
}

fn encode_head(start: &str, headers: &HeaderMap, body_len: Option<u64>) -> Vec<u8> {
    let mut out = format!("{start}\r\nconnection: close\r\n").into_bytes();
    if let Some(len) = body_len {
        out.extend(format!("content-length: {len}\r\n").as_bytes());
    }
    for (name, value) in headers {
        out.extend(name.as_str().as_bytes());
        out.extend(b": ");
        out.extend(value.as_bytes());
        out.extend(b"\r\n");
    }
    out.extend(b"\r\n");
    out
}

/// A head and its length in bytes, once all of it is there.
type Parsed<T> = Status<(T, usize)>;

/// A request's head.
fn parse_request(bytes: &[u8]) -> io::Result<Parsed<request::Parts>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Request::new(&mut headers);
    let Status::Complete(len) = parsed.parse(bytes).map_err(invalid)? else {
        return Ok(Status::Partial);
    };
    let mut request = Request::builder()
        .method(parsed.method.unwrap_or_default())
        .uri(parsed.path.unwrap_or_default());
    for header in parsed.headers.iter() {
        request = request.header(header.name, header.value);
    }
    let (head, ()) = request.body(()).map_err(invalid)?.into_parts();
    let hosts = head.headers.get_all(header::HOST).iter().count();
    if parsed.version != Some(1) || hosts != 1 {
        return Err(invalid("this is not HTTP/1.1 with one host"));
    }
    Ok(Status::Complete((head, len)))
}

/// A response's head.
fn parse_response(bytes: &[u8]) -> io::Result<Parsed<response::Parts>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut headers);
    let Status::Complete(len) = parsed.parse(bytes).map_err(invalid)? else {
        return Ok(Status::Partial);
    };
    let mut response = Response::builder().status(parsed.code.unwrap_or_default());
    for header in parsed.headers.iter() {
        response = response.header(header.name, header.value);
    }
    let (head, ()) = response.body(()).map_err(invalid)?.into_parts();
    Ok(Status::Complete((head, len)))
}

/// How a head frames the body after it (RFC 9112, section 6.3); `None` if it does not say.
fn framing(headers: &HeaderMap) -> io::Result<Option<Body>> {
    let values = |name| Vec::from_iter(headers.get_all(name).iter().map(|value| value.as_bytes()));
    let codings = values(header::TRANSFER_ENCODING);
    let lengths = values(header::CONTENT_LENGTH);
    match (&codings[..], &lengths[..]) {
        ([], []) => Ok(None),
        // Rust would parse a sign as well.
        ([], [digits]) if digits.iter().all(u8::is_ascii_digit) => {
            let length = String::from_utf8_lossy(digits).parse().map_err(invalid)?;
            Ok(Some(Body::Length(length)))
        }
        ([coding], []) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Some(Body::ChunkSize)),
        // Two lengths, a length and chunks, a coding that is not understood.
        _ => Err(invalid("the length of the body is unclear")),
    }
}

/// Whether a read or write only ended early: its timeout has passed, or a signal came.
fn is_retryable(error: &io::Error) -> bool {
    // Systems differ in what they call a socket's timeout.
    let kinds = [
        ErrorKind::Interrupted,
        ErrorKind::TimedOut,
        ErrorKind::WouldBlock,
    ];
    kinds.contains(&error.kind())
}

/// The peer broke the rules of HTTP.
fn invalid(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
