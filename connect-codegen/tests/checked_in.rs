//! Code that is generated and checked in elsewhere in the repository is fresh.

mod support;

use connect_codegen::Config;
use support::{assert_fresh, generate_all};

#[test]
fn google_rpc_in_connect_codec() {
    let files = [
        "connect-codec/proto/google/rpc/error_details.proto",
        "connect-codec/proto/google/rpc/status.proto",
    ];
    let config = Config::new().crate_path("crate");
    let generated = generate_all(&files, "connect-codec/proto", &config);
    let file = generated
        .iter()
        .find(|file| file.name == "google.rpc.rs")
        .unwrap();
    assert_fresh("connect-codec/src/generated/google.rpc.rs", &file.content);
}

#[test]
fn messages_for_the_json_tests_of_connect_codec() {
    let files = [
        "connect-codec/tests/proto/json_proto2.proto",
        "connect-codec/tests/proto/json_proto3.proto",
    ];
    let config = Config::new().crate_path("::connect_codec");
    for file in generate_all(&files, "connect-codec/tests/proto", &config) {
        if file.name.starts_with("test.") {
            let path = format!("connect-codec/tests/generated/{}", file.name);
            assert_fresh(&path, &file.content);
        }
    }
}

/// What the check crate compiles, and calls.
#[test]
fn golden_files() {
    let files = [
        "connect-codegen/check/proto/names.proto",
        "connect-codegen/check/proto/shapes/v1/legacy.proto",
        "connect-codegen/check/proto/shapes/v1/shapes.proto",
        "connect-codegen/check/proto/shapes/v1/tour.proto",
        "connect-codegen/check/proto/unnamed.proto",
    ];
    let config = Config::new()
        .crate_path("::connect_tower")
        .out_dir("relative includes");
    for file in generate_all(&files, "connect-codegen/check/proto", &config) {
        let path = format!("connect-codegen/tests/golden/{}", file.name);
        assert_fresh(&path, &file.content);
    }
}
