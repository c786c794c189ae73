//! A client that sends without end does not keep the others from their answers, nor do clients that come without end.

use std::{
    future::{Future, pending},
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    thread,
    time::Duration,
};

use connect_hyper::{
    CallTasks,
    runtime::{Accepted, ListenAddr, Listener},
};
use connect_tower::CallBody;
use hyper_util::rt::TokioIo;
use macro_rules_attribute::apply;
use tokio::{
    io::{Empty, empty},
    sync::oneshot,
};

use super::support::{
    HTTP2_PREFACE, async_test, bind, call, echo, post, post_http2, start, within,
};
use crate::rt::{Channel, Rt, Server};

/// Sends PINGs as fast as the server takes them, from threads of its own, until it is dropped.
struct Flood {
    socket: TcpStream,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Flood {
    /// Returns once the server answers.
    async fn start(address: SocketAddr) -> Self {
        const PING: &[u8; 17] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
        let socket = TcpStream::connect(address).unwrap();
        let (mut sending, mut receiving) =
            (socket.try_clone().unwrap(), socket.try_clone().unwrap());
        let (answered, answer) = oneshot::channel();
        let sender = thread::spawn(move || {
            let pings = PING.repeat(8 * 1024);
            let mut sent = sending.write_all(HTTP2_PREFACE);
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
        let server = start(
            bind()
                .await
                .with_max_control_frames(None)
                .with_call_tasks(tasks),
            echo(),
        );
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

/// A listener whose queue is never empty, until far more connections have come than a server should take in a row.
struct AlwaysReady(Arc<AtomicUsize>);

const FAR_MORE: usize = 10_000;

impl Listener<Rt> for AlwaysReady {
    type Io = TokioIo<Empty>;

    async fn accept(&mut self) -> io::Result<Accepted<Self::Io>> {
        if self.0.fetch_add(1, Ordering::SeqCst) == FAR_MORE {
            pending::<()>().await;
        }
        Ok(Accepted::new(TokioIo::new(empty())))
    }

    fn local_addr(&self) -> Option<ListenAddr> {
        None
    }
}

#[derive(Default)]
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// The server is polled as an executor with one thread does it: others run only between its polls.
#[apply(async_test)]
async fn clients_without_end_leave_the_thread_to_others() {
    let accepted = Arc::new(AtomicUsize::new(0));
    let server = Server::from_listener(AlwaysReady(Arc::clone(&accepted)));
    let mut serving = pin!(server.serve(echo()));
    let mut before = 0;
    for _ in 0..3 {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let polled = serving.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        let total = accepted.load(Ordering::SeqCst);
        assert!((1..1000).contains(&(total - before)), "{total}");
        assert!(woken.0.load(Ordering::SeqCst), "it waits for nothing");
        before = total;
    }
}
