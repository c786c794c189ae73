//! Descriptor sets of packages, by `protoc`: it reads every edition.

use std::{
    collections::BTreeMap,
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use prost::Message;

use crate::{
    fetch,
    packages::{Package, Unit},
};

/// Files that are generated at once, with all that they import.
#[derive(Debug)]
pub(crate) struct Set {
    /// The files of the package in it.
    pub(crate) files: Vec<String>,
    pub(crate) encoded: Vec<u8>,
}

/// A package as `protoc` sees it.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub(crate) roots: Vec<PathBuf>,
    pub(crate) sets: Vec<Set>,
    /// Files that `protoc` refuses, with its words: their imports are not shipped, or they test that.
    pub(crate) refused: Vec<(String, String)>,
}

/// Compiles what a row of the table names.
pub(crate) fn compile(package: &Package) -> Result<Compiled, Box<dyn Error>> {
    let own = fetch::root(&package.source)?;
    let mut files = fetch::schemas(&own)?;
    let below = |file: &String, path: &&str| file.starts_with(&format!("{path}/"));
    files.retain(|file| {
        package.only.is_empty() || package.only.iter().any(|path| below(file, path))
    });
    files.retain(|file| !package.except.iter().any(|path| below(file, path)));
    let mut roots = vec![own];
    for import in package.imports {
        roots.push(fetch::root(import)?);
    }
    let protoc = Protoc::new(&roots)?;
    let (sets, refused) = match package.unit {
        Unit::File => protoc.each(&files),
        Unit::Package => protoc.together(&files)?,
    };
    Ok(Compiled {
        roots,
        sets,
        refused,
    })
}

type Sorted = (Vec<Set>, Vec<(String, String)>);

struct Protoc {
    program: PathBuf,
    includes: Vec<PathBuf>,
    scratch: PathBuf,
}

impl Protoc {
    fn new(roots: &[PathBuf]) -> Result<Self, Box<dyn Error>> {
        let program =
            env::var_os("PROTOC").ok_or("PROTOC is not set; conformance/schemas/run sets it")?;
        let program = PathBuf::from(program);
        let own = program.ancestors().nth(2).map(|root| root.join("include"));
        let includes = roots.iter().cloned().chain(own).collect();
        let scratch = env::temp_dir().join(format!("schemas-{}", std::process::id()));
        fs::create_dir_all(&scratch)?;
        Ok(Self {
            program,
            includes,
            scratch,
        })
    }

    fn set(&self, files: &[String]) -> Result<Set, String> {
        let run = || -> Result<Vec<u8>, Box<dyn Error>> {
            let (out, list) = (self.scratch.join("set"), self.scratch.join("list"));
            // Thousands of names are too many for a command line.
            fs::write(&list, files.join("\n"))?;
            let mut command = Command::new(&self.program);
            command.args(
                self.includes
                    .iter()
                    .map(|root| format!("-I{}", root.display())),
            );
            command.args(["--include_imports", "--include_source_info", "-o"]);
            command.arg(&out).arg(format!("@{}", list.display()));
            fetch::output(&mut command)?;
            Ok(fs::read(out)?)
        };
        let encoded = run().map_err(|error| error.to_string())?;
        let files = files.to_vec();
        Ok(Set { files, encoded })
    }

    fn each(&self, files: &[String]) -> Sorted {
        let (mut sets, mut refused) = (Vec::new(), Vec::new());
        for file in files {
            match self.set(std::slice::from_ref(file)) {
                Ok(set) => sets.push(set),
                Err(error) => refused.push((file.clone(), error)),
            }
        }
        (sets, refused)
    }

    /// All files in one set, less those that `protoc` refuses; by folder to find them sooner.
    fn together(&self, files: &[String]) -> Result<Sorted, Box<dyn Error>> {
        if let Ok(set) = self.set(files) {
            return Ok((vec![set], Vec::new()));
        }
        let mut folders: BTreeMap<&Path, Vec<String>> = BTreeMap::new();
        for file in files {
            let folder = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
            folders.entry(folder).or_default().push(file.clone());
        }
        let (mut good, mut refused) = (Vec::new(), Vec::new());
        for files in folders.values() {
            if self.set(files).is_ok() {
                good.extend(files.iter().cloned());
            } else {
                let (sets, bad) = self.each(files);
                good.extend(sets.into_iter().flat_map(|set| set.files));
                refused.extend(bad);
            }
        }
        Ok((vec![self.set(&good)?], refused))
    }
}

impl Drop for Protoc {
    fn drop(&mut self) {
        // Scratch files are of no interest afterwards, whether they go or not.
        let _ = fs::remove_dir_all(&self.scratch);
    }
}

/// A descriptor set whose files stay encoded, as prost-types would drop what it does not know.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RawSet {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) file: Vec<Vec<u8>>,
}

/// What to know of a file without the rest.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Head {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "12")]
    pub(crate) syntax: String,
}

impl Set {
    pub(crate) fn raw(&self) -> Result<RawSet, prost::DecodeError> {
        RawSet::decode(self.encoded.as_slice())
    }
}
