//! Fuzz input as a row of small choices, with no framing: every byte is a choice, so that mutations stay local.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

/// Takes choices from the front of the input; past its end all choices are 0.
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        first
    }

    pub(super) fn bit(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[usize::from(self.byte()) % from.len()]
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// Up to 255 bytes, as many as the first one says.
    pub(super) fn short(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte()).min(self.0.len());
        let (taken, rest) = self.0.split_at(len);
        self.0 = rest;
        taken
    }

    /// A message of up to 39 KiB: two bytes pick its size, with the core's thresholds in reach, and its content,
    /// which compresses well or not at all.
    pub(super) fn message(&mut self) -> Bytes {
        let (size, shape) = (usize::from(self.byte()), self.byte());
        let len = match shape & 3 {
            // About the size from which payloads are not copied.
            1 => 4096 - 128 + size,
            2 => 1024 * (size % 40),
            _ => size,
        };
        let noisy = shape & 4 != 0;
        let mut state = u32::from(shape) << 8 | 1;
        let content = std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if noisy { state.to_be_bytes()[0] } else { shape }
        });
        content.take(len).collect()
    }

    /// Up to three entries of metadata of these names, with values that any protocol carries unchanged.
    pub(super) fn metadata(&mut self, names: &[&'static str]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for _ in 0..self.byte() % 4 {
            let name = HeaderName::from_static(self.pick(names));
            let printable: Vec<u8> = self.short().iter().map(|byte| b'!' + byte % 94).collect();
            if let Ok(value) = HeaderValue::from_bytes(&printable) {
                map.append(name, value);
            }
        }
        map
    }
}

/// Lines of `name: value`; lines that are not headers are skipped.
pub(super) fn header_lines(text: &[u8]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in text.split(|&byte| byte == b'\n') {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let name = HeaderName::from_bytes(&line[..colon]);
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            let _ = map.try_append(name, value);
        }
    }
    map
}

/// What stands before the first blank line, and what after it.
pub(super) fn split_at_blank_line(text: &[u8]) -> (&[u8], &[u8]) {
    match text.windows(2).position(|pair| pair == b"\n\n") {
        Some(at) => (&text[..at], &text[at + 2..]),
        None => (text, &[]),
    }
}
