//! Placeholder docs, replaced before the first release.

mod base64_text;
mod code;
pub mod compression;
mod error;
pub mod metadata;
mod percent;
mod spec;
mod status_details;
mod time;
mod timeout;

pub use code::{Code, UnknownCode};
pub use error::{Error, ErrorDetail};
pub use spec::{Idempotency, Spec, StreamType};
pub use time::Time;
pub use timeout::DeadlinePolicy;
