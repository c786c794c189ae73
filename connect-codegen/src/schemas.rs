//! The files to generate from: their descriptors, and their bytes as they came.

use std::collections::BTreeSet;

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

use crate::{error::Place, wire};

/// Files with all that they import.
#[derive(Clone, Copy)]
pub(crate) struct Schemas<'a> {
    pub(crate) set: &'a FileDescriptorSet,
    /// The same as a message that has them in field [`FILES_OF_SET`] or [`FILES_OF_REQUEST`]; it
    /// still has the custom options.
    encoded: Option<(&'a [u8], u64)>,
}

/// The field of `FileDescriptorSet`.
#[cfg(feature = "compile")]
pub(crate) const FILES_OF_SET: u64 = 1;
/// The field of `CodeGeneratorRequest`.
pub(crate) const FILES_OF_REQUEST: u64 = 15;

impl<'a> Schemas<'a> {
    pub(crate) fn new(set: &'a FileDescriptorSet) -> Self {
        Self { set, encoded: None }
    }

    pub(crate) fn with_encoded(set: &'a FileDescriptorSet, message: &'a [u8], field: u64) -> Self {
        let encoded = Some((message, field));
        Self { set, encoded }
    }

    /// An encoded set of these files and all that they import, without comments. It depends on
    /// nothing but the files.
    pub(crate) fn descriptor_set(&self, files: &[&FileDescriptorProto]) -> Vec<u8> {
        let mut names: BTreeSet<&str> = files.iter().map(|file| file.name()).collect();
        let mut to_visit: Vec<_> = names.iter().copied().collect();
        while let Some(name) = to_visit.pop() {
            for import in self.imports(name) {
                if names.insert(import) {
                    to_visit.push(import);
                }
            }
        }
        let mut out = Vec::new();
        while let Some(next) = self.next_of(&names) {
            names.remove(next);
            wire::push(&mut out, 1, &self.without_comments(next));
        }
        out
    }

    /// The first name all of whose imports are done.
    fn next_of(&self, waiting: &BTreeSet<&'a str>) -> Option<&'a str> {
        let ready = |name: &&&str| !self.imports(name).any(|import| waiting.contains(import));
        let first = waiting.iter().find(ready).or_else(|| waiting.first());
        first.copied()
    }

    fn imports(&self, name: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        let file = self.set.file.iter().find(|file| file.name() == name);
        let imports = file.map(|file| file.dependency.as_slice());
        imports.unwrap_or_default().iter().map(String::as_str)
    }

    fn without_comments(&self, name: &str) -> Vec<u8> {
        let Some(index) = self.set.file.iter().position(|file| file.name() == name) else {
            return Vec::new();
        };
        if let Some((message, field)) = self.encoded {
            if let Some(file) = wire::contents(message, field).get(index) {
                return wire::without(file, SOURCE_CODE_INFO);
            }
        }
        wire::without(&self.set.file[index].encode_to_vec(), SOURCE_CODE_INFO)
    }
}

/// Where a file says what the path leads to: numbers of fields and indexes, as `SourceCodeInfo` has
/// them.
pub(crate) fn place(file: &FileDescriptorProto, path: &[i32]) -> Place {
    let locations = file.source_code_info.iter().flat_map(|info| &info.location);
    let mut found = locations.filter(|location| location.path == path);
    let span = found.next().map(|location| location.span.as_slice());
    let position = match span {
        Some([line, column, ..]) => Some((line + 1, column + 1)),
        _ => None,
    };
    Place {
        file: file.name().to_owned(),
        position,
    }
}

/// The field of `FileDescriptorProto`.
const SOURCE_CODE_INFO: u64 = 9;
