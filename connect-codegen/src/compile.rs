//! The entry of a `build.rs`: `.proto` files in, Rust files out, and the lines that say what Cargo watches.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

use crate::{
    Config, Error, GeneratedFile, Layout,
    descriptor::FileSet,
    generate::{read, write},
    installed::Installed,
};

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
    /// No other program is needed, unless a file has an edition instead of a syntax: then it is
    /// [`with_compiler`](Self::with_compiler)'s, or the one that the environment variable `PROTOC` names,
    /// or else `protoc` or `buf` on `PATH`.
    ///
    /// # Errors
    /// If a file does not compile, with file, line and column; if it needs a compiler that is not there; if
    /// code cannot be generated for it (see [`generate`](crate::generate)); if a path of an option stands
    /// for nothing in the files; if the output cannot be written.
    pub fn compile(
        &self,
        files: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<(), Error> {
        let includes = Includes::new(includes);
        let compiled = compile(files, &includes, self.compiler.as_deref())?;
        self.write_set(&compiled)
            .map_err(|error| error.map_file(|file| includes.on_disk(file)))
    }

    /// Writes the code of all files in an encoded `google.protobuf.FileDescriptorSet`, which `protoc
    /// --include_imports --include_source_info --descriptor_set_out=FILE` or `buf build
    /// --as-file-descriptor-set --output FILE` has written, to the output directory.
    ///
    /// In a build script it also prints the `cargo::rerun-if-changed` line for it.
    ///
    /// # Errors
    /// If the file cannot be read or is no such set; else as [`compile`](Self::compile).
    pub fn compile_descriptor_set(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let path = path.as_ref();
        self.write_set(&Compiled {
            set: fs::read(path).map_err(|error| Error::io("read", path, error))?,
            read: vec![path.to_owned()],
        })
    }

    fn write_set(&self, compiled: &Compiled) -> Result<(), Error> {
        if env::var_os("OUT_DIR").is_some() {
            for path in &compiled.read {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
        let files = FileSet::files(&compiled.set)?;
        let names: Vec<_> = files.iter().map(|file| file.file.name()).collect();
        let schema = read(&files, &names, self)?;
        // A plugin may be called for each directory: there a path may stand for nothing.
        schema.check_options()?;
        let generated = write(&schema, &files, self)?;
        write_all(&generated, &self.output()?)
    }

    fn output(&self) -> Result<PathBuf, Error> {
        if let Some(dir) = &self.out_dir {
            return Ok(dir.clone());
        }
        if self.layout == Layout::Modules {
            let text = "layout `Modules` is for code that is checked in, so give an `out_dir`";
            return Err(Error::new(text));
        }
        env::var_os("OUT_DIR").map(PathBuf::from).ok_or_else(|| {
            Error::new("OUT_DIR is not set: not in a build script, so give an `out_dir`")
        })
    }
}

/// Compiles `.proto` files into an encoded `google.protobuf.FileDescriptorSet`, imports and comments
/// included.
///
/// # Errors
/// As [`Config::compile`].
pub fn descriptors(
    files: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> Result<Vec<u8>, Error> {
    compile(files, &Includes::new(includes), None).map(|compiled| compiled.set)
}

struct Compiled {
    /// A `FileDescriptorSet`.
    set: Vec<u8>,
    /// The files on disk.
    read: Vec<PathBuf>,
}

/// Compiles files by the given program, or here, or by another program if they need it.
fn compile(
    files: &[impl AsRef<Path>],
    includes: &Includes,
    compiler: Option<&Path>,
) -> Result<Compiled, Error> {
    let Some(program) = compiler else {
        return match protox(files, includes) {
            Err(Unread::Edition(error)) => {
                if env::var_os("OUT_DIR").is_some() {
                    println!("cargo::rerun-if-env-changed=PROTOC");
                }
                let installed = Installed::find().ok_or(error)?;
                by_program(&installed, files, includes)
            }
            Err(Unread::Other(error)) => Err(error),
            Ok(compiled) => Ok(compiled),
        };
    };
    by_program(&Installed::new(program), files, includes)
}

fn by_program(
    program: &Installed,
    files: &[impl AsRef<Path>],
    includes: &Includes,
) -> Result<Compiled, Error> {
    let files: Vec<_> = files.iter().map(|file| file.as_ref().to_owned()).collect();
    let set = program.compile(&files, &includes.0)?;
    let names = FileSet::files(&set)?;
    let read = names
        .iter()
        .filter_map(|file| includes.on_disk(file.file.name()));
    Ok(Compiled {
        read: read.map(PathBuf::from).collect(),
        set,
    })
}

/// Why protox cannot read a file.
enum Unread {
    /// It has an edition, which protox does not know.
    Edition(Error),
    Other(Error),
}

fn protox(files: &[impl AsRef<Path>], includes: &Includes) -> Result<Compiled, Unread> {
    let explain = |error| includes.explain(&error);
    let mut resolver = ChainFileResolver::new();
    // A newer one on the way may say what protox does not know.
    resolver.add(GoogleFileResolver::new());
    for dir in &includes.0 {
        resolver.add(IncludeFileResolver::new(dir.clone()));
    }
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    for file in files {
        let opened = compiler.open_file(file);
        opened.map_err(|error| {
            let unfound = error.is_file_not_found() && error.file().is_none();
            if unfound {
                Unread::Other(includes.missing(file.as_ref()))
            } else {
                explain(error)
            }
        })?;
    }
    let read = compiler
        .files()
        .filter_map(|file| file.path().map(Path::to_owned));
    Ok(Compiled {
        read: read.collect(),
        set: compiler.encode_file_descriptor_set(),
    })
}

/// What to do where no compiler is installed.
const NEEDS_COMPILER: &str = " (editions need protoc or buf: install one of them, or name it in PROTOC or with_compiler, or give compile_descriptor_set what it wrote elsewhere)";

/// The directories in which imports are looked for.
struct Includes(Vec<PathBuf>);

impl Includes {
    fn new(includes: &[impl AsRef<Path>]) -> Self {
        Self(includes.iter().map(|dir| dir.as_ref().to_owned()).collect())
    }

    /// Why a file to compile was not found.
    fn missing(&self, file: &Path) -> Error {
        let (is, places) = (file.display(), self.list());
        Error::new(if file.exists() {
            format!(
                "{is} is in no include directory, so it has no name that others could import it by: add the directory that its imports start from (there are: {places})"
            )
        } else if file.is_absolute() {
            format!("{is} does not exist")
        } else {
            format!("{is} does not exist (looked in the current directory, {places})")
        })
    }

    /// Where a file is that schemas know by this name.
    fn on_disk(&self, name: &str) -> Option<String> {
        let mut paths = self.0.iter().map(|dir| dir.join(name));
        let path = paths.find(|path| path.exists())?;
        Some(path.display().to_string())
    }

    /// protox puts file, line and column into the debug form only, and the file as imports name it.
    fn explain(&self, error: &protox::Error) -> Unread {
        let mut text = format!("{error:?}");
        let place = error.file().and_then(|name| {
            let rest = text.strip_prefix(name)?;
            rest.starts_with(':').then_some((name, rest))
        });
        if let Some((name, rest)) = place {
            if let Some(path) = self.on_disk(name) {
                text = format!("{path}{rest}");
            }
        }
        if error.is_file_not_found() {
            text.push_str(&format!(" (looked in {})", self.list()));
        }
        if text.contains("but found 'edition'") {
            text.push_str(NEEDS_COMPILER);
            return Unread::Edition(Error::new(text));
        }
        Unread::Other(Error::new(text))
    }

    fn list(&self) -> String {
        let dirs: Vec<_> = self.0.iter().map(|dir| dir.display().to_string()).collect();
        dirs.join(", ")
    }
}

fn write_all(files: &[GeneratedFile], dir: &Path) -> Result<(), Error> {
    fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, error))?;
    for file in files {
        let path = dir.join(&file.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|error| Error::io("create", parent, error))?;
        }
        write_if_changed(&path, file.content.as_bytes())?;
    }
    Ok(())
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
