//! What the project's own tests share.
//!
//! [`fuzz`] holds every fuzz target as a plain function of bytes: `fuzz/` hands them to cargo-fuzz, and
//! `tests/corpus.rs` replays the corpora as an ordinary test.

pub mod fuzz;
