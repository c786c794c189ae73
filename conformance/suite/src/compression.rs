//! The encodings that the suite knows and connect-proto does not bring: `br`, `deflate` and `snappy`.
//!
//! They are registered like a user's own, through [`Compression`], and keep its contract: output is
//! taken as it comes and never past the limit, and the input must end where its stream ends.

use std::{borrow::Cow, io};

use brotli::{
    BrotliDecompressStream, BrotliResult, BrotliState,
    enc::{BrotliEncoderParams, StandardAlloc},
};
use bytes::BytesMut;
use connect_proto::{
    Compression, CompressionError, Compressions, Gzip, InvalidCompressionName, Zstd,
};

/// What a decompressor produces at a time.
const CHUNK: usize = 8 * 1024;

/// Every encoding of the suite, for a server.
pub fn all() -> Result<Compressions, InvalidCompressionName> {
    Compressions::none()
        .with(Gzip::new())?
        .with(Zstd::new())?
        .with(Brotli)?
        .with(Deflate)?
        .with(Snappy)
}

/// One encoding by its name on the wire, for a client; no encoding for any other name.
pub fn only(name: &str) -> Result<Compressions, InvalidCompressionName> {
    let none = Compressions::none();
    match name {
        "gzip" => none.with(Gzip::new()),
        "zstd" => none.with(Zstd::new()),
        "br" => none.with(Brotli),
        "deflate" => none.with(Deflate),
        "snappy" => none.with(Snappy),
        _ => Ok(none),
    }
}

/// Brotli (RFC 7932), `br`.
#[derive(Debug)]
pub struct Brotli;

impl Compression for Brotli {
    fn name(&self) -> &str {
        "br"
    }

    fn compress(&self, mut input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        // Quality 4 is the last before the search gets slow; messages here are small anyway.
        let params = BrotliEncoderParams {
            quality: 4,
            size_hint: input.len(),
            ..Default::default()
        };
        let mut compressed = Vec::new();
        brotli::BrotliCompress(&mut input, &mut compressed, &params).map_err(failed)?;
        output.extend_from_slice(&compressed);
        Ok(())
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        let heap = StandardAlloc::default;
        let mut state = BrotliState::new(heap(), heap(), heap());
        let (mut left, mut read, mut total) = (input.len(), 0, 0);
        let mut decompressed = Vec::new();
        loop {
            let mut chunk = [0; CHUNK];
            let (mut room, mut written) = (CHUNK, 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut read,
                input,
                &mut room,
                &mut written,
                &mut chunk,
                &mut total,
                &mut state,
            );
            if decompressed.len() + written > limit {
                return Err(CompressionError::TooLarge { limit });
            }
            decompressed.extend_from_slice(&chunk[..written]);
            match result {
                BrotliResult::ResultSuccess if left == 0 => break,
                BrotliResult::ResultSuccess => {
                    return Err(malformed("bytes follow the brotli stream"));
                }
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => {
                    return Err(malformed("the brotli stream is cut short"));
                }
                BrotliResult::ResultFailure => return Err(malformed("not a brotli stream")),
            }
        }
        output.extend_from_slice(&decompressed);
        Ok(())
    }
}

/// The zlib format (RFC 1950), which HTTP calls `deflate` (RFC 9110, section 8.4.1.2).
#[derive(Debug)]
pub struct Deflate;

impl Compression for Deflate {
    fn name(&self) -> &str {
        "deflate"
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        let mut encoder = flate2::bufread::ZlibEncoder::new(input, flate2::Compression::fast());
        read_all(&mut encoder, usize::MAX, output).map_err(|error| match error {
            CompressionError::Malformed(reason) => CompressionError::Failed(reason),
            other => other,
        })
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        let start = output.len();
        let mut decoder = flate2::bufread::ZlibDecoder::new(input);
        read_all(&mut decoder, limit, output)?;
        if !decoder.into_inner().is_empty() {
            output.truncate(start);
            return Err(malformed("bytes follow the zlib stream"));
        }
        Ok(())
    }
}

/// The framing format of snappy, `snappy`: what gRPC and Connect name so, as their reference does.
#[derive(Debug)]
pub struct Snappy;

impl Compression for Snappy {
    fn name(&self) -> &str {
        "snappy"
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        let mut encoder = snap::write::FrameEncoder::new(Vec::new());
        io::Write::write_all(&mut encoder, input).map_err(failed)?;
        let compressed = encoder.into_inner().map_err(failed)?;
        output.extend_from_slice(&compressed);
        Ok(())
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        read_all(&mut snap::read::FrameDecoder::new(input), limit, output)
    }
}

/// Appends what `reader` yields; at an error `output` is as it was.
fn read_all(
    reader: &mut impl io::Read,
    limit: usize,
    output: &mut BytesMut,
) -> Result<(), CompressionError> {
    let start = output.len();
    let result = read_chunks(reader, limit, output);
    if result.is_err() {
        output.truncate(start);
    }
    result
}

fn read_chunks(
    reader: &mut impl io::Read,
    limit: usize,
    output: &mut BytesMut,
) -> Result<(), CompressionError> {
    let start = output.len();
    let mut chunk = [0; CHUNK];
    loop {
        let count = reader
            .read(&mut chunk)
            .map_err(|error| malformed(error.to_string()))?;
        if count == 0 {
            return Ok(());
        }
        if output.len() - start + count > limit {
            return Err(CompressionError::TooLarge { limit });
        }
        output.extend_from_slice(&chunk[..count]);
    }
}

fn malformed(reason: impl Into<Cow<'static, str>>) -> CompressionError {
    CompressionError::Malformed(reason.into())
}

fn failed(error: impl std::fmt::Display) -> CompressionError {
    CompressionError::Failed(error.to_string().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&dyn Compression; 3] = [&Brotli, &Deflate, &Snappy];

    fn compressed(algorithm: &dyn Compression, input: &[u8]) -> BytesMut {
        let mut output = BytesMut::new();
        algorithm.compress(input, &mut output).unwrap();
        output
    }

    #[test]
    fn what_was_compressed_comes_back() {
        for algorithm in ALL {
            for size in [1, CHUNK - 1, CHUNK, CHUNK + 1, 300_000] {
                let input: Vec<u8> = (0..size).map(|n| (n % 251) as u8).collect();
                let mut output = BytesMut::from("before");
                algorithm
                    .decompress(&compressed(algorithm, &input), size, &mut output)
                    .unwrap();
                assert_eq!(&output[..6], b"before");
                assert!(output[6..] == input, "{} of {size} bytes", algorithm.name());
            }
        }
    }

    #[test]
    fn output_stops_at_the_limit() {
        for algorithm in ALL {
            let bomb = compressed(algorithm, &vec![0; 10_000_000]);
            let mut output = BytesMut::from("before");
            let error = algorithm
                .decompress(&bomb, 9_999_999, &mut output)
                .unwrap_err();
            assert_eq!(
                error,
                CompressionError::TooLarge { limit: 9_999_999 },
                "{}",
                algorithm.name()
            );
            assert_eq!(output, "before");
        }
    }

    #[test]
    fn a_cut_or_continued_stream_is_malformed() {
        for algorithm in ALL {
            let whole = compressed(algorithm, b"a message");
            let mut longer = whole.clone();
            longer.extend_from_slice(b"more");
            for bytes in [&whole[..whole.len() - 1], &longer[..], b"what is this?"] {
                let mut output = BytesMut::new();
                let error = algorithm.decompress(bytes, 1000, &mut output).unwrap_err();
                assert!(
                    matches!(error, CompressionError::Malformed(_)),
                    "{}: {error}",
                    algorithm.name()
                );
                assert!(output.is_empty());
            }
        }
    }
}
