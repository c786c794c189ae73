//! A process that makes calls by one library, as many as the lines of its input say.

use std::{
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{runtime, task::JoinSet};

use super::{
    Failure, Library, Runtime, connectrpc, ours,
    scenario::{Scenario, Way},
    tonic,
};

/// Makes so many calls for each line of the standard input, and answers with a line: the nanoseconds of CPU time that they took
/// of this process, and those that passed.
///
/// # Errors
///
/// A call that fails.
pub fn run(
    library: Library,
    runtime: Runtime,
    scenario: &Scenario,
    uri: &str,
) -> Result<(), Failure> {
    // smol runs tasks in a thread of its own.
    let mut builder = match runtime {
        Runtime::Current => runtime::Builder::new_current_thread(),
        Runtime::One | Runtime::Two => runtime::Builder::new_multi_thread(),
    };
    let workers = if runtime == Runtime::Two { 2 } else { 1 };
    let tokio = builder.worker_threads(workers).enable_all().build()?;
    let client = tokio.block_on(Client::new(library, scenario, uri))?;
    for line in io::stdin().lines() {
        let calls = Arc::new(AtomicUsize::new(line?.trim().parse()?));
        let (cpu, began) = (cpu_time()?, Instant::now());
        let callers = (0..scenario.in_flight).map(|_| call_all(client.clone(), Arc::clone(&calls)));
        match library {
            Library::Smol => {
                let callers: Vec<_> = callers.map(smol::spawn).collect();
                for caller in callers {
                    smol::block_on(caller)?;
                }
            }
            _ => tokio.block_on(async {
                let mut tasks: JoinSet<_> = callers.collect();
                while let Some(ended) = tasks.join_next().await {
                    ended??;
                }
                Ok::<_, Failure>(())
            })?,
        }
        let (passed, cpu) = (began.elapsed(), cpu_time()? - cpu);
        println!("{} {}", cpu.as_nanos(), passed.as_nanos());
    }
    Ok(())
}

async fn call_all(mut client: Client, calls: Arc<AtomicUsize>) -> Result<(), Failure> {
    let take = || calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1));
    while take().is_ok() {
        client.call().await?;
    }
    Ok(())
}

/// The CPU time that all threads of this process have used, in user and kernel mode, to the nanosecond.
fn cpu_time() -> Result<Duration, Failure> {
    let mut total = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        let stat = fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = stat.split(' ').next().ok_or("schedstat is empty")?;
        total += Duration::from_nanos(nanos.parse()?);
    }
    Ok(total)
}

#[derive(Clone)]
enum Client {
    Tokio(ours::Client<connect_tokio::Channel>),
    Smol(ours::Client<connect_smol::Channel>),
    ConnectrpcHttp1(Box<connectrpc::Http1>),
    ConnectrpcHttp2(connectrpc::Http2),
    Tonic(tonic::Client),
}

impl Client {
    async fn new(library: Library, scenario: &Scenario, uri: &str) -> Result<Self, Failure> {
        Ok(match library {
            Library::Tokio => Self::Tokio(ours::on_tokio(uri, scenario)?),
            Library::Smol => Self::Smol(ours::on_smol(uri, scenario)?),
            Library::Connectrpc => match scenario.way {
                Way::ConnectHttp1 => {
                    Self::ConnectrpcHttp1(Box::new(connectrpc::http1(uri, scenario)?))
                }
                _ => Self::ConnectrpcHttp2(connectrpc::http2(uri, scenario).await?),
            },
            Library::Tonic => Self::Tonic(tonic::Client::connect(uri, scenario).await?),
        })
    }

    async fn call(&mut self) -> Result<(), Failure> {
        match self {
            Self::Tokio(client) => client.call().await,
            Self::Smol(client) => client.call().await,
            Self::ConnectrpcHttp1(client) => client.call().await,
            Self::ConnectrpcHttp2(client) => client.call().await,
            Self::Tonic(client) => client.call().await,
        }
    }
}
