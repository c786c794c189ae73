//! Chunks gathered into one buffer that grows with what comes, never past what it may become.

use std::mem;

use bytes::Bytes;

/// Chunks of a body or of a message; what came in one chunk is that chunk, without a copy.
#[derive(Debug, Default)]
pub(crate) struct ChunkBuffer {
    first: Bytes,
    rest: Vec<u8>,
}

/// How large a whole may become.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// What the peer says that it will be, if it does.
    pub(crate) claimed: Option<usize>,
    /// Bytes that it must not pass.
    pub(crate) max: usize,
}

/// A claim is believed for so many times the bytes that have come: a whole of 1 MiB, in frames of 16 KiB, is moved once on its
/// way, and a peer makes us reserve at most this much for each byte that it sends.
const BELIEF: usize = 8;

impl ChunkBuffer {
    /// Bytes that are held.
    pub(crate) fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Takes a chunk. `false` if it goes past the size; then what was held is let go.
    pub(crate) fn push(&mut self, chunk: Bytes, size: Size) -> bool {
        let held = self.len();
        if chunk.len() > size.max.saturating_sub(held) {
            *self = Self::default();
            return false;
        }
        if held == 0 {
            self.first = chunk;
            return true;
        }
        let needed = held + chunk.len();
        if needed > self.rest.capacity() {
            let capacity = match size.claimed {
                Some(claimed) if claimed >= needed => claimed.min(needed.saturating_mul(BELIEF)),
                _ => needed.saturating_mul(2),
            };
            let more = capacity.min(size.max) - self.rest.len();
            self.rest.reserve_exact(more);
        }
        self.rest.extend_from_slice(&mem::take(&mut self.first));
        self.rest.extend_from_slice(&chunk);
        true
    }

    /// All that was gathered.
    pub(crate) fn take(&mut self) -> Bytes {
        if self.rest.is_empty() {
            mem::take(&mut self.first)
        } else {
            mem::take(&mut self.rest).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_most(max: usize) -> Size {
        Size { claimed: None, max }
    }

    fn claimed(claimed: usize) -> Size {
        Size {
            claimed: Some(claimed),
            max: claimed,
        }
    }

    #[test]
    fn capacity_stays_within_the_bound() {
        for cut in [1, 7, 1000] {
            for size in [at_most(10_000), claimed(10_000)] {
                let mut gather = ChunkBuffer::default();
                for _ in 0..size.max / cut {
                    assert!(gather.push(Bytes::from(vec![1; cut]), size));
                    assert!(gather.rest.capacity() <= size.max);
                    assert!(gather.rest.capacity() <= BELIEF * gather.len());
                }
                assert_eq!(gather.len(), size.max / cut * cut);
            }
        }
    }

    #[test]
    fn a_whole_of_a_claimed_size_is_moved_once() {
        let mut gather = ChunkBuffer::default();
        let mut capacities = Vec::new();
        for _ in 0..64 {
            assert!(gather.push(Bytes::from(vec![1; 16 << 10]), claimed(1 << 20)));
            capacities.push(gather.rest.capacity());
        }
        capacities.dedup();
        assert_eq!(capacities, [0, 256 << 10, 1 << 20]);
    }

    /// More than was claimed is taken, as far as the limit goes.
    #[test]
    fn a_claim_that_was_too_small_is_no_limit() {
        let mut gather = ChunkBuffer::default();
        let size = Size {
            claimed: Some(3),
            max: 100,
        };
        for _ in 0..10 {
            assert!(gather.push(Bytes::from_static(b"1234567890"), size));
        }
        assert!(!gather.push(Bytes::from_static(b"1"), size));
    }

    #[test]
    fn a_single_chunk_is_not_copied() {
        let chunk = Bytes::from_static(b"chunk");
        let mut gather = ChunkBuffer::default();
        assert!(gather.push(chunk.clone(), at_most(5)));
        assert_eq!(gather.take().as_ptr(), chunk.as_ptr());
    }

    #[test]
    fn nothing_is_held_past_the_bound() {
        let mut gather = ChunkBuffer::default();
        assert!(gather.push(Bytes::from_static(b"1234"), at_most(5)));
        assert!(!gather.push(Bytes::from_static(b"56"), at_most(5)));
        assert_eq!(gather.len(), 0);
    }

    /// Whatever is claimed and allowed: nothing overflows, and no more is reserved than either allows, or than what has come
    /// may be believed for.
    #[test]
    fn sizes_at_the_edges_reserve_no_more_than_they_may() {
        const EDGES: [usize; 9] = [
            0,
            1,
            2,
            3,
            u32::MAX as usize - 1,
            u32::MAX as usize,
            isize::MAX as usize,
            usize::MAX - 1,
            usize::MAX,
        ];
        for max in EDGES {
            for claimed in EDGES.into_iter().map(Some).chain([None]) {
                let mut buffer = ChunkBuffer::default();
                for come in 1..=3 {
                    let fits = buffer.push(Bytes::from_static(b"x"), Size { claimed, max });
                    assert_eq!(fits, come <= max, "{max} {claimed:?}");
                    if !fits {
                        assert_eq!(buffer.len(), 0);
                        break;
                    }
                    assert_eq!(buffer.len(), come);
                    let reserved = buffer.rest.capacity();
                    assert!(
                        reserved <= max.min(come * BELIEF),
                        "{reserved} {max} {claimed:?}"
                    );
                }
            }
        }
    }
}
