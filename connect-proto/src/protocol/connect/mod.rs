//! What is Connect's own on the wire.

pub(crate) mod json;
