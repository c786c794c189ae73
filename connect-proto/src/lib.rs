//! Placeholder docs, replaced before the first release.

mod code;
mod error;
mod spec;
mod time;

pub use code::{Code, UnknownCode};
pub use error::{Error, ErrorDetail};
pub use spec::{Idempotency, Spec, StreamType};
pub use time::Time;
