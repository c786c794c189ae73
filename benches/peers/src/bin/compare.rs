//! `compare [ROUNDS] [--only PATTERN] [--quick] [--guide FOLDER]`: starts every server, loads them in turn, and prints what
//! each costs.
//!
//! `--only` takes scenarios whose name has the pattern; `--quick` makes a few calls of each, to see that all is answered, and
//! prints no figures. `--guide` is where the figures go besides: into `performance.md` and a folder beside it.

use std::{env, error::Error, path::PathBuf};

use connect_peers::{
    Failure,
    figures::{Figures, Sample},
    load::Client,
    process::Process,
    report,
    scenario::{Call, SCENARIOS, Scenario},
    servers::Server,
};
use lexopt::{Arg, Parser, ValueExt};
use tokio::{runtime, task::LocalSet};

struct Options {
    rounds: usize,
    only: Option<String>,
    quick: bool,
    guide: Option<PathBuf>,
}

impl Options {
    fn read() -> Result<Self, Failure> {
        let mut options = Self {
            rounds: 7,
            only: None,
            quick: false,
            guide: None,
        };
        let mut arguments = Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Arg::Long("only") => options.only = Some(arguments.value()?.string()?),
                Arg::Long("quick") => options.quick = true,
                Arg::Long("guide") => options.guide = Some(arguments.value()?.into()),
                Arg::Value(rounds) => options.rounds = rounds.parse()?,
                other => return Err(other.unexpected().into()),
            }
        }
        Ok(options)
    }

    fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        let chosen = |scenario: &Scenario| match &self.only {
            Some(pattern) => scenario.name.contains(pattern),
            None => true,
        };
        let quick = |scenario: Scenario| match self.quick {
            true => scenario.quick(),
            false => scenario,
        };
        SCENARIOS.into_iter().filter(chosen).map(quick)
    }
}

fn main() -> Result<(), Failure> {
    let options = Options::read()?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let run = Run::start(!options.quick)?;
    let mut figures = Figures::default();
    // The first round warms caches and allocators, and does not count.
    let rounds = if options.quick { 0 } else { options.rounds };
    for scenario in options.scenarios() {
        eprintln!("{}", scenario.name);
        for round in 0..=rounds {
            let measured = run.measure(scenario, round, &mut figures);
            LocalSet::new().block_on(&runtime, measured)?;
        }
    }
    if options.quick {
        return Ok(());
    }
    print!("{}", report::tables(&figures));
    match options.guide {
        Some(guide) => report::write(&guide, &figures),
        None => Ok(()),
    }
}

/// All servers, which wait for their turn.
struct Run {
    program: PathBuf,
    pinned: bool,
    servers: Vec<(Server, Process)>,
}

impl Run {
    fn start(pinned: bool) -> Result<Self, Failure> {
        let program = env::current_exe()?.with_file_name("serve");
        let mut servers = Vec::new();
        for server in Server::all() {
            servers.push((server, Process::start(&program, server, pinned)?));
        }
        Ok(Self {
            program,
            pinned,
            servers,
        })
    }

    /// Measures every server once.
    async fn measure(
        &self,
        scenario: Scenario,
        round: usize,
        figures: &mut Figures,
    ) -> Result<(), Failure> {
        for turn in 0..self.servers.len() {
            // Each round begins with another server, and every other one goes backwards: nobody always follows the same.
            let index = (turn + round) % self.servers.len();
            let index = match round % 2 {
                0 => index,
                _ => self.servers.len() - 1 - index,
            };
            let (server, process) = &self.servers[index];
            if !server.speaks(&scenario) {
                continue;
            }
            let cost = match scenario.call {
                Call::Idle => self.memory(*server, scenario).await,
                _ => cpu_time(process, scenario).await,
            };
            let cost = cost.map_err(|error| format!("{server}: {}", chain(&*error)))?;
            if round > 0 {
                figures.add(Sample {
                    scenario,
                    server: *server,
                    round,
                    value: cost / scenario.count() as f64,
                });
            }
        }
        Ok(())
    }

    /// In KiB, of a new process: one that has served much has memory to spare.
    async fn memory(&self, server: Server, scenario: Scenario) -> Result<f64, Failure> {
        let process = Process::start(&self.program, server, self.pinned)?;
        let client = |scenario| Client::new(process.addr(), scenario);
        // What is made once is not counted.
        let first = client(Scenario {
            calls: 1,
            ..scenario
        });
        let _first = first?.idle().await?;
        let before = process.memory()?;
        let _connections = client(scenario)?.idle().await?;
        Ok((process.memory()? - before) as f64 / 1024.0)
    }
}

/// In microseconds.
async fn cpu_time(process: &Process, scenario: Scenario) -> Result<f64, Failure> {
    let client = Client::new(process.addr(), scenario)?;
    let before = process.cpu_time()?;
    client.run().await?;
    let used = process.cpu_time()? - before;
    Ok(used.as_secs_f64() * 1e6)
}

/// An error and what caused it.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text += &format!(": {cause}");
        source = cause.source();
    }
    text
}
