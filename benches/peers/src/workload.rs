//! What is sent: prepared requests, the same bytes for every server.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, header::CONTENT_TYPE};
use http_body_util::Full;

/// The procedure that every server but the bare one routes by.
pub const PATH: &str = "/bench.v1.EchoService/Echo";

/// One kind of call.
#[derive(Clone, Debug)]
pub struct Workload {
    /// For the table.
    pub name: &'static str,
    /// Over HTTP/2, or over HTTP/1.1.
    pub http2: bool,
    /// Requests under way at a time.
    pub concurrency: usize,
    /// Requests in one measurement.
    pub requests: usize,
    headers: HeaderMap,
    body: Bytes,
}

impl Workload {
    /// All kinds, in the order of the table.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let small = small();
        let json =
            Bytes::from_static(br#"{"text":"twenty-five bytes!","number":"300","flag":true}"#);
        vec![
            Self::new("gRPC, 25 B, HTTP/2", "application/grpc", enveloped(&small)),
            Self::new(
                "gRPC, 16 KiB, HTTP/2",
                "application/grpc",
                enveloped(&large()),
            )
            .fewer(),
            Self::new("Connect, 25 B, HTTP/2", "application/proto", small),
            Self::new("Connect JSON, 60 B, HTTP/1.1", "application/json", json).http1(),
        ]
    }

    fn new(name: &'static str, content_type: &'static str, body: Bytes) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert("user-agent", HeaderValue::from_static("compare/1.0"));
        if content_type == "application/grpc" {
            headers.insert("te", HeaderValue::from_static("trailers"));
        } else {
            headers.insert("connect-protocol-version", HeaderValue::from_static("1"));
        }
        Self {
            name,
            http2: true,
            concurrency: 32,
            requests: 20_000,
            headers,
            body,
        }
    }

    fn fewer(mut self) -> Self {
        self.requests /= 4;
        self
    }

    fn http1(mut self) -> Self {
        self.http2 = false;
        self
    }

    /// Whether this is gRPC, whose status is in trailers.
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        self.headers.contains_key("te")
    }

    /// The body of a request, and of its answer.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// One request; `authority` is the server's.
    #[must_use]
    pub fn request(&self, authority: &str) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = http::Method::POST;
        request.headers_mut().clone_from(&self.headers);
        let uri = if self.http2 {
            format!("http://{authority}{PATH}")
        } else {
            let host = HeaderValue::from_str(authority).expect("an address is a valid header");
            request.headers_mut().insert("host", host);
            PATH.to_owned()
        };
        *request.uri_mut() = uri.parse().expect("the URI is valid");
        request
    }
}

/// `text`, `number` and `flag`.
fn small() -> Bytes {
    Bytes::from_static(b"\x0a\x12twenty-five bytes!\x10\xac\x02\x18\x01")
}

/// `data` alone: 16 KiB of it.
fn large() -> Bytes {
    let mut message = BytesMut::from(&b"\x22\x80\x80\x01"[..]);
    message.put_bytes(b'm', 16 * 1024);
    message.freeze()
}

fn enveloped(message: &Bytes) -> Bytes {
    let mut body = BytesMut::with_capacity(5 + message.len());
    body.put_u8(0);
    body.put_u32(u32::try_from(message.len()).expect("the message is short"));
    body.put_slice(message);
    body.freeze()
}
