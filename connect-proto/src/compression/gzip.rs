//! gzip (RFC 1952) on raw deflate (RFC 1951).
//!
//! The header and the trailer are written and read here, because flate2's readers and writers of
//! gzip cannot be reset and used again, and its raw contexts can.

use bytes::{BufMut, BytesMut};
use flate2::{Compress, Crc, Decompress, FlushCompress, FlushDecompress, Status};

use super::{Compression, CompressionError, buffer::Room, pool::Pool};

/// The `gzip` content coding, RFC 1952.
///
/// All values share their contexts, about 370 kB for compressing at one level and 50 kB for decompressing: at most 32 of each
/// are kept, made as threads need them.
///
/// ```
/// use bytes::BytesMut;
/// use connect_proto::{Compression, CompressionError, Gzip};
///
/// let (gzip, mut small, mut back) = (Gzip::new(), BytesMut::new(), BytesMut::new());
/// gzip.compress(&[b'a'; 1000], &mut small)?;
/// gzip.decompress(&small, 1000, &mut back)?;
/// assert_eq!(back, [b'a'; 1000].as_slice());
/// assert_eq!(
///     gzip.decompress(&small, 999, &mut back),
///     Err(CompressionError::TooLarge { limit: 999 }),
/// );
/// # Ok::<(), CompressionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gzip {
    /// From 1 to [`MAX_LEVEL`].
    level: usize,
}

impl Gzip {
    /// gzip at level 1, as is usual for calls: their messages are sent once, and seldom over a way so slow that the time of a
    /// higher level is won back.
    #[must_use]
    pub const fn new() -> Self {
        Self { level: 1 }
    }

    /// Sets the level: 1 is fastest, 9 is smallest. A value outside is taken as the nearest of these.
    ///
    /// Level 2 takes 1.6 times as long as level 1 and makes log lines a fifth to a quarter smaller; level 6 takes three to four
    /// times as long and makes them a third smaller.
    #[must_use]
    pub fn with_level(mut self, level: u32) -> Self {
        let level = usize::try_from(level).unwrap_or(MAX_LEVEL);
        self.level = level.clamp(1, MAX_LEVEL);
        self
    }

    /// Contexts of the level.
    fn compressors(self) -> &'static Pool<Compress> {
        static POOLS: [Pool<Compress>; MAX_LEVEL] = [const { Pool::new() }; MAX_LEVEL];
        &POOLS[self.level - 1]
    }
}

/// Contexts to decompress, which know no level.
static DECOMPRESSORS: Pool<Decompress> = Pool::new();

const MAX_LEVEL: usize = 9;

impl Default for Gzip {
    fn default() -> Self {
        Self::new()
    }
}

impl Compression for Gzip {
    fn name(&self) -> &str {
        "gzip"
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        let pool = self.compressors();
        let mut deflate = pool.take().unwrap_or_else(|| {
            // At most 9.
            let level = flate2::Compression::new(self.level as u32);
            Compress::new(level, false)
        });
        let start = output.len();
        output.put_slice(&HEADER);
        let result = deflate_all(&mut deflate, input, output);
        deflate.reset();
        pool.put(deflate);
        if let Err(error) = result {
            output.truncate(start);
            return Err(error);
        }
        let mut crc = Crc::new();
        crc.update(input);
        output.put_u32_le(crc.sum());
        output.put_u32_le(crc.amount());
        Ok(())
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        let mut inflate = DECOMPRESSORS
            .take()
            .unwrap_or_else(|| Decompress::new(false));
        let mut room = Room::new(output, limit, first_guess(input));
        let result = inflate_members(&mut inflate, input, &mut room);
        if result.is_ok() {
            room.finish();
        }
        inflate.reset(false);
        DECOMPRESSORS.put(inflate);
        match result {
            Ok(()) => Ok(()),
            Err(Stop::Full) => Err(CompressionError::TooLarge { limit }),
            Err(Stop::Bad(reason)) => Err(CompressionError::Malformed(reason.into())),
        }
    }
}

/// Why decompressing stopped early.
enum Stop {
    Full,
    Bad(&'static str),
}

/// RFC 1952, section 2.3: deflate, no flags, no time, no extra flags, unknown system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];

const CUT_SHORT: Stop = Stop::Bad("gzip: unexpected end of data");

fn deflate_all(
    deflate: &mut Compress,
    input: &[u8],
    output: &mut BytesMut,
) -> Result<(), CompressionError> {
    let mut room = Room::new(output, usize::MAX, input.len() / 4 + 256);
    let mut rest = input;
    loop {
        let (consumed, produced) = (deflate.total_in(), deflate.total_out());
        let status = deflate
            .compress(rest, room.space(), FlushCompress::Finish)
            .map_err(|_| CompressionError::Failed("gzip: deflate failed".into()))?;
        rest = &rest[delta(consumed, deflate.total_in())..];
        room.advance(delta(produced, deflate.total_out()));
        if status == Status::StreamEnd {
            room.finish();
            return Ok(());
        }
        if !room.grow() {
            return Err(CompressionError::Failed("gzip: no room for output".into()));
        }
    }
}

/// RFC 1952, section 2.2: "A gzip file consists of a series of members".
///
/// Each takes 18 bytes of input at least, so their number is bounded by the message's size.
fn inflate_members(
    inflate: &mut Decompress,
    input: &[u8],
    room: &mut Room<'_>,
) -> Result<(), Stop> {
    let mut rest = skip_header(input)?;
    loop {
        let (tail, crc) = inflate_member(inflate, rest, room)?;
        let (trailer, tail) = tail.split_at_checked(8).ok_or(CUT_SHORT)?;
        if trailer[..4] != crc.sum().to_le_bytes() {
            return Err(Stop::Bad("gzip: checksum does not match"));
        }
        if trailer[4..] != crc.amount().to_le_bytes() {
            return Err(Stop::Bad("gzip: length does not match"));
        }
        if tail.is_empty() {
            return Ok(());
        }
        rest = skip_header(tail)?;
        inflate.reset(false);
    }
}

/// Inflates one member; returns the input after its deflate stream, and the checksum of its output.
fn inflate_member<'a>(
    inflate: &mut Decompress,
    mut input: &'a [u8],
    room: &mut Room<'_>,
) -> Result<(&'a [u8], Crc), Stop> {
    let mut crc = Crc::new();
    loop {
        let (consumed, produced) = (inflate.total_in(), inflate.total_out());
        let mut probe = [0];
        let full = !room.grow();
        let space = if full { &mut probe } else { room.space() };
        // `Finish` only says that all input is there; zlib then skips its window if one call does all.
        let status = inflate
            .decompress(input, space, FlushDecompress::Finish)
            .map_err(|_| Stop::Bad("gzip: corrupt deflate stream"))?;
        let (consumed, produced) = (
            delta(consumed, inflate.total_in()),
            delta(produced, inflate.total_out()),
        );
        if full && produced > 0 {
            return Err(Stop::Full);
        }
        input = &input[consumed..];
        crc.update(room.advance(produced));
        if status == Status::StreamEnd {
            return Ok((input, crc));
        }
        if consumed == 0 && produced == 0 {
            return Err(CUT_SHORT);
        }
    }
}

/// RFC 1952, section 2.3: returns what follows the header.
fn skip_header(input: &[u8]) -> Result<&[u8], Stop> {
    const FHCRC: u8 = 1 << 1;
    const FEXTRA: u8 = 1 << 2;
    const FNAME: u8 = 1 << 3;
    const FCOMMENT: u8 = 1 << 4;

    let (fixed, mut rest) = input.split_at_checked(HEADER.len()).ok_or(CUT_SHORT)?;
    if fixed[..2] != HEADER[..2] {
        return Err(Stop::Bad("gzip: not a gzip stream"));
    }
    if fixed[2] != HEADER[2] {
        return Err(Stop::Bad("gzip: unknown compression method"));
    }
    let flags = fixed[3];
    // Section 2.3.1.2: "must give an error indication if any reserved bit is non-zero".
    if flags & 0b1110_0000 != 0 {
        return Err(Stop::Bad("gzip: reserved flag is set"));
    }
    if flags & FEXTRA != 0 {
        let (len, tail) = rest.split_first_chunk().ok_or(CUT_SHORT)?;
        let len = usize::from(u16::from_le_bytes(*len));
        rest = tail.get(len..).ok_or(CUT_SHORT)?;
    }
    for text in [FNAME, FCOMMENT] {
        if flags & text != 0 {
            let end = rest.iter().position(|&byte| byte == 0).ok_or(CUT_SHORT)?;
            rest = &rest[end + 1..];
        }
    }
    if flags & FHCRC != 0 {
        let mut crc = Crc::new();
        crc.update(&input[..input.len() - rest.len()]);
        let (sum, tail) = rest.split_first_chunk::<2>().ok_or(CUT_SHORT)?;
        if *sum != crc.sum().to_le_bytes()[..2] {
            return Err(Stop::Bad("gzip: header checksum does not match"));
        }
        rest = tail;
    }
    Ok(rest)
}

/// Space to begin with. The trailer says the size (RFC 1952, section 2.3.1, ISIZE): believed only as far as a short input could
/// plausibly yield. With one byte more, all is done in one step.
fn first_guess(input: &[u8]) -> usize {
    let plausible = input.len().saturating_mul(16).max(256);
    let claimed = input
        .last_chunk()
        .map_or(0, |size| u32::from_le_bytes(*size));
    let claimed = usize::try_from(claimed).unwrap_or(usize::MAX);
    claimed.saturating_add(1).min(plausible)
}

/// Progress between two readings of a total. It never exceeds a slice's length.
fn delta(before: u64, after: u64) -> usize {
    usize::try_from(after - before).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
