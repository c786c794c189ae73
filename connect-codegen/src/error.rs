//! What can go wrong while generating, said for the reader of a build log.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Why no code was generated: one or several reasons, each with its file, line, column and the line
/// itself where they are known, and with what to do.
///
/// ```text
/// two fields of Order are both named ab in Rust: ab, Ab
///  --> proto/shop.proto:12:9
///    |
/// 12 |   int32 Ab = 2;
///    |         ^^
///    |
///    = help: rename one of them; [json_name = "Ab"] keeps its name in JSON
/// ```
///
/// `Debug` prints the same as `Display`, as that is what a `build.rs` whose `main` returns the error
/// shows.
pub struct Error {
    /// At least one.
    diagnostics: Vec<Diagnostic>,
    source: Option<io::Error>,
}

/// One reason.
#[derive(Eq, PartialEq)]
struct Diagnostic {
    message: String,
    place: Option<Place>,
    line: Option<Line>,
    /// Each with its `help: ` or `note: `.
    notes: Vec<String>,
}

/// Where in the schemas something is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) file: Arc<str>,
    /// Line and column, from 1.
    pub(crate) position: Option<(i32, i32)>,
}

/// A line of a file, with blanks for tabs, and what to mark in it, in characters.
#[derive(Eq, PartialEq)]
struct Line {
    text: String,
    start: usize,
    len: usize,
}

/// How a compiler counts the columns of a line.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Columns {
    /// By bytes, as protox does.
    #[cfg(feature = "compile")]
    Bytes,
    /// By bytes too, but a tab goes on to the next multiple of eight, as with protoc and buf.
    Tabs,
}

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            diagnostics: vec![Diagnostic {
                message: message.into(),
                place: None,
                line: None,
                notes: Vec::new(),
            }],
            source: None,
        }
    }

    #[cfg(feature = "compile")]
    pub(crate) fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let message = format!("cannot {action} {}: {source}", path.display());
        Self {
            source: Some(source),
            ..Self::new(message)
        }
    }

    pub(crate) fn at(place: Place, message: impl Into<String>) -> Self {
        let mut out = Self::new(message);
        out.diagnostics[0].place = Some(place);
        out
    }

    /// Says what to do.
    pub(crate) fn with_help(self, help: impl fmt::Display) -> Self {
        self.with(format!("help: {help}"))
    }

    /// Says what else belongs to it.
    #[cfg(feature = "compile")]
    pub(crate) fn with_note(self, note: impl fmt::Display) -> Self {
        self.with(format!("note: {note}"))
    }

    fn with(mut self, note: String) -> Self {
        if let Some(last) = self.diagnostics.last_mut() {
            last.notes.push(note);
        }
        self
    }

    /// All of these as one, each said once.
    ///
    /// # Errors
    /// If there is any.
    pub(crate) fn all(errors: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut errors = errors.into_iter();
        let Some(mut out) = errors.next() else {
            return Ok(());
        };
        for diagnostic in errors.flat_map(|error| error.diagnostics) {
            if !out.diagnostics.contains(&diagnostic) {
                out.diagnostics.push(diagnostic);
            }
        }
        Err(out)
    }

    /// Says the names of files as they are on disk, and shows their lines.
    pub(crate) fn show(
        mut self,
        columns: Columns,
        on_disk: impl Fn(&str) -> Option<PathBuf>,
    ) -> Self {
        for diagnostic in &mut self.diagnostics {
            let Some(place) = &mut diagnostic.place else {
                continue;
            };
            let Some(path) = on_disk(&place.file) else {
                continue;
            };
            place.file = path.display().to_string().into();
            diagnostic.line = Line::read(&path, place, columns);
        }
        self
    }
}

impl Line {
    fn read(path: &Path, place: &Place, columns: Columns) -> Option<Self> {
        let (line, column) = place.position?;
        let (line, column) = (usize::try_from(line).ok()?, usize::try_from(column).ok()?);
        let text = fs::read_to_string(path).ok()?;
        let source = text.lines().nth(line.checked_sub(1)?)?;
        let (mut text, mut start, mut at) = (String::new(), None, 1);
        for c in source.chars() {
            if start.is_none() && at >= column {
                start = Some(text.chars().count());
            }
            let width = TAB - text.chars().count() % TAB;
            at += match (c, columns) {
                ('\t', Columns::Tabs) => TAB - (at - 1) % TAB,
                _ => c.len_utf8(),
            };
            match c {
                '\t' => text.push_str(&" ".repeat(width)),
                c => text.push(c),
            }
        }
        let start = start.unwrap_or_else(|| text.chars().count());
        let len = token(text.chars().skip(start));
        Some(Self { text, start, len })
    }
}

/// The length of the name, number or string that the text begins with.
fn token(mut text: impl Iterator<Item = char>) -> usize {
    match text.next() {
        Some(quote @ ('"' | '\'')) => 2 + text.take_while(|c| *c != quote).count(),
        Some(c) if is_word(c) => 1 + text.take_while(|c| is_word(*c)).count(),
        _ => 1,
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.')
}

const TAB: usize = 8;

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\nerror: ")?;
            }
            fmt::Display::fmt(diagnostic, f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut margin = String::from(" ");
        if let Some(Place { file, position }) = &self.place {
            let number = position.map_or_else(String::new, |(line, _)| line.to_string());
            margin = " ".repeat(number.len().max(1));
            write!(f, "\n{margin}--> {file}")?;
            if let Some((line, column)) = position {
                write!(f, ":{line}:{column}")?;
            }
            if let Some(Line { text, start, len }) = &self.line {
                let (blanks, carets) = (" ".repeat(*start), "^".repeat(*len));
                write!(f, "\n{margin} |\n{number} | {}", text.trim_end())?;
                write!(f, "\n{margin} | {blanks}{carets}")?;
                if !self.notes.is_empty() {
                    write!(f, "\n{margin} |")?;
                }
            }
        }
        for note in &self.notes {
            let indented = note.replace('\n', &format!("\n{margin}         "));
            write!(f, "\n{margin} = {indented}")?;
        }
        Ok(())
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
