//! Compiles one schema for every library; protox stands in for `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const PROTO: &str = "bench/v1/echo.proto";

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(env::var("OUT_DIR")?);
    connect_codegen::Config::new().compile(&[format!("proto/{PROTO}")], &["proto"])?;

    let descriptors = protox::compile([PROTO], ["proto"])?;
    let descriptor_file = out.join("echo.binpb");
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
        .files(&[PROTO])
        .out_dir(connectrpc)
        .include_file("_connectrpc.rs")
        .compile()?;
    Ok(())
}
