//! The entry of a `build.rs`: `.proto` files in, Rust files out, and Cargo told what to watch.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::{Config, Error, GeneratedFile, generate};

impl Config {
    /// Compiles `.proto` files and writes the code to the output directory.
    ///
    /// `includes` are the directories in which imports are looked for, and in one of which every file
    /// must lie. The well-known types need no file. Imported files are generated too. A file whose
    /// text would not change is not touched.
    ///
    /// In a build script it also prints the `cargo::rerun-if-changed` lines for every file that was
    /// read.
    ///
    /// # Errors
    /// If a file does not compile, with file, line and column; if code cannot be generated for it
    /// (see [`generate`]); if the output cannot be written.
    pub fn compile(
        &self,
        files: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let compiled = compile(files, includes)?;
        if env::var_os("OUT_DIR").is_some() {
            for path in &compiled.read {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
        let set = &compiled.set;
        let names: Vec<_> = set.file.iter().map(|file| file.name()).collect();
        let generated = generate(set, &names, self)?;
        if let Some(path) = &self.descriptor_set {
            write_if_changed(path, &compiled.encoded)?;
        }
        write_all(&generated, &self.output()?)
    }

    fn output(&self) -> Result<PathBuf, Error> {
        match &self.out_dir {
            Some(dir) => Ok(dir.clone()),
            None => env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
                Error::new("OUT_DIR is not set: not in a build script, so give an `out_dir`")
            }),
        }
    }
}

/// Compiles `.proto` files into descriptors, imports and comments included.
///
/// # Errors
/// As [`Config::compile`].
pub fn descriptors(
    files: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<prost_types::FileDescriptorSet, Error> {
    compile(files, includes).map(|compiled| compiled.set)
}

struct Compiled {
    set: prost_types::FileDescriptorSet,
    /// The same with custom options, which prost-types drops.
    encoded: Vec<u8>,
    /// The files on disk.
    read: Vec<PathBuf>,
}

fn compile(files: &[impl AsRef<Path>], includes: &[impl AsRef<Path>]) -> Result<Compiled, Error> {
    let mut compiler = protox::Compiler::new(includes).map_err(|error| explain(&error))?;
    compiler.include_imports(true).include_source_info(true);
    compiler
        .open_files(files)
        .map_err(|error| explain(&error))?;
    let read = compiler
        .files()
        .filter_map(|file| file.path().map(Path::to_owned));
    Ok(Compiled {
        read: read.collect(),
        set: compiler.file_descriptor_set(),
        encoded: compiler.encode_file_descriptor_set(),
    })
}

/// protox puts file, line and column into the debug form only.
fn explain(error: &protox::Error) -> Error {
    let mut text = format!("{error:?}");
    if text.contains("but found 'edition'") {
        text.push_str(" (editions are not supported, only syntax proto2 and proto3)");
    }
    Error::new(text)
}

fn write_all(files: &[GeneratedFile], dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    files
        .iter()
        .try_for_each(|file| write_if_changed(&dir.join(&file.name), file.content.as_bytes()))
}

/// Rust's build system goes by modification times.
fn write_if_changed(path: &Path, content: &[u8]) -> Result<(), Error> {
    match fs::read(path) {
        Ok(old) if old == content => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::io("read", path, error));
        }
        _ => {}
    }
    fs::write(path, content).map_err(|error| Error::io("write", path, error))
}
