//! One connection with calls that compute and calls that are short, for each [`CallTasks`] of a server: how many calls that compute
//! it answers, how long short ones wait beside one, and what short calls alone cost. The settings take turns in each round, and
//! ratios are of figures of the same round: to a task for each call. The table goes to the standard output.
//!
//! `ROUNDS` rounds, 7 unless given. For counts of instructions there are `serve SETTING`, to be run by callgrind, and `echo ADDRESS
//! CALLS`, which calls such a server.

mod server;

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use connect_tokio::{
    CallTasks, Channel, Client, ClientConfig, HttpVersion, Prost, Protocol, Request, Spec,
};
use tokio::task::JoinSet;

use self::server::{ECHO, HOLD};

type Failure = Box<dyn Error + Send + Sync>;

const SETTINGS: [(&str, CallTasks); 3] = [
    ("spawned", CallTasks::Spawned),
    ("adaptive", CallTasks::Adaptive),
    ("connection", CallTasks::OnConnection),
];

/// Calls that compute, at once, and how long each does.
const COMPUTING: usize = 64;
const LONG: Duration = Duration::from_millis(5);
const COMPUTING_FOR: Duration = Duration::from_secs(2);

/// The call that short ones have beside them.
const LONGER: Duration = Duration::from_millis(50);
const SHORT_CALLS: u32 = 2000;
const SHORT_EVERY: Duration = Duration::from_millis(1);

/// Short calls alone.
const ECHOES: usize = 20_000;
const ECHOES_AT_ONCE: usize = 32;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["serve", name] => {
            let setting = SETTINGS.iter().find(|(setting, _)| *setting == name);
            let (_, tasks) = *setting.ok_or("no such setting")?;
            // It has a runtime of its own.
            return tokio::task::spawn_blocking(move || server::run(tasks)).await?;
        }
        ["echo", address, calls] => return echo(&client(address)?, calls.parse()?).await,
        _ => {}
    }
    let rounds = match arguments[..] {
        [] => 7,
        [rounds] => rounds.parse()?,
        _ => return Err("either nothing, or a number of rounds".into()),
    };
    let mut figures = vec![Vec::new(); SETTINGS.len()];
    for round in 0..rounds {
        for turn in 0..SETTINGS.len() {
            let setting = (round + turn) % SETTINGS.len();
            let figure = measure(SETTINGS[setting].0).await?;
            eprintln!("{}: {figure:.1?}", SETTINGS[setting].0);
            figures[setting].push(figure);
        }
    }
    print(&figures);
    Ok(())
}

const WHAT: [&str; 3] = [
    "64 calls of 5 ms: calls a second",
    "short calls beside one of 50 ms: p99, ms",
    "short calls: µs of CPU",
];

type Figures = [f64; WHAT.len()];

fn print(figures: &[Vec<Figures>]) {
    println!("| | {} |", SETTINGS.map(|(name, _)| name).join(" | "));
    println!("|---|---|---|---|");
    for (what, text) in WHAT.iter().enumerate() {
        print!("| {text} |");
        for rounds in figures {
            let value = median(rounds.iter().map(|figure| figure[what]).collect());
            let ratios = rounds.iter().zip(&figures[0]);
            let mut ratios: Vec<f64> = ratios.map(|(one, base)| one[what] / base[what]).collect();
            ratios.sort_by(f64::total_cmp);
            let ends = (ratios.first().copied(), ratios.last().copied());
            let (least, most) = (ends.0.unwrap_or(0.0), ends.1.unwrap_or(0.0));
            print!(
                " {value:.1} ({:.2}; {least:.2} to {most:.2}) |",
                median(ratios)
            );
        }
        println!();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

async fn measure(setting: &str) -> Result<Figures, Failure> {
    let server = Process::start(setting)?;
    let client = client(&server.address)?;
    echo(&client, 1000).await?;
    let before = server.cpu_time()?;
    echo(&client, ECHOES).await?;
    let took = server.cpu_time()? - before;
    #[allow(clippy::cast_precision_loss, reason = "a small number")]
    let short = took.as_secs_f64() * 1e6 / ECHOES as f64;
    Ok([compute(&client).await?, beside(&client).await?, short])
}

/// One connection.
fn client(address: &str) -> Result<Client<Channel>, Failure> {
    let channel = Channel::builder(format!("http://{address}"))
        .with_http_version(HttpVersion::Http2)
        .with_max_http2_connections(1)
        .build()?;
    let config = ClientConfig::new().with_protocol(Protocol::Grpc);
    Ok(Client::new(channel).with_config(config))
}

async fn call(client: &Client<Channel>, spec: Spec, message: String) -> Result<(), Failure> {
    client
        .unary::<Prost, String, String>(&spec, Request::new(message))
        .await?;
    Ok(())
}

async fn echo(client: &Client<Channel>, calls: usize) -> Result<(), Failure> {
    let mut callers = JoinSet::new();
    for _ in 0..ECHOES_AT_ONCE {
        let client = client.clone();
        callers.spawn(async move {
            for _ in 0..calls / ECHOES_AT_ONCE {
                call(&client, ECHO, "x".repeat(32)).await?;
            }
            Ok::<_, Failure>(())
        });
    }
    while let Some(ended) = callers.join_next().await {
        ended??;
    }
    Ok(())
}

/// Calls a second, of those that hold a thread.
async fn compute(client: &Client<Channel>) -> Result<f64, Failure> {
    let began = Instant::now();
    let mut callers = JoinSet::new();
    for _ in 0..COMPUTING {
        let client = client.clone();
        callers.spawn(async move {
            let mut calls = 0_u32;
            while began.elapsed() < COMPUTING_FOR {
                call(&client, HOLD, LONG.as_millis().to_string()).await?;
                calls += 1;
            }
            Ok::<_, Failure>(calls)
        });
    }
    let mut calls = 0;
    while let Some(ended) = callers.join_next().await {
        calls += ended??;
    }
    Ok(f64::from(calls) / began.elapsed().as_secs_f64())
}

/// The 99th percentile of short calls, in milliseconds, beside calls that follow one another and compute. They begin by the clock,
/// whether the last has ended or not: who waits for an answer would measure one slow call where many wait.
async fn beside(client: &Client<Channel>) -> Result<f64, Failure> {
    let computing = {
        let client = client.clone();
        tokio::spawn(async move {
            loop {
                call(&client, HOLD, LONGER.as_millis().to_string()).await?;
            }
            #[allow(unreachable_code, reason = "its type is that of the error")]
            Ok::<_, Failure>(())
        })
    };
    let client = Arc::new(client.clone());
    let began = tokio::time::Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..SHORT_CALLS {
        let due = began + SHORT_EVERY * number;
        tokio::time::sleep_until(due).await;
        let client = Arc::clone(&client);
        callers.spawn(async move {
            call(&client, ECHO, "x".repeat(32)).await?;
            Ok::<_, Failure>(due.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = callers.join_next().await {
        times.push(ended??);
    }
    computing.abort();
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).copied();
    Ok(p99.unwrap_or_default().as_secs_f64() * 1e3)
}

struct Process {
    address: String,
    process: Child,
}

impl Process {
    fn start(setting: &str) -> Result<Self, Failure> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", setting])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        let address = address.trim_end().to_owned();
        Ok(Self { address, process })
    }

    /// The time that its threads had a processor.
    fn cpu_time(&self) -> Result<Duration, Failure> {
        let mut nanos = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.process.id()))? {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let time = text.split(' ').next().ok_or("no time in schedstat")?;
            nanos += time.parse::<u64>()?;
        }
        Ok(Duration::from_nanos(nanos))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
