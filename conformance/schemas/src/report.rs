//! The table, and the failures by their cause.

use std::{collections::BTreeMap, time::Duration};

use crate::packages::Package;

/// What one package came to.
#[derive(Debug, Default)]
pub(crate) struct Row {
    pub(crate) files: usize,
    /// Of these with an edition instead of a syntax.
    pub(crate) editions: usize,
    /// Files that `protoc` refuses.
    pub(crate) refused: Vec<(String, String)>,
    /// Files that the plugin fails at, its own words.
    pub(crate) failed: Vec<(String, String)>,
    /// Files that `Config::compile` cannot read without `protoc`.
    pub(crate) unread: Vec<(String, String)>,
    /// Messages and JSON, of the sets that prost-build can do as well.
    pub(crate) lines: Pair<usize>,
    pub(crate) time: Pair<Duration>,
    /// With services and descriptors, all sets.
    pub(crate) all_lines: usize,
    pub(crate) check: Option<Pair<Duration>>,
}

/// This project's generator, and prost-build.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pair<T> {
    pub(crate) ours: T,
    pub(crate) prost: T,
}

/// The head of the table.
pub(crate) const HEAD: &str = "\
| package | licence | registry | files | editions | fail | build.rs fails | lines | prost-build | ratio | with services | s | prost-build | ratio | check s | prost | ratio |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |";

impl Row {
    pub(crate) fn line(&self, package: &Package) -> String {
        let check = self
            .check
            .map_or_else(|| " | | ".to_owned(), |check| times(&check));
        format!(
            "| {} | {} | {} {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {check} |",
            package.name,
            package.licence,
            package.source.registry.name(),
            package.source.version,
            self.files,
            self.editions,
            self.failed.len(),
            self.unread.len(),
            self.lines.ours,
            self.lines.prost,
            ratio(self.lines.ours as f64, self.lines.prost as f64),
            self.all_lines,
            times(&self.time),
        )
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.editions += other.editions;
        self.failed.extend(other.failed.iter().cloned());
        self.refused.extend(other.refused.iter().cloned());
        self.unread.extend(other.unread.iter().cloned());
        self.lines.ours += other.lines.ours;
        self.lines.prost += other.lines.prost;
        self.time.ours += other.time.ours;
        self.time.prost += other.time.prost;
        self.all_lines += other.all_lines;
        if let Some(check) = other.check {
            let sum = self.check.get_or_insert_default();
            sum.ours += check.ours;
            sum.prost += check.prost;
        }
    }
}

fn times(pair: &Pair<Duration>) -> String {
    let (ours, prost) = (pair.ours.as_secs_f64(), pair.prost.as_secs_f64());
    format!("{ours:.2} | {prost:.2} | {}", ratio(ours, prost))
}

fn ratio(ours: f64, prost: f64) -> String {
    if prost == 0.0 {
        String::new()
    } else {
        format!("{:.2}", ours / prost)
    }
}

/// Failures of one kind under one line, the commonest first, each with a file.
pub(crate) fn causes(failures: &[(String, String)]) -> Vec<String> {
    let mut causes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (file, words) in failures {
        causes.entry(cause(words)).or_default().push(file);
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    causes.sort_by_key(|(_, files)| std::cmp::Reverse(files.len()));
    let lines = causes
        .iter()
        .map(|(cause, files)| format!("- {} × {cause} (`{}`)", files.len(), files[0]));
    lines.collect()
}

/// The first line of an error without the names in it, and without where it is.
fn cause(words: &str) -> String {
    let mut lines = words.lines();
    let mut line = lines
        .find(|line| !line.contains("warning"))
        .unwrap_or_default();
    if let Some((_, rest)) = line.rsplit_once(".proto:") {
        line = rest.trim_start_matches(|c: char| c.is_ascii_digit() || ": ".contains(c));
    }
    let parts = line.split(['"', '`', '\'']).enumerate();
    let named = parts.map(|(at, part)| if at % 2 == 0 { part } else { "…" });
    named.collect::<String>().chars().take(160).collect()
}
