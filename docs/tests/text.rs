//! What is not Rust in the README and the guide: links lead somewhere, schemas are those that are compiled, and the
//! dependencies that users are told to list are the workspace's.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The README and every chapter, from the root.
fn documents() -> Vec<PathBuf> {
    let chapters = fs::read_dir(root().join("docs")).unwrap();
    let chapters = chapters.map(|entry| Path::new("docs").join(entry.unwrap().file_name()));
    let chapters =
        chapters.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    chapters.chain([PathBuf::from("README.md")]).collect()
}

/// The blocks of one language.
fn blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("\n```{language}\n");
    let found = text.split(&fence).skip(1);
    found
        .map(|rest| rest.split("```").next().unwrap_or_default())
        .collect()
}

/// What headings are called in links.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings
        .map(|line| {
            let title = line.trim_start_matches('#').trim().to_lowercase();
            let kept = title
                .chars()
                .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    for document in documents() {
        let text = read(&document);
        for link in text.split("](").skip(1) {
            let Some((link, _)) = link.split_once(')') else {
                panic!("{}: an open link", document.display());
            };
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            assert!(
                root().join(&target).exists(),
                "{}: {link}",
                document.display()
            );
            let known = anchor.is_empty() || anchors(&read(&target)).contains(anchor);
            assert!(known, "{}: no heading for {link}", document.display());
        }
    }
}

#[test]
fn no_code_is_left_out_of_the_tests() {
    for document in documents() {
        for line in read(&document)
            .lines()
            .filter(|line| line.starts_with("```"))
        {
            let known = ["```", "```rust", "```toml", "```proto", "```sh", "```text"];
            assert!(known.contains(&line), "{}: {line}", document.display());
        }
    }
}

#[test]
fn quoted_code_is_what_the_examples_say() {
    let mut quoted = 0;
    for document in documents() {
        let text = read(&document);
        for rest in text.split("<!-- from: ").skip(1) {
            let (source, rest) = rest.split_once(" -->").expect("the comment's end");
            let block = blocks(rest, "rust")[0];
            let found = read(source).contains(block);
            assert!(found, "{}: not in {source}:\n{block}", document.display());
            quoted += 1;
        }
    }
    assert!(quoted > 0);
}

#[test]
fn schemas_are_the_ones_that_are_compiled() {
    for (document, schema) in [
        ("README.md", "docs/proto/hello/v1/hello.proto"),
        (
            "docs/first-thirty-minutes.md",
            "docs/proto/greet/v1/greet.proto",
        ),
        ("docs/streaming.md", "docs/proto/talk/v1/talk.proto"),
    ] {
        assert_eq!(
            blocks(&read(document), "proto"),
            [read(schema)],
            "{document}"
        );
    }
}

/// ARCHITECTURE.md says where things are; its links are all of the paths that it names.
#[test]
fn the_files_of_the_architecture_exist() {
    let text = read("ARCHITECTURE.md");
    let links = text.split("](").skip(1);
    let links: Vec<_> = links.filter_map(|link| link.split_once(')')).collect();
    assert!(!links.is_empty());
    for (link, _) in links {
        assert!(root().join(link).exists(), "ARCHITECTURE.md: {link}");
    }
}

#[test]
fn the_readme_begins_with_its_title_and_its_two_commands() {
    let readme = read("README.md");
    assert!(readme.starts_with("# ConnectRPC for Rust\n\n"));
    let (_, code) = readme.split_once("```").expect("a block of code");
    assert!(code.starts_with("sh\ncargo run -p eliza\ncargo test\n```\n"));
}

#[test]
fn dependencies_have_the_versions_of_the_workspace() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("version = "));
    let version = version.expect("a version").trim_matches('"');
    let (minor, _) = version.rsplit_once('.').expect("three numbers");
    let readme = read("README.md");
    let [block] = blocks(&readme, "toml")[..] else {
        panic!("the README shows one Cargo.toml");
    };
    for krate in ["connect-tokio", "connect-codegen"] {
        assert!(
            block.contains(&format!("{krate} = \"{minor}\"\n")),
            "{krate}: {block}"
        );
    }
}
