//! How streams break off: the codes of resets, in the errors of bodies and in hyper's.
//!
//! hyper keeps the `h2::Error` in the sources of its errors, and takes the code of a reset that it is to send from the
//! sources of a body's error.

use std::{error::Error as StdError, fmt, io};

use connect_proto::Error;
use connect_tower::transport::BodyError;
use h2::Reason;

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

/// The error of an outgoing body, to tell it apart from what else hyper calls a user's error.
#[derive(Debug)]
pub(crate) struct BodyFailed(BoxError);

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

/// A body that failed on its way in.
pub(crate) fn incoming_body(error: hyper::Error) -> BodyError {
    if let Some(chunks) = find::<io::Error>(&error).filter(|error| is_malformed(error)) {
        let text = format!("the body breaks the rules of HTTP/1.1: {chunks}");
        return BodyError::malformed(text).with_source(error);
    }
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

/// Whether hyper could not read the chunks of a body. TLS has data of its own that can be invalid.
fn is_malformed(error: &io::Error) -> bool {
    match error.kind() {
        io::ErrorKind::InvalidInput => true,
        io::ErrorKind::InvalidData => error.to_string().contains("chunk"),
        _ => false,
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
pub(crate) fn find<'e, E: StdError + 'static>(
    error: &'e (dyn StdError + 'static),
) -> Option<&'e E> {
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
        // Not one of ours: hyper takes INTERNAL_ERROR.
        assert_eq!(code_of("anything".into()), None);
    }

    #[test]
    fn a_chain_names_every_source_once() {
        let error = Error::internal("outer").with_source(io::Error::other("inner"));
        assert_eq!(chain(&error), "internal: outer: inner");
    }
}
