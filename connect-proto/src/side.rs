//! The two ends of a call.

/// Which end of a call a half belongs to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Side {
    /// The end that made the call.
    Client,
    /// The end that answers it.
    Server,
}
