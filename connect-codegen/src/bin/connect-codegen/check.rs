//! `check`: whether code can be generated.

use std::process::ExitCode;

use crate::{Error, arguments::Arguments};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, Error> {
    arguments.schemas()?.check()?;
    Ok(ExitCode::SUCCESS)
}
