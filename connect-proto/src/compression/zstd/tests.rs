//! RFC 8878 in detail, against libzstd's other entry points.

use std::io::Write;

use super::*;

fn decompress(input: &[u8], limit: usize) -> Result<BytesMut, CompressionError> {
    let mut output = BytesMut::new();
    Zstd::new().decompress(input, limit, &mut output)?;
    Ok(output)
}

fn compress(input: &[u8]) -> BytesMut {
    let mut output = BytesMut::new();
    Zstd::new().compress(input, &mut output).unwrap();
    output
}

/// A frame that does not say its size, with a checksum, as a streaming writer makes it.
fn streamed_frame(message: &[u8]) -> Vec<u8> {
    let mut writer = ::zstd::stream::write::Encoder::new(Vec::new(), 5).unwrap();
    writer.include_checksum(true).unwrap();
    for chunk in message.chunks(1_000) {
        writer.write_all(chunk).unwrap();
        writer.flush().unwrap();
    }
    writer.finish().unwrap()
}

/// Zeros by run-length blocks of 128 KiB, four bytes each (RFC 8878, section 3.1.1.2).
fn bomb(blocks: usize, window_exponent: u8) -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, window_exponent << 3];
    let block = ((128_u32 << 10) << 3 | 1 << 1).to_le_bytes();
    for _ in 0..blocks {
        frame.extend_from_slice(&[block[0], block[1], block[2], 0]);
    }
    frame.extend_from_slice(&[1, 0, 0]);
    frame
}

#[test]
fn other_implementations_read_it() {
    for message in [&b""[..], b"x", &[b'y'; 100_000]] {
        let back = ::zstd::bulk::decompress(&compress(message), 100_000).unwrap();
        assert_eq!(back, message);
    }
}

#[test]
fn frames_without_a_size_are_read() {
    let message: Vec<u8> = (0..100_000_u32).flat_map(u32::to_be_bytes).collect();
    let frame = streamed_frame(&message);
    assert!(matches!(
        zstd_safe::get_frame_content_size(&frame),
        Ok(None)
    ));
    assert_eq!(decompress(&frame, message.len()).unwrap(), message);
    let limit = message.len() - 1;
    assert_eq!(
        decompress(&frame, limit),
        Err(CompressionError::TooLarge { limit })
    );
    let mut bad = frame;
    *bad.last_mut().unwrap() ^= 1;
    let error = decompress(&bad, message.len()).unwrap_err();
    assert!(matches!(error, CompressionError::Malformed(_)), "{error}");
}

/// Section 3: frames follow one another; section 3.1.2: some are skipped.
#[test]
fn frames_are_concatenated() {
    let skippable = [0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 9, 9, 9];
    let frames = [
        &compress(b"one ")[..],
        &skippable,
        &streamed_frame(b"two "),
        &compress(b""),
        &compress(b"three"),
    ]
    .concat();
    assert_eq!(decompress(&frames, 13).unwrap(), "one two three");
    assert_eq!(
        decompress(&frames, 12),
        Err(CompressionError::TooLarge { limit: 12 })
    );
    assert_eq!(decompress(&skippable, 0).unwrap(), "");
}

#[test]
fn what_is_not_zstd_is_malformed() {
    for bytes in [&b""[..], b"\x28", b"plain text, no frame at all"] {
        let error = decompress(bytes, 100).unwrap_err();
        assert!(matches!(error, CompressionError::Malformed(_)), "{error}");
        assert!(error.to_string().starts_with("zstd: "), "{error}");
    }
}

/// 1 GiB of zeros from 32 KiB of input.
#[test]
fn a_bomb_stops_at_the_limit() {
    let bomb = bomb(8 << 10, 10);
    for limit in [0, 1_000, 4 << 20] {
        let mut output = BytesMut::new();
        let result = Zstd::new().decompress(&bomb, limit, &mut output);
        assert_eq!(result, Err(CompressionError::TooLarge { limit }));
        assert!(output.capacity() <= limit);
    }
}

/// RFC 9659, section 3: windows of up to 8 MiB, 2 to the 23rd, and no more.
#[test]
fn windows_are_bounded() {
    let len = 128 << 10;
    assert_eq!(decompress(&bomb(1, 13), len).unwrap(), vec![0; len]);
    let error = decompress(&bomb(1, 14), len).unwrap_err();
    assert!(matches!(error, CompressionError::Malformed(_)), "{error}");
}

/// The announced size is a claim: 4 GiB in a frame of a few bytes take no memory.
#[test]
fn an_announced_size_reserves_little() {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0b1000_0000, 13 << 3];
    frame.extend_from_slice(&u32::MAX.to_le_bytes());
    frame.extend_from_slice(&[1 | 1 << 3, 0, 0, b'x']);
    let mut output = BytesMut::new();
    let error = Zstd::new().decompress(&frame, usize::MAX, &mut output);
    assert!(matches!(error, Err(CompressionError::Malformed(_))));
    assert!(output.capacity() <= 64 << 10);
}

#[test]
fn contexts_that_grew_are_not_kept() {
    // A level that no other test has: its contexts are this test's own.
    let zstd = Zstd::new().with_level(7);
    let mut output = BytesMut::new();
    // A window of 8 MiB that is not needed.
    zstd.decompress(&bomb(1, 13), 1 << 20, &mut output).unwrap();
    while let Some(kept) = DECOMPRESSORS.take() {
        assert!(kept.sizeof() <= MAX_DECOMPRESSOR);
    }
    zstd.compress(&[0; 1 << 20], &mut output).unwrap();
    let kept = zstd.compressors().take().unwrap();
    assert_eq!(kept.scratch.capacity(), 0);
    zstd.compress(&[0; 1_000], &mut output).unwrap();
    let kept = zstd.compressors().take().unwrap();
    assert!(kept.scratch.capacity() >= 1_000);
}

#[test]
fn levels_are_clamped() {
    assert_eq!(
        format!("{:?}", Zstd::new().with_level(-5)),
        "Zstd { level: 1 }"
    );
    assert_eq!(
        format!("{:?}", Zstd::new().with_level(22)),
        "Zstd { level: 19 }"
    );
    let message: Vec<u8> = (0..20_000_u32)
        .flat_map(|i| (i * i).to_le_bytes())
        .collect();
    for level in [1, 19] {
        let mut output = BytesMut::new();
        Zstd::new()
            .with_level(level)
            .compress(&message, &mut output)
            .unwrap();
        assert_eq!(decompress(&output, message.len()).unwrap(), message);
    }
}
