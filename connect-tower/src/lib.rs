//! Placeholder docs, replaced before the first release.

pub mod transport;
