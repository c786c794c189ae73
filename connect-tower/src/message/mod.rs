//! What users hold: requests, responses, and streams of messages.

pub(crate) mod generate;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod streaming;
