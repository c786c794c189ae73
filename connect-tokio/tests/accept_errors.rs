//! A listener that fails is waited out: the server neither ends nor spins.

mod support;

use std::{collections::VecDeque, io, net::SocketAddr, time::Duration};

use connect_hyper::{ServerEvent, runtime::Listener};
use connect_tokio::{Channel, Server, Tokio};
use connect_tower::CallBody;
use hyper_util::rt::TokioIo;
use support::{call, echo, post};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// Fails as told, then accepts.
struct Flaky {
    errors: VecDeque<io::Error>,
    then: TcpListener,
}

impl Listener<Tokio> for Flaky {
    type Io = TokioIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Option<SocketAddr>)> {
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => Listener::accept(&mut self.then).await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.then.local_addr()
    }
}

/// Too many open files.
fn emfile() -> io::Error {
    io::Error::from_raw_os_error(24)
}

#[tokio::test]
async fn the_server_serves_on_after_errors() {
    let then = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let errors = [emfile(), io::ErrorKind::ConnectionAborted.into(), emfile()].into();
    let (events, mut told) = mpsc::unbounded_channel();
    let server = Server::from_listener(Flaky { errors, then }).on_event(move |event| {
        if let ServerEvent::AcceptFailed { pause, .. } = event {
            let _ = events.send(*pause);
        }
    });
    let channel = Channel::new(format!("http://{}", server.local_addr().unwrap())).unwrap();
    tokio::spawn(server.serve(echo()));
    let response = call(&channel, post(CallBody::full("still here")))
        .await
        .unwrap();
    assert_eq!(response.body(), "still here");
    // One that concerns a single connection costs no pause.
    assert_eq!(told.recv().await, Some(Duration::from_millis(5)));
    assert_eq!(told.recv().await, Some(Duration::from_millis(10)));
    assert!(told.is_empty());
}

struct Broken;

impl Listener<Tokio> for Broken {
    type Io = TokioIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<(Self::Io, Option<SocketAddr>)> {
        Err(emfile())
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_up_to_a_second() {
    let (events, mut told) = mpsc::unbounded_channel();
    let server = Server::from_listener(Broken).on_event(move |event| {
        if let ServerEvent::AcceptFailed { pause, .. } = event {
            let _ = events.send(*pause);
        }
    });
    tokio::spawn(server.serve(echo()));
    let mut pauses = Vec::new();
    while pauses.len() < 10 {
        pauses.push(told.recv().await.unwrap().as_millis());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
}
