//! Why bytes are not the message that they should be.

use std::{borrow::Cow, error::Error as StdError, fmt};

use connect_proto::{Error, Side};

/// Bytes that a codec cannot read as a message.
///
/// It has no RPC code: whose fault the bytes are depends on who reads them. [`into_error`](Self::into_error) decides
/// that, where a message is received.
///
/// ```
/// use connect_codec::{Codec, Decode, Prost, json::JsonOptions};
/// use connect_proto::{Code, Side};
///
/// let json = Codec::Json(JsonOptions::default());
/// let read = || <Prost as Decode<String>>::decode("42".into(), &json).unwrap_err();
/// assert_eq!(read().into_error(Side::Server).code(), Code::InvalidArgument);
/// assert_eq!(read().into_error(Side::Client).code(), Code::Internal);
/// ```
#[derive(Debug)]
pub struct DecodeError {
    message: Cow<'static, str>,
    fault: Fault,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

#[derive(Debug)]
enum Fault {
    Exhausted,
    Malformed,
    /// Not the bytes are at fault: the program cannot read this codec.
    Unsupported,
}

impl DecodeError {
    /// What is wrong with the bytes, with the field or the place in the text as far as known. The peer may get to read it.
    #[must_use]
    pub fn new(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            message: message.into(),
            fault: Fault::Malformed,
            source: None,
        }
    }

    /// The message library cannot read messages in this codec, whatever the bytes are. On either side it becomes
    /// `unimplemented`.
    #[must_use]
    pub fn unsupported(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fault: Fault::Unsupported,
            ..Self::new(message)
        }
    }

    /// The message would take more memory, or more of something else, than a limit allows. On either side it becomes
    /// `resource_exhausted`.
    #[must_use]
    pub fn exhausted(message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            fault: Fault::Exhausted,
            ..Self::new(message)
        }
    }

    /// Keeps the cause, for logs on this side. It never goes to the peer.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What is wrong with the bytes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The RPC error of the side that received the bytes. Of malformed ones as [`Error::malformed`]: `invalid_argument`
    /// on a server, `internal` on a client.
    #[must_use]
    pub fn into_error(self, side: Side) -> Error {
        let error = match self.fault {
            Fault::Malformed => Error::malformed(side, self.message),
            Fault::Unsupported => Error::unimplemented(self.message),
            Fault::Exhausted => Error::resource_exhausted(self.message),
        };
        match self.source {
            Some(source) => error.with_source(source),
            None => error,
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for DecodeError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
