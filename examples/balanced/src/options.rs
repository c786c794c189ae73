//! The command line.

use std::{ffi::OsString, net::SocketAddr};

use lexopt::{Arg, Parser, ValueExt};

pub(crate) const USAGE: &str = "\
usage: balanced [watch|rolling|kill] [--runtime tokio|smol] [--rounds N] [--no-retries]

  watch     one server is killed and restarted while a table shows who answers
  rolling   each server in turn is drained and restarted; no call may fail
  kill      one server is killed; the calls that it had in flight may fail, or none with retries";

/// What to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Options {
    pub(crate) command: Command,
    pub(crate) runtime: RuntimeName,
    /// How often each server is restarted.
    pub(crate) rounds: usize,
    /// Whether calls that failed are made again.
    pub(crate) retries: bool,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Command {
    Help,
    Watch,
    Rolling,
    Kill,
    /// One of the servers.
    Serve {
        number: u32,
        address: SocketAddr,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RuntimeName {
    Tokio,
    Smol,
}

impl RuntimeName {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Smol => "smol",
        }
    }
}

impl Options {
    pub(crate) fn from_args(
        args: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, lexopt::Error> {
        let mut parser = Parser::from_args(args);
        let mut options = Self {
            command: Command::Watch,
            runtime: RuntimeName::Tokio,
            rounds: 1,
            retries: true,
        };
        let mut words = Vec::new();
        while let Some(arg) = parser.next()? {
            match arg {
                Arg::Short('h') | Arg::Long("help") => options.command = Command::Help,
                Arg::Long("rounds") => options.rounds = parser.value()?.parse()?,
                Arg::Long("no-retries") => options.retries = false,
                Arg::Long("runtime") => {
                    let name = parser.value()?.string()?;
                    options.runtime = [RuntimeName::Tokio, RuntimeName::Smol]
                        .into_iter()
                        .find(|runtime| runtime.as_str() == name)
                        .ok_or_else(|| format!("no runtime {name:?}: tokio or smol?"))?;
                }
                Arg::Value(word) => words.push(word.string()?),
                other => return Err(other.unexpected()),
            }
        }
        match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            [] => {}
            ["watch"] => options.command = Command::Watch,
            ["rolling"] => options.command = Command::Rolling,
            ["kill"] => options.command = Command::Kill,
            ["serve", number, address] => {
                options.command = Command::Serve {
                    number: number.parse().map_err(|_| "serve NUMBER ADDRESS")?,
                    address: address.parse().map_err(|_| "serve NUMBER ADDRESS")?,
                }
            }
            _ => return Err("watch, rolling or kill?".into()),
        }
        Ok(options)
    }
}
