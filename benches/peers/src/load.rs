//! The one client of all servers.

use std::{cell::Cell, error::Error, net::SocketAddr, rc::Rc};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinSet};

use crate::workload::Workload;

/// Any failure: the run is over then.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Connections of an HTTP/2 workload; its requests are spread over them.
const HTTP2_CONNECTIONS: usize = 4;

/// Sends all requests of the workload, so many at a time, and checks each answer.
///
/// # Errors
///
/// A connection that fails, or an answer that is not the request's message.
pub async fn run(addr: SocketAddr, workload: &Rc<Workload>) -> Result<(), Failure> {
    let left = Rc::new(Cell::new(workload.requests));
    let mut workers = JoinSet::new();
    if workload.http2 {
        let mut connections = Vec::new();
        for _ in 0..HTTP2_CONNECTIONS {
            connections.push(connect_http2(addr).await?);
        }
        for worker in 0..workload.concurrency {
            let mut sender = connections[worker % HTTP2_CONNECTIONS].clone();
            let (workload, left) = (workload.clone(), left.clone());
            workers.spawn_local(async move {
                while take_one(&left) {
                    sender.ready().await?;
                    let response = sender.send_request(workload.request(&addr.to_string()));
                    check(&workload, response.await?).await?;
                }
                Ok::<_, Failure>(())
            });
        }
    } else {
        for _ in 0..workload.concurrency {
            let mut sender = connect_http1(addr).await?;
            let (workload, left) = (workload.clone(), left.clone());
            workers.spawn_local(async move {
                while take_one(&left) {
                    sender.ready().await?;
                    let response = sender.send_request(workload.request(&addr.to_string()));
                    check(&workload, response.await?).await?;
                }
                Ok::<_, Failure>(())
            });
        }
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    Ok(())
}

fn take_one(left: &Cell<usize>) -> bool {
    let count = left.get();
    left.set(count.saturating_sub(1));
    count > 0
}

async fn connect_http2(addr: SocketAddr) -> Result<http2::SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = handshake.await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

async fn connect_http1(addr: SocketAddr) -> Result<http1::SendRequest<Full<Bytes>>, Failure> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(connection);
    Ok(sender)
}

async fn check(workload: &Workload, response: Response<Incoming>) -> Result<(), Failure> {
    let status = response.status();
    let body = response.into_body().collect().await?;
    let grpc_status = body
        .trailers()
        .and_then(|trailers| trailers.get("grpc-status"));
    let is_ok = status == 200 && (!workload.is_grpc() || grpc_status.is_some_and(|s| s == "0"));
    // JSON may come with other spaces, never shorter than this.
    let is_whole = body.to_bytes().len() >= workload.body().len();
    if !(is_ok && is_whole) {
        return Err(format!("{}: a wrong answer, HTTP status {status}", workload.name).into());
    }
    Ok(())
}

/// One request on a connection of its own, for a first look at a server.
///
/// # Errors
///
/// As for [`run`].
pub async fn probe(addr: SocketAddr, workload: &Workload) -> Result<(), Failure> {
    let request: Request<Full<Bytes>> = workload.request(&addr.to_string());
    let response = if workload.http2 {
        connect_http2(addr).await?.send_request(request).await?
    } else {
        connect_http1(addr).await?.send_request(request).await?
    };
    check(workload, response).await
}
