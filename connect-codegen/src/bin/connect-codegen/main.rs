//! The command: schemas are checked, generated, compared with what is checked in, and explained.
//!
//! It is about files, folders and the terminal; all that it knows of schemas is the library's.

mod arguments;
mod check;
mod diff;
mod explain;
mod folder;
mod generate;
mod lines;
mod progress;

use std::process::ExitCode;

use arguments::{Arguments, Command};

/// What `--help` says of exit codes.
const DIFFERENT: u8 = 1;
const FAILED: u8 = 2;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run() -> Result<ExitCode, Error> {
    let arguments = Arguments::parse(lexopt::Parser::from_env())?;
    match &arguments.command {
        Command::Help => print(arguments::HELP),
        Command::Version => print(concat!(env!("CARGO_PKG_VERSION"), "\n")),
        Command::Check => check::run(&arguments),
        Command::Generate { out } => generate::run(&arguments, out),
        Command::Diff { out } => diff::run(&arguments, out),
        Command::Explain { name } => explain::run(&arguments, name),
    }
}

/// To stdout. Who has read enough of it, as `head` has, is no error.
fn print(text: &str) -> Result<ExitCode, Error> {
    use std::io::{ErrorKind, Write as _, stdout};
    match stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}
