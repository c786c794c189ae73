//! `compare SERVE [ROUNDS]`: starts every server by the program `SERVE`, loads them in turn, and prints what each costs.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    rc::Rc,
    time::Duration,
};

use connect_peers::{
    cpu,
    load::{self, Failure},
    peers::Peer,
    workload::Workload,
};
use tokio::{runtime, task::LocalSet};

/// A running server; stopped when dropped.
struct Server {
    peer: Peer,
    process: Child,
    addr: SocketAddr,
}

impl Server {
    /// Starts it on a processor of its own.
    fn start(program: &str, peer: Peer, runtime: &str) -> Result<Self, Failure> {
        let mut process = Command::new("taskset")
            .args(["-c", "0", program, peer.name(), runtime])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = process.stdout.take().ok_or("the server has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let addr = line.trim().parse()?;
        Ok(Self {
            peer,
            process,
            addr,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().ok_or("usage: compare SERVE [ROUNDS]")?;
    let rounds = arguments.next().map_or(Ok(7), |rounds| rounds.parse())?;
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    for flavor in ["multi", "current"] {
        let servers: Vec<Server> = Peer::ALL
            .into_iter()
            .map(|peer| Server::start(&program, peer, flavor))
            .collect::<Result<_, _>>()?;
        println!(
            "\ntokio's {flavor}-thread runtime: server CPU per request, in ratios to hyper's\n"
        );
        let header: String = Peer::ALL.iter().map(|peer| format!("{peer:>15}")).collect();
        println!("{:32}{header}", "");
        for workload in Workload::all() {
            let workload = Rc::new(workload);
            let measured = LocalSet::new().block_on(&runtime, measure(&servers, &workload, rounds));
            print_row(&workload, &measured?);
        }
    }
    Ok(())
}

/// CPU time per request, for each server and round; `None` for a server that does not speak the protocol.
type Measured = Vec<Option<Vec<Duration>>>;

async fn measure(
    servers: &[Server],
    workload: &Rc<Workload>,
    rounds: usize,
) -> Result<Measured, Failure> {
    let speaks = |server: &Server| workload.is_grpc() || server.peer.speaks_connect();
    let mut measured: Measured = servers.iter().map(|s| speaks(s).then(Vec::new)).collect();
    // The first round warms caches and allocators, and does not count.
    for round in 0..=rounds {
        for turn in 0..servers.len() {
            // Each round begins with another server.
            let index = (turn + round) % servers.len();
            let server = &servers[index];
            let Some(times) = &mut measured[index] else {
                continue;
            };
            let before = cpu::time_of(server.process.id())?;
            load::run(server.addr, workload).await?;
            let used = cpu::time_of(server.process.id())? - before;
            if round > 0 {
                let requests = u32::try_from(workload.requests)?;
                times.push(used / requests);
            }
        }
    }
    Ok(measured)
}

fn print_row(workload: &Workload, measured: &Measured) {
    let mut row = format!("{:32}", workload.name);
    for (index, times) in measured.iter().enumerate() {
        let cell = match (times, &measured[0]) {
            (Some(times), Some(floor)) if index == 0 => {
                let micros = median(times.iter().map(Duration::as_secs_f64)) * 1e6;
                debug_assert_eq!(times.len(), floor.len());
                format!("1 ({micros:.1} us)")
            }
            // Ratios of the same round: what disturbs a round disturbs both.
            (Some(times), Some(floor)) => {
                let pairs = times.iter().zip(floor);
                let ratios = pairs.map(|(time, floor)| time.as_secs_f64() / floor.as_secs_f64());
                format!("{:.2}", median(ratios))
            }
            _ => String::from("-"),
        };
        row.push_str(&format!("{cell:>15}"));
    }
    println!("{row}");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
