//! Replays every corpus of `fuzz/`, and random bytes, through the fuzz targets as an ordinary test.

use std::{fs, path::Path};

use connect_test::fuzz::TARGETS;

#[test]
fn corpora_replay() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    for (name, target) in TARGETS {
        let folder = fuzz.join("corpus").join(name);
        let entries = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{name} has a corpus at {}: {error}", folder.display()));
        let mut replayed = 0;
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            target(&fs::read(&path).expect("a readable seed"));
            replayed += 1;
        }
        assert!(replayed > 0, "the corpus of {name} is empty");
    }
}

/// Every target has a binary for cargo-fuzz, and every binary is a target.
#[test]
fn targets_and_binaries_agree() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
    let mut binaries: Vec<String> = fs::read_dir(folder)
        .expect("fuzz/fuzz_targets exists")
        .map(|entry| entry.expect("a readable folder").path())
        .map(|path| {
            path.file_stem()
                .expect("a file")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    binaries.sort();
    let names: Vec<&str> = TARGETS.iter().map(|target| target.0).collect();
    assert_eq!(binaries, names);
}

/// A xorshift, so that the bytes are the same in every run.
#[test]
fn random_bytes_are_survived() {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..2_000usize {
        let bytes: Vec<u8> = (0..round % 200).map(|_| next().to_le_bytes()[0]).collect();
        for (_, target) in TARGETS {
            target(&bytes);
        }
    }
}
