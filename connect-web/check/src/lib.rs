//! Checks of connect-web that need a browser: `connect-web/check/run` makes them in a page, in a worker and in Node.js.
//!
//! The procedures are common to the page (this library, for wasm) and the server (`src/bin/server.rs`).

use connect_tower::{Idempotency, Spec, StreamType};

#[cfg(target_family = "wasm")]
mod checks;
#[cfg(target_family = "wasm")]
mod page;

/// Answers with its message in capitals, with leading and trailing metadata.
pub static UPPER: Spec = Spec::new("/check.v1.Check/Upper", StreamType::Unary);
/// Answers with the HTTP method that it was called by.
pub static METHOD: Spec = Spec::new("/check.v1.Check/Method", StreamType::Unary)
    .with_idempotency(Idempotency::NoSideEffects);
/// Answers with so many numbers.
pub static COUNT: Spec = Spec::new("/check.v1.Check/Count", StreamType::ServerStream);
/// Fails, with details and metadata.
pub static FAIL: Spec = Spec::new("/check.v1.Check/Fail", StreamType::Unary);
/// Fails after the first message, with details and metadata.
pub static FAIL_LATE: Spec = Spec::new("/check.v1.Check/FailLate", StreamType::ServerStream);
/// Never answers. Its message is noted: with `arrived` before it when the call comes, alone when it is given up.
pub static HANG: Spec = Spec::new("/check.v1.Check/Hang", StreamType::Unary);
/// Answers with its message, and never again. When it is given up, its message is noted.
pub static HANG_LATE: Spec = Spec::new("/check.v1.Check/HangLate", StreamType::ServerStream);
/// Answers once its message was noted.
pub static NOTED: Spec = Spec::new("/check.v1.Check/Noted", StreamType::Unary);
/// Notes its message.
pub static NOTE: Spec = Spec::new("/check.v1.Check/Note", StreamType::Unary);
/// One message; then the connection breaks, once the value of the header [`NAME`] was noted.
pub static BROKEN: Spec = Spec::new("/broken.v1.Broken/Stream", StreamType::ServerStream);

/// The header that gives [`BROKEN`] a name.
pub const NAME: &str = "x-name";
/// Leading metadata of answers and errors.
pub const LEADING: &str = "x-leading";
/// Trailing metadata of answers.
pub const TRAILING: &str = "x-trailing";
