//! Compiles the suite's own `.proto` files, which come with the runner and are not committed.

use std::{env, error::Error, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-env-changed=CONFORMANCE_PROTO");
    let root = env::var_os("CONFORMANCE_PROTO").map(PathBuf::from).ok_or(
        "CONFORMANCE_PROTO is not set to the folder `proto` of the Go module connectrpc.com/conformance; \
         conformance/run sets it",
    )?;
    let files = ["service", "client_compat", "server_compat", "config"].map(|name| {
        root.join("connectrpc/conformance/v1")
            .join(name)
            .with_extension("proto")
    });
    connect_codegen::Config::new().compile(&files, &[root])?;
    Ok(())
}
