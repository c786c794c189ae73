//! The entry of a `build.rs`: `.proto` files in, Rust files out, and the lines that say what Cargo watches.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use protox::file::{ChainFileResolver, GoogleFileResolver, IncludeFileResolver};

#[cfg(feature = "command")]
use crate::explain::explain;
use crate::{
    Config, Error, GeneratedFile, Layout,
    config::Stage,
    descriptor::{FileDescriptor, FileSet},
    error::Columns,
    generate::{read, write},
    installed::Installed,
    schema::Schema,
    unread,
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
        let schemas = self.read(files, includes)?;
        schemas.watch();
        write_all(&schemas.generate()?, &self.output()?)
    }

    /// Reads `.proto` files as [`compile`](Self::compile) does, and writes nothing: what the command
    /// `connect-codegen` begins with, and a test that compares with code that is checked in.
    ///
    /// # Errors
    /// If a file does not compile, or needs a compiler that is not there.
    pub fn read(
        &self,
        files: &[impl AsRef<Path>],
        includes: &[impl AsRef<Path>],
    ) -> Result<Schemas, Error> {
        let (config, includes) = (self.clone(), Includes::new(includes));
        let compiled = compile(files, &includes, self)?;
        Ok(Schemas {
            config,
            includes,
            compiled,
        })
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
        let schemas = self.read_descriptor_set(path)?;
        schemas.watch();
        write_all(&schemas.generate()?, &self.output()?)
    }

    /// Reads an encoded `FileDescriptorSet` as [`compile_descriptor_set`](Self::compile_descriptor_set)
    /// does, and writes nothing.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn read_descriptor_set(&self, path: impl AsRef<Path>) -> Result<Schemas, Error> {
        let path = path.as_ref();
        Ok(Schemas {
            config: self.clone(),
            includes: Includes(vec![PathBuf::new()]),
            compiled: Compiled {
                set: fs::read(path).map_err(|error| Error::io("read", path, error))?,
                read: vec![path.to_owned()],
                columns: Columns::Tabs,
            },
        })
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

/// Files that [`Config::read`] has read, and what to make of them.
#[derive(Debug)]
pub struct Schemas {
    config: Config,
    includes: Includes,
    compiled: Compiled,
}

impl Schemas {
    /// The code of all files, and what makes a tree of modules of them: what
    /// [`compile`](Config::compile) writes, sorted by name.
    ///
    /// # Errors
    /// As [`generate`](crate::generate).
    pub fn generate(&self) -> Result<Vec<GeneratedFile>, Error> {
        self.with_model(write)
    }

    /// Whether code can be generated, which it is not.
    ///
    /// # Errors
    /// As [`generate`](Self::generate).
    pub fn check(&self) -> Result<(), Error> {
        self.with_model(|_, _, _| Ok(()))
    }

    /// How the element of a full name comes out in Rust, and why, as text: what `connect-codegen explain`
    /// prints.
    ///
    /// # Errors
    /// If there is none of this name; else as [`generate`](Self::generate).
    #[cfg(feature = "command")]
    pub fn explain(&self, name: &str) -> Result<String, Error> {
        let on_disk = |file: &str| self.includes.on_disk(file);
        self.with_model(|schema, files, config| explain(schema, files, config, name, on_disk))
    }

    fn with_model<T>(
        &self,
        then: impl FnOnce(&Schema, &[FileDescriptor], &Config) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let work = || {
            let files = FileSet::files(&self.compiled.set)?;
            let names: Vec<_> = files.iter().map(|file| file.file.name()).collect();
            let schema = read(&files, &names, &self.config)?;
            // A plugin may be called for each directory: there a path may stand for nothing.
            schema.check_options()?;
            then(&schema, &files, &self.config)
        };
        let columns = self.compiled.columns;
        work().map_err(|error| error.show(columns, |file| self.includes.on_disk(file)))
    }

    /// Tells Cargo to run the build script again when a file changes.
    fn watch(&self) {
        if env::var_os("OUT_DIR").is_some() {
            for path in &self.compiled.read {
                println!("cargo::rerun-if-changed={}", path.display());
            }
        }
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
    compile(files, &Includes::new(includes), &Config::new()).map(|compiled| compiled.set)
}

#[derive(Debug)]
struct Compiled {
    /// A `FileDescriptorSet`.
    set: Vec<u8>,
    /// The files on disk.
    read: Vec<PathBuf>,
    columns: Columns,
}

/// Compiles files by the given program, or here, or by another program if they need it.
fn compile(
    files: &[impl AsRef<Path>],
    includes: &Includes,
    config: &Config,
) -> Result<Compiled, Error> {
    let Some(program) = &config.compiler else {
        return match protox(files, includes, config) {
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
        read: read.collect(),
        columns: Columns::Tabs,
        set,
    })
}

fn protox(
    files: &[impl AsRef<Path>],
    includes: &Includes,
    config: &Config,
) -> Result<Compiled, Unread> {
    let mut resolver = ChainFileResolver::new();
    // A newer one on the way may say what protox does not know.
    resolver.add(GoogleFileResolver::new());
    for dir in &includes.0 {
        resolver.add(IncludeFileResolver::new(dir.clone()));
    }
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true).include_source_info(true);
    let mut errors = Vec::new();
    let total = files.len();
    for (file, done) in files.iter().zip(1..) {
        match compiler.open_file(file) {
            Ok(_) => {}
            Err(error) if error.is_file_not_found() && error.file().is_none() => {
                errors.push(includes.missing(file.as_ref()));
            }
            Err(error) => errors.push(includes.explain(&error)?),
        }
        config.report(Stage::Read, done, total);
    }
    Error::all(errors).map_err(Unread::Other)?;
    let read = compiler
        .files()
        .filter_map(|file| file.path().map(Path::to_owned));
    Ok(Compiled {
        read: read.collect(),
        set: compiler.encode_file_descriptor_set(),
        columns: Columns::Bytes,
    })
}

/// The directories in which imports are looked for.
#[derive(Debug)]
struct Includes(Vec<PathBuf>);

impl Includes {
    fn new(includes: &[impl AsRef<Path>]) -> Self {
        Self(includes.iter().map(|dir| dir.as_ref().to_owned()).collect())
    }

    /// Why a file to compile was not found.
    fn missing(&self, file: &Path) -> Error {
        let (is, places) = (file.display(), self.list());
        if file.exists() {
            let text = format!(
                "{is} is in no include directory, so it has no name that others could import it by"
            );
            return Error::new(text).with_help(format!(
                "add the directory that its imports start from (there are: {places})"
            ));
        }
        let error = Error::new(format!("{is} does not exist"));
        if file.is_absolute() {
            error
        } else {
            error.with_note(format!("looked in the current directory, {places}"))
        }
    }

    /// Where a file is that schemas know by this name.
    fn on_disk(&self, name: &str) -> Option<PathBuf> {
        let mut paths = self.0.iter().map(|dir| match dir.to_str() {
            Some(".") => PathBuf::from(name),
            _ => dir.join(name),
        });
        paths.find(|path| path.exists())
    }

    /// What protox says, with the files as they are on disk.
    ///
    /// # Errors
    /// If another compiler may know better.
    fn explain(&self, error: &protox::Error) -> Result<Error, Unread> {
        let mut found = unread::errors(error);
        if error.is_file_not_found() {
            found = found.with_note(format!("looked in {}", self.list()));
        }
        let is_edition = format!("{error:?}").contains("but found 'edition'");
        if is_edition {
            found = found.with_help(NEEDS_COMPILER);
        }
        let found = found.show(Columns::Bytes, |file| self.on_disk(file));
        if is_edition {
            Err(Unread::Edition(found))
        } else {
            Ok(found)
        }
    }

    fn list(&self) -> String {
        let dirs: Vec<_> = self.0.iter().map(|dir| dir.display().to_string()).collect();
        dirs.join(", ")
    }
}

/// Why protox cannot read a file.
enum Unread {
    /// It has an edition, which protox does not know.
    Edition(Error),
    Other(Error),
}

/// What to do where no compiler is installed.
const NEEDS_COMPILER: &str = "editions need protoc or buf: install one of them, or name it in PROTOC or with_compiler, \
    or give compile_descriptor_set what it wrote elsewhere";

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
