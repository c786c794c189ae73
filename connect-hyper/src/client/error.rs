//! Why a request failed before its response: hyper's errors as errors of a transport.

use connect_proto::{Code, Error, Reset, Side};
use connect_tower::transport::{Sent, TransportError};
use h2::Reason;

use super::remote::{Mistaken, Remote};
use crate::reset::{BodyFailed, chain, find};

/// The error of a request that failed before the response's head, and was sent to this server.
pub(super) fn request(error: hyper::Error, remote: &Remote) -> TransportError {
    let (sent, code, what) = match remote.mistaken() {
        Some(mistaken) => (Sent::Maybe, Code::Unavailable, advice(mistaken)),
        None => classify(&error),
    };
    let cause = find::<h2::Error>(&error).map_or_else(|| chain(&error), ToString::to_string);
    let detail = format!("request to {remote}: {what} ({cause})");
    let error = Error::new(code, what).with_source(error);
    TransportError::new(sent, error).with_detail(detail)
}

/// The error of a request that its connection did not take any more.
pub(super) fn connection_closed(remote: &Remote) -> TransportError {
    connection_ended(Sent::No, CLOSED, remote)
}

/// The error of a request that had just left when its connection ended.
pub(super) fn connection_lost(remote: &Remote) -> TransportError {
    connection_ended(Sent::Maybe, LOST, remote)
}

/// The error of a connection on which HTTP did not begin: it broke, or the server closed it.
pub(super) fn not_started(error: Option<hyper::Error>, remote: &Remote) -> TransportError {
    let what = remote.mistaken().map_or(NOT_STARTED, advice);
    let text = error
        .as_ref()
        .map_or_else(|| CLOSED_EARLY.to_owned(), |e| chain(e));
    let detail = format!("start HTTP with {remote}: {what} ({text})");
    let failure = Error::unavailable(what);
    let failure = match error {
        Some(error) => failure.with_source(error),
        None => failure,
    };
    TransportError::new(Sent::No, failure).with_detail(detail)
}

fn connection_ended(sent: Sent, what: &'static str, remote: &Remote) -> TransportError {
    let what = remote.mistaken().map_or(what, advice);
    let detail = format!("request to {remote}: {what}");
    TransportError::new(sent, Error::unavailable(what)).with_detail(detail)
}

/// What to do about a port that speaks something else.
fn advice(mistaken: Mistaken) -> &'static str {
    match mistaken {
        Mistaken::Tls => "the port seems to speak TLS; use an https URI",
        Mistaken::Http1 => {
            "the port speaks HTTP/1.1 only; choose Connect or gRPC-Web, or a port with HTTP/2"
        }
    }
}

const NOT_STARTED: &str = "no connection to the server: it ended before it began to speak HTTP";
const CLOSED_EARLY: &str = "the server closed it";
const CLOSED: &str = "the connection was closed before the request left; try again";
const LOST: &str = "the connection was lost before the response";

/// Whether the connection was closed under a request before its response.
pub(super) fn is_lost(error: &hyper::Error) -> bool {
    error.is_incomplete_message() || find::<std::io::Error>(error).is_some()
}

/// Whether only the stream of a request has ended, and not its HTTP/2 connection.
pub(super) fn is_of_stream(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(h2::Error::is_reset)
}

/// Whether the server has ended the connection by a GOAWAY.
pub(super) fn is_goaway(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(|h2| h2.is_go_away() && h2.is_remote())
}

/// The RPC code for a stream that was reset with this HTTP/2 error code.
fn code_of(reason: Reason) -> Code {
    Reset::Http2(reason.into()).to_error(Side::Client).code()
}

/// Whether the server has the request, the code for the caller, and what happened.
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
        let what = "the server does not answer pings";
        return (Sent::Maybe, Code::Unavailable, what);
    }
    (Sent::Maybe, Code::Unavailable, LOST)
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
        // h2 resets the stream of headers that it does not take.
        Some(Reason::PROTOCOL_ERROR) if error.is_library() => {
            let what = "the response's headers are larger than with_max_header_list_size allows, or break HTTP/2";
            (Sent::Yes, Code::Internal, what)
        }
        Some(reason) => (Sent::Maybe, code_of(reason), "the stream was reset"),
        None => (Sent::Maybe, Code::Unavailable, LOST),
    }
}
