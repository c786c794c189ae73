//! Eliza in three protocols on one port.
//!
//! - `eliza` starts a server on a free port, talks to it in every protocol and codec, and ends;
//! - `eliza serve` serves until it is told to stop;
//! - `eliza say "I feel happy"` talks to a running server.
//!
//! Each on the async runtime that `--runtime` names. The service knows none of them.

mod options;
mod say;
mod serve;
mod service;
mod therapist;
mod tour;

/// Messages, service and client, generated from `proto/connectrpc/eliza/v1/eliza.proto`.
mod eliza {
    connect_tower::include_proto!("connectrpc.eliza.v1");
}

use std::{error::Error, process::ExitCode};

use connect_hyper::{
    ClientTls, Runtime, ServerTls,
    tls::{TlsAcceptor, TlsConnector},
};
use connect_smol::{Smol, async_std::AsyncStd};
use connect_tokio::Tokio;
use options::{Command, Options, RuntimeName};

fn main() -> ExitCode {
    let options = match Options::from_args(std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err(error) => {
            eprintln!("eliza: {error}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    // The one place where the runtime is chosen.
    let command = options.command;
    let outcome = match options.runtime {
        RuntimeName::AsyncStd => async_std::task::block_on(run::<AsyncStd>(command)),
        RuntimeName::Smol => smol::block_on(run::<Smol>(command)),
        RuntimeName::Tokio => match tokio::runtime::Runtime::new() {
            Ok(tokio) => tokio.block_on(run::<Tokio>(command)),
            Err(error) => Err(error.into()),
        },
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eliza: {}", chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// The program, on any runtime. One that has chosen its runtime names an adapter's types instead: `connect_tokio::Server`.
async fn run<R: Runtime>(command: Command) -> Result<(), Box<dyn Error>>
where
    ServerTls: TlsAcceptor<R, R::Io>,
    ClientTls: TlsConnector<R>,
{
    match command {
        Command::Help => {
            println!("{}", options::USAGE);
            Ok(())
        }
        Command::Tour => tour::run::<R>().await,
        Command::Serve(options) => serve::run::<R>(options).await,
        Command::Say(options) => say::run::<R>(options).await,
    }
}

/// An error with its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
