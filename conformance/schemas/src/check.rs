//! `cargo check` of generated code, as a crate of its own.

use std::{error::Error, fs, path::PathBuf, process::Command, time::Duration};

use crate::{fetch, generate};

/// The clock of `/proc`, in ticks a second: fixed for programs on Linux.
const TICKS: u64 = 100;

/// Checks a crate of these files, whose `root` includes the others, and returns the CPU time of the compiler
/// for it alone.
pub(crate) fn check(
    name: &str,
    dependencies: &str,
    files: &[(String, String)],
    root: &str,
) -> Result<Duration, Box<dyn Error>> {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let conformance = manifest.parent().ok_or("no folder above")?;
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| conformance.join("target"), PathBuf::from);
    let folder = target.join("schemas").join(name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("src"))?;
    let crates = conformance.parent().ok_or("no folder above")?.display();
    fs::write(
        folder.join("Cargo.toml"),
        format!(
            "[workspace]\n[package]\nname = \"{name}\"\nedition = \"2024\"\n[dependencies]\n{}\n",
            dependencies.replace("CRATES", &crates.to_string())
        ),
    )?;
    fs::copy(conformance.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let cargo = || {
        let mut command = Command::new("cargo");
        command
            .args(["check", "--quiet", "--offline"])
            .current_dir(&folder);
        command
            .env("CARGO_INCREMENTAL", "0")
            .env("CARGO_TARGET_DIR", target.join("schemas/target"));
        fetch::output(&mut command)
    };
    fs::write(folder.join("src/lib.rs"), "")?;
    cargo()?;
    generate::write(files, &folder.join("src"))?;
    // Lints are the reader's.
    fs::write(
        folder.join("src/lib.rs"),
        format!("#![allow(warnings)]\n{root}"),
    )?;
    let started = children()?;
    cargo()?;
    Ok(children()?.saturating_sub(started))
}

/// The CPU time of all programs that this one has waited for.
fn children() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The program's name, in parentheses, may hold spaces.
    let fields = stat.rsplit(')').next().ok_or("no fields in stat")?;
    let mut ticks = 0;
    for field in fields.split_whitespace().skip(13).take(2) {
        ticks += field.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 1000 / TICKS))
}
