//! The server under test on async-std.

use std::error::Error;

use conformance_suite::program;
use connect_smol::async_std::AsyncStd;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    async_std::task::block_on(program::serve::<AsyncStd>())
}
