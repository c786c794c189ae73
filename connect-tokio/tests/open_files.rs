//! A server whose process has no file left to open waits, and serves on. In a process of its own, whose limit it lowers.

#![cfg(unix)]

use std::{fs::File, time::Duration};

use connect_tokio::{Router, Server, ServerEvent};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    sync::mpsc,
};

/// More than a test process has open, and few enough to use up.
const FILES: u64 = 256;

#[tokio::test]
async fn a_server_without_files_waits_and_serves_on() {
    let (events, mut failures) = mpsc::unbounded_channel();
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let server = server.with_observer(move |event| {
        if let ServerEvent::AcceptFailed { error, pause } = event {
            let _ = events.send((error.raw_os_error(), *pause));
        }
    });
    let serving = tokio::spawn(server.serve(Router::new()));
    // What the client needs, before there is nothing left.
    let socket = TcpSocket::new_v4().unwrap();
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = Some(FILES);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let mut files = Vec::new();
    let full = loop {
        match File::open("/dev/null") {
            Ok(file) => files.push(file),
            Err(error) => break error.raw_os_error(),
        }
        assert!(files.len() < 10_000, "the limit does not hold");
    };

    let mut client = socket.connect(address).await.unwrap();
    let request =
        b"POST /none HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    client.write_all(request).await.unwrap();
    for pause in [5, 10, 20] {
        let failure = (full, Duration::from_millis(pause));
        assert_eq!(failures.recv().await, Some(failure));
    }
    assert!(!serving.is_finished());
    // The client's connection has waited.
    drop(files);
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
    serving.abort();
}
