//! A listener that keeps failing is asked less and less often. Tokio's clock stands, so that no time passes.

use std::io;

use connect_hyper::runtime::{Accepted, ListenAddr, Listener};
use connect_tokio::{Router, Server, ServerEvent, Tokio};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::mpsc};

/// Too many open files.
struct Broken;

impl Listener<Tokio> for Broken {
    type Io = TokioIo<TcpStream>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        Err(io::Error::from_raw_os_error(24))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn the_pause_doubles_up_to_a_second() {
    let (events, mut events_seen) = mpsc::unbounded_channel();
    let server = Server::from_listener(Broken).with_observer(move |event| {
        if let ServerEvent::AcceptFailed { pause, .. } = event {
            let _ = events.send(*pause);
        }
    });
    tokio::spawn(server.serve(Router::new()));
    let mut pauses = Vec::new();
    while pauses.len() < 10 {
        pauses.push(events_seen.recv().await.unwrap().as_millis());
    }
    assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000]);
}
