//! One direction of a call: what is in flight, and what must come out of it.

use std::collections::VecDeque;

use bytes::Bytes;
use connect_proto::{Code, Error, RecvEvent, RecvHalf, Reset, SendHalf, Transmit};
use http::HeaderMap;

/// How the direction must end, if nothing disturbs it.
#[derive(Debug)]
pub(super) enum Expected {
    Clean(HeaderMap),
    Failed(Error),
    Canceled,
}

/// From a sending half to the peer's receiving half.
#[derive(Debug, Default)]
pub(super) struct Link {
    in_flight: VecDeque<Frame>,
    /// The sender has nothing more, and the receiver will be told.
    closed: bool,
    /// The receiver was told.
    told_end: bool,
    pub(super) sent: Vec<Bytes>,
    received: usize,
    ending: Option<Result<HeaderMap, Error>>,
    pub(super) expected: Option<Expected>,
    /// A loss, a limit or a deadline: it ends in some error, or before that cleanly.
    disturbed: bool,
    /// Bytes were changed: anything may come out, within the limits.
    corrupted: bool,
    /// The receiver's limit of a message.
    limit: usize,
}

#[derive(Debug)]
enum Frame {
    Data(Bytes),
    Trailers(HeaderMap),
    Eof,
    Reset(Reset),
}

impl Link {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            ..Self::default()
        }
    }

    pub(super) fn disturb(&mut self) {
        self.disturbed = true;
    }

    pub(super) fn record_sent(&mut self, message: Bytes) {
        self.disturbed |= message.len() > self.limit;
        self.sent.push(message);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ending.is_some()
    }

    /// Whether all arrived and the ending is a clean one, with nothing in the way.
    pub(super) fn is_clean(&self) -> bool {
        !self.disturbed && !self.corrupted && matches!(self.ending, Some(Ok(_)))
    }

    /// The ending that the peer meant as an error, and that arrived as that error.
    pub(super) fn is_failed_as_meant(&self) -> bool {
        !self.disturbed && !self.corrupted && matches!(self.ending, Some(Err(_)))
    }

    /// Loses what is in flight and the stream with it.
    pub(super) fn lose(&mut self, reset: Reset, to: &mut RecvHalf) {
        if !self.told_end {
            self.disturb();
            self.in_flight.clear();
            self.in_flight.push_back(Frame::Reset(reset));
            self.closed = true;
            self.deliver(to, 1, 1);
        }
    }

    /// Changes one byte in flight.
    pub(super) fn corrupt(&mut self, position: u8, change: u8) {
        for frame in &mut self.in_flight {
            if let Frame::Data(data) = frame {
                let mut bytes = data.to_vec();
                let at = usize::from(position) % bytes.len();
                bytes[at] ^= change | 1;
                *data = bytes.into();
                self.corrupted = true;
                return;
            }
        }
    }

    /// Takes all that the sender has now.
    pub(super) fn load(&mut self, from: &mut SendHalf) {
        let mut left = from.exact_len();
        while let Some(transmit) = from.poll_transmit() {
            self.load_one(transmit, &mut left);
            if left.is_some() {
                assert_eq!(from.exact_len(), left, "exact_len is not exact");
            }
        }
        if from.is_end_stream() && !self.closed {
            assert_eq!(from.exact_len(), Some(0));
            self.in_flight.push_back(Frame::Eof);
            self.closed = true;
        }
        assert!(!(from.is_finished() && from.wants_message()));
    }

    fn load_one(&mut self, transmit: Transmit, left: &mut Option<u64>) {
        let frame = match transmit {
            Transmit::Data(data) => {
                assert!(!data.is_empty(), "an empty piece of data");
                if let Some(left) = left {
                    *left -= data.len() as u64;
                }
                Frame::Data(data)
            }
            Transmit::Trailers(trailers) => Frame::Trailers(trailers),
            Transmit::Reset(_) => Frame::Reset(Reset::Http2(8)),
        };
        if self.closed {
            return;
        }
        self.closed = !matches!(frame, Frame::Data(_));
        self.in_flight.push_back(frame);
    }

    /// Hands over at most `count` pieces of at most `cut` bytes, and polls after each.
    pub(super) fn deliver(&mut self, to: &mut RecvHalf, cut: usize, count: usize) {
        self.poll(to);
        for _ in 0..count {
            let Some(frame) = self.in_flight.pop_front() else {
                return;
            };
            match frame {
                Frame::Data(mut data) => {
                    to.recv_data(data.split_to(cut.min(data.len())));
                    if !data.is_empty() {
                        self.in_flight.push_front(Frame::Data(data));
                    }
                }
                Frame::Trailers(trailers) => {
                    to.recv_trailers(trailers);
                    self.told_end = true;
                }
                Frame::Eof => {
                    to.recv_eof();
                    self.told_end = true;
                }
                Frame::Reset(reset) => {
                    to.recv_reset(reset);
                    self.told_end = true;
                }
            }
            self.poll(to);
        }
    }

    /// All events that there are; then the half must want data, or have ended.
    pub(super) fn poll(&mut self, half: &mut RecvHalf) {
        while let Some(event) = half.poll_event() {
            self.record(event);
        }
        assert_eq!(half.is_ended(), self.ending.is_some());
        if self.ending.is_none() {
            assert!(!self.told_end, "the end of the body is not an ending");
            assert!(half.wants_data(), "neither an event nor a wish for data");
        } else {
            assert!(!half.wants_data(), "more data is wanted after the ending");
        }
    }

    fn record(&mut self, event: Result<RecvEvent, Error>) {
        assert!(self.ending.is_none(), "an event after the ending");
        match event {
            Ok(RecvEvent::Message(message)) => {
                assert!(message.len() <= self.limit, "a message over the limit");
                if !self.corrupted {
                    let meant = self.sent.get(self.received);
                    assert_eq!(Some(&message), meant, "a message changed");
                }
                self.received += 1;
            }
            Ok(RecvEvent::End(trailers)) => {
                let lost = !self.corrupted && self.received != self.sent.len();
                assert!(!lost, "a clean end lost messages");
                self.ending = Some(Ok(trailers));
            }
            Err(error) => self.ending = Some(Err(error)),
        }
    }

    /// Compares the ending with what the sender meant.
    pub(super) fn check_ending(&self) {
        let ending = self.ending.as_ref().expect("the direction has ended");
        if self.disturbed || self.corrupted {
            return;
        }
        match (self.expected.as_ref().expect("the sender ended"), ending) {
            (Expected::Clean(trailers), Ok(received)) => assert_contains(received, trailers),
            (Expected::Failed(error), Err(received)) => {
                assert_eq!(received.code(), error.code());
                assert_eq!(received.message(), error.message());
                assert_eq!(received.details(), error.details());
                assert_contains(
                    received.received().expect("it came over the wire"),
                    error.metadata(),
                );
            }
            (Expected::Canceled, Err(received)) => assert_eq!(received.code(), Code::Canceled),
            (expected, received) => panic!("meant {expected:?}, received {received:?}"),
        }
    }
}

/// All values of each name, in order.
pub(super) fn assert_contains(map: &HeaderMap, part: &HeaderMap) {
    for name in part.keys() {
        let values: Vec<_> = map.get_all(name).iter().collect();
        let expected: Vec<_> = part.get_all(name).iter().collect();
        assert_eq!(values, expected, "metadata {name}");
    }
}
