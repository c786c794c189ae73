//! The plugin for `protoc` and `buf`; what it does is in the library.

use std::{
    env,
    io::{self, Read as _, Write as _},
    process::ExitCode,
};

fn main() -> ExitCode {
    match run(env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protoc-gen-connect-prost: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(argument: Option<&str>) -> Result<(), Box<dyn std::error::Error>> {
    let answer = match argument {
        None => {
            let mut request = Vec::new();
            io::stdin().read_to_end(&mut request)?;
            connect_codegen::plugin(&request)?
        }
        Some("-h" | "--help") => connect_codegen::help().into(),
        Some("-V" | "--version") => concat!(env!("CARGO_PKG_VERSION"), "\n").into(),
        Some(other) => return Err(format!("unknown argument {other:?}, see --help").into()),
    };
    io::stdout().write_all(&answer)?;
    Ok(())
}
