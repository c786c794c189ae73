//! Why a request failed before its response: hyper's errors as errors of a transport.

use connect_proto::{Code, Error, Reset, Side};
use connect_tower::transport::{FailureKind, Sent, TransportError};
use h2::Reason;

use super::remote::{Mistaken, Remote};
use crate::reset::{BodyFailed, chain, find};

/// The error of a request that failed before the response's head, and was sent to this server.
pub(super) fn request(error: hyper::Error, remote: &Remote) -> TransportError {
    let (reached, code, what) = match remote.mistaken() {
        Some(mistaken) => (MAYBE, Code::Unavailable, advice(mistaken)),
        None => classify(&error),
    };
    let cause = find::<h2::Error>(&error).map_or_else(|| chain(&error), ToString::to_string);
    let detail = format!("request to {remote}: {what} ({cause})");
    failure(reached, Error::new(code, what).with_source(error)).with_detail(detail)
}

/// The error of a request that met an HTTP/1.1 connection which had carried others, and was being closed.
pub(super) fn stale(error: hyper::Error, remote: &Remote) -> TransportError {
    let failed = request(error, remote);
    if failed.kind() != FailureKind::Other || remote.mistaken().is_some() {
        return failed;
    }
    let detail = failed.to_string();
    TransportError::of_kind(FailureKind::Stale, failed.error().clone()).with_detail(detail)
}

/// The error of a request that its connection did not take any more.
pub(super) fn connection_closed(remote: &Remote) -> TransportError {
    connection_ended(UNSENT, CLOSED, remote)
}

/// The error of a request that had just left when its connection ended.
pub(super) fn connection_lost(remote: &Remote) -> TransportError {
    connection_ended(MAYBE, LOST, remote)
}

/// The error of a connection on which HTTP did not begin: it broke, or the server closed it.
pub(super) fn not_started(error: Option<hyper::Error>, remote: &Remote) -> TransportError {
    let what = remote.mistaken().map_or(NOT_STARTED, advice);
    let text = error
        .as_ref()
        .map_or_else(|| CLOSED_EARLY.to_owned(), |e| chain(e));
    let detail = format!("start HTTP with {remote}: {what} ({text})");
    let no_connection = Error::unavailable(what);
    let no_connection = match error {
        Some(error) => no_connection.with_source(error),
        None => no_connection,
    };
    TransportError::of_kind(FailureKind::NoConnection, no_connection).with_detail(detail)
}

/// The same of a server that is there, and ended the connection by a GOAWAY at once: it may take the call on another.
pub(super) fn drained(not_started: &TransportError) -> TransportError {
    let error = not_started.error().clone();
    failure(UNSENT, error).with_detail(not_started.to_string())
}

/// A port that speaks something else will not speak HTTP the next time.
fn connection_ended(reached: Reached, what: &'static str, remote: &Remote) -> TransportError {
    let (reached, what) = match remote.mistaken() {
        Some(mistaken) => ((FailureKind::Other, reached.1), advice(mistaken)),
        None => (reached, what),
    };
    let detail = format!("request to {remote}: {what}");
    failure(reached, Error::unavailable(what)).with_detail(detail)
}

/// How far a request came: what stood in its way, and whether the server can have it.
type Reached = (FailureKind, Sent);

const MAYBE: Reached = (FailureKind::Other, Sent::Maybe);
const UNSENT: Reached = (FailureKind::Unsent, Sent::No);

fn failure((kind, sent): Reached, error: Error) -> TransportError {
    match kind {
        FailureKind::Other => TransportError::new(sent, error),
        kind => TransportError::of_kind(kind, error),
    }
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

/// Whether the server has ended the connection because it was pinged too often, as gRPC's servers do (gRFC A8).
pub(super) fn is_too_many_pings(error: &hyper::Error) -> bool {
    find::<h2::Error>(error).is_some_and(|h2| {
        h2.is_go_away()
            && h2.is_remote()
            && h2.reason() == Some(Reason::ENHANCE_YOUR_CALM)
            // h2 shows what the server says beside the code only so.
            && h2.to_string().contains("too_many_pings")
    })
}

/// The RPC code for a stream that was reset with this HTTP/2 error code.
fn code_of(reason: Reason) -> Code {
    Reset::Http2(reason.into()).to_error(Side::Client).code()
}

/// How far the request came, the code for the caller, and what happened.
fn classify(error: &hyper::Error) -> (Reached, Code, &'static str) {
    if let Some(h2) = find::<h2::Error>(error) {
        return classify_h2(h2);
    }
    if error.is_canceled() || error.is_closed() {
        return (UNSENT, Code::Unavailable, CLOSED);
    }
    if find::<BodyFailed>(error).is_some() {
        let what = "the request's body failed";
        return (MAYBE, Code::Canceled, what);
    }
    // hyper's one other error of users that can come here.
    if error.is_user() {
        let what = "the connection's task is gone; is the runtime shutting down?";
        return (MAYBE, Code::Unavailable, what);
    }
    if error.is_parse_too_large() {
        let what = "the response has more or larger headers than the channel takes";
        return ((FailureKind::Other, Sent::Yes), Code::Internal, what);
    }
    if error.is_parse() {
        let what = "the answer is not HTTP/1.1; check that the port speaks it";
        return (MAYBE, Code::Internal, what);
    }
    if error.is_timeout() {
        let what = "the server does not answer pings";
        return (MAYBE, Code::Unavailable, what);
    }
    (MAYBE, Code::Unavailable, LOST)
}

fn classify_h2(error: &h2::Error) -> (Reached, Code, &'static str) {
    match error.reason() {
        // RFC 9113, section 8.7: REFUSED_STREAM says that nothing was processed, and so does a GOAWAY
        // for streams above its last stream id, which alone end with it.
        Some(Reason::REFUSED_STREAM) if error.is_remote() => {
            let what = "the server refused the stream; try again";
            let refused = (FailureKind::Refused, Sent::No);
            (refused, Code::Unavailable, what)
        }
        Some(_) if error.is_go_away() && error.is_remote() => {
            let what = "the server is closing the connection; try again";
            (UNSENT, Code::Unavailable, what)
        }
        Some(_) if error.is_go_away() => {
            let what = "the connection broke the HTTP/2 protocol";
            (MAYBE, Code::Unavailable, what)
        }
        Some(reason) if error.is_remote() => {
            let what = "the server reset the stream";
            ((FailureKind::Other, Sent::Yes), code_of(reason), what)
        }
        // h2 resets the stream of headers that it does not take.
        Some(Reason::PROTOCOL_ERROR) if error.is_library() => {
            let what = "the response's headers are larger than with_max_header_size allows, or break HTTP/2";
            ((FailureKind::Other, Sent::Yes), Code::Internal, what)
        }
        Some(reason) => (MAYBE, code_of(reason), "the stream was reset"),
        None => (MAYBE, Code::Unavailable, LOST),
    }
}
