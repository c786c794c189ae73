//! A client that sends without end does not keep the others from their answers.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use connect_hyper::CallTasks;
use connect_tower::CallBody;
use macro_rules_attribute::apply;
use tokio::sync::oneshot;

use super::support::{async_test, bind, call, echo, post, post_http2, start, within};
use crate::rt::Channel;

/// Sends PINGs as fast as the server takes them, from threads of its own, until it is dropped.
struct Flood {
    socket: TcpStream,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    /// Returns once the server answers.
    async fn start(address: SocketAddr) -> Self {
        const PING: &[u8; 17] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
        const SETTINGS: &[u8; 9] = b"\0\0\0\x04\0\0\0\0\0";
        let socket = TcpStream::connect(address).unwrap();
        let (mut sending, mut receiving) =
            (socket.try_clone().unwrap(), socket.try_clone().unwrap());
        let (answered, answer) = oneshot::channel();
        let sender = thread::spawn(move || {
            let pings = PING.repeat(8 * 1024);
            let begin = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &SETTINGS[..]].concat();
            let mut sent = sending.write_all(&begin);
            while sent.is_ok() {
                sent = sending.write_all(&pings);
            }
        });
        let receiver = thread::spawn(move || {
            let mut answers = vec![0; 64 * 1024];
            let mut answered = Some(answered);
            let mut total = 0;
            while let Ok(read @ 1..) = receiving.read(&mut answers) {
                total += read;
                // Far more than the answers to a first read.
                if total > 1024 * 1024 {
                    answered.take().map(|answered| answered.send(()));
                }
            }
        });
        answer.await.unwrap();
        Self {
            socket,
            threads: vec![sender, receiver],
        }
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

#[apply(async_test)]
async fn a_flood_of_pings_leaves_others_their_answers() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let server = start(bind().await.with_call_tasks(tasks), echo());
        let flood = Flood::start(server.address).await;
        for request in [post, post_http2] {
            let channel = Channel::new(server.uri()).unwrap();
            for _ in 0..10 {
                let calling = call(&channel, request(CallBody::full("hi")));
                let answer = within(Duration::from_secs(60), calling).await;
                assert_eq!(answer.expect("no answer").unwrap().body(), "hi");
            }
        }
        assert!(!flood.threads.iter().any(thread::JoinHandle::is_finished));
    }
}
