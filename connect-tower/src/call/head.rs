//! What a response has beside its messages.

use std::fmt;

use connect_proto::metadata::Names;
use http::{Extensions, HeaderMap};

/// Everything of a response but its message.
#[derive(Clone, Default)]
pub(crate) struct ResponseHead {
    pub(crate) headers: HeaderMap,
    pub(crate) trailers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) compress: Option<bool>,
    /// Whether the one message of a response was received compressed.
    pub(crate) is_compressed: bool,
}

impl fmt::Debug for ResponseHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseHead")
            .field("headers", &Names(&self.headers))
            .field("trailers", &Names(&self.trailers))
            .field("compress", &self.compress)
            .field("is_compressed", &self.is_compressed)
            .finish_non_exhaustive()
    }
}
