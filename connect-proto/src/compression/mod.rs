//! Compression of messages: the open set of algorithms, and the choice among them.
//!
//! [`Compression`] is the seam: gzip and zstd are here (features `gzip` and `zstd`), anything else
//! is registered by name in [`Compressions`]. All of it is one-shot, on whole messages: gRPC and
//! Connect both say that no compression context outlives a message, so there is nothing to stream.
//!
//! Not here: which header names an algorithm (each protocol has its own), and when a message is
//! worth compressing.

mod accept;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod buffer;
#[cfg(feature = "gzip")]
mod gzip;
#[cfg(any(feature = "gzip", feature = "zstd"))]
mod pool;
#[cfg(feature = "zstd")]
mod zstd;

use std::{
    borrow::Cow,
    fmt,
    sync::{Arc, OnceLock},
};

use bytes::BytesMut;
use http::HeaderValue;

#[cfg(feature = "gzip")]
pub use self::gzip::Gzip;
#[cfg(feature = "zstd")]
pub use self::zstd::Zstd;

/// A compression algorithm, known by its content coding.
///
/// One value serves every call of a server or a client at once, from any thread, so implementations
/// keep what they reuse (contexts, tables) inside, behind their own synchronisation.
///
/// ```
/// use bytes::BytesMut;
/// use connect_proto::{Compression, CompressionError, Compressions};
///
/// /// Turns bytes round: no use, but short.
/// #[derive(Debug)]
/// struct Reverse;
///
/// impl Compression for Reverse {
///     fn name(&self) -> &str {
///         "x-reverse"
///     }
///
///     fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError> {
///         output.extend(input.iter().rev());
///         Ok(())
///     }
///
///     fn decompress(
///         &self,
///         input: &[u8],
///         limit: usize,
///         output: &mut BytesMut,
///     ) -> Result<(), CompressionError> {
///         if input.len() > limit {
///             return Err(CompressionError::TooLarge { limit });
///         }
///         self.compress(input, output)
///     }
/// }
///
/// let known = Compressions::none().with(Reverse)?;
/// assert_eq!(known.accept_header().unwrap(), "x-reverse");
/// # Ok::<(), connect_proto::InvalidCompressionName>(())
/// ```
pub trait Compression: fmt::Debug + Send + Sync + 'static {
    /// The content coding that names the algorithm on the wire, such as `gzip`.
    ///
    /// A token of RFC 9110, section 5.6.2. It must always be the same.
    fn name(&self) -> &str;

    /// Appends the compressed form of `input` to `output`, which may hold other bytes: they must stay as they are. What
    /// is not empty must not become empty: receivers do not decompress what has no bytes.
    ///
    /// # Errors
    ///
    /// [`CompressionError::Failed`] when the algorithm cannot work; `output` then holds what it
    /// held before.
    fn compress(&self, input: &[u8], output: &mut BytesMut) -> Result<(), CompressionError>;

    /// Appends what `input` decompresses to, at most `limit` bytes, to `output`.
    ///
    /// The input is from the peer and may be hostile. An implementation must take memory as the
    /// output grows, never because the input announces a size, and stop as soon as the output would
    /// pass `limit`. It must consume the whole input: a stream that is cut short, or followed by
    /// anything, is an error.
    ///
    /// # Errors
    ///
    /// [`CompressionError::TooLarge`] when there are more than `limit` bytes,
    /// [`CompressionError::Malformed`] when `input` is not what [`compress`](Self::compress) makes,
    /// [`CompressionError::Failed`] when the algorithm cannot work. In each case `output` holds what
    /// it held before.
    fn decompress(
        &self,
        input: &[u8],
        limit: usize,
        output: &mut BytesMut,
    ) -> Result<(), CompressionError>;
}

/// Why a message could not be compressed or decompressed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CompressionError {
    /// The decompressed message would be larger than allowed. The sender's fault.
    #[error("decompressed message is larger than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The compressed bytes are corrupt, cut short, or followed by others. The sender's fault.
    #[error("{0}")]
    Malformed(Cow<'static, str>),
    /// The algorithm failed for a reason of its own, such as lack of memory.
    #[error("{0}")]
    Failed(Cow<'static, str>),
}

/// A name that no compression can have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{name:?} cannot be the name of a compression: {reason}")]
pub struct InvalidCompressionName {
    name: String,
    reason: &'static str,
}

/// The algorithms that one side knows, in its order of preference.
///
/// Cheap to clone. `identity`, which is no compression, is always known and never listed. Names are
/// compared without regard to case (RFC 9110, section 8.4.1).
///
/// The [`Default`] is what the crate's features provide, gzip before zstd. All defaults of a program share one set of
/// pooled contexts.
#[derive(Clone)]
pub struct Compressions(Arc<Inner>);

/// A compression, with its name as heads carry it.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) compression: Arc<dyn Compression>,
    pub(crate) name: HeaderValue,
}

#[derive(Clone)]
struct Inner {
    algorithms: Vec<Named>,
    accept: Option<HeaderValue>,
}

impl Named {
    /// A token of RFC 9110, so it is text.
    pub(crate) fn as_str(&self) -> &str {
        self.compression.name()
    }
}

impl Compressions {
    /// Knows no algorithm: every message goes uncompressed.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Inner {
            algorithms: Vec::new(),
            accept: None,
        }))
    }

    /// Adds an algorithm as the least preferred one, or replaces the one of the same name in its place.
    ///
    /// # Errors
    ///
    /// When its name is not a token of RFC 9110, or is `identity` or `*`, which mean something else.
    pub fn with(self, compression: impl Compression) -> Result<Self, InvalidCompressionName> {
        let name = header_name(compression.name())?;
        Ok(self.insert(name, compression))
    }

    /// The algorithm of this name; `None` for an unknown one and for `identity`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Compression>> {
        self.find(name).map(|known| &known.compression)
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Named> {
        self.position(name.as_bytes())
            .map(|index| &self.0.algorithms[index])
    }

    /// The value of an `accept-encoding` header, such as `gzip,zstd`; `None` when nothing is known.
    ///
    /// The same grammar serves `connect-accept-encoding` and `grpc-accept-encoding`.
    #[must_use]
    pub fn accept_header(&self) -> Option<&HeaderValue> {
        self.0.accept.as_ref()
    }

    /// The names, most preferred first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.algorithms.iter().map(Named::as_str)
    }

    /// Picks the algorithm for what goes to a peer that sent these `accept-encoding` headers; `None` is
    /// identity.
    ///
    /// The peer's order decides (Connect, "Unary-Request": "Servers should treat Accept-Encoding as an
    /// ordered list"). Quality values of RFC 9110, section 12.4.2, are understood: the highest wins, then
    /// the order; 0 is never picked. `*` stands for every algorithm that the peer did not name, and yields
    /// this side's first. `identity` is the least preferred, wherever it stands, unless it has the highest
    /// quality value and says so itself: gRPC peers put it first and mean nothing by it.
    ///
    /// An element that breaks the grammar is skipped. The time is linear in the size of the headers.
    #[must_use]
    pub fn negotiate<'h>(
        &self,
        accept: impl Iterator<Item = &'h HeaderValue>,
    ) -> Option<&Arc<dyn Compression>> {
        self.choose(accept).map(|known| &known.compression)
    }

    pub(crate) fn choose<'h>(
        &self,
        accept: impl Iterator<Item = &'h HeaderValue>,
    ) -> Option<&Named> {
        let mut choice = accept::Choice::default();
        for element in accept.flat_map(|line| accept::elements(line.as_bytes())) {
            choice.consider(&element, |coding| self.position(coding));
        }
        choice
            .decide(self.0.algorithms.len())
            .map(|index| &self.0.algorithms[index])
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.0
            .algorithms
            .iter()
            .position(|known| known.name.as_bytes().eq_ignore_ascii_case(name))
    }

    /// `name` is the compression's own.
    fn insert(mut self, name: HeaderValue, compression: impl Compression) -> Self {
        let position = self.position(name.as_bytes());
        let compression = Arc::new(compression);
        let named = Named { compression, name };
        let inner = Arc::make_mut(&mut self.0);
        match position {
            Some(index) => inner.algorithms[index] = named,
            None => inner.algorithms.push(named),
        }
        let names: Vec<&str> = inner.algorithms.iter().map(Named::as_str).collect();
        inner.accept = HeaderValue::try_from(names.join(",")).ok();
        self
    }
}

impl Default for Compressions {
    fn default() -> Self {
        static SHARED: OnceLock<Compressions> = OnceLock::new();
        let shared = SHARED.get_or_init(|| {
            let known = Self::none();
            #[cfg(feature = "gzip")]
            let known = known.insert(HeaderValue::from_static("gzip"), Gzip::new());
            #[cfg(feature = "zstd")]
            let known = known.insert(HeaderValue::from_static("zstd"), Zstd::new());
            known
        });
        shared.clone()
    }
}

impl fmt::Debug for Compressions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let algorithms = self.0.algorithms.iter().map(|known| &known.compression);
        f.debug_list().entries(algorithms).finish()
    }
}

/// The name as a header's value, if a compression can have it.
fn header_name(name: &str) -> Result<HeaderValue, InvalidCompressionName> {
    let reason = if name == "*" || name.eq_ignore_ascii_case("identity") {
        "it has a meaning of its own"
    } else {
        let is_token = !name.is_empty() && name.bytes().all(accept::is_token);
        match HeaderValue::from_str(name) {
            Ok(value) if is_token => return Ok(value),
            _ => "it is not a token",
        }
    };
    Err(InvalidCompressionName {
        name: name.to_owned(),
        reason,
    })
}

#[cfg(test)]
mod tests;
