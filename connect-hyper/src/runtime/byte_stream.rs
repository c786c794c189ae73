//! A connection's bytes.

use hyper::rt::{Read, Write};

/// A byte stream as hyper wants it, that may move between threads. Implemented for all that qualifies.
pub trait Io: Read + Write + Unpin + Send + 'static {}

impl<T: Read + Write + Unpin + Send + 'static> Io for T {}

/// Any [`Io`] behind one pointer.
pub type BoxIo = Box<dyn Io>;
