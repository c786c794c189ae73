//! Comparing generated files with those in the repository.
#![allow(dead_code, reason = "no test uses all of it")]

pub(crate) mod frontends;

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use connect_codegen::{Config, GeneratedFile, descriptors, generate};
use prost::Message as _;
use prost_types::FileDescriptorSet;

/// Generates everything for these files, which are paths from the root of the repository.
pub(crate) fn generate_all(files: &[&str], include: &str, config: &Config) -> Vec<GeneratedFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let files: Vec<_> = files.iter().map(|file| root.join(file)).collect();
    let set = descriptors(&files, &[root.join(include)]).unwrap();
    generate(&set, &names_in(&set), config).unwrap()
}

/// The names of the files in an encoded set.
pub(crate) fn names_in(set: &[u8]) -> Vec<String> {
    let set = FileDescriptorSet::decode(set).unwrap();
    set.file.iter().map(|file| file.name().to_owned()).collect()
}

/// Compares a file with the one in the repository; with `UPDATE_GENERATED` set, replaces that.
pub(crate) fn assert_fresh(path: &str, content: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    if env::var_os("UPDATE_GENERATED").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
    }
    let old = fs::read_to_string(&path).unwrap_or_default();
    if old != content {
        let line = old
            .lines()
            .zip(content.lines())
            .take_while(|(a, b)| a == b)
            .count()
            + 1;
        panic!(
            "{} is not what would be generated now, from line {line} on.\n\
             Run `UPDATE_GENERATED=1 cargo test -p connect-codegen` and look at the difference.",
            path.display(),
        );
    }
}

/// A directory that is removed at the end.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let (id, number) = (std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let dir = env::temp_dir().join(format!("connect-codegen-{id}-{number}-{name}"));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
