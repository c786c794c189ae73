//! Compiles one schema for every library; protox stands in for `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTOS: [&str; 2] = ["bench/v1/bench.proto", "bench/v1/log.proto"];

/// The log records are those of the bench of JSON.
const INCLUDES: [&str; 2] = ["proto", "../json/proto"];

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    let paths = [
        "proto/bench/v1/bench.proto",
        "../json/proto/bench/v1/log.proto",
    ];
    connect_codegen::Config::new().compile(&paths, &INCLUDES)?;

    let descriptors = protox::compile(PROTOS, INCLUDES)?;
    let descriptor_file = out.join("bench.binpb");
    fs::write(&descriptor_file, descriptors.encode_to_vec())?;

    let tonic = out.join("tonic");
    fs::create_dir_all(&tonic)?;
    tonic_prost_build::configure()
        .bytes(".")
        .out_dir(tonic)
        .compile_fds(descriptors)?;

    let connectrpc = out.join("connectrpc");
    fs::create_dir_all(&connectrpc)?;
    connectrpc_build::Config::new()
        .descriptor_set(descriptor_file)
        .files(&PROTOS)
        .out_dir(connectrpc)
        .include_file("_connectrpc.rs")
        .compile()?;
    Ok(())
}
