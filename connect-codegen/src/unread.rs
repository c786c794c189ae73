//! What protox says of files that it cannot read, as errors of this crate.

use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode};

use crate::{Error, error::Place};

/// All that it found in one file.
pub(crate) fn errors(error: &protox::Error) -> Error {
    let file = error.file().map(Arc::from);
    let source = error.source_code();
    let related = error.related().into_iter().flatten();
    let all = [error as &dyn Diagnostic].into_iter().chain(related);
    let all = all.map(|diagnostic| one(diagnostic, file.as_ref(), source, error.is_parse()));
    match Error::all(all) {
        Err(error) => error,
        Ok(()) => Error::new(error.to_string()),
    }
}

fn one(
    diagnostic: &dyn Diagnostic,
    file: Option<&Arc<str>>,
    source: Option<&dyn SourceCode>,
    in_bytes: bool,
) -> Error {
    let labels: Vec<_> = diagnostic.labels().into_iter().flatten().collect();
    let place = |label: &LabeledSpan| position(source?, label.offset(), in_bytes);
    let main = labels
        .iter()
        .position(|label| !is_aside(label))
        .unwrap_or(0);
    let mut out = match file {
        Some(file) => {
            let place = Place {
                file: Arc::clone(file),
                position: labels.get(main).and_then(place),
            };
            Error::at(place, diagnostic.to_string())
        }
        None => Error::new(diagnostic.to_string()),
    };
    for (_, label) in labels.iter().enumerate().filter(|(at, _)| *at != main) {
        if let (Some((line, column)), Some(text)) = (place(label), label.label()) {
            let text = text.trim_matches('…').trim();
            out = out.with_note(format!("{text}: line {line}, column {column}"));
        }
    }
    match diagnostic.help() {
        Some(help) => out.with_help(help),
        None => out,
    }
}

/// Whether it shows not what is wrong, but what that contradicts.
fn is_aside(label: &LabeledSpan) -> bool {
    let text = label.label().unwrap_or_default();
    text.contains("first") || text.contains("range") || text.ends_with('…')
}

/// Line and column, from 1, the latter by bytes.
///
/// Only what the parser finds has its offset from the text. All else had a line and a column by bytes,
/// which miette took for one by characters.
fn position(source: &dyn SourceCode, offset: usize, in_bytes: bool) -> Option<(i32, i32)> {
    let contents = source.read_span(&(0, offset).into(), 0, 0).ok()?;
    let before = String::from_utf8_lossy(contents.data().get(..offset)?);
    let line = before.matches('\n').count();
    let last = before.rsplit('\n').next().unwrap_or_default();
    let column = if in_bytes {
        last.len()
    } else {
        last.chars().count()
    };
    let number = |from_0| i32::try_from(from_0).ok()?.checked_add(1);
    Some((number(line)?, number(column)?))
}
