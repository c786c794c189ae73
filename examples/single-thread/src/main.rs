//! One server, deployed in four ways:
//!
//! - `tokio-shared`: one tokio runtime, its threads share all connections;
//! - `tokio-single`: workers, each with tokio's current-thread runtime;
//! - `smol-shared`: one smol executor, run by all threads;
//! - `smol-single`: workers, each with an executor of its own.
//!
//! Workers (`Server::bind_workers`) are a thread per core. They listen on one port by `SO_REUSEPORT`: the kernel deals connections
//! out to the threads, which share nothing. `single-thread serve WAY [--threads N] [--addr ADDR]` serves, `single-thread compare [ROUNDS]` measures.

mod compare;
mod serve;

use std::{error::Error, net::SocketAddr, process::ExitCode, thread};

use connect_tower::{Spec, StreamType};
use lexopt::{Arg, Parser, ValueExt};
use serve::Way;

const USAGE: &str = "\
usage: single-thread serve tokio-shared|tokio-single|smol-shared|smol-single [--threads N] [--addr ADDR]
       single-thread compare [ROUNDS]";

type Failure = Box<dyn Error + Send + Sync>;

/// The one method: it answers what it is asked.
const ECHO: Spec = Spec::new("/example.v1.EchoService/Echo", StreamType::Unary);

fn main() -> ExitCode {
    match run(Parser::from_env()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("single-thread: {error}\n\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Parser) -> Result<(), Failure> {
    let mut words = Vec::new();
    let mut threads = thread::available_parallelism()?.get();
    let mut addr = SocketAddr::from(([127, 0, 0, 1], 8080));
    while let Some(arg) = args.next()? {
        match arg {
            Arg::Long("threads") => threads = args.value()?.parse()?,
            Arg::Long("addr") => addr = args.value()?.parse()?,
            Arg::Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", way] => {
            let way = Way::from_name(way).ok_or_else(|| format!("no way {way:?}"))?;
            serve::run(way, addr, threads.max(1))
        }
        ["compare"] => compare::run(5),
        ["compare", rounds] => compare::run(rounds.parse()?),
        _ => Err("serve or compare?".into()),
    }
}
