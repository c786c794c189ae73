//! The heads of HTTP/2 frames and the values of SETTINGS, followed in the raw bytes of a connection: what hyper does not tell.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use hyper::rt::{Read, ReadBuf, ReadBufCursor};

/// RFC 9113, section 4.1.
pub(crate) const HEAD: usize = 9;
/// RFC 9113, section 6.
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
/// The flag of DATA and HEADERS (RFC 9113, sections 6.1 and 6.2).
pub(crate) const END_STREAM: u8 = 1;
/// The flag of SETTINGS and PING (RFC 9113, sections 6.5 and 6.7).
pub(crate) const ACK: u8 = 1;

/// A setting that bounds the header fields of one head or of trailers (RFC 9113, section 6.5.2).
pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 6;

/// How many bytes one read takes that is looked at.
const READ: usize = 16 * 1024;

/// An entry of SETTINGS: two bytes of its number, four of its value.
const SETTING: usize = 6;

/// What stands before a frame's payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FrameHead {
    /// The length of the payload.
    pub(crate) payload: usize,
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
}

impl FrameHead {
    /// The head at the beginning of these bytes, if all of it is there.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk().copied().map(Self::read)
    }

    fn read([l0, l1, l2, kind, flags, s0, s1, s2, s3]: [u8; HEAD]) -> Self {
        Self {
            payload: usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & !(1 << 31),
        }
    }

    /// The length of the whole frame.
    pub(crate) fn frame(&self) -> usize {
        HEAD + self.payload
    }
}

/// What [`FrameReader`] has seen.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Seen {
    /// A frame begins.
    Frame(FrameHead),
    /// One entry of a SETTINGS frame, after that frame's head.
    Setting { id: u16, value: u32 },
}

/// Follows the frames of one direction of an HTTP/2 connection, however its bytes are cut. After the preface: it begins at
/// a frame's head.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameReader {
    /// How many bytes of the present frame's payload are still to come.
    payload: usize,
    in_settings: bool,
    /// The beginning of a head or of a setting.
    part: [u8; HEAD],
    part_len: usize,
}

impl FrameReader {
    /// Whether all frames so far are whole.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.payload == 0 && self.part_len == 0
    }

    /// Reads the next bytes of the connection and tells what begins in them.
    pub(crate) fn read(&mut self, mut bytes: &[u8], mut see: impl FnMut(Seen)) {
        while !bytes.is_empty() {
            let wanted = match (self.payload, self.in_settings) {
                (0, _) => HEAD,
                (SETTING.., true) => SETTING,
                // Of no interest, or a broken end of settings.
                (rest, _) => {
                    let skipped = rest.min(bytes.len());
                    self.payload -= skipped;
                    bytes = &bytes[skipped..];
                    continue;
                }
            };
            let taken = (wanted - self.part_len).min(bytes.len());
            self.part[self.part_len..self.part_len + taken].copy_from_slice(&bytes[..taken]);
            self.part_len += taken;
            bytes = &bytes[taken..];
            if self.part_len < wanted {
                return;
            }
            self.part_len = 0;
            if wanted == HEAD {
                let head = FrameHead::read(self.part);
                self.payload = head.payload;
                self.in_settings = head.kind == SETTINGS && head.flags & ACK == 0;
                see(Seen::Frame(head));
            } else {
                let [i0, i1, v0, v1, v2, v3, ..] = self.part;
                self.payload -= SETTING;
                see(Seen::Setting {
                    id: u16::from_be_bytes([i0, i1]),
                    value: u32::from_be_bytes([v0, v1, v2, v3]),
                });
            }
        }
    }
}

/// Reads, and shows what was read: what another reader puts into hyper's buffer cannot be seen, so the bytes are copied there.
pub(crate) fn poll_read_seen(
    io: Pin<&mut impl Read>,
    cx: &mut Context<'_>,
    mut buf: ReadBufCursor<'_>,
    see: impl FnOnce(&[u8]),
) -> Poll<io::Result<()>> {
    let mut scratch = [const { MaybeUninit::uninit() }; READ];
    let room = buf.remaining().min(READ);
    let mut read = ReadBuf::uninit(&mut scratch[..room]);
    ready!(io.poll_read(cx, read.unfilled()))?;
    see(read.filled());
    buf.put_slice(read.filled());
    Poll::Ready(Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    #[test]
    fn heads_and_settings_are_seen_however_the_bytes_are_cut() {
        let bytes = [
            frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 7, 0, 6, 0, 1, 0, 0]),
            frame(SETTINGS, ACK, 0, &[]),
            frame(HEADERS, 4, 3, b"head"),
            // Broken: a peer that sends it is turned away by h2.
            frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 7, 9]),
            frame(0, 1, 3, &[0; 200]),
        ]
        .concat();
        let head = |payload, kind, flags, stream| {
            Seen::Frame(FrameHead {
                payload,
                kind,
                flags,
                stream,
            })
        };
        let expected = [
            head(12, SETTINGS, 0, 0),
            Seen::Setting { id: 3, value: 7 },
            Seen::Setting {
                id: MAX_HEADER_LIST_SIZE,
                value: 65_536,
            },
            head(0, SETTINGS, ACK, 0),
            head(4, HEADERS, 4, 3),
            head(7, SETTINGS, 0, 0),
            Seen::Setting { id: 3, value: 7 },
            head(200, 0, 1, 3),
        ];
        for size in 1..=bytes.len() {
            let mut reader = FrameReader::default();
            let mut seen = Vec::new();
            for part in bytes.chunks(size) {
                reader.read(part, |what| seen.push(what));
            }
            assert_eq!(seen, expected, "{size}");
        }
    }
}
