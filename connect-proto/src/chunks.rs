//! Chunks gathered into one buffer that never grows past what it may become.

use std::mem;

use bytes::{Bytes, BytesMut};

/// ChunkBuffers chunks of a body or of a message; what came in one chunk is that chunk, without a copy.
#[derive(Debug, Default)]
pub(crate) struct ChunkBuffer {
    first: Bytes,
    rest: BytesMut,
}

impl ChunkBuffer {
    /// Bytes that are held.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Takes a chunk; the whole will have at most `max` bytes, so no more is ever allocated for it. `false` if the
    /// chunk goes past that; then what was held is let go.
    pub(crate) fn push(&mut self, chunk: Bytes, max: usize) -> bool {
        let held = self.len();
        if chunk.len() > max.saturating_sub(held) {
            *self = Self::default();
            return false;
        }
        if held == 0 {
            self.first = chunk;
            return true;
        }
        let first = mem::take(&mut self.first);
        let needed = held + chunk.len();
        if needed > self.rest.capacity() {
            // `BytesMut::reserve` may double past the bound, so the larger buffer is made here.
            let capacity = needed.max(self.rest.capacity().saturating_mul(2)).min(max);
            let mut larger = BytesMut::with_capacity(capacity);
            larger.extend_from_slice(&self.rest);
            self.rest = larger;
        }
        self.rest.extend_from_slice(&first);
        self.rest.extend_from_slice(&chunk);
        true
    }

    /// All that was gathered.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.rest.is_empty() {
            mem::take(&mut self.first)
        } else {
            mem::take(&mut self.rest).freeze()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capacity_stays_within_the_bound() {
        for cut in [1, 7, 1000] {
            let mut gather = ChunkBuffer::default();
            let max = 10_000;
            for _ in 0..max / cut {
                assert!(gather.push(Bytes::from(vec![1; cut]), max));
                assert!(gather.rest.capacity() <= max);
            }
            assert_eq!(gather.len(), max / cut * cut);
        }
    }

    #[test]
    fn a_single_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"chunk");
        let mut gather = ChunkBuffer::default();
        assert!(gather.push(chunk.clone(), 5));
        assert_eq!(gather.take().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn nothing_is_held_past_the_bound() {
        let mut gather = ChunkBuffer::default();
        assert!(gather.push(Bytes::from_static(b"1234"), 5));
        assert!(!gather.push(Bytes::from_static(b"56"), 5));
        assert_eq!(gather.len(), 0);
    }
}
