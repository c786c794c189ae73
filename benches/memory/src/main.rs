//! What a server holds in memory for connections that are idle, and for streams that are open and silent: this project's
//! beside a bare hyper server with the same windows and frames. Counted by the allocator, so that no noise hides a
//! difference. The table goes to the standard output.

mod server;

use std::{
    env,
    error::Error,
    io::{BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use peak_alloc::PeakAlloc;
use tokio::net::TcpStream;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

type Failure = Box<dyn Error + Send + Sync>;

/// A procedure that answers with what it is asked.
const UNARY: &str = "/bench.v1.BenchService/Echo";

/// A procedure whose response begins and does not end.
const OPEN: &str = "/bench.v1.BenchService/Wait";

const CONNECTIONS: usize = 9_500;
const STREAMS: usize = 1_000;
const MAX_STREAMS: u32 = 2_000;

#[derive(Clone, Copy)]
enum Library {
    Ours,
    Hyper,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    match env::args().nth(1).as_deref() {
        Some("ours") => return server::run(Library::Ours).await,
        Some("hyper") => return server::run(Library::Hyper).await,
        Some(_) | None => {}
    }
    println!("| bytes of the heap, each | hyper | connect-tokio | ratio |");
    println!("|---|---|---|---|");
    let idle = [
        idle_connections(Library::Hyper).await?,
        idle_connections(Library::Ours).await?,
    ];
    row(&format!("{CONNECTIONS} idle HTTP/2 connections"), idle);
    let open = [
        open_streams(Library::Hyper).await?,
        open_streams(Library::Ours).await?,
    ];
    row(&format!("{STREAMS} silent streams of one connection"), open);
    Ok(())
}

fn row(what: &str, [hyper, ours]: [usize; 2]) {
    #[allow(clippy::cast_precision_loss, reason = "a ratio of small numbers")]
    let ratio = ours as f64 / hyper as f64;
    println!("| {what} | {hyper} | {ours} | {ratio:.2} |");
}

/// Connections that each have had one call.
async fn idle_connections(library: Library) -> Result<usize, Failure> {
    let mut server = Server::start(library)?;
    // What is made once is not counted.
    let mut connections = vec![connect(server.address).await?];
    call(&mut connections[0], UNARY).await?.collect().await?;
    let before = server.heap()?;
    for _ in 0..CONNECTIONS {
        let mut connection = connect(server.address).await?;
        call(&mut connection, UNARY).await?.collect().await?;
        connections.push(connection);
    }
    Ok((server.heap()? - before) / CONNECTIONS)
}

/// Streams whose responses have begun.
async fn open_streams(library: Library) -> Result<usize, Failure> {
    let mut server = Server::start(library)?;
    let mut connection = connect(server.address).await?;
    let mut streams = vec![call(&mut connection, OPEN).await?];
    let before = server.heap()?;
    for _ in 0..STREAMS {
        streams.push(call(&mut connection, OPEN).await?);
    }
    Ok((server.heap()? - before) / STREAMS)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let socket = TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// Calls by gRPC with an empty message.
async fn call(
    connection: &mut SendRequest<Full<Bytes>>,
    procedure: &str,
) -> Result<hyper::body::Incoming, Failure> {
    let request = http::Request::post(format!("http://127.0.0.1{procedure}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::new(Bytes::from_static(&[0; 5])))?;
    connection.ready().await?;
    let response = connection.send_request(request).await?;
    if let Some(status) = response.headers().get("grpc-status") {
        return Err(format!("{procedure} ended at once with {status:?}").into());
    }
    Ok(response.into_body())
}

/// A server in a process of its own.
struct Server {
    address: SocketAddr,
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Server {
    fn start(library: Library) -> Result<Self, Failure> {
        let name = match library {
            Library::Ours => "ours",
            Library::Hyper => "hyper",
        };
        let mut process = Command::new(env::current_exe()?)
            .arg(name)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (process.stdin.take(), process.stdout.take()) else {
            return Err("the server has no pipes".into());
        };
        let mut output = BufReader::new(output);
        let address = line(&mut output)?.parse()?;
        Ok(Self {
            address,
            process,
            input,
            output,
        })
    }

    /// The bytes of the heap now.
    fn heap(&mut self) -> Result<usize, Failure> {
        self.input.write_all(b"\n")?;
        Ok(line(&mut self.output)?.parse()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn line(output: &mut impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
