//! What each flood of a hostile HTTP/2 client costs a server with its defaults: the most that its heap holds at once for that one
//! connection, and CPU by the frames that were sent. The same frames as in the tests of `connect-test/adapter/abuse`. The
//! server is a process of its own for each of them. The table goes to the standard output. Linux only: CPU is read from `/proc`.

#[path = "../../../../connect-test/adapter/abuse/attacks.rs"]
#[allow(dead_code, reason = "the tests use the rest")]
mod attacks;
#[path = "../../../../connect-test/adapter/frames.rs"]
mod frames;

use std::{
    convert::Infallible,
    env,
    error::Error,
    fs,
    future::{Future, pending},
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
    pin::Pin,
    process::{Command, Stdio},
    task::{Context, Poll},
    thread,
};

use attacks::Attack;
use bytes::Bytes;
use connect_tokio::Server;
use frames::{ACK, GOAWAY, PING, SETTINGS, frame};
use http_body_util::Full;
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    if env::args().nth(1).as_deref() == Some("serve") {
        return serve();
    }
    println!(
        "| what one connection sends | frames | ends by | KiB held | µs of CPU for 1,000 frames |"
    );
    println!("|---|---|---|---|---|");
    let groups = [
        attacks::header_attacks(),
        attacks::reset_attacks(),
        attacks::frame_attacks(),
        attacks::data_attacks(),
    ];
    for attack in groups.into_iter().flatten() {
        mount(&attack)?;
    }
    Ok(())
}

/// What the server has used since the last line of its input.
struct Used {
    now: usize,
    peak: usize,
    cpu_ns: usize,
}

fn mount(attack: &Attack) -> Result<(), Failure> {
    let mut server = Command::new(env::current_exe()?)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (Some(mut input), Some(output)) = (server.stdin.take(), server.stdout.take()) else {
        return Err("the server has no pipes".into());
    };
    let mut lines = BufReader::new(output).lines();
    let mut line = || {
        lines
            .next()
            .ok_or("the server has ended")?
            .map_err(Failure::from)
    };
    let address = line()?;
    let mut used = || -> Result<Used, Failure> {
        input.write_all(b"\n")?;
        let numbers = line()?;
        let mut numbers = numbers.split(' ').map(str::parse);
        let mut next = || {
            numbers
                .next()
                .ok_or("too few numbers")?
                .map_err(Failure::from)
        };
        Ok(Used {
            now: next()?,
            peak: next()?,
            cpu_ns: next()?,
        })
    };
    // What is made once is not counted.
    send(&address, &[])?;
    let before = used()?;
    let (frames, ending) = send(&address, &attack.pieces().collect::<Vec<_>>())?;
    let after = used()?;
    let held = after.peak.saturating_sub(before.now).div_ceil(1024);
    let cpu = (after.cpu_ns - before.cpu_ns) / frames.max(1);
    println!("| {} | {frames} | {ending} | {held} | {cpu} |", attack.name);
    server.kill()?;
    server.wait()?;
    Ok(())
}

/// Sends all that the server takes, and waits until it has read that. Returns how many frames went out, and what came of them.
fn send(address: &str, pieces: &[Vec<u8>]) -> Result<(usize, String), Failure> {
    let mut socket = TcpStream::connect(address)?;
    let reading = socket.try_clone()?;
    let reader = thread::spawn(move || read(reading));
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")?;
    socket.write_all(&frame(SETTINGS, 0, 0, &[]))?;
    socket.write_all(&frame(SETTINGS, ACK, 0, &[]))?;
    let mut frames = 0;
    for piece in pieces {
        if socket.write_all(piece).is_err() {
            break;
        }
        frames += count(piece);
    }
    let _ = socket.write_all(&frame(PING, 0, 0, b"all read"));
    let ending = reader.join().map_err(|_| "the reader panicked")?;
    Ok((frames, ending))
}

fn count(mut piece: &[u8]) -> usize {
    let mut frames = 0;
    while let [a, b, c, ..] = *piece {
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        piece = piece.get(9 + length..).unwrap_or_default();
        frames += 1;
    }
    frames
}

/// Reads frames until the server has answered the last PING, or says no more.
fn read(socket: TcpStream) -> String {
    let mut socket = BufReader::new(socket);
    let mut ending = "a close".to_owned();
    loop {
        let mut head = [0; 9];
        if socket.read_exact(&mut head).is_err() {
            return ending;
        }
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        if socket.read_exact(&mut payload).is_err() {
            return ending;
        }
        match (head[3], &payload[..]) {
            (GOAWAY, [_, _, _, _, code @ ..]) => {
                let code = code
                    .first_chunk()
                    .map_or(0, |code| u32::from_be_bytes(*code));
                ending = format!("GOAWAY {code}");
            }
            (PING, b"all read") => return "nothing".to_owned(),
            _ => {}
        }
    }
}

/// Serves until the input ends, and answers each line of it.
fn serve() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let server = Server::bind("127.0.0.1:0").await?;
        println!("{}", server.local_addr()?);
        io::stdout().flush()?;
        thread::spawn(|| {
            for _ in io::stdin().lock().lines() {
                println!(
                    "{} {} {}",
                    HEAP.current_usage(),
                    HEAP.peak_usage(),
                    cpu_ns()
                );
                HEAP.reset_peak_usage();
                if io::stdout().flush().is_err() {
                    break;
                }
            }
            std::process::exit(0);
        });
        server.serve(Hold).await;
        Ok(())
    })
}

/// The CPU that the main thread has used, on which all is served: the first number of `schedstat`.
fn cpu_ns() -> usize {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let first = text.split(' ').next().and_then(|first| first.parse().ok());
    first.unwrap_or(0)
}

/// Keeps the requests to `/hold`, and answers the others.
#[derive(Clone)]
struct Hold;

impl<B: Send + 'static> tower_service::Service<http::Request<B>> for Hold {
    type Response = http::Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        Box::pin(async move {
            if request.uri().path() == "/hold" {
                pending::<()>().await;
            }
            drop(request);
            Ok(http::Response::default())
        })
    }
}
