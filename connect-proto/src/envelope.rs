//! Length-prefixed messages: five bytes of prefix, then the payload.
//!
//! Connect, "Streaming-Request" (Enveloped-Message); gRPC, "Length-Prefixed-Message"; gRPC-Web, "Message framing".
//! All three share the layout: one byte of flags, four bytes of length, big-endian.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::chunks::{ChunkBuffer, Size};

/// Bytes in front of each payload.
pub const PREFIX_LEN: usize = 5;

/// The flag of a compressed payload, in all three protocols.
pub const FLAG_COMPRESSED: u8 = 0b0000_0001;
/// Connect's flag of an EndStreamResponse.
pub const FLAG_END_STREAM: u8 = 0b0000_0010;
/// gRPC-Web's flag of a block of trailers.
pub const FLAG_TRAILERS: u8 = 0b1000_0000;

/// What an envelope's prefix says, before any byte of its payload is there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Prefix {
    /// Eight flags; their meaning is the protocol's.
    pub flags: u8,
    /// Length of the payload in bytes.
    pub len: u32,
}

impl Prefix {
    /// The prefix as it stands on the wire.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; PREFIX_LEN] {
        let [a, b, c, d] = self.len.to_be_bytes();
        [self.flags, a, b, c, d]
    }

    /// Reads a prefix as it stands on the wire.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; PREFIX_LEN]) -> Self {
        let [flags, a, b, c, d] = bytes;
        Self {
            flags,
            len: u32::from_be_bytes([a, b, c, d]),
        }
    }
}

/// One whole envelope.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Envelope {
    /// Eight flags; their meaning is the protocol's.
    pub flags: u8,
    /// The payload, still compressed if the flags say so.
    pub payload: Bytes,
}

/// Cuts a stream of bytes into envelopes, however it arrives in chunks.
///
/// A payload that lies inside one chunk is a slice of it; one that spans chunks is gathered in a buffer that
/// grows with the bytes that arrive, to at most eight times as many, and never past the length that a prefix claims.
///
/// ```
/// use std::convert::Infallible;
/// use bytes::Bytes;
/// use connect_proto::envelope::Deframer;
///
/// let mut deframer = Deframer::new();
/// deframer.push(Bytes::from_static(b"\x00\x00\x00"));
/// assert_eq!(deframer.next_envelope(|_| Ok::<_, Infallible>(())), Ok(None));
/// deframer.push(Bytes::from_static(b"\x00\x02hi\x00"));
/// let envelope = deframer.next_envelope(|_| Ok::<_, Infallible>(())).unwrap().unwrap();
/// assert_eq!(envelope.payload, "hi");
/// assert!(deframer.is_partial(), "one byte of the next prefix is there");
/// ```
#[derive(Debug, Default)]
pub struct Deframer {
    chunk: Bytes,
    step: Step,
}

#[derive(Debug)]
enum Step {
    Prefix {
        bytes: [u8; PREFIX_LEN],
        have: usize,
    },
    Payload {
        prefix: Prefix,
        gathered: ChunkBuffer,
    },
}

impl Default for Step {
    fn default() -> Self {
        Self::Prefix {
            bytes: [0; PREFIX_LEN],
            have: 0,
        }
    }
}

impl Deframer {
    /// A deframer at the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes of the stream.
    ///
    /// Call it after [`next_envelope`](Self::next_envelope) has returned `Ok(None)`; bytes pushed earlier are joined by a copy.
    pub fn push(&mut self, chunk: Bytes) {
        if self.chunk.is_empty() {
            self.chunk = chunk;
        } else if !chunk.is_empty() {
            let mut joined = BytesMut::with_capacity(self.chunk.len() + chunk.len());
            joined.put_slice(&self.chunk);
            joined.put_slice(&chunk);
            self.chunk = joined.freeze();
        }
    }

    /// The next whole envelope, or `None` until more bytes are pushed.
    ///
    /// `admit` sees each prefix once it is complete and before any byte of the payload is kept: refuse a length
    /// over your limit there. It may see the same prefix again if it refused it.
    ///
    /// # Errors
    ///
    /// Only what `admit` returns.
    pub fn next_envelope<E>(
        &mut self,
        admit: impl FnOnce(Prefix) -> Result<(), E>,
    ) -> Result<Option<Envelope>, E> {
        // The usual case, prefix and payload in one chunk, needs no state in between.
        if let (Step::Prefix { have: 0, .. }, Some(bytes)) = (&self.step, self.chunk.first_chunk())
        {
            let prefix = Prefix::from_bytes(*bytes);
            let len = prefix.len as usize;
            if self.chunk.len() - PREFIX_LEN >= len {
                admit(prefix)?;
                self.chunk.advance(PREFIX_LEN);
                let (flags, payload) = (prefix.flags, self.chunk.split_to(len));
                return Ok(Some(Envelope { flags, payload }));
            }
        }
        if let Step::Prefix { bytes, have } = &mut self.step {
            let take = self.chunk.len().min(PREFIX_LEN - *have);
            self.chunk.copy_to_slice(&mut bytes[*have..*have + take]);
            *have += take;
            if *have < PREFIX_LEN {
                return Ok(None);
            }
            let prefix = Prefix::from_bytes(*bytes);
            admit(prefix)?;
            self.step = Step::Payload {
                prefix,
                gathered: ChunkBuffer::default(),
            };
        }
        let Step::Payload { prefix, gathered } = &mut self.step else {
            return Ok(None);
        };
        let len = prefix.len as usize;
        let take = self.chunk.len().min(len - gathered.len());
        let size = Size {
            claimed: Some(len),
            max: len,
        };
        gathered.push(self.chunk.split_to(take), size);
        if gathered.len() < len {
            return Ok(None);
        }
        let (flags, payload) = (prefix.flags, gathered.take());
        self.step = Step::default();
        Ok(Some(Envelope { flags, payload }))
    }

    /// Whether bytes of an incomplete envelope are held. At the end of a stream that means truncation.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        match &self.step {
            Step::Prefix { have, .. } => *have > 0 || !self.chunk.is_empty(),
            Step::Payload { .. } => true,
        }
    }

    /// Whether pushed bytes wait that [`next_envelope`](Self::next_envelope) has not looked at.
    #[must_use]
    pub(crate) fn has_unread(&self) -> bool {
        !self.chunk.is_empty()
    }

    /// Bytes that are held: of an incomplete envelope, and those that were not looked at.
    #[must_use]
    pub fn buffered_bytes(&self) -> usize {
        let incomplete = match &self.step {
            Step::Prefix { have, .. } => *have,
            Step::Payload { gathered, .. } => gathered.len(),
        };
        incomplete + self.chunk.len()
    }

    /// What is missing, in words, for the message of a truncation error.
    pub(crate) fn describe_partial(&self) -> String {
        match &self.step {
            Step::Prefix { have, .. } => {
                let have = have + self.chunk.len();
                format!("{have} of {PREFIX_LEN} bytes of a message prefix")
            }
            Step::Payload { prefix, gathered } => {
                let have = gathered.len() + self.chunk.len();
                format!("{have} of {} bytes of a message", prefix.len)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn admit_all(_: Prefix) -> Result<(), Infallible> {
        Ok(())
    }

    fn frame(flags: u8, payload: &[u8]) -> Vec<u8> {
        let len = u32::try_from(payload.len()).unwrap();
        let mut out = Prefix { flags, len }.to_bytes().to_vec();
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn payload_inside_one_chunk_is_a_slice_of_it() {
        let chunk = Bytes::from(frame(1, b"payload"));
        let at = chunk[PREFIX_LEN..].as_ptr();
        let mut deframer = Deframer::new();
        deframer.push(chunk);
        let envelope = deframer.next_envelope(admit_all).unwrap().unwrap();
        assert_eq!(envelope.payload.as_ptr(), at);
        assert!(!deframer.is_partial());
    }

    #[test]
    fn claimed_length_reserves_nothing() {
        let mut deframer = Deframer::new();
        deframer.push(Bytes::from_static(b"\x00\xff\xff\xff\xffab"));
        assert_eq!(deframer.next_envelope(admit_all), Ok(None));
        let Step::Payload { gathered, .. } = &deframer.step else {
            panic!("the prefix is complete");
        };
        assert_eq!(gathered.len(), 2);
        assert_eq!(
            deframer.describe_partial(),
            "2 of 4294967295 bytes of a message"
        );
    }

    /// All flags, and lengths of every class of bytes: how the prefix is cut makes no difference, and a length is shown before
    /// any of its bytes is kept.
    #[test]
    #[cfg_attr(miri, ignore = "too many cases for an interpreter")]
    fn every_prefix_is_read_and_shown_however_it_is_cut() {
        const CLASS: [u8; 6] = [0, 1, 0x7f, 0x80, 0xfe, 0xff];
        for flags in 0..=u8::MAX {
            for n in 0..CLASS.len().pow(4) {
                let digit = |place: u32| CLASS[n / CLASS.len().pow(place) % CLASS.len()];
                let bytes = [flags, digit(0), digit(1), digit(2), digit(3)];
                let prefix = Prefix::from_bytes(bytes);
                assert_eq!(prefix.to_bytes(), bytes);
                let len = bytes[1..]
                    .iter()
                    .fold(0, |len, byte| len * 256 + u64::from(*byte));
                assert_eq!((prefix.flags, u64::from(prefix.len)), (flags, len));
                if !CLASS.contains(&flags) {
                    continue;
                }
                for cut in 0..=PREFIX_LEN {
                    let mut deframer = Deframer::new();
                    deframer.push(Bytes::copy_from_slice(&bytes[..cut]));
                    let mut shown = deframer.next_envelope(Err);
                    if cut < PREFIX_LEN {
                        assert_eq!(shown, Ok(None));
                        deframer.push(Bytes::copy_from_slice(&bytes[cut..]));
                        shown = deframer.next_envelope(Err);
                    }
                    assert_eq!(shown, Err(prefix));
                    assert!(deframer.is_partial() && deframer.buffered_bytes() <= PREFIX_LEN);
                    let admitted = deframer.next_envelope(admit_all).unwrap();
                    assert_eq!(admitted.is_some(), prefix.len == 0);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn envelopes_do_not_depend_on_cuts(
            payloads in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..40)), 0..6),
            cut in 1usize..50,
            lost in 0usize..12,
        ) {
            let mut wire: Vec<u8> = payloads.iter().flat_map(|(f, p)| frame(*f, p)).collect();
            let whole = wire.len().saturating_sub(lost);
            wire.truncate(whole);
            let mut one = Deframer::new();
            one.push(Bytes::from(wire.clone()));
            let mut expected = Vec::new();
            while let Some(envelope) = one.next_envelope(admit_all).unwrap() {
                expected.push(envelope);
            }
            let mut many = Deframer::new();
            let mut actual = Vec::new();
            for chunk in wire.chunks(cut) {
                many.push(Bytes::copy_from_slice(chunk));
                while let Some(envelope) = many.next_envelope(admit_all).unwrap() {
                    actual.push(envelope);
                }
            }
            prop_assert_eq!(&actual, &expected);
            prop_assert_eq!(one.is_partial(), many.is_partial());
            prop_assert_eq!(one.describe_partial(), many.describe_partial());
        }
    }
}
