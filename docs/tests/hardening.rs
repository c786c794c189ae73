//! Each test that the chapter on hardening names is there.

use std::{fs, path::Path};

#[test]
fn every_test_that_is_named_exists() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR"));
    let chapter = fs::read_to_string(docs.join("hardening.md")).unwrap();
    let mut found = 0;
    for row in chapter.lines().filter(|line| line.starts_with("| ")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        // Names, then the file that they are in: "`one` and `two` in [`file.rs`](path)".
        let mut names = Vec::new();
        for part in tests.split('`').skip(1).step_by(2) {
            let Some((_, rest)) = part
                .ends_with(".rs")
                .then(|| tests.split_once(&format!("[`{part}`](")))
                .flatten()
            else {
                names.push(part);
                continue;
            };
            let (path, _) = rest.split_once(')').unwrap();
            let file = fs::read_to_string(docs.join(path))
                .unwrap_or_else(|error| panic!("{path}: {error}"));
            for name in names.drain(..) {
                assert!(
                    file.contains(&format!("fn {name}(")),
                    "{path} has no test {name}"
                );
                found += 1;
            }
        }
        assert!(names.is_empty(), "no file has {names:?}");
    }
    assert!(found > 30, "{found}");
}
