//! Compiles the schemas that the chapters use, and makes doctests of the chapters.
//!
//! A chapter is plain Markdown for its readers. What a block of Rust needs to compile and run by itself stands in
//! comments that no reader sees, right before and right after the block:
//!
//! ```text
//! <!-- before:
//! use connect_docs::greet::GreetRequest;
//! -->
//! (the block)
//! <!-- after:
//! assert_eq!(answer, 42);
//! -->
//! ```
//!
//! Here these lines move into the block, as rustdoc's hidden lines.

use std::{env, error::Error, fs, path::Path};

/// The file to read, and the name of what is written for `src/lib.rs` to include.
const CHAPTERS: &[(&str, &str)] = &[
    ("../README.md", "project.md"),
    ("services-and-handlers.md", "services.md"),
    ("clients.md", "clients.md"),
    ("codegen.md", "codegen.md"),
    ("streaming.md", "streaming.md"),
    ("errors.md", "errors.md"),
    ("tls.md", "tls.md"),
    ("health-and-reflection.md", "health.md"),
    ("deployment.md", "deployment.md"),
    ("observability.md", "observability.md"),
    ("how-a-call-flows.md", "flows.md"),
    ("embedding.md", "embedding.md"),
    ("web.md", "web.md"),
    ("performance.md", "performance.md"),
    ("simulation.md", "simulation.md"),
    ("from-tonic.md", "from_tonic.md"),
];

fn main() -> Result<(), Box<dyn Error>> {
    connect_codegen::Config::new()
        .add_unknown_fields(".shop")
        .compile(
            &[
                "proto/hello/v1/hello.proto",
                "proto/greet/v1/greet.proto",
                "proto/shop/shop.proto",
                "proto/talk/v1/talk.proto",
            ],
            &["proto"],
        )?;
    let out = env::var("OUT_DIR")?;
    connect_codegen::Config::new()
        .add_view(".greet.v1.GreetService.Greet")
        .with_crate_path("::connect_tokio")
        .with_out_dir(Path::new(&out).join("viewed"))
        .compile(&["proto/greet/v1/greet.proto"], &["proto"])?;
    for (source, target) in CHAPTERS {
        fs::write(Path::new(&out).join(target), tests_of(source)?)?;
    }
    let mut readmes = Vec::new();
    for entry in fs::read_dir("..")? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let readme = format!("../{name}/README.md");
        // Crates that are published have one.
        if name.starts_with("connect-") && Path::new(&readme).exists() {
            readmes.push(readme);
        }
    }
    readmes.sort();
    let readmes: Result<Vec<_>, _> = readmes.iter().map(|readme| tests_of(readme)).collect();
    fs::write(Path::new(&out).join("crates.md"), readmes?.concat())?;
    println!("cargo::rerun-if-changed=build.rs");
    Ok(())
}

/// The doctests of a file.
fn tests_of(source: &str) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={source}");
    let text = fs::read_to_string(source)?;
    let tests = with_hidden_lines(&text);
    Ok(tests.map_err(|line| format!("{source}:{line}: a comment without a block"))?)
}

/// The chapter with its comments moved into the blocks that they belong to. The error is the line of a comment that
/// belongs to none.
fn with_hidden_lines(text: &str) -> Result<String, usize> {
    let mut out = String::new();
    let mut lines = text.lines().enumerate().peekable();
    let mut before: Option<(usize, String)> = None;
    let mut in_rust = false;
    while let Some((number, line)) = lines.next() {
        if line == "<!-- before:" {
            before = Some((number + 1, hidden(&mut lines)));
            continue;
        }
        if in_rust && line == "```" {
            in_rust = false;
            if lines.next_if(|(_, line)| *line == "<!-- after:").is_some() {
                out.push_str(&hidden(&mut lines));
            }
        } else if line.starts_with("```rust") {
            in_rust = true;
            out.push_str(line);
            out.push('\n');
            out.push_str(&before.take().unwrap_or_default().1);
            continue;
        } else if line == "<!-- after:" || before.is_some() {
            return Err(number + 1);
        }
        out.push_str(line);
        out.push('\n');
    }
    before.map_or(Ok(out), |(line, _)| Err(line))
}

/// The lines up to the comment's end, as rustdoc hides them.
fn hidden<'a>(lines: &mut impl Iterator<Item = (usize, &'a str)>) -> String {
    lines
        .map(|(_, line)| line)
        .take_while(|line| *line != "-->")
        .map(|line| format!("# {line}\n"))
        .collect()
}
