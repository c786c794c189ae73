//! The text mode of gRPC-Web: the body in base64.
//!
//! gRPC-Web, "Text-encoded (response) streams": "the implementation may send base64-encoded "chunks" with
//! potential padding whenever the runtime needs to flush a byte buffer". So a body is many base64 texts in
//! a row, each padded, and where one ends has nothing to do with messages or network reads.

use base64::{
    Engine,
    engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig},
};
use bytes::Bytes;

/// The text is not base64, or it is cut short.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("body is not valid base64")]
pub(crate) struct InvalidBase64;

/// Turns base64 text, cut anywhere and padded after any group, into bytes.
///
/// It holds at most three characters between calls.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// The start of a group of four characters.
    partial: [u8; 3],
    len: usize,
}

impl Decoder {
    /// The bytes of all groups that `chunk` completes, up to the first that is wrong, and whether one is.
    ///
    /// After an error the decoder is of no further use.
    pub(crate) fn decode(&mut self, mut chunk: Bytes) -> (Bytes, Result<(), InvalidBase64>) {
        let mut output = Vec::with_capacity((self.len + chunk.len()) / 4 * 3);
        if self.len > 0 {
            let missing = 4 - self.len;
            if chunk.len() < missing {
                self.keep(&chunk);
                return (Bytes::new(), Ok(()));
            }
            let mut group = [0; 4];
            group[..self.len].copy_from_slice(&self.partial[..self.len]);
            group[self.len..].copy_from_slice(&chunk.split_to(missing));
            self.len = 0;
            if let Err(error) = decode_groups(&group, &mut output) {
                return (Bytes::new(), Err(error));
            }
        }
        let whole = chunk.len() / 4 * 4;
        let outcome = decode_groups(&chunk[..whole], &mut output);
        self.keep(&chunk[whole..]);
        (output.into(), outcome)
    }

    /// Checks that the text ended with a whole group.
    ///
    /// Padding is required: without it a body cut short could pass for a whole one.
    pub(crate) fn finish(&self) -> Result<(), InvalidBase64> {
        if self.len == 0 {
            Ok(())
        } else {
            Err(InvalidBase64)
        }
    }

    /// `characters` do not complete a group.
    fn keep(&mut self, characters: &[u8]) {
        self.partial[self.len..][..characters.len()].copy_from_slice(characters);
        self.len += characters.len();
    }
}

/// One padded base64 text.
pub(crate) fn encode(data: &[u8]) -> Bytes {
    ENGINE.encode(data).into()
}

/// Padding is needed to see where a text ends. Bits that no byte needs are ignored, as peers do.
const ENGINE: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Decodes whole groups: text up to each padded group in one go, so that output does not depend on cuts even
/// when a group is wrong.
fn decode_groups(mut text: &[u8], output: &mut Vec<u8>) -> Result<(), InvalidBase64> {
    while !text.is_empty() {
        let end = match text.iter().position(|&character| character == b'=') {
            Some(padding) => (padding / 4 + 1) * 4,
            None => text.len(),
        };
        let (head, tail) = text.split_at_checked(end).ok_or(InvalidBase64)?;
        let start = output.len();
        if ENGINE.decode_vec(head, output).is_err() {
            output.truncate(start);
            for group in head.chunks(4) {
                let start = output.len();
                if ENGINE.decode_vec(group, output).is_err() {
                    output.truncate(start);
                    return Err(InvalidBase64);
                }
            }
        }
        text = tail;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    /// All bytes of the chunks, up to the first error if there is one.
    fn decode(chunks: &[&[u8]]) -> (Vec<u8>, Result<(), InvalidBase64>) {
        let mut decoder = Decoder::default();
        let mut output = Vec::new();
        for chunk in chunks {
            let (bytes, outcome) = decoder.decode(Bytes::copy_from_slice(chunk));
            output.extend_from_slice(&bytes);
            if outcome.is_err() {
                return (output, outcome);
            }
        }
        (output, decoder.finish())
    }

    /// gRPC-Web, "Text-encoded (response) streams": padding inside the stream.
    #[test]
    fn padding_may_stand_after_any_group() {
        for (text, expected) in [
            ("", ""),
            ("YQ==", "a"),
            ("YWI=", "ab"),
            ("YWJj", "abc"),
            ("YQ==Yg==", "ab"),
            ("YWJjYQ==YWJj", "abcaabc"),
            ("YQ==YWI=YWJjYQ==", "aababca"),
            // Bits that no byte needs.
            ("YR==", "a"),
        ] {
            assert_eq!(
                decode(&[text.as_bytes()]),
                (expected.into(), Ok(())),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_not_base64_is_an_error_after_what_is() {
        for (text, before) in [
            ("YWJjY", "abc"),
            ("YWJjYQ", "abc"),
            ("YWJjYQ=", "abc"),
            ("YWJjY===", "abc"),
            ("YWJj====", "abc"),
            ("YWJjYQ=x", "abc"),
            ("YWJjY=Q=", "abc"),
            ("YWJj\r\nYQ==", "abc"),
            ("YWJj_-_-", "abc"),
            ("YWJjYQ==YQ\u{e9}", "abca"),
        ] {
            for cut in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(cut);
                let decoded = decode(&[head, tail]);
                assert_eq!(decoded, (before.into(), Err(InvalidBase64)), "{text} {cut}");
            }
        }
    }

    #[test]
    fn encoded_text_is_padded() {
        assert_eq!(encode(b""), "");
        assert_eq!(encode(b"a"), "YQ==");
        assert_eq!(encode(&[0xff, 0xfe, 0xfd]), "//79");
    }

    /// All data of up to two bytes, its text cut after one of its characters; and all texts of two groups of these characters, where the
    /// cut makes no difference either.
    #[test]
    #[cfg_attr(miri, ignore = "too many cases for an interpreter")]
    fn every_short_text_is_decoded_however_it_is_cut() {
        for bytes in 0..=u16::MAX {
            let [first, second] = bytes.to_be_bytes();
            for data in [&[first][..], &[first, second]] {
                let text = encode(data);
                // By turns: which bytes these are makes no difference to a cut.
                let (head, tail) = text.split_at(usize::from(first ^ second) % 4);
                assert_eq!(decode(&[head, tail]), (data.to_vec(), Ok(())));
            }
        }
        const CLASS: [u8; 5] = [b'A', b'/', b'=', b'-', 0xff];
        for n in 0..CLASS.len().pow(6) {
            let digit = |place: u32| CLASS[n / CLASS.len().pow(place) % CLASS.len()];
            let text = [
                digit(0),
                digit(1),
                digit(2),
                digit(3),
                digit(4),
                b'A',
                digit(5),
                b'=',
            ];
            let whole = decode(&[&text]);
            for cut in [1, 3, 5] {
                let (head, tail) = text.split_at(cut);
                assert_eq!(decode(&[head, tail]), whole, "{}", text.escape_ascii());
            }
        }
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(
            flushes in vec(vec(any::<u8>(), 0..50), 0..8),
            mut cuts in vec(any::<prop::sample::Index>(), 0..20),
            noise in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
        ) {
            let mut text: Vec<u8> = flushes.iter().flat_map(|flush| encode(flush)).collect();
            if let (Some((at, byte)), false) = (&noise, text.is_empty()) {
                let at = at.index(text.len());
                text[at] = *byte;
            }
            let whole = decode(&[&text]);
            if noise.is_none() {
                prop_assert_eq!(&whole, &(flushes.concat(), Ok(())));
            }
            let mut cuts: Vec<usize> = cuts.drain(..).map(|cut| cut.index(text.len() + 1)).collect();
            cuts.push(text.len());
            cuts.sort_unstable();
            let mut start = 0;
            let mut chunks = Vec::new();
            for cut in cuts {
                chunks.push(&text[start..cut]);
                start = cut;
            }
            prop_assert_eq!(&decode(&chunks), &whole);
            prop_assert_eq!(&decode(&text.chunks(1).collect::<Vec<_>>()), &whole);
        }
    }
}
