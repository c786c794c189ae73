//! The client under test on smol.

use std::error::Error;

use conformance_suite::program;
use connect_smol::Smol;

fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    smol::block_on(program::call::<Smol>())
}
