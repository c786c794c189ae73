//! What the build script has told Cargo.

use std::{fs, path::Path};

#[test]
fn the_script_runs_again_when_a_schema_changes() {
    let out = Path::new(env!("OUT_DIR"));
    let told = fs::read_to_string(out.with_file_name("output")).unwrap();
    for schema in ["proto/names.proto", "proto/shapes/v1/shapes.proto"] {
        let line = format!("cargo::rerun-if-changed={schema}");
        assert!(told.lines().any(|told| told == line), "{told}");
    }
    // These come with the compiler.
    assert!(!told.contains("google/protobuf"), "{told}");
}
