//! A body that is one message: chunks gathered up to a limit.

use std::mem;

use bytes::{BufMut, Bytes, BytesMut};

/// Gathers chunks; a body of one chunk is that chunk, without a copy.
#[derive(Debug, Default)]
pub(super) struct Gather {
    first: Bytes,
    rest: BytesMut,
}

impl Gather {
    /// Takes a chunk; `false` if the body is now longer than `limit`, and what was held is let go.
    pub(super) fn push(&mut self, chunk: Bytes, limit: usize) -> bool {
        let held = self.first.len() + self.rest.len();
        if chunk.len() > limit.saturating_sub(held) {
            *self = Self::default();
            return false;
        }
        if held == 0 {
            self.first = chunk;
            return true;
        }
        if self.rest.is_empty() {
            self.rest.reserve(held + chunk.len());
            self.rest.put_slice(&mem::take(&mut self.first));
        }
        self.rest.put_slice(&chunk);
        true
    }

    /// The whole body.
    pub(super) fn take(&mut self) -> Bytes {
        if self.rest.is_empty() {
            mem::take(&mut self.first)
        } else {
            mem::take(&mut self.rest).freeze()
        }
    }
}
