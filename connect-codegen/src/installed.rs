//! Schemas that the compiler in Rust cannot read, such as editions, read by an installed `protoc` or `buf`.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::Error;

/// A program that compiles `.proto` files.
#[derive(Debug)]
pub(crate) enum Installed {
    Protoc(PathBuf),
    Buf(PathBuf),
}

impl Installed {
    /// A program by its path; all that are not called `buf` are asked as `protoc` is.
    pub(crate) fn new(program: &Path) -> Self {
        if program.file_stem() == Some(OsStr::new("buf")) {
            Self::Buf(program.to_owned())
        } else {
            Self::Protoc(program.to_owned())
        }
    }

    /// The program that `PROTOC` names, or the first of `protoc` and `buf` on `PATH`.
    pub(crate) fn find() -> Option<Self> {
        if let Some(program) = env::var_os("PROTOC") {
            return Some(Self::new(Path::new(&program)));
        }
        let programs = ["protoc", "buf"].map(|name| Self::new(Path::new(name)));
        programs.into_iter().find(|program| {
            let version = Command::new(program.path()).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })
    }

    /// Compiles files into an encoded `FileDescriptorSet`, imports and comments included.
    pub(crate) fn compile(
        &self,
        files: &[PathBuf],
        includes: &[PathBuf],
    ) -> Result<Vec<u8>, Error> {
        match self {
            Self::Protoc(_) => self.protoc(files, includes),
            Self::Buf(_) => self.buf(files, includes),
        }
    }

    fn path(&self) -> &Path {
        let (Self::Protoc(path) | Self::Buf(path)) = self;
        path
    }

    fn protoc(&self, files: &[PathBuf], includes: &[PathBuf]) -> Result<Vec<u8>, Error> {
        /// Threads of one program compile at the same time.
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // It cannot write to stdout by a name that exists on every system.
        let name = format!("connect-codegen-{}-{number}.binpb", std::process::id());
        let out = env::temp_dir().join(name);
        let mut command = Command::new(self.path());
        command.args(["--include_imports", "--include_source_info"]);
        command.arg(prefixed("--descriptor_set_out=", &out));
        command.args(includes.iter().map(|dir| prefixed("-I", dir)));
        self.run(command.args(files))?;
        let set = fs::read(&out).map_err(|error| Error::io("read", &out, error))?;
        // Nobody misses a file in a folder of temporary ones.
        let _ = fs::remove_file(&out);
        Ok(set)
    }

    fn buf(&self, files: &[PathBuf], includes: &[PathBuf]) -> Result<Vec<u8>, Error> {
        let absolute =
            |path: &PathBuf| fs::canonicalize(path).map_err(|error| Error::io("find", path, error));
        let includes = includes
            .iter()
            .map(absolute)
            .collect::<Result<Vec<_>, _>>()?;
        let workspace = common(&includes)?;
        let modules = includes.iter().map(|dir| {
            let dir = dir.strip_prefix(&workspace).unwrap_or(dir);
            let dir = if dir == Path::new("") {
                Path::new(".")
            } else {
                dir
            };
            // What JSON escapes is escaped so in Rust as well, in paths that are likely.
            format!("{{\"path\":{:?}}}", dir.display().to_string())
        });
        let modules: Vec<_> = modules.collect();
        let config = format!("{{\"version\":\"v2\",\"modules\":[{}]}}", modules.join(","));
        let mut command = Command::new(self.path());
        command
            .arg("build")
            .arg(&workspace)
            .args(["--config", &config]);
        for file in files {
            let within = includes
                .iter()
                .map(|dir| dir.join(file))
                .find(|path| path.exists());
            command
                .arg("--path")
                .arg(absolute(&within.unwrap_or_else(|| file.clone()))?);
        }
        command.args(["--as-file-descriptor-set", "--output", "-#format=binpb"]);
        Ok(self.run(&mut command)?.stdout)
    }

    fn run(&self, command: &mut Command) -> Result<Output, Error> {
        let name = self.path();
        let output = command
            .output()
            .map_err(|error| Error::io("start", name, error))?;
        if output.status.success() {
            return Ok(output);
        }
        let words = String::from_utf8_lossy(&output.stderr);
        Err(Error::new(words.trim().to_owned()))
    }
}

fn prefixed(option: &str, path: &Path) -> std::ffi::OsString {
    let mut argument = std::ffi::OsString::from(option);
    argument.push(path);
    argument
}

/// The folder that all of these are in, which buf takes for its workspace.
fn common(paths: &[PathBuf]) -> Result<PathBuf, Error> {
    let first = paths
        .first()
        .ok_or_else(|| Error::new("buf needs a directory that imports start from"))?;
    let mut folders = first.ancestors();
    let found = folders.find(|folder| paths.iter().all(|path| path.starts_with(folder)));
    let nowhere = io::Error::from(io::ErrorKind::NotFound);
    Ok(found
        .ok_or_else(|| Error::io("find a folder around", first, nowhere))?
        .to_owned())
}
