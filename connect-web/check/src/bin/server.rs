//! What the checks call: on a free port, open to pages of every origin.

#[cfg(not(target_family = "wasm"))]
#[path = "server/serve.rs"]
mod serve;

#[cfg(not(target_family = "wasm"))]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    serve::run().await
}

/// There are no sockets in a browser.
#[cfg(target_family = "wasm")]
fn main() {}
