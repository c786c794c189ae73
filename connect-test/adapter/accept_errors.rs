//! A listener that fails is waited out: the server neither ends nor spins.

use std::{collections::VecDeque, io, time::Duration};

use connect_hyper::{
    ServerEvent,
    runtime::{Accepted, ListenAddr, Listener, Runtime},
};
use connect_tower::CallBody;
use macro_rules_attribute::apply;
use tokio::sync::mpsc;

use super::support::{async_test, call, echo, listen, post, spawn};
use crate::rt::{Channel, Rt, Server};

/// Fails with these errors, then accepts.
struct Flaky {
    errors: VecDeque<io::Error>,
    then: <Rt as Runtime>::Listener,
}

impl Listener<Rt> for Flaky {
    type Io = <Rt as Runtime>::Io;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        match self.errors.pop_front() {
            Some(error) => Err(error),
            None => Listener::accept(&mut self.then).await,
        }
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        Listener::local_addr(&self.then)
    }
}

/// Too many open files.
fn emfile() -> io::Error {
    io::Error::from_raw_os_error(24)
}

#[apply(async_test)]
async fn the_server_serves_on_after_errors() {
    let then = listen().await;
    let errors = [emfile(), io::ErrorKind::ConnectionAborted.into(), emfile()].into();
    let (events, mut pauses) = mpsc::unbounded_channel();
    let server = Server::from_listener(Flaky { errors, then }).with_observer(move |event| {
        if let ServerEvent::AcceptFailed { pause, .. } = event {
            let _ = events.send(*pause);
        }
    });
    let channel = Channel::new(format!("http://{}", server.local_addr().unwrap())).unwrap();
    spawn(server.serve(echo()));
    let response = call(&channel, post(CallBody::full("still here")))
        .await
        .unwrap();
    assert_eq!(response.body(), "still here");
    // One that concerns a single connection costs no pause.
    assert_eq!(pauses.recv().await, Some(Duration::from_millis(5)));
    assert_eq!(pauses.recv().await, Some(Duration::from_millis(10)));
    assert!(pauses.is_empty());
}
