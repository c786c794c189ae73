//! Clients that make an HTTP/2 server work without a call that moves.
//!
//! h2 itself bounds calls that are canceled before they were looked at, calls that have to be reset for errors, empty DATA and
//! CONTINUATION frames. What is left is frames that have to be answered (PING, SETTINGS, calls beyond the limit) and calls that
//! are canceled over and over. The first are counted where they are answered: in what is written, which costs no copy, and
//! where frames that only cost reading (PRIORITY, WINDOW_UPDATE) do not show.

use std::time::Duration;

use connect_tower::{Time, rt::Timer};

use crate::frames::{
    ACK, DATA, FrameReader, GOAWAY, HEADERS, PING, RST_STREAM, SETTINGS, Seen, WINDOW_UPDATE,
};

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

/// How often something happened since a while. Each connection has some of these: they know neither their limit nor their
/// time.
#[derive(Debug, Default)]
struct Rate {
    count: usize,
    since: Option<Time>,
}

impl Rate {
    /// Adds to what happened within this time, and returns how often it did.
    fn add(&mut self, count: usize, time: Duration, now: Time) -> usize {
        let since = *self.since.get_or_insert(now);
        if now.saturating_since(since) >= time {
            *self = Self {
                count: 0,
                since: Some(now),
            };
        }
        self.count += count;
        self.count
    }
}

/// Counts the answers to control frames among what a connection writes.
#[derive(Debug, Default)]
pub(super) struct AnsweredFrames {
    frames: FrameReader,
    rate: Rate,
    is_flood: bool,
    /// The client was told already which streams are served.
    has_goaway: bool,
}

/// GOAWAY, `ENHANCE_YOUR_CALM`, with the debug data that gRPC's libraries look for (RFC 9113, section 6.8). It allows every stream,
/// as an earlier one may have.
pub(super) const TOO_MANY_PINGS: &[u8] =
    b"\0\0\x16\x07\0\0\0\0\0\x7f\xff\xff\xff\0\0\0\x0btoo_many_pings";

impl AnsweredFrames {
    /// Notes what was written. True if the connection is to be ended, between two frames: more than `max` were answered of late.
    pub(super) fn wrote(&mut self, bytes: &[u8], max: usize, timer: &impl Timer) -> bool {
        let Self {
            frames,
            rate,
            is_flood,
            has_goaway,
        } = self;
        frames.read(bytes, |seen| {
            let Seen::Frame(head) = seen else { return };
            match head.kind {
                DATA | HEADERS | WINDOW_UPDATE => *rate = Rate::default(),
                PING | SETTINGS if head.flags & ACK == 0 => {}
                PING | SETTINGS | RST_STREAM => {
                    *is_flood |= rate.add(1, FRAMES_IN, timer.now()) > max;
                }
                GOAWAY => *has_goaway = true,
                _ => {}
            }
        });
        self.is_flood && self.frames.is_between_frames()
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
#[derive(Debug, Default)]
pub(super) struct CanceledCalls {
    rate: Rate,
    seen: usize,
}

impl CanceledCalls {
    /// Takes the number of all that were canceled so far, and returns how many were of late.
    pub(super) fn note(&mut self, canceled: usize, now: impl FnOnce() -> Time) -> usize {
        let new = canceled - self.seen;
        self.seen = canceled;
        match new {
            0 => 0,
            new => self.rate.add(new, CALLS_IN, now()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_begins_anew_after_its_time() {
        let at = |seconds| Time::from_epoch(Duration::from_secs(seconds));
        let mut rate = Rate::default();
        for (second, added, expected) in [(5, 2, 2), (14, 1, 3), (15, 2, 2), (15, 1, 3)] {
            let count = rate.add(added, Duration::from_secs(10), at(second));
            assert_eq!(count, expected);
        }
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
