//! Eliza in three protocols on one port.
//!
//! - `eliza` starts a server on a free port, talks to it in every protocol and codec, and ends;
//! - `eliza serve` serves until it is told to stop;
//! - `eliza say "I feel happy"` talks to a running server.

mod options;
mod say;
mod serve;
mod service;
mod therapist;
mod tour;

/// Messages, service and client, generated from `proto/connectrpc/eliza/v1/eliza.proto`.
mod eliza {
    connect_tokio::include_proto!("connectrpc.eliza.v1");
}

use std::{error::Error, process::ExitCode};

use options::Command;

#[tokio::main]
async fn main() -> ExitCode {
    let command = match Command::from_args(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("eliza: {error}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let outcome = match command {
        Command::Help => {
            println!("{}", options::USAGE);
            Ok(())
        }
        Command::Tour => tour::run().await,
        Command::Serve(options) => serve::run(options).await,
        Command::Say(options) => say::run(options).await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("eliza: {}", chain(&*error));
            ExitCode::FAILURE
        }
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
