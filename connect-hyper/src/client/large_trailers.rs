//! HTTP/2 trailers that are larger than the channel takes, found in the raw bytes: h2 leaves out what is beyond its limit and
//! says nothing.
//!
//! h2 reads fields up to the limit that was announced, and drops those after. The channel takes a quarter of that: then the
//! fields that h2 has kept, or else the bytes of their frames, are too many whenever anything was dropped. For the first
//! field that passes h2's limit either comes from the compression's table, which holds 4 KiB, and the kept ones fill nearly
//! all of the limit; or it stands in the frames, where it is not less than 5/8 as long.

use std::{
    collections::BTreeSet,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use http::HeaderMap;

use crate::frames::{CONTINUATION, FrameReader, HEADERS, Seen};

/// What padding, priority and the lengths of strings may add to the frames of fields that are small enough.
const SLACK: usize = 1024;

/// How many streams with too many headers a connection may have at once: more than it has calls.
const MAX_STREAMS: usize = 1024;

/// The streams of a connection whose headers or trailers have come in more bytes than trailers may have.
#[derive(Clone, Debug)]
pub(super) struct LargeTrailers {
    streams: Arc<Mutex<BTreeSet<u32>>>,
    max: usize,
}

impl LargeTrailers {
    /// On a connection that announces this limit of header fields.
    pub(super) fn new(announced: u32) -> Self {
        let max = announced / 4;
        Self {
            streams: Arc::default(),
            max: usize::try_from(max).unwrap_or(usize::MAX),
        }
    }

    /// The most bytes of trailers that are taken.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Whether these trailers, of this stream, are larger.
    pub(super) fn are_too_large(&self, stream: u32, trailers: &HeaderMap) -> bool {
        let size: usize = trailers
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 32)
            .sum();
        size > self.max || self.lock().contains(&stream)
    }

    /// The stream has ended.
    pub(super) fn forget(&self, stream: u32) {
        self.lock().remove(&stream);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<u32>> {
        // Nothing that can panic runs under the lock.
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the header blocks that a connection receives.
#[derive(Debug)]
pub(super) struct BlockTracker {
    frames: FrameReader,
    large: LargeTrailers,
    /// The bytes of the present block.
    block: usize,
}

impl BlockTracker {
    pub(super) fn new(large: LargeTrailers) -> Self {
        Self {
            frames: FrameReader::default(),
            large,
            block: 0,
        }
    }

    /// Reads the next bytes of the connection.
    ///
    /// # Errors
    ///
    /// A server that sends nothing but headers which are too large.
    pub(super) fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self {
            frames,
            large,
            block,
        } = self;
        let mut is_hostile = false;
        frames.read(bytes, |seen| {
            let Seen::Frame(head) = seen else {
                return;
            };
            match head.kind {
                HEADERS => *block = head.payload,
                CONTINUATION => *block = block.saturating_add(head.payload),
                _ => return,
            }
            if *block > large.max.saturating_add(SLACK) {
                let mut streams = large.lock();
                streams.insert(head.stream);
                is_hostile = streams.len() > MAX_STREAMS;
            }
        });
        match is_hostile {
            true => Err(io::Error::other("the server sends too many large headers")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, payload: usize) -> Vec<u8> {
        let [_, l0, l1, l2] = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![l0, l1, l2, kind, 0, 0, 0, 0, stream];
        frame.resize(9 + payload, 0);
        frame
    }

    #[test]
    fn blocks_are_measured_over_all_their_frames() {
        let large = LargeTrailers::new(8 * 1024);
        let mut tracker = BlockTracker::new(large.clone());
        for frame in [
            frame(HEADERS, 1, 3_000),
            frame(CONTINUATION, 1, 73),
            frame(HEADERS, 3, 3_000),
            frame(0, 3, 9_000),
            frame(HEADERS, 5, 2_000),
            frame(CONTINUATION, 5, 1_000),
            frame(CONTINUATION, 5, 72),
        ] {
            tracker.read(&frame).unwrap();
        }
        let none = HeaderMap::new();
        assert!(large.are_too_large(1, &none));
        assert!(!large.are_too_large(3, &none));
        assert!(!large.are_too_large(5, &none));
        large.forget(1);
        assert!(!large.are_too_large(1, &none));
    }

    #[test]
    fn fields_count_as_http2_counts_them() {
        let large = LargeTrailers::new(4 * 1000);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-a", "m".repeat(965).try_into().unwrap());
        assert!(!large.are_too_large(1, &trailers));
        trailers.insert("x-a", "m".repeat(966).try_into().unwrap());
        assert!(large.are_too_large(1, &trailers));
    }

    #[test]
    fn a_server_that_sends_nothing_else_is_hostile() {
        let mut tracker = BlockTracker::new(LargeTrailers::new(0));
        let sent = (0..).position(|stream: u16| {
            let [a, b] = stream.to_be_bytes();
            let mut frame = frame(HEADERS, b, SLACK + 1);
            frame[7] = a;
            tracker.read(&frame).is_err()
        });
        assert_eq!(sent, Some(MAX_STREAMS));
    }
}
