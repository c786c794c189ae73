//! What is done to the servers while the load runs.

use std::{error::Error, io, time::Duration};

use connect_hyper::{Channel, Runtime};

use crate::{
    client,
    fleet::{Fleet, SIZE},
    load::{Counts, Load, Outcomes, STREAMS, WORKERS},
    options::Options,
    rpc::FleetServiceClient,
    table,
};

type Outcome = Result<(), Box<dyn Error>>;

/// How long load runs between two events.
const BETWEEN: Duration = Duration::from_millis(500);

/// Drains and restarts each server in turn. No unary call may fail, and streams end `unavailable`.
pub(crate) async fn rolling<R: Runtime>(options: &Options) -> Outcome {
    let (runtime, mut fleet, load) = start::<R>(options)?;
    println!(
        "rolling restart of {SIZE} servers on {}: {WORKERS} unary calls and {STREAMS} streams at a time",
        options.runtime.as_str()
    );
    runtime.sleep(BETWEEN).await;
    for _ in 0..options.rounds {
        for index in 0..SIZE {
            fleet = blocking(fleet, move |fleet| fleet.drain(index)).await?;
            runtime.sleep(BETWEEN).await;
            fleet = blocking(fleet, move |fleet| fleet.restart(index)).await?;
            runtime.sleep(BETWEEN).await;
            println!("server {index}: drained and restarted");
        }
    }
    let counts = load.stop().await;
    report(&counts);
    if counts.all_failed() > 0 {
        return Err("unary calls failed".into());
    }
    if let Some(words) = counts
        .streams
        .keys()
        .find(|it| !it.starts_with("unavailable"))
    {
        return Err(format!("a stream ended with {words:?}").into());
    }
    if counts.answered.contains(&0) {
        return Err("a server was not called".into());
    }
    Ok(())
}

/// Kills a server, as `kill -9` does, and restarts it. Without retries the calls that it had may fail, and no others.
pub(crate) async fn kill<R: Runtime>(options: &Options) -> Outcome {
    let (runtime, mut fleet, load) = start::<R>(options)?;
    println!(
        "kill -9 of one of {SIZE} servers on {}: {WORKERS} unary calls at a time, {} retries",
        options.runtime.as_str(),
        if options.retries { "with" } else { "without" }
    );
    runtime.sleep(BETWEEN).await;
    for round in 0..options.rounds {
        let index = round % SIZE;
        fleet.kill(index)?;
        runtime.sleep(BETWEEN).await;
        let at_once = load.counts();
        runtime.sleep(BETWEEN).await;
        let later = load.counts();
        println!(
            "server {index}: killed; {} calls have failed by half a second after, {} since",
            at_once.all_failed(),
            later.all_failed() - at_once.all_failed()
        );
        fleet = blocking(fleet, move |fleet| fleet.restart(index)).await?;
        runtime.sleep(BETWEEN * 2).await;
    }
    let counts = load.stop().await;
    report(&counts);
    let allowed = match options.retries {
        true => 0,
        false => (WORKERS * options.rounds) as u64,
    };
    if counts.all_failed() > allowed {
        return Err(format!("more than {allowed} calls failed").into());
    }
    Ok(())
}

/// Shows who answers, while a server is killed and restarted.
pub(crate) async fn watch<R: Runtime>(options: &Options) -> Outcome {
    const STEPS: usize = 24;
    let (runtime, mut fleet, load) = start::<R>(options)?;
    let mut table = table::Table::default();
    for step in 0..STEPS {
        match step {
            6 => fleet.kill(1)?,
            15 => fleet = blocking(fleet, |fleet| fleet.restart(1)).await?,
            _ => {}
        }
        runtime.sleep(BETWEEN / 2).await;
        table.show(&fleet, &load.counts());
    }
    report(&load.stop().await);
    Ok(())
}

/// The servers, a client of all of them, and its load.
fn start<R: Runtime>(options: &Options) -> Result<(R, Fleet, Load), Box<dyn Error>> {
    let runtime = R::default();
    let fleet = Fleet::start(options.runtime)?;
    let client: FleetServiceClient<Channel<R>> = client::new(fleet.addresses(), options.retries)?;
    let load = Load::start(&runtime, &client);
    Ok((runtime, fleet, load))
}

/// Runs a function that blocks on a thread of its own, so that the load goes on.
async fn blocking(
    mut fleet: Fleet,
    function: impl FnOnce(&mut Fleet) -> io::Result<()> + Send + 'static,
) -> io::Result<Fleet> {
    let (done, result) = futures_channel::oneshot::channel();
    std::thread::spawn(move || {
        let result = function(&mut fleet).map(|()| fleet);
        let _ = done.send(result);
    });
    result
        .await
        .unwrap_or_else(|_| Err(io::Error::other("the thread has panicked")))
}

fn report(counts: &Counts) {
    println!(
        "unary calls: {} answered {:?}, failed: {}",
        counts.all_answered(),
        counts.answered,
        Outcomes(&counts.failed)
    );
    println!(
        "streams: {} messages, ended: {}",
        counts.ticks.iter().sum::<u64>(),
        Outcomes(&counts.streams)
    );
}
