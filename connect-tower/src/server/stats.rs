//! How a server is at one moment, in numbers.

/// A server at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ServerStats {
    /// How many connections are open.
    pub connections: usize,
    /// How many requests are being served: from their head to the end of their answer, calls and others.
    pub active_calls: usize,
}
