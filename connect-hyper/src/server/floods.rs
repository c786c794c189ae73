//! Clients that make an HTTP/2 server work without a call that moves.
//!
//! h2 itself bounds calls that are canceled before they were looked at, calls that have to be reset for errors, empty DATA and
//! CONTINUATION frames. What is left is frames that have to be answered (PING, SETTINGS, calls beyond the limit) and calls that
//! are canceled over and over. The first are counted where they are answered: in what is written, which costs no copy, and
//! where frames that only cost reading (PRIORITY, WINDOW_UPDATE) do not show.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use connect_tower::{Time, rt::Timer};

use crate::frames::{FrameReader, Seen};

/// The time in which such frames are counted.
const FRAMES_IN: Duration = Duration::from_secs(60);
/// The time in which canceled calls are counted.
const CALLS_IN: Duration = Duration::from_secs(10);

/// What a client has done too much of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flood {
    /// Sent frames that have to be answered while no call moved: see
    /// [`Server::with_max_control_frames`](super::Server::with_max_control_frames).
    ControlFrames,
    /// Canceled calls: see [`Server::with_max_canceled_calls`](super::Server::with_max_canceled_calls).
    CanceledCalls,
}

/// Why a connection is ended, for its parts to tell each other.
#[derive(Clone, Debug, Default)]
pub(super) struct FoundFlood(Arc<OnceLock<Flood>>);

impl FoundFlood {
    pub(super) fn get(&self) -> Option<Flood> {
        self.0.get().copied()
    }

    pub(super) fn set(&self, flood: Flood) {
        // The first counts.
        let _ = self.0.set(flood);
    }
}

/// A number that may be reached in a time.
#[derive(Debug)]
struct Rate {
    max: usize,
    time: Duration,
    count: usize,
    since: Option<Time>,
}

impl Rate {
    const fn new(max: usize, time: Duration) -> Self {
        Self {
            max,
            time,
            count: 0,
            since: None,
        }
    }

    /// Adds to the number. True if it is too large now.
    fn add(&mut self, count: usize, now: Time) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_since(since) >= self.time {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += count;
        self.count > self.max
    }

    fn reset(&mut self) {
        self.since = None;
        self.count = 0;
    }
}

/// Counts the answers to control frames among what a connection writes.
#[derive(Debug)]
pub(super) struct AnsweredFrames<R> {
    frames: FrameReader,
    rate: Rate,
    is_flood: bool,
    /// The client was told already which streams are served.
    has_goaway: bool,
    runtime: R,
    found: FoundFlood,
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
const ACK: u8 = 1;

/// GOAWAY, `ENHANCE_YOUR_CALM`, with the debug data that gRPC's libraries look for (RFC 9113, section 6.8). It allows every stream,
/// as an earlier one may have.
pub(super) const TOO_MANY_PINGS: &[u8] =
    b"\0\0\x16\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo_many_pings";

impl<R: Timer> AnsweredFrames<R> {
    pub(super) fn new(max: usize, runtime: R, found: FoundFlood) -> Self {
        Self {
            frames: FrameReader::default(),
            rate: Rate::new(max, FRAMES_IN),
            is_flood: false,
            has_goaway: false,
            runtime,
            found,
        }
    }

    /// Notes what was written. True if the connection is to be ended: between two frames.
    pub(super) fn wrote(&mut self, bytes: &[u8]) -> bool {
        let Self {
            frames,
            rate,
            is_flood,
            has_goaway,
            runtime,
            ..
        } = self;
        frames.read(bytes, |seen| {
            let Seen::Frame(head) = seen else { return };
            match head.kind {
                DATA | HEADERS | WINDOW_UPDATE => rate.reset(),
                PING | SETTINGS if head.flags & ACK == 0 => {}
                PING | SETTINGS | RST_STREAM => *is_flood |= rate.add(1, runtime.now()),
                GOAWAY => *has_goaway = true,
                _ => {}
            }
        });
        let ends = self.is_flood && self.frames.is_between_frames();
        if ends {
            self.found.set(Flood::ControlFrames);
        }
        ends
    }

    /// What to tell the client in the end.
    pub(super) fn farewell(&self) -> &'static [u8] {
        match self.has_goaway {
            true => b"",
            false => TOO_MANY_PINGS,
        }
    }
}

/// Counts the calls that a client cancels before they are answered.
#[derive(Debug)]
pub(super) struct CanceledCalls {
    rate: Rate,
    seen: usize,
}

impl CanceledCalls {
    pub(super) const fn new(max: usize) -> Self {
        Self {
            rate: Rate::new(max, CALLS_IN),
            seen: 0,
        }
    }

    /// Takes the number of all that were canceled so far. True if there are too many.
    pub(super) fn note(&mut self, canceled: usize, now: impl FnOnce() -> Time) -> bool {
        let new = canceled - self.seen;
        self.seen = canceled;
        new > 0 && self.rate.add(new, now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_begins_anew_after_its_time() {
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        let mut rate = Rate::new(2, Duration::from_secs(10));
        assert!(!rate.add(2, at(5)));
        assert!(rate.add(1, at(14)));
        assert!(!rate.add(2, at(15)));
        assert!(rate.add(1, at(15)));
        rate.reset();
        assert!(!rate.add(2, at(16)));
    }

    #[test]
    fn the_farewell_is_a_whole_frame() {
        let mut frames = FrameReader::default();
        let mut seen = Vec::new();
        frames.read(TOO_MANY_PINGS, |what| seen.push(what));
        assert!(matches!(seen[..], [Seen::Frame(head)] if head.kind == GOAWAY));
        assert!(frames.is_between_frames());
    }
}
