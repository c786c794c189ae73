//! HTTP/2 trailers that are larger than the channel takes, found in the raw bytes: h2 leaves out what is beyond its limit and
//! says nothing.
//!
//! h2 reads fields up to the limit that was announced, and drops those after. The channel takes a quarter of that: then the
//! fields that h2 has kept, or else the bytes of their frames, are too many whenever anything was dropped. For the first
//! field that passes h2's limit either comes from the compression's table, which holds 4 KiB, and the kept ones fill nearly
//! all of the limit; or it stands in the frames, where it is not less than 5/8 as long.
//!
//! Found on the way: servers that send interim responses without end.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use connect_proto::metadata::list_size;
use http::HeaderMap;

use crate::frames::{CONTINUATION, END_STREAM, FrameReader, HEADERS, Seen};

/// What padding, priority and the lengths of strings may add to the frames of fields that are small enough.
const SLACK: usize = 1024;

/// How many interim responses (RFC 9110, section 15.2) a connection may have, and how many more with each call. h2 keeps them until
/// the call is polled, and nobody reads them.
const INTERIM: u32 = 1000;
const INTERIM_PER_CALL: u32 = 16;

/// The streams of a connection that have calls, and whose trailers have come in more bytes than trailers may have.
#[derive(Clone, Debug, Default)]
pub(super) struct LargeTrailers(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    streams: Mutex<Vec<Stream>>,
    /// Whether any was large so far: only then calls look for theirs.
    any_is_large: AtomicBool,
    max: usize,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    is_large: bool,
}

impl LargeTrailers {
    /// On a connection that announces this limit of header fields.
    pub(super) fn new(announced: u32) -> Self {
        Self(Arc::new(Shared {
            streams: Mutex::default(),
            any_is_large: AtomicBool::new(false),
            max: usize::try_from(announced / 4).unwrap_or(usize::MAX),
        }))
    }

    /// A call begins on this stream.
    pub(super) fn open(&self, stream: u32) -> LiveStream {
        self.lock().push(Stream {
            id: stream,
            is_large: false,
        });
        LiveStream {
            trailers: self.clone(),
            stream,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stream>> {
        // Nothing that can panic runs under the lock.
        let streams = self.0.streams.lock();
        streams.unwrap_or_else(PoisonError::into_inner)
    }

    fn set_large(&self, stream: u32) {
        if let Some(stream) = self.lock().iter_mut().find(|it| it.id == stream) {
            stream.is_large = true;
            self.0.any_is_large.store(true, Ordering::Release);
        }
    }

    fn is_large(&self, stream: u32) -> bool {
        self.0.any_is_large.load(Ordering::Acquire)
            && self.lock().iter().any(|it| it.id == stream && it.is_large)
    }
}

/// The stream of a call, until nobody holds the call any more.
#[derive(Debug)]
pub(super) struct LiveStream {
    trailers: LargeTrailers,
    stream: u32,
}

impl LiveStream {
    /// How many bytes of trailers are taken, if these are larger.
    pub(super) fn exceeded(&self, trailers: &HeaderMap) -> Option<usize> {
        let max = self.trailers.0.max;
        let is_large = list_size(trailers) > max || self.trailers.is_large(self.stream);
        is_large.then_some(max)
    }
}

impl Drop for LiveStream {
    fn drop(&mut self) {
        let mut streams = self.trailers.lock();
        // There are as many as the connection has calls.
        if let Some(index) = streams.iter().position(|it| it.id == self.stream) {
            streams.swap_remove(index);
        }
    }
}

/// Follows the header blocks that a connection receives: how large those are that may be trailers, and how many others there are.
#[derive(Debug)]
pub(super) struct BlockTracker {
    frames: FrameReader,
    trailers: LargeTrailers,
    /// The bytes of the present block, if it ends its stream: a head does not, before trailers.
    block: Option<usize>,
    /// Heads that do not end their stream: one of each answer with a body, and interim ones.
    heads: u32,
    last_stream: u32,
}

impl BlockTracker {
    pub(super) fn new(trailers: LargeTrailers) -> Self {
        Self {
            frames: FrameReader::default(),
            trailers,
            block: None,
            heads: 0,
            last_stream: 0,
        }
    }

    /// Reads the next bytes of the connection.
    ///
    /// # Errors
    ///
    /// When the server has sent more interim responses than make sense.
    pub(super) fn read(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Self {
            frames,
            trailers,
            block,
            heads,
            last_stream,
        } = self;
        frames.read(bytes, |seen| {
            let Seen::Frame(head) = seen else {
                return;
            };
            let before = match head.kind {
                HEADERS if head.flags & END_STREAM != 0 => Some(0),
                HEADERS => {
                    *heads = heads.saturating_add(1);
                    *last_stream = head.stream.max(*last_stream);
                    None
                }
                // Without the flag: it stands in the first frame of the block.
                CONTINUATION => *block,
                _ => return,
            };
            *block = before.map(|before| head.payload.saturating_add(before));
            if block.is_some_and(|size| size > trailers.0.max.saturating_add(SLACK)) {
                trailers.set_large(head.stream);
            }
        });
        // A client's streams have odd numbers, and h2 takes nothing of one that it did not open.
        let calls = *last_stream / 2 + 1;
        if *heads
            > calls
                .saturating_mul(1 + INTERIM_PER_CALL)
                .saturating_add(INTERIM)
        {
            let text = "the server sent too many interim responses";
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: usize) -> Vec<u8> {
        let [_, l0, l1, l2] = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![l0, l1, l2, kind, flags, 0, 0, 0, stream];
        frame.resize(9 + payload, 0);
        frame
    }

    #[test]
    fn blocks_are_measured_over_all_their_frames() {
        let large = LargeTrailers::new(8 * 1024);
        let streams = [1, 3, 5, 7].map(|stream| large.open(stream));
        let mut tracker = BlockTracker::new(large);
        for frame in [
            frame(HEADERS, END_STREAM, 1, 3_000),
            frame(CONTINUATION, 0, 1, 73),
            frame(HEADERS, END_STREAM, 3, 3_000),
            frame(0, 0, 3, 9_000),
            frame(HEADERS, END_STREAM, 5, 2_000),
            frame(CONTINUATION, 0, 5, 1_000),
            frame(CONTINUATION, 0, 5, 72),
            frame(HEADERS, 0, 7, 9_000),
            frame(CONTINUATION, 0, 7, 9_000),
            frame(HEADERS, END_STREAM, 7, 9),
        ] {
            tracker.read(&frame).unwrap();
        }
        let none = HeaderMap::new();
        let exceeded = streams.map(|stream| stream.exceeded(&none));
        assert_eq!(exceeded, [Some(2_048), None, None, None]);
    }

    #[test]
    fn fields_count_as_http2_counts_them() {
        let stream = LargeTrailers::new(4 * 1000).open(1);
        let mut trailers = HeaderMap::new();
        trailers.insert("x-a", "m".repeat(965).try_into().unwrap());
        assert_eq!(stream.exceeded(&trailers), None);
        trailers.insert("x-a", "m".repeat(966).try_into().unwrap());
        assert_eq!(stream.exceeded(&trailers), Some(1000));
    }

    #[test]
    fn nothing_is_kept_of_a_stream_whose_call_has_ended() {
        let large = LargeTrailers::new(0);
        let mut tracker = BlockTracker::new(large.clone());
        let first = large.open(1);
        tracker
            .read(&frame(HEADERS, END_STREAM, 1, SLACK + 1))
            .unwrap();
        drop(first);
        tracker
            .read(&frame(HEADERS, END_STREAM, 1, SLACK + 1))
            .unwrap();
        tracker
            .read(&frame(HEADERS, END_STREAM, 3, SLACK + 1))
            .unwrap();
        assert!(large.lock().is_empty());
    }

    #[test]
    fn interim_responses_have_a_number() {
        let mut tracker = BlockTracker::new(LargeTrailers::new(0));
        let mut read = |stream, heads| {
            let head = frame(HEADERS, 0, stream, 4);
            (0..heads).find(|_| tracker.read(&head).is_err())
        };
        // One call, then ten: each has a head that is no interim response.
        assert_eq!(read(1, INTERIM + 17), None);
        assert_eq!(read(19, 9 * 17), None);
        assert_eq!(read(1, 1), Some(0));
    }
}
