//! Zstandard (RFC 8878) by libzstd.

use std::borrow::Cow;

use bytes::BytesMut;
use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, ErrorCode, InBuffer, OutBuffer, ResetDirective,
    zstd_sys::ZSTD_ErrorCode,
};

use super::{Compression, CompressionError, buffer::Room, pool::Pool};

/// The `zstd` content coding, RFC 8878 and RFC 9659.
///
/// Frames with a window of more than 8 MiB are refused, as RFC 9659 says. All values share their contexts: at most 32 for
/// each level and 32 for decompressing are kept, made as threads need them. One for compressing takes up to 1.3 MB at
/// level 3 and more at higher levels; one for decompressing is kept only if it took no more than 2 MiB.
///
/// ```
/// use bytes::BytesMut;
/// use connect_proto::{Compression, CompressionError, Zstd};
///
/// let (zstd, mut small, mut back) = (Zstd::new(), BytesMut::new(), BytesMut::new());
/// zstd.compress(&[b'a'; 1000], &mut small)?;
/// zstd.decompress(&small, 1000, &mut back)?;
/// assert_eq!(back, [b'a'; 1000].as_slice());
/// # Ok::<(), CompressionError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Zstd {
    /// From 1 to [`MAX_LEVEL`].
    level: usize,
}

impl Zstd {
    /// zstd at level 3, its own default.
    #[must_use]
    pub const fn new() -> Self {
        Self { level: 3 }
    }

    /// Sets the level: 1 is fast, 19 is smallest. A value outside is taken as the nearest of these.
    ///
    /// Levels from 20 on need windows that RFC 9659 forbids on the wire.
    #[must_use]
    pub fn with_level(mut self, level: i32) -> Self {
        self.level = usize::try_from(level).map_or(1, |level| level.clamp(1, MAX_LEVEL));
        self
    }

    /// Contexts of the level.
    fn compressors(self) -> &'static Pool<Compressor> {
        static POOLS: [Pool<Compressor>; MAX_LEVEL] = [const { Pool::new() }; MAX_LEVEL];
        &POOLS[self.level - 1]
    }

    fn compressor(self) -> Result<Compressor, CompressionError> {
        if let Some(compressor) = self.compressors().take() {
            return Ok(compressor);
        }
        let mut context = CCtx::try_create().ok_or(NO_MEMORY)?;
        // At most 19.
        let level = CParameter::CompressionLevel(self.level as i32);
        context.set_parameter(level).map_err(failed)?;
        Ok(Compressor {
            context,
            scratch: Vec::new(),
        })
    }
}

/// Contexts to decompress, which know no level.
static DECOMPRESSORS: Pool<DCtx<'static>> = Pool::new();

const MAX_LEVEL: usize = 19;

fn decompressor() -> Result<DCtx<'static>, CompressionError> {
    if let Some(context) = DECOMPRESSORS.take() {
        return Ok(context);
    }
    let mut context = DCtx::try_create().ok_or(NO_MEMORY)?;
    context
        .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
        .map_err(failed)?;
    Ok(context)
}

impl Default for Zstd {
    fn default() -> Self {
        Self::new()
    }
}

impl Compression for Zstd {
    fn name(&self) -> &str {
        "zstd"
    }

    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
        let Compressor {
            mut context,
            mut scratch,
        } = self.compressor()?;
        scratch.clear();
        scratch.reserve(zstd_safe::compress_bound(input.len()));
        // A context that failed is not kept.
        context.compress2(&mut scratch, input).map_err(failed)?;
        output.extend_from_slice(&scratch);
        if scratch.capacity() > MAX_SCRATCH {
            scratch = Vec::new();
        }
        if context.sizeof() <= MAX_COMPRESSOR {
            self.compressors().put(Compressor { context, scratch });
        }
        Ok(())
    }

    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError> {
        let mut context = decompressor()?;
        let mut room = Room::new(output, limit, first_guess(input));
        let result = decompress_frames(&mut context, input, &mut room);
        if result.is_ok() {
            room.finish();
        }
        let reset = context.reset(ResetDirective::SessionOnly);
        if reset.is_ok() && context.sizeof() <= MAX_DECOMPRESSOR {
            DECOMPRESSORS.put(context);
        }
        result.map_err(|stop| match stop {
            Stop::Full => CompressionError::TooLarge { limit },
            Stop::CutShort => CompressionError::Malformed("zstd: unexpected end of data".into()),
            Stop::Code(code) => refused(code),
        })
    }
}

/// With room for the worst case libzstd needs no buffers of its own between input and output. That room is
/// several times what is written, so it is a scratch buffer that the next message reuses.
struct Compressor {
    context: CCtx<'static>,
    scratch: Vec<u8>,
}

/// Why decompressing stopped early.
enum Stop {
    Full,
    CutShort,
    Code(ErrorCode),
}

const NO_MEMORY: CompressionError = CompressionError::Failed(Cow::Borrowed("zstd: out of memory"));

/// RFC 9659, section 3: a window of at most 8 MiB.
const WINDOW_LOG_MAX: u32 = 23;

/// The largest context for compressing that goes back to the pool, in bytes. Its size follows from the
/// level, which is this side's choice.
const MAX_COMPRESSOR: usize = 16 * 1024 * 1024;

/// The same for decompressing. Its size follows from the window that a peer asks for.
const MAX_DECOMPRESSOR: usize = 2 * 1024 * 1024;

/// The largest scratch buffer that goes back to the pool, in bytes.
const MAX_SCRATCH: usize = 256 * 1024;

/// RFC 8878, section 3: "Zstandard compressed data is made up of one or more frames".
fn decompress_frames(
    context: &mut DCtx<'static>,
    input: &[u8],
    room: &mut Room<'_>,
) -> Result<(), Stop> {
    let mut input = InBuffer::around(input);
    loop {
        let before = input.pos();
        let mut probe = [0];
        let full = !room.grow();
        let space = if full { &mut probe } else { room.space() };
        let size = space.len();
        let mut output = OutBuffer::around(space);
        let wanted = context
            .decompress_stream(&mut output, &mut input)
            .map_err(Stop::Code)?;
        let produced = output.pos();
        if full && produced > 0 {
            return Err(Stop::Full);
        }
        room.advance(produced);
        let all_read = input.pos() == input.src.len();
        // 0 says that a frame is decoded and flushed.
        if wanted == 0 && all_read {
            return Ok(());
        }
        let stuck = produced == 0 && input.pos() == before;
        if stuck || (all_read && produced < size) {
            return Err(Stop::CutShort);
        }
    }
}

/// Space to begin with. A frame may announce its size: believed only as far as a short input could
/// plausibly yield, and then libzstd decodes straight into the output, without a window of its own.
fn first_guess(input: &[u8]) -> usize {
    let plausible = input.len().saturating_mul(16).max(64 * 1024);
    match zstd_safe::get_frame_content_size(input) {
        Ok(Some(size)) => usize::try_from(size).unwrap_or(usize::MAX).min(plausible),
        _ => input.len().saturating_mul(4).clamp(256, 64 * 1024),
    }
}

fn failed(code: ErrorCode) -> CompressionError {
    CompressionError::Failed(format!("zstd: {}", zstd_safe::get_error_name(code)).into())
}

fn refused(code: ErrorCode) -> CompressionError {
    if zstd_safe::is_error_kind(code, ZSTD_ErrorCode::ZSTD_error_memory_allocation) {
        return failed(code);
    }
    CompressionError::Malformed(format!("zstd: {}", zstd_safe::get_error_name(code)).into())
}

#[cfg(test)]
mod tests;
