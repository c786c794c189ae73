//! The project of the first chapter, written from its blocks, built and tested as a reader would.
//!
//! It takes the versions of this workspace's `Cargo.lock`, so that it needs no network, and shares its target directory, so
//! that most of it is built already.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

#[test]
fn the_first_project_builds_and_its_tests_pass() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = docs.parent().expect("a workspace");
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("greeter");
    let chapter = fs::read_to_string(docs.join("first-thirty-minutes.md")).unwrap();

    let mut written = Vec::new();
    for (name, content) in files(&chapter) {
        let content = match name {
            // Where the clone is, and that the project is no part of it.
            "Cargo.toml" => {
                let clone = format!("path = \"{}/", root.display());
                content.replace("path = \"../connect/", &clone) + "\n[workspace]\n"
            }
            _ => content.to_owned(),
        };
        write(&project.join(name), &content);
        written.push(name);
    }
    let expected = [
        "Cargo.toml",
        "proto/greet/v1/greet.proto",
        "build.rs",
        "src/lib.rs",
        "src/main.rs",
        "examples/client.rs",
        "tests/greeter.rs",
    ];
    assert_eq!(written, expected);
    fs::copy(root.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let mut cargo = Command::new(env!("CARGO"));
    // What cargo has told this test of its own package would make build scripts run again.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        let told = ["CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_PKG_"];
        if text == "OUT_DIR" || told.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
    let output = cargo
        .args(["test", "--offline", "--quiet"])
        .current_dir(&project)
        .env("CARGO_TARGET_DIR", target())
        // The workspace's profile, so that what is built already fits.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .output()
        .expect("cargo runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "{out}\n{err}");
    assert!(out.contains("3 passed"), "{out}\n{err}");
    assert!(!err.contains("warning"), "{err}");
}

/// The blocks that stand under the name of a file.
fn files(chapter: &str) -> Vec<(&str, &str)> {
    let named = chapter.split("\n**`").skip(1);
    named
        .map(|rest| {
            let (name, rest) = rest
                .split_once("`**\n\n```")
                .expect("a block under the name");
            let (_language, rest) = rest.split_once('\n').expect("a block");
            let (content, _) = rest.split_once("```").expect("the block's end");
            (name, content)
        })
        .collect()
}

/// Leaves a file alone that is as it should be, for the sake of the next build.
fn write(path: &Path, content: &str) {
    if fs::read_to_string(path).is_ok_and(|old| old == content) {
        return;
    }
    fs::create_dir_all(path.parent().expect("a directory")).unwrap();
    fs::write(path, content).unwrap();
}

/// The target directory of this build.
fn target() -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
    directory.expect("a target directory").to_owned()
}
