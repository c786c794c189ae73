//! What of a call's request goes to `fetch`, and what of the response's head comes back. Nothing here needs a browser.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use connect_tower::{CallBody, Error};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request,
    header::{
        ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, TE,
        USER_AGENT,
    },
    request::Parts,
};
use http_body::Body;

/// A request that `fetch` can send.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) head: Parts,
    /// None for methods that have no body: `fetch` refuses even an empty one.
    pub(crate) body: Option<Bytes>,
}

impl Outgoing {
    /// Refuses what a browser cannot do, before anything is sent.
    pub(crate) fn from_request(request: Request<CallBody>) -> Result<Self, Error> {
        let (mut head, body) = request.into_parts();
        if is_grpc(&head.headers) {
            return Err(Error::unimplemented(
                "the request was not sent: fetch does not show trailers, which gRPC needs; use gRPC-Web or Connect",
            ));
        }
        let body = whole(&body).ok_or_else(|| {
            Error::unimplemented(
                "the request was not sent: fetch cannot stream a request's body, which client streams and bidirectional \
                 calls need; only unary calls and server streams work in browsers",
            )
        })??;
        for name in OURS_IS_NOT_WANTED {
            head.headers.remove(name);
        }
        let body = (head.method != Method::GET && head.method != Method::HEAD).then_some(body);
        Ok(Self { head, body })
    }
}

/// Metadata as JavaScript gives it: strings in which each character is a byte.
pub(crate) fn header(name: &str, value: &str) -> Option<(HeaderName, HeaderValue)> {
    let value: Vec<u8> = value
        .chars()
        .map(u8::try_from)
        .collect::<Result<_, _>>()
        .ok()?;
    Some((
        HeaderName::from_bytes(name.as_bytes()).ok()?,
        HeaderValue::from_bytes(&value).ok()?,
    ))
}

/// A header's value as JavaScript takes it: each byte is a character.
pub(crate) fn value(value: &HeaderValue) -> String {
    value.as_bytes().iter().copied().map(char::from).collect()
}

/// Takes away what a response says of bytes that `fetch` has decoded already (Fetch, "handle content codings").
pub(crate) fn forget_coding(headers: &mut HeaderMap) {
    let decoded = headers
        .get_all(CONTENT_ENCODING)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .all(|coding| {
            let coding = coding.trim_ascii();
            DECODED.iter().any(|d| coding.eq_ignore_ascii_case(d))
        });
    if decoded {
        headers.remove(CONTENT_ENCODING);
        headers.remove(CONTENT_LENGTH);
    }
}

fn is_grpc(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
        .is_some_and(|rest| !rest.starts_with(b"-web"))
}

/// The bytes of a body that is known whole; `None` for streams.
fn whole(body: &CallBody) -> Option<Result<Bytes, Error>> {
    let mut body = body.try_clone()?;
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Bytes::new();
    loop {
        match Pin::new(&mut body).poll_frame(&mut cx) {
            Poll::Pending => return None,
            Poll::Ready(None) => return Some(Ok(bytes)),
            Poll::Ready(Some(Err(error))) => return Some(Err(error)),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) if bytes.is_empty() => bytes = data,
                Ok(data) => bytes = [bytes, data].concat().into(),
                Err(_) => {}
            },
        }
    }
}

/// Headers that are the browser's to set. It ignores ours, or (`user-agent`) asks servers of other origins whether they
/// may be sent; and Node.js, which sends them, would inflate nothing any more.
const OURS_IS_NOT_WANTED: [HeaderName; 6] = [
    ACCEPT_ENCODING,
    CONNECTION,
    CONTENT_LENGTH,
    HOST,
    TE,
    USER_AGENT,
];

/// The codings that browsers ask for, and so decode.
const DECODED: [&[u8]; 6] = [b"gzip", b"x-gzip", b"deflate", b"br", b"zstd", b"identity"];

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn what_the_browser_sets_is_not_sent() {
        let mut request = Request::new(CallBody::full("hi"));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = headers(&[
            ("content-type", "application/proto"),
            ("accept-encoding", "gzip"),
            ("user-agent", "connect-rs/1"),
            ("te", "trailers"),
            ("x-tenant", "blue"),
        ]);
        let outgoing = Outgoing::from_request(request).unwrap();
        assert_eq!(
            outgoing.head.headers,
            headers(&[("content-type", "application/proto"), ("x-tenant", "blue")])
        );
        assert_eq!(outgoing.body.as_deref(), Some(&b"hi"[..]));
    }

    #[test]
    fn a_get_has_no_body_and_an_empty_message_has_one() {
        let outgoing = Outgoing::from_request(Request::new(CallBody::empty())).unwrap();
        assert_eq!(outgoing.body, None);
        let post = Request::post("/").body(CallBody::empty()).unwrap();
        let outgoing = Outgoing::from_request(post).unwrap();
        assert_eq!(outgoing.body.as_deref(), Some(&b""[..]));
    }

    #[test]
    fn what_fetch_has_decoded_is_not_decoded_again() {
        for (coding, kept) in [
            ("gzip", false),
            ("GZIP, br", false),
            ("identity", false),
            // The browser cannot have asked for it: the core shall say that it does not know it.
            ("snappy", true),
            ("gzip, snappy", true),
        ] {
            let mut map = headers(&[("content-length", "9")]);
            map.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            forget_coding(&mut map);
            assert_eq!(map.contains_key(CONTENT_ENCODING), kept, "{coding}");
            assert_eq!(map.contains_key(CONTENT_LENGTH), kept, "{coding}");
        }
    }

    #[test]
    fn headers_are_bytes_on_both_sides() {
        let (name, bytes) = header("x-name", "caf\u{e9}").unwrap();
        assert_eq!(
            (name.as_str(), bytes.as_bytes()),
            ("x-name", &b"caf\xe9"[..])
        );
        assert_eq!(value(&bytes), "caf\u{e9}");
        // No browser hands out such headers; they are left out rather than mangled.
        assert!(header("x-name", "\u{20ac}").is_none());
        assert!(header("x name", "a").is_none());
    }

    #[test]
    fn grpc_web_is_not_grpc() {
        for (content_type, grpc) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc-web+proto", false),
            ("application/grpc-web-text", false),
            ("application/proto", false),
        ] {
            let map = headers(&[("content-type", content_type)]);
            assert_eq!(is_grpc(&map), grpc, "{content_type}");
        }
    }
}
