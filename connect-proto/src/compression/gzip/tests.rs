//! RFC 1952 in detail, against flate2's own reader and writer.

use std::io::{Read, Write};

use flate2::{GzBuilder, read::GzDecoder};

use super::*;

fn decompress(input: &[u8], limit: usize) -> Result<BytesMut, CompressionError> {
    let mut output = BytesMut::new();
    Gzip::new().decompress(input, limit, &mut output)?;
    Ok(output)
}

fn compress(input: &[u8]) -> BytesMut {
    let mut output = BytesMut::new();
    Gzip::new().compress(input, &mut output).unwrap();
    output
}

/// A member made by flate2 with every optional field but the header's checksum.
fn foreign_member(message: &[u8]) -> Vec<u8> {
    let mut writer = GzBuilder::new()
        .extra(vec![7; 300])
        .filename("name")
        .comment("comment")
        .mtime(1)
        .write(Vec::new(), flate2::Compression::best());
    writer.write_all(message).unwrap();
    writer.finish().unwrap()
}

fn malformed(reason: &'static str) -> Result<BytesMut, CompressionError> {
    Err(CompressionError::Malformed(reason.into()))
}

#[test]
fn other_implementations_read_it() {
    for message in [&b""[..], b"x", &[b'y'; 100_000]] {
        let small = compress(message);
        let mut back = Vec::new();
        GzDecoder::new(&small[..]).read_to_end(&mut back).unwrap();
        assert_eq!(back, message);
    }
}

/// Section 2.3: FEXTRA, FNAME, FCOMMENT, MTIME.
#[test]
fn optional_fields_are_skipped() {
    let member = foreign_member(b"message");
    assert_eq!(decompress(&member, 7).unwrap(), "message");
    for cut in 0..member.len() {
        assert_eq!(
            decompress(&member[..cut], 7),
            malformed("gzip: unexpected end of data"),
            "{cut}"
        );
    }
}

/// Section 2.3.1: FHCRC.
#[test]
fn header_checksum_is_checked() {
    let mut member = compress(b"message");
    member[3] = 1 << 1;
    let mut crc = Crc::new();
    crc.update(&member[..10]);
    let sum = crc.sum().to_le_bytes();
    let with_sum = |sum: &[u8]| [&member[..10], sum, &member[10..]].concat();
    assert_eq!(decompress(&with_sum(&sum[..2]), 7).unwrap(), "message");
    assert_eq!(
        decompress(&with_sum(&[sum[0], !sum[1]]), 7),
        malformed("gzip: header checksum does not match")
    );
}

/// Section 2.3: ID1, ID2, CM; section 2.3.1.2: reserved flags; section 2.3.1: CRC32 and ISIZE.
#[test]
fn broken_fields_have_their_own_messages() {
    let good = compress(b"message");
    let end = good.len();
    for (at, reason) in [
        (0, "gzip: not a gzip stream"),
        (1, "gzip: not a gzip stream"),
        (2, "gzip: unknown compression method"),
        (end - 8, "gzip: checksum does not match"),
        (end - 1, "gzip: length does not match"),
    ] {
        let mut bad = good.clone();
        bad[at] ^= 0x40;
        assert_eq!(decompress(&bad, 7), malformed(reason), "{at}");
    }
    for flag in 5..8 {
        let mut bad = good.clone();
        bad[3] = 1 << flag;
        assert_eq!(decompress(&bad, 7), malformed("gzip: reserved flag is set"));
    }
    let mut bad = good.clone();
    bad[10] |= 0b110; // Block type 3 is reserved (RFC 1951, section 3.2.3).
    assert_eq!(
        decompress(&bad, 7),
        malformed("gzip: corrupt deflate stream")
    );
}

/// Section 2.2: members follow one another.
#[test]
fn members_are_concatenated() {
    let members = [
        &compress(b"one ")[..],
        &foreign_member(b"two "),
        &compress(b""),
        &compress(b"three"),
    ]
    .concat();
    assert_eq!(decompress(&members, 13).unwrap(), "one two three");
    assert_eq!(
        decompress(&members, 12),
        Err(CompressionError::TooLarge { limit: 12 })
    );
    // Padding after the last member is not part of a message.
    let padded = [&members[..], &[0; 8]].concat();
    assert_eq!(
        decompress(&padded, 13),
        malformed("gzip: unexpected end of data")
    );
}

/// One MiB of zeros a thousand times over: 1 GiB from 1 MiB of input.
#[test]
fn a_bomb_stops_at_the_limit() {
    let mut deflate = Compress::new(flate2::Compression::best(), false);
    let zeros = vec![0; 1 << 20];
    let mut segment = Vec::with_capacity(1 << 14);
    // A full flush makes the segment independent of what comes before.
    deflate
        .compress_vec(&zeros, &mut segment, FlushCompress::Full)
        .unwrap();
    assert_eq!(deflate.total_in(), 1 << 20);
    let bomb = [&HEADER[..], &segment.repeat(1 << 10)].concat();
    for limit in [0, 1_000, 4 << 20] {
        let mut output = BytesMut::new();
        let result = Gzip::new().decompress(&bomb, limit, &mut output);
        assert_eq!(result, Err(CompressionError::TooLarge { limit }));
        assert!(output.capacity() <= limit);
    }
}

#[test]
fn levels_are_clamped() {
    let message: Vec<u8> = (0..20_000_u32)
        .flat_map(|i| (i * i).to_le_bytes())
        .collect();
    let size = |level| {
        let mut output = BytesMut::new();
        let gzip = Gzip::new().with_level(level);
        gzip.compress(&message, &mut output).unwrap();
        assert_eq!(decompress(&output, message.len()).unwrap(), message);
        (output.len(), format!("{gzip:?}"))
    };
    assert_eq!(size(0), size(1));
    assert_eq!(size(9), size(u32::MAX));
    assert!(size(9).0 < size(1).0);
    assert_eq!(size(7).1, "Gzip { level: 7 }");
}
