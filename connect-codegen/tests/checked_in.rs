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
