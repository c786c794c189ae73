//! JSON text that is being written, by its smallest parts (RFC 8259).

use bytes::{BufMut as _, BytesMut};
use serde::Serialize;

use super::{number, options::JsonContext};

/// The text, and the place in the message. After an error, nothing more is of use.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    out: &'a mut BytesMut,
    cx: JsonContext<'a>,
    error: Option<String>,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut BytesMut, cx: JsonContext<'a>) -> Self {
        let error = None;
        Self { out, cx, error }
    }

    /// The first error.
    pub(super) fn finish(self) -> Result<(), String> {
        self.error.map_or(Ok(()), Err)
    }

    /// The value has no JSON form.
    pub(super) fn fail(&mut self, reason: String) {
        self.error.get_or_insert(reason);
    }

    /// Goes into one more message, if it may be that deep; [`leave`](Self::leave) takes what this returns.
    pub(super) fn enter(&mut self) -> Option<JsonContext<'a>> {
        let outside = self.cx;
        match outside.enter() {
            Some(inside) if self.error.is_none() => {
                self.cx = inside;
                Some(outside)
            }
            Some(_) => None,
            None => {
                self.fail(outside.too_deep());
                None
            }
        }
    }

    pub(super) fn leave(&mut self, outside: JsonContext<'a>) {
        self.cx = outside;
    }

    pub(super) fn cx(&self) -> JsonContext<'a> {
        self.cx
    }

    /// What is appended to, for another writer in the same place.
    pub(super) fn out(&mut self) -> &mut BytesMut {
        self.out
    }

    /// Text as it is.
    #[inline]
    pub(super) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// A string of which no character needs to be escaped.
    #[inline]
    pub(super) fn plain(&mut self, text: &str) {
        self.out.reserve(text.len() + 2);
        self.out.put_slice(b"\"");
        self.out.put_slice(text.as_bytes());
        self.out.put_slice(b"\"");
    }

    pub(super) fn string(&mut self, text: &str) {
        if is_plain(text.as_bytes()) {
            self.plain(text);
        } else {
            self.shortest(text);
        }
    }

    /// A string or a finite number, in the shortest form that there is.
    pub(super) fn shortest<T: Serialize + ?Sized>(&mut self, value: &T) {
        let written = serde_json::to_writer((&mut *self.out).writer(), value);
        debug_assert!(written.is_ok(), "memory takes everything");
    }

    /// The name of the next entry of an object.
    pub(super) fn key(&mut self, key: &str, first: &mut bool) {
        if !std::mem::take(first) {
            self.raw(",");
        }
        self.string(key);
        self.raw(":");
    }

    /// A name of which no character needs to be escaped.
    #[inline]
    pub(super) fn plain_key(&mut self, key: &str, first: &mut bool) {
        self.out.reserve(key.len() + 4);
        if std::mem::take(first) {
            self.out.put_slice(b"\"");
        } else {
            self.out.put_slice(b",\"");
        }
        self.out.put_slice(key.as_bytes());
        self.out.put_slice(b"\":");
    }

    pub(super) fn double(&mut self, value: f64) {
        match number::special_name(value) {
            Some(name) => self.plain(name),
            None => self.shortest(&value),
        }
    }
}

/// Whether a string stands between quotes as it is (RFC 8259, section 7).
pub(super) fn is_plain(text: &[u8]) -> bool {
    let mut rest = text;
    // Eight bytes at a time.
    while let Some((word, more)) = rest.split_first_chunk() {
        if escapes(u64::from_ne_bytes(*word)) {
            return false;
        }
        rest = more;
    }
    let mut word = [b' '; 8];
    let mut index = 0;
    while index < rest.len() {
        word[index] = rest[index];
        index += 1;
    }
    !escapes(u64::from_ne_bytes(word))
}

/// Whether one of eight bytes is below 0x20, a quote or a backslash.
const fn escapes(word: u64) -> bool {
    let quote = below(word ^ (EACH * b'"' as u64), 1);
    let backslash = below(word ^ (EACH * b'\\' as u64), 1);
    (below(word, 0x20) | quote | backslash) & (EACH << 7) != 0
}

/// Sets the highest bit of a byte if the byte, or one before it, is below `limit`.
const fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(EACH * limit as u64) & !word
}

/// One, in each byte.
const EACH: u64 = 0x0101_0101_0101_0101;

#[cfg(test)]
mod tests {
    use super::is_plain;

    #[test]
    fn every_byte_at_every_place_is_judged() {
        for byte in 0..=u8::MAX {
            let plain = byte >= 0x20 && byte != b'"' && byte != b'\\';
            for len in 1..20 {
                for at in 0..len {
                    // Neighbours that are nearly to be escaped.
                    for fill in [b'!', b'#', b'[', b' ', 0xff] {
                        let mut text = vec![fill; len];
                        text[at] = byte;
                        assert_eq!(is_plain(&text), plain, "{byte} at {at} of {len}");
                    }
                }
            }
        }
    }
}
