//! The generated messages, and ways to write and read them in one word.
#![allow(dead_code, reason = "no test uses all of it")]

use connect_codec::{
    DecodeError,
    json::{self, JsonMessage, JsonOptions},
};

/// proto2.
pub(crate) mod v2 {
    include!("../generated/test.v2.rs");
}

/// proto3.
pub(crate) mod v3 {
    include!("../generated/test.v3.rs");
}

/// Writes with default options.
pub(crate) fn write<M: JsonMessage>(message: &M) -> String {
    json::to_string(message, &JsonOptions::default()).unwrap()
}

/// Reads with default options.
pub(crate) fn read<M: JsonMessage>(text: &str) -> Result<M, DecodeError> {
    json::from_slice(text.as_bytes(), &JsonOptions::default())
}

/// The text is refused, for a reason that holds these words.
#[track_caller]
pub(crate) fn assert_refused<M: JsonMessage + std::fmt::Debug>(text: &str, reason: &str) {
    let error = read::<M>(text).expect_err(text);
    assert!(error.message().contains(reason), "{text}: {error}");
}
