//! What a response has beside its messages.

use http::{Extensions, HeaderMap};

/// Everything of a response but its message.
#[derive(Clone, Debug, Default)]
pub(crate) struct ResponseHead {
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) compress: Option<bool>,
    /// Whether the one message of a response was received compressed.
    pub(crate) is_compressed: bool,
}
