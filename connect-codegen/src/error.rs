//! What can go wrong while generating, said for the reader of a build log.

use std::{fmt, io, path::Path};

/// Why no code was generated. The text names the file and, where known, line and column.
///
/// `Debug` prints the same as `Display`, as that is what a `build.rs` whose `main` returns the error
/// shows.
pub struct Error {
    message: String,
    source: Option<io::Error>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn io(action: &str, path: &Path, source: io::Error) -> Self {
        Self {
            message: format!("cannot {action} {}: {source}", path.display()),
            source: Some(source),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}
