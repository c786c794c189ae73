//! Room for output whose size is not known beforehand.

use bytes::BytesMut;

/// The end of a [`BytesMut`] as space to write into, which grows up to a limit.
///
/// The compressors take initialised slices, so room is zeroed first: that costs a few per cent of
/// what they take themselves. Unless [`finish`](Self::finish) is called, the buffer returns to the
/// length that it had, so an error leaves no output behind.
#[derive(Debug)]
pub(super) struct Room<'a> {
    buffer: &'a mut BytesMut,
    /// The length of the buffer before.
    start: usize,
    /// How far it is written.
    written: usize,
    /// The length that it must not pass.
    end: usize,
}

impl<'a> Room<'a> {
    /// Appends at most `limit` bytes to `buffer`; `expected` bytes have space at once.
    pub(super) fn new(buffer: &'a mut BytesMut, limit: usize, expected: usize) -> Self {
        let start = buffer.len();
        let mut room = Self {
            buffer,
            start,
            written: start,
            end: start.saturating_add(limit),
        };
        room.extend_to(start.saturating_add(expected));
        room
    }

    /// The space that is left; empty when all of it is written.
    pub(super) fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.written..]
    }

    /// Counts the first `n` bytes of the space as written, and returns them.
    pub(super) fn advance(&mut self, n: usize) -> &[u8] {
        let from = self.written;
        self.written = from.saturating_add(n).min(self.buffer.len());
        &self.buffer[from..self.written]
    }

    /// Makes more space, if there is none, by doubling what is written. `false` at the limit.
    pub(super) fn grow(&mut self) -> bool {
        if self.written == self.buffer.len() {
            let used = self.written - self.start;
            self.extend_to(self.written.saturating_add(used.max(MIN_STEP)));
        }
        self.written < self.buffer.len()
    }

    /// Keeps what is written.
    pub(super) fn finish(mut self) {
        self.start = self.written;
    }

    /// `BytesMut::reserve` may double the capacity past the limit, so a larger buffer is made here.
    fn extend_to(&mut self, len: usize) {
        let len = len.min(self.end);
        if len > self.buffer.capacity() {
            let mut larger = BytesMut::with_capacity(len);
            larger.extend_from_slice(&self.buffer[..self.written]);
            *self.buffer = larger;
        }
        if len > self.buffer.len() {
            self.buffer.resize(len, 0);
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.buffer.truncate(self.start);
    }
}

/// The least by which the space grows, in bytes.
const MIN_STEP: usize = 256;
