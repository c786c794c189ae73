//! `steps [WORD...]`: instructions of one call by layer, of servers and clients on the current-thread runtime.
//!
//! The words choose scenarios whose name has one of them; `server` and `client` choose the side.

mod counted;
mod profile;

use std::env;

use connect_peers::{
    Failure,
    clients::{self, process::Process},
    load::Client,
    scenario::{Call, SCENARIOS, Scenario},
    servers::{Runtime, Server},
};
use tokio::{runtime, task::LocalSet};

use self::{counted::Counted, profile::Profile};

fn main() -> Result<(), Failure> {
    let words: Vec<String> = env::args().skip(1).collect();
    let (sides, words): (Vec<_>, Vec<_>) = words
        .iter()
        .map(String::as_str)
        .partition(|it| ["server", "client"].contains(it));
    let chosen = |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word));
    let side = |name| sides.is_empty() || sides.contains(&name);
    if side("server") {
        let unary = |it: &&Scenario| it.call == Call::Unary && chosen(it.name);
        for scenario in SCENARIOS.iter().filter(unary) {
            let mut columns = Vec::new();
            for server in Server::all() {
                if server.runtime == Runtime::Current && server.speaks(scenario) {
                    columns.push((
                        server.library_name().to_owned(),
                        of_server(server, *scenario)?,
                    ));
                }
            }
            println!(
                "{}",
                counted::table(&format!("server, {}", scenario.name), &columns)
            );
        }
    }
    if side("client") {
        let (_server, uri) = Process::server()?;
        for scenario in clients::scenario::Scenario::ALL
            .iter()
            .filter(|it| chosen(it.name))
        {
            let mut columns = Vec::new();
            for library in clients::Library::ALL {
                if clients::Runtime::Current.runs(library) && scenario.suits(library) {
                    columns.push((
                        library.name().to_owned(),
                        of_client(library, scenario, &uri)?,
                    ));
                }
            }
            println!(
                "{}",
                counted::table(&format!("client, {}", scenario.name), &columns)
            );
        }
    }
    Ok(())
}

fn of_server(server: Server, scenario: Scenario) -> Result<Profile, Failure> {
    let few = scenario.calls / 40;
    let run = |calls| {
        let mut process = Counted::start("serve", &[&server.to_string()])?;
        let addr = process.line()?.parse()?;
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let client = Client::new(addr, Scenario { calls, ..scenario })?;
        LocalSet::new().block_on(&runtime, client.run())?;
        process.end()
    };
    Ok(run(3 * few)?.less(&run(few)?, 2 * few))
}

fn of_client(
    library: clients::Library,
    scenario: &clients::scenario::Scenario,
    uri: &str,
) -> Result<Profile, Failure> {
    let few = scenario.calls / 10;
    let runtime = clients::Runtime::Current.name();
    let run = |calls: usize| {
        let arguments = ["call", library.name(), runtime, scenario.name, uri];
        let mut process = Counted::start("clients", &arguments)?;
        process.tell(&calls.to_string())?;
        process.line()?;
        process.end()
    };
    Ok(run(3 * few)?.less(&run(few)?, 2 * few))
}
