//! The server under test on tokio.

use std::error::Error;

use conformance_suite::program;
use connect_tokio::Tokio;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    program::serve::<Tokio>().await
}
