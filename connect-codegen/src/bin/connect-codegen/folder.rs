//! The folder that code is in: what generated code would change there.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use connect_codegen::GeneratedFile;

use crate::Error;

/// A file that is not what it should be.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    /// What it is; `None` if there is none.
    pub(crate) old: Option<Vec<u8>>,
    /// What it should be; `None` if there should be none.
    pub(crate) new: Option<String>,
}

/// All changes that make the folder what was generated, by path.
pub(crate) fn changes(folder: &Path, files: Vec<GeneratedFile>) -> Result<Vec<Change>, Error> {
    let mut stale = BTreeSet::new();
    generated(folder, &mut stale)?;
    let mut out = Vec::new();
    for GeneratedFile { name, content } in files {
        let path = folder.join(name);
        stale.remove(&path);
        let old = read(&path)?;
        if old.as_deref() != Some(content.as_bytes()) {
            let new = Some(content);
            out.push(Change { path, old, new });
        }
    }
    for path in stale {
        let (old, new) = (read(&path)?, None);
        out.push(Change { path, old, new });
    }
    out.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(out)
}

/// The files of a folder that were generated, by their first lines; those in folders in it too whose
/// `mod.rs` was: in others there may be other folders of generated code, such as a build script's.
fn generated(folder: &Path, out: &mut BTreeSet<PathBuf>) -> Result<(), Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| format!("cannot read {}: {error}", folder.display()))?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if is_generated(&path.join("mod.rs"))? {
                generated(&path, out)?;
            }
        } else if path.extension().is_some_and(|e| e == "rs") && is_generated(&path)? {
            out.insert(path);
        }
    }
    Ok(())
}

fn is_generated(path: &Path) -> Result<bool, Error> {
    let content = read(path)?;
    Ok(content.is_some_and(|content| content.starts_with(GeneratedFile::HEADER.as_bytes())))
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("cannot read {}: {error}", path.display()).into()),
    }
}
