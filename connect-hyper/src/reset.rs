//! How streams and connections break off, told in the terms of the layers above.
//!
//! This is the one place that looks into the sources of hyper's errors. hyper keeps the `h2::Error` there,
//! and takes the code of a reset that it is to send from the same place.

use std::{error::Error as StdError, fmt};

use connect_proto::{Code, Error, Reset, Side};
use connect_tower::transport::{BodyError, Sent, TransportError};
use h2::Reason;

use crate::client::{Mistaken, Remote};

pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// The error of an outgoing body, made so that hyper resets the HTTP/2 stream with the right code.
///
/// That is the code which the error names, `CANCEL` for a call that was given up, and for anything else
/// `INTERNAL_ERROR`. HTTP/1.1 has no codes: there the connection is closed before the body's end.
pub(crate) fn outgoing(error: BoxError) -> BoxError {
    match reason_of(&*error) {
        Some(reason) => reset(reason),
        None => Box::new(BodyFailed(error)),
    }
}

/// The error of an outgoing body, told apart from what hyper calls a user's error besides.
#[derive(Debug)]
struct BodyFailed(BoxError);

impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body failed")
    }
}

impl StdError for BodyFailed {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

/// An error that resets the stream with this code.
pub(crate) fn reset(reason: Reason) -> BoxError {
    Box::new(h2::Error::from(reason))
}

/// A response's body that failed.
pub(crate) fn incoming_body(error: hyper::Error) -> BodyError {
    let failure = match find::<h2::Error>(&error) {
        Some(h2) if h2.is_reset() => h2
            .reason()
            .map_or_else(BodyError::connection_lost, |reason| {
                BodyError::http2(reason.into())
            }),
        _ => BodyError::connection_lost(),
    };
    failure.with_source(error)
}

/// A request that failed before the response's head, and whom it was sent to.
pub(crate) fn request(error: hyper::Error, remote: &Remote) -> TransportError {
    let mistaken = |what| (Sent::Maybe, Code::Unavailable, what);
    let (sent, code, what) = match remote.mistaken() {
        Some(Mistaken::Tls) => mistaken("the port seems to speak TLS; use an https URI"),
        Some(Mistaken::Http1) => mistaken(
            "the port speaks HTTP/1.1 only; choose Connect or gRPC-Web, or a port with HTTP/2",
        ),
        None => classify(&error),
    };
    let cause = find::<h2::Error>(&error).map_or_else(|| chain(&error), ToString::to_string);
    let detail = format!("request to {remote}: {what} ({cause})");
    let error = Error::new(code, what).with_source(error);
    TransportError::new(sent, error).with_detail(detail)
}

/// A request for which its connection took no more requests.
pub(crate) fn connection_closed(remote: &Remote) -> TransportError {
    let error = Error::unavailable(CLOSED);
    let detail = format!("request to {remote}: {CLOSED}");
    TransportError::new(Sent::No, error).with_detail(detail)
}

const CLOSED: &str = "the connection was closed before the request left; try again";

/// Whether the connection was closed under a request before its response.
pub(crate) fn is_lost(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || find::<std::io::Error>(error).is_some()
}

/// The RPC code for a stream that was reset with this HTTP/2 error code.
fn code_of(reason: Reason) -> Code {
    Reset::Http2(reason.into()).to_error(Side::Client).code()
}

fn classify(error: &hyper::Error) -> (Sent, Code, &'static str) {
    if let Some(h2) = find::<h2::Error>(error) {
        return classify_h2(h2);
    }
    if error.is_canceled() || error.is_closed() {
        return (Sent::No, Code::Unavailable, CLOSED);
    }
    if find::<BodyFailed>(error).is_some() {
        let what = "the request's body failed";
        return (Sent::Maybe, Code::Canceled, what);
    }
    // hyper's one other error of users that can come here.
    if error.is_user() {
        let what = "the connection's task is gone; is the runtime shutting down?";
        return (Sent::Maybe, Code::Unavailable, what);
    }
    if error.is_parse() {
        let what = "the answer is not HTTP/1.1; check that the port speaks it";
        return (Sent::Maybe, Code::Internal, what);
    }
    if error.is_timeout() {
        let what = "the server answers no pings";
        return (Sent::Maybe, Code::Unavailable, what);
    }
    let what = "the connection was lost before the response";
    (Sent::Maybe, Code::Unavailable, what)
}

fn classify_h2(error: &h2::Error) -> (Sent, Code, &'static str) {
    match error.reason() {
        // RFC 9113, section 8.7: REFUSED_STREAM says that nothing was processed, and so does a GOAWAY
        // for streams above its last stream id, which alone end with it.
        Some(Reason::REFUSED_STREAM) if error.is_remote() => {
            let what = "the server refused the stream; try again";
            (Sent::No, Code::Unavailable, what)
        }
        Some(_) if error.is_go_away() && error.is_remote() => {
            let what = "the server is closing the connection; try again";
            (Sent::No, Code::Unavailable, what)
        }
        Some(_) if error.is_go_away() => {
            let what = "the connection broke the HTTP/2 protocol";
            (Sent::Maybe, Code::Unavailable, what)
        }
        Some(reason) if error.is_remote() => {
            let what = "the server reset the stream";
            (Sent::Yes, code_of(reason), what)
        }
        Some(reason) => (Sent::Maybe, code_of(reason), "the stream was reset"),
        None => {
            let what = "the connection was lost before the response";
            (Sent::Maybe, Code::Unavailable, what)
        }
    }
}

/// The reset code that an outgoing body's error asks for, if it does not carry an `h2::Error` already.
fn reason_of(error: &(dyn StdError + 'static)) -> Option<Reason> {
    if find::<h2::Error>(error).is_some() {
        return None;
    }
    if let Some(code) = find::<BodyError>(error).and_then(BodyError::http2_code) {
        return Some(code.into());
    }
    // gRPC, PROTOCOL-HTTP2 "Errors": a call that is given up while its bytes are incomplete.
    find::<Error>(error).map(|_| Reason::CANCEL)
}

/// The first error of this type in the chain of sources.
fn find<'e, E: StdError + 'static>(error: &'e (dyn StdError + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An error and its sources in one line.
pub(crate) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        // Some errors print their source themselves.
        if !text.ends_with(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outgoing_error_names_the_reset_code() {
        let code_of = |error: BoxError| {
            find::<h2::Error>(&*outgoing(error))
                .and_then(h2::Error::reason)
                .map(u32::from)
        };
        assert_eq!(code_of(Box::new(BodyError::http2(11))), Some(11));
        assert_eq!(code_of(Box::new(Error::canceled("gone"))), Some(8));
        assert_eq!(code_of(reset(Reason::REFUSED_STREAM)), Some(7));
        // None of ours: hyper takes INTERNAL_ERROR.
        assert_eq!(code_of("anything".into()), None);
    }

    #[test]
    fn a_chain_names_every_source_once() {
        let error = Error::internal("outer").with_source(std::io::Error::other("inner"));
        assert_eq!(chain(&error), "internal: outer: inner");
    }
}
