//! Brings packages from registries, once, to a cache outside the clone: `.proto` files and licences only.

use std::{
    env,
    error::Error,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::packages::{Registry, Source};

/// The folder that imports of this source start from.
pub(crate) fn root(source: &Source) -> Result<PathBuf, Box<dyn Error>> {
    let slug = |text: &str| text.replace(['/', ':', '@'], "_");
    let root = cache()?.join(format!(
        "{}-{}-{}",
        slug(source.name),
        source.version,
        slug(source.folder)
    ));
    if !root.exists() {
        // Complete, or not there at all.
        let new = root.with_extension("new");
        if new.exists() {
            fs::remove_dir_all(&new)?;
        }
        let whole = cache()?.join(format!("unpacked-{}", std::process::id()));
        if whole.exists() {
            fs::remove_dir_all(&whole)?;
        }
        fs::create_dir_all(&whole)?;
        let from = unpack(source, &whole)
            .map_err(|error| format!("{} {}: {error}", source.name, source.version))?;
        let to = new.join(source.mount);
        if copy_schemas(&from.join(source.folder), &to)? == 0 {
            return Err(format!("{}: no .proto file in {:?}", source.name, source.folder).into());
        }
        fs::rename(&new, &root)?;
        fs::remove_dir_all(&whole)?;
    }
    Ok(root)
}

fn cache() -> Result<PathBuf, Box<dyn Error>> {
    let tools = env::var_os("TOOLS").ok_or("TOOLS is not set; conformance/schemas/run sets it")?;
    Ok(PathBuf::from(tools).join("schemas"))
}

/// The package's files, through the registry's own client; returns where they are.
fn unpack(source: &Source, into: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let (name, version) = (source.name, source.version);
    let said = |command: &mut Command| output(command.current_dir(into));
    match source.registry {
        Registry::Npm => {
            let spec = format!("{name}@{version}");
            said(Command::new("npm").args(["pack", "--silent", &spec]))?;
            let archive = only_file(into, "tgz")?;
            said(Command::new("tar").arg("xzf").arg(archive))?;
            Ok(into.join("package"))
        }
        Registry::PyPi => {
            let spec = format!("{name}=={version}");
            let pip = ["-m", "pip", "download", "--quiet", "--no-deps", &spec];
            said(Command::new("python3").args(pip))?;
            unzip(&only_file(into, "whl")?, into)
        }
        Registry::Maven => {
            let copy = [
                "-q",
                "-B",
                "dependency:copy",
                &format!("-Dartifact={name}:{version}"),
                "-DoutputDirectory=.",
            ];
            said(Command::new("mvn").args(copy))?;
            unzip(&only_file(into, "jar")?, into)
        }
        Registry::Go => {
            let module = format!("{name}@{version}");
            let json = said(Command::new("go").args(["mod", "download", "-json", &module]))?;
            let dir = json
                .split("\"Dir\": \"")
                .nth(1)
                .and_then(|rest| rest.split('"').next());
            Ok(dir.ok_or("go told no folder")?.into())
        }
    }
}

fn unzip(archive: &Path, into: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let files = into.join("files");
    output(
        Command::new("python3")
            .args(["-m", "zipfile", "-e"])
            .arg(archive)
            .arg(&files),
    )?;
    Ok(files)
}

fn only_file(dir: &Path, extension: &str) -> Result<PathBuf, Box<dyn Error>> {
    let entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
    let mut paths = entries.iter().map(fs::DirEntry::path);
    let found = paths.find(|path| path.extension() == Some(OsStr::new(extension)));
    Ok(found.ok_or_else(|| format!("no .{extension} file came"))?)
}

/// Copies `.proto` files, and returns how many there are.
fn copy_schemas(from: &Path, to: &Path) -> Result<usize, Box<dyn Error>> {
    fs::create_dir_all(to)?;
    let mut copied = 0;
    for name in schemas(from)? {
        let target = to.join(&name);
        fs::create_dir_all(target.parent().unwrap_or(to))?;
        // Not `fs::copy`, which would also copy that Go's files are read-only.
        fs::write(target, fs::read(from.join(&name))?)?;
        copied += 1;
    }
    Ok(copied)
}

/// The `.proto` files below a folder, as imports name them, sorted.
pub(crate) fn schemas(root: &Path) -> Result<Vec<String>, Box<dyn Error>> {
    let mut names = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension() == Some(OsStr::new("proto")) {
                names.push(path.strip_prefix(root)?.display().to_string());
            }
        }
    }
    names.sort();
    Ok(names)
}

/// Runs a command and returns what it says, or fails with its complaint.
pub(crate) fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let done = command.output().map_err(|error| {
        format!(
            "cannot start {}: {error}",
            command.get_program().to_string_lossy()
        )
    })?;
    if !done.status.success() {
        return Err(String::from_utf8_lossy(&done.stderr).trim().into());
    }
    Ok(String::from_utf8_lossy(&done.stdout).into_owned())
}
