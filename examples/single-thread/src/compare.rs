//! What each way costs: the server's CPU time per call, all ways in turns in one run, as ratios to the first.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use connect_tokio::{Channel, HttpVersion};
use connect_tower::{Client, Prost, Request, Response};

use crate::{ECHO, Failure, serve::Way};

const CONNECTIONS: usize = 8;
const CALLS_AT_ONCE: usize = 32;
const CALLS: usize = 20_000;

struct Server {
    process: Child,
    uri: String,
    /// CPU time per round, in clock ticks.
    ticks: Vec<u64>,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Runs as many rounds and prints the medians. Needs Linux's `/proc`.
pub(crate) fn run(rounds: usize) -> Result<(), Failure> {
    let mut servers = Way::ALL
        .map(start)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for version in [HttpVersion::Http2, HttpVersion::Http1] {
        servers.iter_mut().for_each(|server| server.ticks.clear());
        // The first round warms caches and allocators, and does not count.
        for round in 0..=rounds {
            for server in &mut servers {
                let before = cpu_ticks(&server.process)?;
                runtime.block_on(load(&server.uri, version))?;
                if round > 0 {
                    server.ticks.push(cpu_ticks(&server.process)? - before);
                }
            }
        }
        let base = servers[0].ticks.clone();
        for (way, server) in Way::ALL.iter().zip(&servers) {
            let ratios = server.ticks.iter().zip(&base);
            let ratio = median(ratios.map(|(ticks, base)| *ticks as f64 / (*base).max(1) as f64));
            println!("{version:?}  {:13} {ratio:.2}", way.name());
        }
    }
    Ok(())
}

fn start(way: Way) -> Result<Server, Failure> {
    let mut process = Command::new(std::env::current_exe()?)
        .args(["serve", way.name(), "--addr", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()?;
    let output = process.stdout.take().ok_or("the server has no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    Ok(Server {
        process,
        uri: format!("http://{}", line.trim()),
        ticks: Vec::new(),
    })
}

/// Some calls at once on each of some connections.
async fn load(uri: &str, version: HttpVersion) -> Result<(), Failure> {
    let left = Arc::new(AtomicUsize::new(CALLS));
    let mut channels = Vec::new();
    for _ in 0..CONNECTIONS {
        channels.push(Channel::builder(uri).with_http_version(version).build()?);
    }
    let mut callers = Vec::new();
    for caller in 0..CALLS_AT_ONCE {
        let client = Client::new(channels[caller % CONNECTIONS].clone());
        let left = Arc::clone(&left);
        callers.push(tokio::spawn(async move {
            let one_less = |left: usize| left.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
                .is_ok()
            {
                let request = Request::new(String::from("twenty-five bytes of text"));
                let _: Response<String> = client.unary::<Prost, _, _>(&ECHO, request).await?;
            }
            Ok::<_, connect_tower::Error>(())
        }));
    }
    for caller in callers {
        caller.await??;
    }
    Ok(())
}

/// User and system time of a process: fields 14 and 15 of `/proc/PID/stat`.
fn cpu_ticks(process: &Child) -> Result<u64, Failure> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id()))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("what is this stat?")?;
    let mut fields = fields.split(' ').skip(11);
    let mut next = || fields.next().unwrap_or_default().parse::<u64>();
    Ok(next()? + next()?)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
