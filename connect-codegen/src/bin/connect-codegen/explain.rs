//! `explain`: how an element comes out in Rust.

use std::process::ExitCode;

use crate::{Error, arguments::Arguments, print};

pub(crate) fn run(arguments: &Arguments, name: &str) -> Result<ExitCode, Error> {
    print(&arguments.schemas()?.explain(name)?)
}
