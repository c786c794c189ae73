//! The servers that are measured, each in a process of its own. A line of input is answered with the bytes of the heap.

use std::{
    convert::Infallible,
    io::{self, BufRead, Write},
    pin::Pin,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::Bytes;
use connect_tokio::{Request, Response, ResponseStream, Router, Server, Spec, StreamType};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::net::TcpListener;

use crate::{Failure, HEAP, Library, MAX_STREAMS, OPEN, UNARY};

/// Serves until the input ends.
pub(crate) async fn run(library: Library) -> Result<(), Failure> {
    match library {
        Library::Ours => {
            let server = Server::bind("127.0.0.1:0")
                .await?
                .with_max_connections(usize::MAX)
                .with_max_concurrent_streams(MAX_STREAMS);
            report(&server.local_addr()?)?;
            server.serve(router()).await;
        }
        Library::Hyper => {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            report(&listener.local_addr()?)?;
            loop {
                let (socket, _) = listener.accept().await?;
                tokio::spawn(async move {
                    // The settings of `connect_tokio::Server`.
                    let _ = http2::Builder::new(TokioExecutor::new())
                        .timer(TokioTimer::new())
                        .max_concurrent_streams(MAX_STREAMS)
                        .initial_stream_window_size(1024 * 1024)
                        .initial_connection_window_size(16 * 1024 * 1024)
                        .max_frame_size(64 * 1024)
                        .keep_alive_interval(Duration::from_secs(60))
                        .keep_alive_timeout(Duration::from_secs(20))
                        .serve_connection(TokioIo::new(socket), service_fn(answer))
                        .await;
                });
            }
        }
    }
    Ok(())
}

/// Prints the address, and then answers each line of input.
fn report(address: &impl std::fmt::Display) -> io::Result<()> {
    println!("{address}");
    io::stdout().flush()?;
    thread::spawn(|| {
        for _ in io::stdin().lock().lines() {
            println!("{}", HEAP.current_usage());
            if io::stdout().flush().is_err() {
                break;
            }
        }
        std::process::exit(0);
    });
    Ok(())
}

fn router() -> Router {
    const ECHO: Spec = Spec::new(UNARY, StreamType::Unary);
    const WAIT: Spec = Spec::new(OPEN, StreamType::ServerStream);
    Router::new()
        .unary(ECHO, |request: Request<String>| async move {
            Ok(Response::new(request.into_message()))
        })
        .server_stream(WAIT, |_: Request<String>| async move {
            Ok(Response::new(ResponseStream::<String>::generate(
                |_answers| std::future::pending(),
            )))
        })
}

async fn answer(
    request: http::Request<Incoming>,
) -> Result<http::Response<UnsyncBoxBody<Bytes, Infallible>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let bytes = body.collect().await?.to_bytes();
    let body = match head.uri.path() {
        OPEN => Never.boxed_unsync(),
        _ => Full::new(bytes).boxed_unsync(),
    };
    let response = http::Response::builder().header("content-type", "application/grpc");
    Ok(response.body(body).unwrap_or_default())
}

/// A body whose first frame does not come.
struct Never;

impl hyper::body::Body for Never {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<hyper::body::Frame<Bytes>, Infallible>>> {
        Poll::Pending
    }
}
