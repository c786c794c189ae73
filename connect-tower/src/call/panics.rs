//! Panics of a user's code, as errors of the call that it ran for.
//!
//! A handler that panics must end its own call, in that call's protocol, and nothing else: other calls may be polled by
//! the same task. The panic hook has printed the panic by then. Its message is not sent to the peer: it may hold secrets.
//!
//! [`AssertUnwindSafe`] is right here: what has panicked is only dropped, and the core's halves, to which it was writing,
//! change only after a message is encoded.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

use connect_proto::Error;

use crate::{BoxFuture, call::polled_again};

/// Whose code panicked, as the call's error says it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum UserCode {
    Gate,
    Handler,
    Interceptor,
    RequestStream,
}

impl UserCode {
    pub(crate) fn error(self) -> Error {
        Error::internal(match self {
            Self::Gate => "a gate panicked",
            Self::Handler => "the handler panicked",
            Self::Interceptor => "an interceptor panicked",
            Self::RequestStream => "the stream of requests panicked",
        })
    }
}

/// Runs a user's code; a panic of it is an `internal` error.
pub(crate) fn catch<T>(code: UserCode, work: impl FnOnce() -> T) -> Result<T, Error> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_panic| code.error())
}

/// Runs a user's code that is no part of the call; `None` if it panics, which has no other effect than that the panic hook
/// prints it.
pub(crate) fn quietly<T>(work: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(work)).ok()
}

/// Drops a user's value, [quietly].
pub(crate) fn drop_quietly<T>(value: T) {
    quietly(|| drop(value));
}

/// A future whose panic is its error.
pub(crate) struct CatchPanic<'a, T> {
    /// None once it is done.
    future: Option<BoxFuture<'a, Result<T, Error>>>,
    code: UserCode,
}

impl<'a, T> CatchPanic<'a, T> {
    pub(crate) fn new(future: BoxFuture<'a, Result<T, Error>>, code: UserCode) -> Self {
        Self {
            future: Some(future),
            code,
        }
    }
}

impl<T> Future for CatchPanic<'_, T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let code = self.code;
        let Some(future) = &mut self.future else {
            return polled_again();
        };
        let polled = catch(code, || future.as_mut().poll(cx));
        let output = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(output)) => output,
            Err(error) => Err(error),
        };
        drop_quietly(self.future.take());
        Poll::Ready(output)
    }
}

impl<T> Drop for CatchPanic<'_, T> {
    fn drop(&mut self) {
        drop_quietly(self.future.take());
    }
}
