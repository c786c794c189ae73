//! What the `.proto` file has for each element: its place and its comment.

use std::{collections::HashMap, sync::Arc};

use super::Source;
use crate::{
    descriptor::{FileDescriptorProto, Location},
    error::Place,
};

/// The locations of a file, by paths of field numbers and indexes.
pub(super) struct Sources<'a> {
    file: Arc<str>,
    locations: HashMap<&'a [i32], &'a Location>,
}

impl<'a> Sources<'a> {
    pub(super) fn new(file: &'a FileDescriptorProto) -> Self {
        let locations = file.source_code_info.iter().flat_map(|info| &info.location);
        // The first location of a path is that of the declaration.
        let locations = locations.rev().map(|l| (l.path.as_slice(), l));
        Self {
            file: Arc::from(file.name()),
            locations: locations.collect(),
        }
    }

    pub(super) fn get(&self, path: &[i32]) -> Source {
        let location = self.locations.get(path);
        let name = self.locations.get([path, &[NAME]].concat().as_slice());
        Source {
            place: Place {
                file: Arc::clone(&self.file),
                position: name.or(location).and_then(|location| location.position()),
            },
            comments: location.map_or_else(Vec::new, |location| comments(location)),
        }
    }
}

/// The comments before and behind an element; those that stand apart are not its own.
fn comments(location: &Location) -> Vec<String> {
    let (leading, trailing) = (location.leading_comments(), location.trailing_comments());
    let between = (!leading.is_empty() && !trailing.is_empty()).then_some("");
    let lines = leading.lines().chain(between).chain(trailing.lines());
    lines.map(indented).collect()
}

/// The line with at least one space before its text, and one more before code.
fn indented(line: &str) -> String {
    // Rust has no carriage returns in comments.
    let line = line.replace('\r', " ");
    let (first, second) = (line.chars().next(), line.chars().nth(1));
    match first {
        None => String::new(),
        Some(' ') if second != Some(' ') => line,
        Some(_) => format!(" {line}"),
    }
}

/// The field that the descriptor of every element has its name in.
const NAME: i32 = 1;
