//! What can go wrong while generating, said for the reader of a build log.

use std::{fmt, io, sync::Arc};

/// Why no code was generated. The text names the file and, where known, line and column, as editors
/// and terminals know to follow: `proto/eliza.proto:3:16: …`.
///
/// `Debug` prints the same as `Display`, as that is what a `build.rs` whose `main` returns the error
/// shows.
pub struct Error {
    place: Option<Place>,
    message: String,
    source: Option<io::Error>,
}

/// Where in the schemas something is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    /// Line and column, from 1.
    pub(crate) position: Option<(i32, i32)>,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            message: message.into(),
            source: None,
        }
    }

    #[cfg(feature = "compile")]
    pub(crate) fn io(action: &str, path: &std::path::Path, source: io::Error) -> Self {
        Self {
            place: None,
            message: format!("cannot {action} {}: {source}", path.display()),
            source: Some(source),
        }
    }

    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        Self {
            place: Some(place),
            ..Self::new(message)
        }
    }

    /// Says the file's name as it is on disk.
    #[cfg(feature = "compile")]
    pub(crate) fn map_file(mut self, on_disk: impl FnOnce(&str) -> Option<String>) -> Self {
        if let Some(place) = &mut self.place {
            if let Some(path) = on_disk(&place.file) {
                place.file = path.into();
            }
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Place { file, position }) = &self.place {
            write!(f, "{file}:")?;
            if let Some((line, column)) = position {
                write!(f, "{line}:{column}:")?;
            }
            f.write_str(" ")?;
        }
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
