//! The files to generate from: their descriptors, and their bytes as they came.

use std::collections::{BTreeSet, HashMap, HashSet};

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
pub(crate) const FILES_OF_SET: u64 = FILES_OF_DESCRIPTOR_SET;
const FILES_OF_DESCRIPTOR_SET: u64 = 1;
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

    /// An encoded set of these files and all that they import, each after its imports, without
    /// comments. It depends on nothing but the files, and takes time linear in what it holds.
    pub(crate) fn descriptor_set(&self, files: &[&FileDescriptorProto]) -> Vec<u8> {
        let by_name = self.by_name();
        let encoded = self
            .encoded
            .map(|(message, field)| wire::contents(message, field));
        let roots: BTreeSet<&str> = files.iter().map(|file| file.name()).collect();
        let mut stack: Vec<_> = roots.into_iter().rev().map(Step::Enter).collect();
        let mut entered = HashSet::new();
        let mut out = Vec::new();
        while let Some(step) = stack.pop() {
            let (Step::Enter(name) | Step::Leave(name)) = step;
            let Some(&index) = by_name.get(name) else {
                continue;
            };
            let file = &self.set.file[index];
            if let Step::Leave(_) = step {
                let received = encoded.as_ref().and_then(|files| files.get(index));
                let content = match received {
                    Some(file) => wire::without(file, SOURCE_CODE_INFO),
                    None => wire::without(&file.encode_to_vec(), SOURCE_CODE_INFO),
                };
                wire::push(&mut out, FILES_OF_DESCRIPTOR_SET, &content);
            } else if entered.insert(name) {
                stack.push(Step::Leave(name));
                let imports = file.dependency.iter().rev();
                stack.extend(imports.map(|import| Step::Enter(import)));
            }
        }
        out
    }

    fn by_name(&self) -> HashMap<&'a str, usize> {
        let files = self.set.file.iter().enumerate();
        files.map(|(index, file)| (file.name(), index)).collect()
    }
}

/// A step of the walk over imports.
enum Step<'a> {
    /// The file is to be visited, if it was not yet.
    Enter(&'a str),
    /// All that it imports is written.
    Leave(&'a str),
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
