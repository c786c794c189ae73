//! HTTP/1.1 over a blocking socket: what the core leaves to its driver (RFC 9112, as far as RPC needs it).
//!
//! Heads and lines are bounded, bodies come piece by piece, and all waiting ends by a point in time. Left out for
//! brevity: HTTP/1.0, what trailers say, the `date` header. Broken HTTP is an error of the kind `InvalidData`.

use std::{
    error::Error,
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use connect_proto::{Side, Time};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
    request,
};
use httparse::{EMPTY_HEADER, Status};

/// The longest head, and the longest line in a chunked body, in bytes.
const MAX_HEAD: u64 = 16 * 1024;
/// The most headers of a head.
pub const MAX_HEADERS: usize = 100;

/// A socket, and what was read of it too early.
#[derive(Debug)]
pub struct Connection(BufReader<Socket>);

/// A socket whose reads and writes end by a point in time.
#[derive(Debug)]
struct Socket(TcpStream, Time);

/// How much of an incoming body is left.
#[derive(Debug)]
pub struct Body {
    /// Bytes of the body, or of the chunk if it is chunked.
    left: u64,
    /// Whether another chunk follows.
    chunked: bool,
    /// Whether it ends where the connection does.
    until_close: bool,
}

impl Connection {
    /// A connection that waits for nothing until [`wait_until`](Self::wait_until) is called.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        Self(BufReader::new(Socket(stream, Time::ZERO)))
    }

    /// Sets the point in time by which all that follows must be read or written.
    pub fn wait_until(&mut self, time: Time) {
        self.0.get_mut().1 = time;
    }

    /// The head of the next request, and its body; `None` if the client has closed the connection.
    pub fn read_request(&mut self) -> io::Result<Option<(request::Parts, Body)>> {
        if self.0.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let (text, mut headers) = (self.read_head()?, [EMPTY_HEADER; MAX_HEADERS]);
        let mut head = httparse::Request::new(&mut headers);
        if head.parse(&text).map_err(invalid)?.is_partial() || head.version != Some(1) {
            return Err(invalid("this is not the head of an HTTP/1.1 request"));
        }
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = Method::from_bytes(head.method.unwrap_or("").as_bytes()).map_err(invalid)?;
        parts.uri = head.path.unwrap_or("").parse().map_err(invalid)?;
        parts.headers = header_map(head.headers)?;
        single(&parts.headers, &HOST)?.ok_or_else(|| invalid("the request names no host"))?;
        let body = Body::of(&parts.headers, Side::Server)?;
        Ok(Some((parts, body)))
    }

    /// The lines of a head, to the empty one.
    pub fn read_head(&mut self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        while self.read_line(&mut text)? > 2 {}
        Ok(text)
    }

    /// The next bytes of a body; `None` at its end.
    pub fn read_body(&mut self, body: &mut Body) -> io::Result<Option<Bytes>> {
        if body.chunked && body.left == 0 {
            body.left = self.read_chunk_size()?;
            body.chunked = body.left > 0;
        }
        if body.left == 0 {
            return Ok(None);
        }
        let buffer = self.0.fill_buf()?;
        let len = buffer
            .len()
            .min(usize::try_from(body.left).unwrap_or(usize::MAX));
        // The core keeps slices of the `Bytes` it is given: a driver that reads into its own saves this copy.
        let data = Bytes::copy_from_slice(&buffer[..len]);
        self.0.consume(len);
        body.left -= len as u64;
        if len == 0 && body.until_close {
            body.left = 0;
            return Ok(None);
        }
        if len == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if body.chunked && body.left == 0 && self.read_line(&mut Vec::new())? != 2 {
            return Err(invalid("a chunk is longer than its size"));
        }
        Ok(Some(data))
    }

    /// The size of the next chunk; 0 if there is none, and what follows the last one was read.
    fn read_chunk_size(&mut self) -> io::Result<u64> {
        let mut line = Vec::new();
        self.read_line(&mut line)?;
        match httparse::parse_chunk_size(&line).map_err(|_| invalid("a chunk has no size"))? {
            // The parser takes a missing number for 0.
            Status::Complete((_, 0)) if line[0] == b'0' => self.read_head().map(|_| 0),
            Status::Complete((_, size @ 1..)) => Ok(size),
            _ => Err(invalid("a chunk has no size")),
        }
    }

    /// Appends a line with its CRLF, and returns its length.
    fn read_line(&mut self, text: &mut Vec<u8>) -> io::Result<usize> {
        let most = MAX_HEAD.saturating_sub(text.len() as u64);
        let len = (&mut self.0).take(most).read_until(b'\n', text)?;
        if text.len() as u64 >= MAX_HEAD {
            return Err(invalid(format!("a head of over {MAX_HEAD} bytes")));
        }
        match text.ends_with(b"\r\n") {
            true if len > 0 => Ok(len),
            false if text.ends_with(b"\n") => Err(invalid("a line does not end with CRLF")),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Writes all of it.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.get_mut().write_all(bytes)
    }

    /// Ends the connection so that what was written arrives: the kernel would reset one with bytes unread.
    pub fn close(mut self) {
        self.wait_until(crate::now().saturating_add(Duration::from_secs(1)));
        let _ = self.0.get_ref().0.shutdown(Shutdown::Write);
        let _ = io::copy(&mut self.0.take(256 * 1024), &mut io::sink());
    }
}

impl Body {
    /// RFC 9112, 6.3: the body that a head announces. What could be understood in two ways is refused, as it may be
    /// an attempt to smuggle a request past a proxy.
    pub fn of(headers: &HeaderMap, reader: Side) -> io::Result<Self> {
        let coding = single(headers, &TRANSFER_ENCODING)?;
        let len = single(headers, &CONTENT_LENGTH)?;
        let chunked = coding.is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        let until_close = coding.or(len).is_none() && reader == Side::Client;
        let left = match (coding, len) {
            (None, Some(len)) if !len.starts_with('+') => len.parse().map_err(invalid)?,
            (None, None) if until_close => u64::MAX,
            (None, None) => 0,
            (Some(_), None) if chunked => 0,
            _ => return Err(invalid("the length of the body is unclear")),
        };
        Ok(Self {
            left,
            chunked,
            until_close,
        })
    }

    /// Whether all of it was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.left == 0 && !self.chunked
    }
}

impl Socket {
    /// Repeats what was interrupted or gave up early, as long as there is time.
    fn wait<T>(&self, mut io: impl FnMut(&TcpStream, Duration) -> io::Result<T>) -> io::Result<T> {
        loop {
            let left = self.1.saturating_since(crate::now());
            if left.is_zero() {
                return Err(ErrorKind::TimedOut.into());
            }
            match io(&self.0, left) {
                Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                done => return done,
            }
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.wait(|mut stream, left| {
            stream.set_read_timeout(Some(left))?;
            stream.read(buffer)
        })
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.wait(|mut stream, left| {
            stream.set_write_timeout(Some(left))?;
            stream.write(bytes)
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Appends a head: its first line, its headers, the length of its body (`None`: chunked), whether it is the last.
pub fn put_head(
    out: &mut Vec<u8>,
    start: &str,
    headers: &HeaderMap,
    len: Option<u64>,
    close: bool,
) {
    out.extend_from_slice(start.as_bytes());
    for (name, value) in headers {
        out.extend_from_slice(format!("\r\n{name}: ").as_bytes());
        out.extend_from_slice(value.as_bytes());
    }
    let framing = len.map_or_else(
        || String::from("transfer-encoding: chunked"),
        |len| format!("content-length: {len}"),
    );
    let connection = if close { "close" } else { "keep-alive" };
    out.extend_from_slice(format!("\r\n{framing}\r\nconnection: {connection}\r\n\r\n").as_bytes());
}

/// Appends a chunk; an empty one ends the body.
pub fn put_chunk(out: &mut Vec<u8>, data: &[u8]) {
    out.extend_from_slice(format!("{:x}\r\n", data.len()).as_bytes());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// Whether the peer closes the connection after this message.
#[must_use]
pub fn is_last(headers: &HeaderMap) -> bool {
    let values = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case("close"))
}

/// Headers as the core takes them.
pub fn header_map(parsed: &[httparse::Header<'_>]) -> io::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for header in parsed {
        let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(invalid)?;
        headers.append(
            name,
            HeaderValue::from_bytes(header.value).map_err(invalid)?,
        );
    }
    Ok(headers)
}

/// The value of a header that may stand there once.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> io::Result<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => value
            .map(|value| value.to_str().map_err(invalid))
            .transpose(),
        _ => Err(invalid(format!("there is more than one {name}"))),
    }
}

/// The peer broke the rules of HTTP.
pub fn invalid(reason: impl Into<Box<dyn Error + Send + Sync>>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, reason)
}
