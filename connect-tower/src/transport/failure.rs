//! Why a request failed, and whether it may be sent again.

use std::{
    error::Error as StdError,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect_proto::Error;

/// Whether the server can have seen the request: what a retry must know.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Sent {
    /// No: the server surely did not process it, and any request may be sent again.
    No,
    /// Perhaps: some of it left this side, and no answer came.
    Maybe,
    /// Yes: the server answered or reset the request.
    Yes,
}

impl Sent {
    /// What the [`TransportError`] among the sources of a call's error says, for interceptors that retry. `None` if there
    /// is none: the server answered, or the call failed before the transport was asked.
    ///
    /// ```
    /// use connect_tower::{Error, Sent, TransportError};
    ///
    /// let refused = TransportError::new(Sent::No, Error::unavailable("no connection"));
    /// assert_eq!(Sent::of(&Error::from(refused)), Some(Sent::No));
    /// assert_eq!(Sent::of(&Error::unavailable("said the server")), None);
    /// ```
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        let mut next = error.source();
        while let Some(source) = next {
            if let Some(failure) = source.downcast_ref::<TransportError>() {
                return Some(failure.sent);
            }
            next = source.source();
        }
        None
    }
}

/// What stood in the way of a request that failed before the response's head.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum FailureKind {
    /// Anything else. The call fails, unless a policy of its client retries it.
    #[default]
    Other,
    /// There was no connection, and none could be made. The call fails, unless it
    /// [waits for one](crate::Request::with_wait_for_ready).
    NoConnection,
    /// The server refused this request alone and surely did not begin it, as by HTTP/2's `REFUSED_STREAM` (RFC 9113, section
    /// 8.7). The call sends it again, with pauses.
    Refused,
    /// The connection has ended, and the server surely did not begin the request: by a GOAWAY with a lower stream (RFC
    /// 9113, section 6.8), or before the request was written. The call sends it again on another connection.
    Unsent,
    /// The connection, which had served other calls, was closed just as the request left. The call sends it again if its
    /// procedure is idempotent (RFC 9110, section 9.2.2).
    Stale,
}

/// Counts the calls that a connection has answered, for [`Progress`]. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Answers(Arc<AtomicUsize>);

impl Answers {
    /// Counts one more.
    pub fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether there are, or will be, more than so many.
    #[must_use]
    pub fn more_than(&self, count: usize) -> Progress {
        Progress {
            answers: self.clone(),
            count,
        }
    }
}

/// Whether a connection served other calls when it did not take a request.
///
/// It may turn out later, as the answers of those calls may come after the failure of this one.
#[derive(Clone, Debug)]
pub struct Progress {
    answers: Answers,
    count: usize,
}

impl Progress {
    /// Whether it did, as far as is known now.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.answers.count() > self.count
    }
}

/// A request that failed before the response's head came.
///
/// It has two texts. The message of [`error`](Self::error) may travel: a handler that calls another server and returns
/// the error by `?` sends it to its own caller, so it names no address. The [`detail`](Self::with_detail) is for this
/// side alone, and is what `Display` shows.
///
/// It converts into the call's [`Error`], with itself as the source: code and message are those of
/// [`error`](Self::error), `{error:#}` shows the detail too, and [`Sent::of`] finds out whether the request was sent.
#[derive(Clone, Debug)]
pub struct TransportError {
    sent: Sent,
    kind: FailureKind,
    error: Error,
    detail: Option<Arc<str>>,
    progress: Option<Progress>,
}

impl TransportError {
    /// A failure of the kind [`Other`](FailureKind::Other), and whether the request was sent. The error's message may reach
    /// other programs.
    #[must_use]
    pub const fn new(sent: Sent, error: Error) -> Self {
        Self {
            sent,
            kind: FailureKind::Other,
            error,
            detail: None,
            progress: None,
        }
    }

    /// A failure of another kind, which says whether the request was sent: [`Sent::Maybe`] for
    /// [`Stale`](FailureKind::Stale), and otherwise [`Sent::No`].
    #[must_use]
    pub const fn of_kind(kind: FailureKind, error: Error) -> Self {
        let sent = match kind {
            FailureKind::NoConnection | FailureKind::Refused | FailureKind::Unsent => Sent::No,
            FailureKind::Stale | FailureKind::Other => Sent::Maybe,
        };
        let mut failure = Self::new(sent, error);
        failure.kind = kind;
        failure
    }

    /// Says whether the connection has served other calls; none by default. A request is sent again more often while
    /// connections do.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Adds a text for this side alone, shown in place of the message: which server, and why the request failed.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Arc<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Whether the server can have seen the request.
    #[must_use]
    pub const fn sent(&self) -> Sent {
        self.sent
    }

    /// What stood in the way of the request.
    #[must_use]
    pub const fn kind(&self) -> FailureKind {
        self.kind
    }

    /// Set by [`with_progress`](Self::with_progress).
    #[must_use]
    pub fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// The error that the call ends with, without this as its source.
    #[must_use]
    pub const fn error(&self) -> &Error {
        &self.error
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            self.detail
                .as_deref()
                .unwrap_or_else(|| self.error.message()),
        )
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.error.source()
    }
}

impl From<TransportError> for Error {
    fn from(failure: TransportError) -> Self {
        failure.error.clone().with_source(failure)
    }
}

impl From<std::convert::Infallible> for TransportError {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_code_and_sent() {
        let error = TransportError::new(Sent::No, Error::unavailable("no server"));
        assert_eq!(error.sent(), Sent::No);
        assert_eq!(error.to_string(), "no server");
        assert_eq!(Error::from(error), Error::unavailable("no server"));
    }

    #[test]
    fn the_detail_is_for_this_side_alone() {
        let cause = Error::unavailable("no connection").with_source("os error 111");
        let error = TransportError::new(Sent::No, cause)
            .with_detail("connect to 192.0.2.1:80: os error 111; is it running?");
        assert_eq!(error.error().message(), "no connection");
        let error = Error::from(error);
        assert_eq!(error.to_string(), "unavailable: no connection");
        assert_eq!(
            format!("{error:#}"),
            "unavailable: no connection: connect to 192.0.2.1:80: os error 111; is it running?"
        );
    }

    #[test]
    fn whether_it_was_sent_is_found_below_other_errors() {
        for sent in [Sent::No, Sent::Maybe, Sent::Yes] {
            let error = TransportError::new(sent, Error::unavailable("lost"));
            let late = Error::deadline_exceeded("late").with_source(Error::from(error));
            assert_eq!(Sent::of(&late), Some(sent));
        }
        assert_eq!(
            Sent::of(&Error::unavailable("busy").with_source("disk")),
            None
        );
    }
}
