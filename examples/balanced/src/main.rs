//! One client and three servers. They are drained, killed and restarted under load, and a table tells what became of the
//! calls. `balanced --help` lists the scenes; `cargo run -p balanced` shows the first.

mod client;
mod fleet;
mod load;
mod options;
mod scenes;
mod serve;
mod table;

/// Messages, service and client, generated from `proto/fleet/v1/fleet.proto`.
mod rpc {
    connect_tower::include_proto!("fleet.v1");
}

use std::{error::Error, process::ExitCode};

use connect_hyper::Runtime;
use connect_smol::Smol;
use connect_tokio::Tokio;
use options::{Command, Options, RuntimeName};

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("balanced: {error}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let outcome = match options.runtime {
        RuntimeName::Smol => smol::block_on(run::<Smol>(&options)),
        RuntimeName::Tokio => match tokio::runtime::Runtime::new() {
            Ok(tokio) => tokio.block_on(run::<Tokio>(&options)),
            Err(error) => Err(error.into()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("balanced: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The program, on any runtime.
async fn run<R: Runtime>(options: &Options) -> Result<(), Box<dyn Error>> {
    match options.command {
        Command::Help => {
            println!("{}", options::USAGE);
            Ok(())
        }
        Command::Serve { number, address } => serve::run::<R>(number, address).await,
        Command::Watch => scenes::watch::<R>(options).await,
        Command::Rolling => scenes::rolling::<R>(options).await,
        Command::Kill => scenes::kill::<R>(options).await,
    }
}
