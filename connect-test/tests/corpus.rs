//! Replays every corpus of `fuzz/`, and random bytes, through the fuzz targets as an ordinary test.

use std::{fs, path::Path};

use connect_proto::{Protocol, StreamType};
use connect_test::fuzz::{Outcome, TARGETS, play_call};

#[test]
fn corpora_replay() {
    for (name, target) in TARGETS {
        let seeds = corpus(name);
        assert!(!seeds.is_empty(), "the corpus of {name} is empty");
        for seed in seeds {
            target(&seed);
        }
    }
}

/// A fuzzer that never gets through a call proves little: the corpus has a whole one of each kind.
#[test]
fn calls_reach_their_end() {
    let outcomes: Vec<Outcome> = corpus("calls").iter().map(|seed| play_call(seed)).collect();
    for protocol in Protocol::ALL {
        let of_protocol = || outcomes.iter().filter(|call| call.protocol == protocol);
        assert!(of_protocol().any(|call| call.failed), "{protocol}");
        for stream_type in StreamType::ALL {
            let mut of_type = of_protocol().filter(|call| call.stream_type == stream_type);
            let succeeded = of_type.any(|call| call.succeeded && call.messages > 1);
            assert!(succeeded, "{protocol}, {stream_type:?}");
        }
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    let folder = folder.join(name);
    let entries = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{name} has a corpus at {}: {error}", folder.display()));
    entries
        .map(|entry| entry.expect("a readable folder").path())
        .map(|path| fs::read(path).expect("a readable seed"))
        .collect()
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
