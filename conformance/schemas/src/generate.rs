//! A set through the plugin, as `protoc` and `buf` would call it, and through prost-build; both in this process.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use prost::Message;
use prost_build::Module;
use prost_types::{FileDescriptorSet, compiler::CodeGeneratorResponse};

use crate::compile::{Head, Set};

/// The text that a generator writes, and what it costs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Generated {
    /// Paths and texts.
    pub(crate) files: Vec<(String, String)>,
    pub(crate) cpu: Duration,
    /// Files that it fails at, with its words.
    pub(crate) failed: Vec<(String, String)>,
}

impl Generated {
    pub(crate) fn lines(&self) -> usize {
        self.files
            .iter()
            .map(|(_, text)| text.lines().count())
            .sum()
    }
}

/// Options for messages and JSON alone, as prost-build knows no services.
pub(crate) const MESSAGES: &str =
    "server=false,client=false,descriptor_set=false,crate_path=::connect_codec";
/// Options for all that the plugin writes by default.
pub(crate) const DEFAULTS: &str = "";

/// A `CodeGeneratorRequest` whose files stay encoded.
#[derive(Clone, PartialEq, Message)]
struct RawRequest {
    #[prost(string, repeated, tag = "1")]
    file_to_generate: Vec<String>,
    #[prost(string, tag = "2")]
    parameter: String,
    #[prost(bytes = "vec", repeated, tag = "15")]
    proto_file: Vec<Vec<u8>>,
}

/// What the plugin writes for a set and its imports, without the files that it fails at.
pub(crate) fn plugin(set: &Set, parameter: &str) -> Result<Generated, Box<dyn Error>> {
    let files = set.raw()?.file;
    let mut names = Vec::new();
    for file in &files {
        let name = Head::decode(file.as_slice())?.name;
        // What is imported from there exists in connect-codec.
        if set.files.contains(&name) || !name.starts_with("google/protobuf/") {
            names.push(name);
        }
    }
    let mut request = RawRequest {
        file_to_generate: names,
        parameter: parameter.to_owned(),
        proto_file: files,
    };
    let mut generated = Generated::default();
    loop {
        let encoded = request.encode_to_vec();
        let started = cpu()?;
        let answer = catch_unwind(|| connect_codegen::plugin(&encoded));
        generated.cpu = cpu()?.saturating_sub(started);
        let response = match answer {
            Ok(answer) => CodeGeneratorResponse::decode(answer?.as_slice())?,
            Err(panic) => CodeGeneratorResponse {
                error: Some(format!("panic: {}", words(&*panic))),
                ..CodeGeneratorResponse::default()
            },
        };
        let Some(error) = response.error else {
            let files = response.file.into_iter();
            generated.files = files
                .map(|file| (file.name().to_owned(), file.content().to_owned()))
                .collect();
            return Ok(generated);
        };
        // The plugin stops at the first file; once more without it shows the others.
        let all = &mut request.file_to_generate;
        let guilty = all
            .iter()
            .position(|name| error.contains(&format!("--> {name}")));
        let Some(guilty) = guilty.or_else(|| (all.len() == 1).then_some(0)) else {
            generated
                .failed
                .extend(all.iter().map(|name| (name.clone(), error.clone())));
            return Ok(generated);
        };
        generated.failed.push((all.remove(guilty), error));
        if all.is_empty() {
            return Ok(generated);
        }
    }
}

/// What prost-build writes for the same; it fails at all or nothing.
pub(crate) fn prost_build(set: &Set) -> Result<Generated, Box<dyn Error>> {
    let mut generated = Generated::default();
    let started = cpu()?;
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let decoded = FileDescriptorSet::decode(set.encoded.as_slice())?;
        let files = decoded.file.into_iter();
        let requests = files.map(|file| (Module::from_protobuf_package_name(file.package()), file));
        prost_build::Config::new()
            .generate(requests.collect())
            .map_err(Box::<dyn Error>::from)
    }));
    generated.cpu = cpu()?.saturating_sub(started);
    match answer {
        Ok(modules) => generated.files = paths(modules?),
        Err(panic) => generated
            .failed
            .push((set.files[0].clone(), words(&*panic))),
    }
    Ok(generated)
}

/// Modules by their names, with a file that includes them all.
fn paths(modules: HashMap<Module, String>) -> Vec<(String, String)> {
    let mut files: Vec<_> = modules
        .into_iter()
        .filter(|(_, text)| !text.is_empty())
        .collect();
    files.sort();
    let named = files
        .into_iter()
        .map(|(module, text)| (module.to_file_name_or("_"), text));
    named.collect()
}

/// The module tree that prost-build writes on request, of files named after packages.
pub(crate) fn include_tree(files: &[(String, String)]) -> String {
    fn write(out: &mut String, packages: &BTreeSet<Vec<&str>>, at: &[&str]) {
        if packages.contains(at) {
            out.push_str(&format!("include!(\"{}.rs\");\n", at.join(".")));
        }
        let below = packages.iter().filter(|package| package.starts_with(at));
        let next: BTreeSet<_> = below.filter_map(|package| package.get(at.len())).collect();
        for name in next {
            let mut path = at.to_vec();
            path.push(name);
            out.push_str(&format!("pub mod {name} {{\n"));
            write(out, packages, &path);
            out.push_str("}\n");
        }
    }
    let names = files
        .iter()
        .filter_map(|(name, _)| name.strip_suffix(".rs"));
    let packages = names.map(|name| name.split('.').collect()).collect();
    let mut out = String::new();
    write(&mut out, &packages, &[]);
    out
}

/// Writes files, with the folders they lie in.
pub(crate) fn write(files: &[(String, String)], folder: &Path) -> Result<(), Box<dyn Error>> {
    for (name, text) in files {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("?")
        .to_owned()
}

/// The time that this thread has run: other programs on the machine do not matter to it.
fn cpu() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = stat.split(' ').next().ok_or("no time in schedstat")?;
    Ok(Duration::from_nanos(nanos.parse()?))
}
