//! The schemas of a package as bytes, for reflection.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::Scope;
use crate::{
    Error,
    code::Code,
    descriptor::{FileDescriptor, FileSet},
};
use prost::{
    Message as _,
    bytes::Bytes,
    encoding::{DecodeContext, decode_key, skip_field},
};

/// All files, to be put together.
pub(crate) struct DescriptorSets<'a>(HashMap<&'a str, &'a FileDescriptor>);

/// A step of the walk over imports.
enum Step<'a> {
    /// The file is to be visited, if it was not yet.
    Enter(&'a str),
    /// All that it imports is written.
    Leave(&'a str),
}

impl<'a> DescriptorSets<'a> {
    pub(crate) fn new(files: &'a [FileDescriptor]) -> Self {
        Self(files.iter().map(|file| (file.file.name(), file)).collect())
    }

    /// A static with the set of these files.
    pub(super) fn write<'n>(
        &self,
        files: impl Iterator<Item = &'n str>,
        scope: &Scope,
        code: &mut Code,
    ) -> Result<(), Error> {
        let encoded = self.encoded(files)?;
        code.line("/// The files of this package and all that they import, as an encoded");
        code.line("/// `google.protobuf.FileDescriptorSet`.");
        scope.allow_lints(code);
        code.line(format_args!(
            "pub static FILE_DESCRIPTOR_SET: &[u8] = b\"{}\";",
            encoded.escape_ascii()
        ));
        Ok(())
    }

    /// An encoded set of these files and all that they import, each after its imports, without
    /// comments. It depends on nothing but the files, and takes time linear in what it holds.
    fn encoded<'n>(&self, files: impl Iterator<Item = &'n str>) -> Result<Vec<u8>, Error> {
        let roots: BTreeSet<&str> = files.collect();
        let mut stack: Vec<_> = roots.into_iter().rev().map(Step::Enter).collect();
        let mut entered = HashSet::new();
        let mut set = FileSet::default();
        while let Some(step) = stack.pop() {
            let (Step::Enter(name) | Step::Leave(name)) = step;
            let Some(found) = self.0.get(name) else {
                continue;
            };
            if let Step::Leave(_) = step {
                set.file
                    .push(without_comments(&found.encoded).map_err(|error| {
                        Error::new(format!("{name} is no FileDescriptorProto: {error}"))
                    })?);
            } else if entered.insert(name) {
                stack.push(Step::Leave(name));
                let imports = found.file.dependency.iter().rev();
                stack.extend(imports.map(|import| Step::Enter(import)));
            }
        }
        Ok(set.encode_to_vec())
    }
}

/// The file without its `source_code_info`; whatever else is in it stays, known or not.
fn without_comments(file: &[u8]) -> Result<Bytes, prost::DecodeError> {
    let mut out = Vec::with_capacity(file.len());
    let mut rest = file;
    while !rest.is_empty() {
        let field = rest;
        let (number, kind) = decode_key(&mut rest)?;
        skip_field(kind, number, &mut rest, DecodeContext::default())?;
        if number != SOURCE_CODE_INFO {
            out.extend_from_slice(&field[..field.len() - rest.len()]);
        }
    }
    Ok(out.into())
}

/// The field of `FileDescriptorProto`.
const SOURCE_CODE_INFO: u32 = 9;
