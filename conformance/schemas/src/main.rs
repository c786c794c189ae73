//! The generator over the schemas that registries ship: what fails, how much is written and how long it takes,
//! beside prost-build.
//!
//! `schemas [--quick] [NAME...]`: see `run` beside this crate. `schemas --sets FOLDER` writes the descriptor sets
//! for `roundtrip` there.

mod check;
mod compile;
mod fetch;
mod generate;
mod packages;
mod report;

use std::{env, error::Error, fs, panic, path::Path, time::Duration};

use compile::{Compiled, Head, Set};
use generate::Generated;
use packages::Package;
use prost::Message;
use report::{Pair, Row};

fn main() -> Result<(), Box<dyn Error>> {
    let (mut quick, mut names) = (false, Vec::new());
    let mut arguments = env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--quick" => quick = true,
            "--sets" => return sets(Path::new(&arguments.next().ok_or("--sets needs a folder")?)),
            name if !name.starts_with('-') => names.push(name.to_owned()),
            other => return Err(format!("unknown option {other}").into()),
        }
    }
    let chosen = |package: &&Package| {
        (!quick || package.quick)
            && (names.is_empty() || names.iter().any(|name| name == package.name))
    };
    // A panic is a failure like others here, and its words are in the report.
    panic::set_hook(Box::new(|_| {}));
    println!("{}", report::HEAD);
    let mut total = Row::default();
    for package in packages::ALL.iter().filter(chosen) {
        let row = sweep(package, quick).map_err(|error| format!("{}: {error}", package.name))?;
        println!("{}", row.line(package));
        total.add(&row);
    }
    for (what, failures) in [
        ("The plugin fails", &total.failed),
        ("`build.rs` fails", &total.unread),
        ("Refused by `protoc`, so not counted", &total.refused),
    ] {
        println!("\n{what}: {} of {} files", failures.len(), total.files);
        for line in report::causes(failures) {
            println!("{line}");
        }
    }
    for (file, reason) in packages::KNOWN_FAILURES {
        println!("\nKnown: `{file}`: {reason}");
        total.failed.retain(|(name, _)| name != file);
    }
    let failed = total.failed.len();
    println!("\n{} passed, {failed} failed", total.files - failed);
    if failed == 0 {
        Ok(())
    } else {
        Err("some files fail".into())
    }
}

fn sweep(package: &Package, quick: bool) -> Result<Row, Box<dyn Error>> {
    let compiled = compile::compile(package)?;
    let mut row = Row {
        refused: compiled.refused.clone(),
        ..Row::default()
    };
    for set in &compiled.sets {
        row.files += set.files.len();
        row.editions += editions(set)?;
        row.unread.extend(unread(set, &compiled));
        let prost = generate::prost_build(set)?;
        let ours = generate::plugin(set, generate::MESSAGES)?;
        if ours.failed.is_empty() && prost.failed.is_empty() {
            row.lines.ours += ours.lines();
            row.lines.prost += prost.lines();
            row.time.ours += ours.cpu;
            row.time.prost += prost.cpu;
            if package.checked && !quick {
                match checks(package, &ours, &prost) {
                    Ok(check) => row.check = check,
                    Err(error) => {
                        let words = format!("does not compile: {error}");
                        row.failed.push((set.files[0].clone(), words));
                    }
                }
            }
        }
        let all = generate::plugin(set, generate::DEFAULTS)?;
        row.all_lines += all.lines();
        row.failed.extend(all.failed);
    }
    Ok(row)
}

/// Files with an edition instead of a syntax.
fn editions(set: &Set) -> Result<usize, Box<dyn Error>> {
    let mut count = 0;
    for file in set.raw()?.file {
        let head = Head::decode(file.as_slice())?;
        count += usize::from(head.syntax == "editions" && set.files.contains(&head.name));
    }
    Ok(count)
}

/// Files that a `build.rs` cannot compile.
fn unread(set: &Set, compiled: &Compiled) -> Vec<(String, String)> {
    let read = |files: &[String]| {
        let read = panic::catch_unwind(|| connect_codegen::descriptors(files, &compiled.roots));
        match read {
            Ok(read) => read.map(drop).map_err(|error| error.to_string()),
            Err(_) => Err("panic".to_owned()),
        }
    };
    if read(&set.files).is_ok() {
        return Vec::new();
    }
    let fails = |file: &String| Some((file.clone(), read(std::slice::from_ref(file)).err()?));
    set.files.iter().filter_map(fails).collect()
}

/// Writes a descriptor set for each package whose messages make round trips.
fn sets(folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for package in packages::ALL.iter().filter(|package| package.round_trip) {
        let name = package.name.to_lowercase().replace([' ', '-', '/'], "_");
        let path = folder.join(name).with_extension("bin");
        for set in compile::compile(package)?.sets {
            // Cargo goes by modification times.
            if fs::read(&path).ok().as_ref() != Some(&set.encoded) {
                fs::write(&path, &set.encoded)?;
            }
        }
    }
    Ok(())
}

fn checks(
    package: &Package,
    ours: &Generated,
    prost: &Generated,
) -> Result<Option<Pair<Duration>>, Box<dyn Error>> {
    let slug = package
        .name
        .to_lowercase()
        .replace(|c: char| !c.is_alphanumeric(), "");
    let codec = "connect-codec = { path = \"CRATES/connect-codec\" }";
    let plain = "prost = \"0.14\"\nprost-types = \"0.14\"";
    let tree = generate::include_tree(&prost.files);
    let ours = check::check(
        &format!("{slug}-ours"),
        codec,
        &ours.files,
        "include!(\"_protos.rs\");",
    )?;
    // prost-build's own may not compile, as Envoy's: a package is named like a message beside it.
    let prost = check::check(&format!("{slug}-prost"), plain, &prost.files, &tree);
    Ok(prost.ok().map(|prost| Pair { ours, prost }))
}
