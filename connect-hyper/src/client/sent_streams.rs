//! The streams among the HTTP/2 frames that a connection writes: which were opened, and one that must not be any more.
//!
//! hyper gives up a request that waits for its stream when a GOAWAY comes or the connection breaks. But h2 may just have
//! opened the stream. And if the GOAWAY allows the stream, as the first one of a graceful shutdown does, h2 opens it later,
//! once the server's limit has room. So what was written tells whether the server can have the request; and what was not
//! written is held back, so that the request can be sent elsewhere.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use crate::frames::{FrameHead, HEADERS};

/// The streams that a connection's client has opened on the wire.
#[derive(Clone, Debug, Default)]
pub(super) struct SentStreams(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    last: AtomicU32,
    /// Not to be opened any more; zero if there is none.
    withheld: AtomicU32,
}

impl SentStreams {
    /// Keeps this stream, and those after it, from being opened. `false` if it was opened already.
    ///
    /// For the connection's own task, which also writes, and after its last request: the server's HPACK decoder does not see
    /// what is withheld. (Trailers of an open request could miss it; no protocol here has those.)
    pub(super) fn withhold(&self, stream: u32) -> bool {
        if self.0.last.load(Ordering::Relaxed) >= stream {
            return false;
        }
        self.0.withheld.store(stream, Ordering::Relaxed);
        true
    }

    fn withheld(&self) -> Option<u32> {
        let first = self.0.withheld.load(Ordering::Relaxed);
        (first != 0).then_some(first)
    }

    fn set_sent(&self, stream: u32) {
        self.0.last.fetch_max(stream, Ordering::Relaxed);
    }
}

/// Follows the frames that a connection writes, from its beginning. h2 writes each frame's head from one piece of memory.
#[derive(Debug)]
pub(super) struct FrameTracker {
    streams: SentStreams,
    /// How many bytes come before the next frame.
    rest: usize,
    /// How many bytes of a frame are still to be withheld.
    withheld: usize,
}

/// What to do with the first bytes of those to be written.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Next {
    Write(usize),
    Withhold(usize),
}

/// RFC 9113, section 3.4: what a client sends before the first frame.
const PREFACE: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

impl FrameTracker {
    pub(super) fn new(streams: SentStreams) -> Self {
        Self {
            streams,
            rest: PREFACE,
            withheld: 0,
        }
    }

    pub(super) fn withholds(&self) -> bool {
        self.streams.withheld().is_some()
    }

    pub(super) fn next(&mut self, bytes: &[u8]) -> Next {
        let Some(first) = self.streams.withheld() else {
            return Next::Write(bytes.len());
        };
        let mut at = self.rest;
        while self.withheld == 0 {
            let Some(head) = bytes.get(at..).and_then(FrameHead::of) else {
                return Next::Write(bytes.len());
            };
            if head.stream < first {
                at += head.frame();
            } else if at == 0 {
                self.withheld = head.frame();
            } else {
                return Next::Write(at);
            }
        }
        let now = self.withheld.min(bytes.len());
        self.withheld -= now;
        Next::Withhold(now)
    }

    /// Notes that so many of these bytes were written.
    pub(super) fn wrote(&mut self, bytes: &[u8], count: usize) {
        while self.rest < count {
            match FrameHead::of(&bytes[self.rest..]) {
                Some(head) => {
                    self.rest += head.frame();
                    if head.kind == HEADERS {
                        self.streams.set_sent(head.stream);
                    }
                }
                // Not from h2. Anything may have been written.
                None => {
                    self.rest = usize::MAX;
                    self.streams.set_sent(u32::MAX);
                }
            }
        }
        self.rest -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, 0, 0, 0, 0, stream], payload].concat()
    }

    #[test]
    fn a_stream_is_opened_by_its_headers_however_little_is_written() {
        let preface = vec![0; PREFACE];
        let bytes = [preface, frame(1, 3, b"head"), frame(0, 5, b"data")].concat();
        for size in 1..=bytes.len() {
            let streams = SentStreams::default();
            let mut tracker = FrameTracker::new(streams.clone());
            for at in (0..bytes.len()).step_by(size) {
                let rest = &bytes[at..];
                tracker.wrote(rest, size.min(rest.len()));
                assert_eq!(!streams.withhold(3), at + size > PREFACE, "{size} {at}");
            }
            assert!(streams.withhold(5));
        }
    }

    #[test]
    fn frames_of_a_withheld_stream_are_not_written_however_they_are_taken() {
        let before = [frame(1, 3, b"head"), frame(0, 3, b"data")].concat();
        let withheld = [frame(1, 5, b"late"), frame(3, 5, &[0; 4])].concat();
        let after = frame(6, 0, b"pingpong");
        let bytes = [&before[..], &withheld, &after].concat();
        for size in 1..=bytes.len() {
            let streams = SentStreams::default();
            let mut tracker = FrameTracker::new(streams.clone());
            tracker.wrote(&[0; PREFACE], PREFACE);
            assert!(streams.withhold(5));
            let (mut rest, mut written) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let taken = match tracker.next(rest) {
                    Next::Withhold(count) => count,
                    Next::Write(count) => {
                        let count = count.min(size);
                        tracker.wrote(rest, count);
                        written.extend_from_slice(&rest[..count]);
                        count
                    }
                };
                rest = &rest[taken..];
            }
            assert_eq!(written, [&before[..], &after].concat(), "{size}");
        }
    }
}
