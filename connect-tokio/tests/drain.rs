//! A server that has ended has no call left, on any thread.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    time::Duration,
};

use connect_tokio::{
    CallTasks, Channel, Client, HttpVersion, Prost, Request, Response, Router, Server, Spec,
    StreamType,
};
use tokio::sync::oneshot;

const HANG: Spec = Spec::new("/test.v1.Test/Hang", StreamType::Unary);

/// What a call holds: it takes its time to be dropped, but no longer than the server runs.
struct Held {
    server_ended: mpsc::Receiver<()>,
    dropped: Arc<AtomicBool>,
}

impl Drop for Held {
    fn drop(&mut self) {
        let ended = self.server_ended.recv_timeout(Duration::from_millis(300));
        if ended.is_err() {
            self.dropped.store(true, Ordering::SeqCst);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_server_ends_after_its_calls() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let (end, server_ended) = mpsc::channel();
        let dropped = Arc::new(AtomicBool::new(false));
        let held = std::sync::Mutex::new(Some(Held {
            server_ended,
            dropped: Arc::clone(&dropped),
        }));
        let (begin, begun) = oneshot::channel();
        let begin = std::sync::Mutex::new(Some(begin));
        let router = Router::new().unary(HANG, move |_: Request<String>| {
            let held = held.lock().unwrap().take();
            let _ = begin.lock().unwrap().take().unwrap().send(());
            async move {
                std::future::pending::<()>().await;
                drop(held);
                Ok(Response::new(String::new()))
            }
        });
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server
            .with_call_tasks(tasks)
            .with_drain_timeout(Duration::ZERO);
        let uri = format!("http://{}", server.local_addr().unwrap());
        let serving = tokio::spawn(server.serve_with_shutdown(router, async {
            let _ = begun.await;
        }));
        let channel = Channel::builder(uri).with_http_version(HttpVersion::Http2);
        let client = Client::new(channel.build().unwrap());
        let request = Request::new(String::new());
        let called = client.unary::<Prost, String, String>(&HANG, request).await;
        assert!(called.is_err());
        serving.await.unwrap();
        let _ = end.send(());
        assert!(dropped.load(Ordering::SeqCst), "{tasks:?}");
    }
}
