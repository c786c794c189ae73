//! The machinery of one call, shared by clients and servers: bodies to state machines and back.

use std::task::Poll;

pub(crate) mod attempts;
pub(crate) mod backoff;
pub(crate) mod body;
pub(crate) mod body_error;
pub(crate) mod connection;
pub(crate) mod deadline;
pub(crate) mod head;
pub(crate) mod incoming;
pub(crate) mod map_error;
pub(crate) mod observe;
pub(crate) mod oneshot;
pub(crate) mod outcome;
pub(crate) mod panics;
pub(crate) mod payload;
pub(crate) mod peer;
pub(crate) mod permits;
pub(crate) mod producer;
pub(crate) mod receive;
pub(crate) mod replay;
pub mod rt;
pub(crate) mod shared;
pub(crate) mod sink;
pub(crate) mod waker_slot;

/// What a future says that is polled after its output, which is a mistake: nobody will wake it.
pub(crate) fn polled_again<T>() -> Poll<T> {
    debug_assert!(false, "a future is not polled after its output");
    Poll::Pending
}
