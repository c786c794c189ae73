//! `clients run|strace [--rounds N] [WORD...]`: clients of several libraries against one server, in turns.
//!
//! The words choose scenarios, libraries and runtimes whose names contain one of them, each among its kind. The other modes,
//! `serve` and `call`, are the processes that these start.

use std::env;

use connect_peers::clients::{
    Failure, Library, Runtime, caller,
    process::{Process, SystemCalls},
    scenario::Scenario,
    server,
    table::{self, Measured},
};

const USAGE: &str = "usage: clients run|strace [--rounds N] [--only WORD]...";

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match &arguments[..] {
        ["serve"] => {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build()?.block_on(server::serve())
        }
        ["call", library, runtime, scenario, uri] => {
            let library = Library::from_name(library).ok_or("no such library")?;
            let runtime = Runtime::from_name(runtime).ok_or("no such runtime")?;
            let scenario = Scenario::from_name(scenario).ok_or("no such scenario")?;
            caller::run(library, runtime, &scenario, uri)
        }
        ["run", options @ ..] => run(&Options::parse(options)?),
        ["strace", options @ ..] => strace(&Options::parse(options)?),
        _ => Err(USAGE.into()),
    }
}

struct Options<'a> {
    rounds: usize,
    only: Vec<&'a str>,
}

impl<'a> Options<'a> {
    fn parse(arguments: &[&'a str]) -> Result<Self, Failure> {
        let mut options = Self {
            rounds: 7,
            only: Vec::new(),
        };
        for pair in arguments.chunks(2) {
            match pair {
                ["--rounds", rounds] => options.rounds = rounds.parse()?,
                ["--only", word] => options.only.push(word),
                _ => return Err(USAGE.into()),
            }
        }
        Ok(options)
    }

    /// All of them, or those whose names have one of the words, if any has.
    fn choose<T: Copy>(&self, all: &[T], name: impl Fn(T) -> &'static str) -> Vec<T> {
        let is_named = |it: &&T| self.only.iter().any(|word| name(**it).contains(word));
        let named: Vec<T> = all.iter().filter(is_named).copied().collect();
        match named.is_empty() {
            true => all.to_vec(),
            false => named,
        }
    }

    fn for_each(
        &self,
        mut work: impl FnMut(Runtime, &Scenario, &[Library]) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let libraries = self.choose(&Library::ALL, Library::name);
        for runtime in self.choose(&Runtime::ALL, Runtime::name) {
            for scenario in self.choose(&Scenario::ALL, |scenario| scenario.name) {
                let able: Vec<_> = libraries
                    .iter()
                    .copied()
                    .filter(|library| runtime.runs(*library) && scenario.suits(*library))
                    .collect();
                work(runtime, &scenario, &able)?;
            }
        }
        Ok(())
    }
}

fn run(options: &Options<'_>) -> Result<(), Failure> {
    let (_server, uri) = Process::server()?;
    println!("{}", table::head());
    options.for_each(|runtime, scenario, libraries| {
        for row in table::rows(
            runtime,
            scenario,
            &measure(options, runtime, scenario, libraries, &uri)?,
        ) {
            println!("{row}");
        }
        Ok(())
    })
}

fn measure(
    options: &Options<'_>,
    runtime: Runtime,
    scenario: &Scenario,
    libraries: &[Library],
    uri: &str,
) -> Result<Vec<Measured>, Failure> {
    let mut callers = Vec::new();
    let mut measured = Vec::new();
    for library in libraries.iter().copied() {
        callers.push(Process::caller(library, runtime, scenario, uri)?);
        measured.push(Measured {
            library,
            rounds: Vec::new(),
        });
    }
    // The first round opens connections, and warms caches and allocators: it does not count.
    for round in 0..=options.rounds {
        for turn in 0..callers.len() {
            // Each round begins with another client.
            let index = (turn + round) % callers.len();
            let taken = callers[index].call(scenario.calls)?;
            if round > 0 {
                measured[index].rounds.push(taken);
            }
        }
    }
    Ok(measured)
}

fn strace(options: &Options<'_>) -> Result<(), Failure> {
    let (_server, uri) = Process::server()?;
    println!("| runtime | calls | client | writes | reads | wakes | polls | others |");
    println!("|---|---|---|---|---|---|---|---|");
    options.for_each(|runtime, scenario, libraries| {
        for library in libraries.iter().copied() {
            let SystemCalls { writes, reads, wakes, polls, others } =
                SystemCalls::of(library, runtime, scenario, &uri)?;
            println!(
                "| {runtime} | {} | {library} | {writes:.2} | {reads:.2} | {wakes:.2} | {polls:.2} | {others:.2} |",
                scenario.name
            );
        }
        Ok(())
    })
}
