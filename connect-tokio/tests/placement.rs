//! Handlers of one connection on the threads of tokio.

use std::{
    sync::{Arc, Barrier},
    time::{Duration, Instant},
};

use connect_tokio::{
    CallTasks, Channel, Client, HttpVersion, Prost, Request, Response, Router, Server, Spec,
    StreamType,
};

const MEET: Spec = Spec::new("/test.v1.Test/Meet", StreamType::Unary);

/// Handlers that wait for each other as threads do: they end only if two run at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_of_one_connection_that_compute_use_several_threads() {
    for tasks in [CallTasks::Adaptive, CallTasks::Spawned] {
        let met = Arc::new(Barrier::new(2));
        let router = Router::new().unary(MEET, move |request: Request<String>| {
            let met = Arc::clone(&met);
            async move {
                let began = Instant::now();
                while began.elapsed() < Duration::from_millis(1) {}
                if request.message() == "meet" {
                    met.wait();
                }
                Ok(Response::new(String::new()))
            }
        });
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server.with_call_tasks(tasks);
        let channel = Channel::builder(format!("http://{}", server.local_addr().unwrap()))
            .with_http_version(HttpVersion::Http2);
        let client = Client::new(channel.build().unwrap());
        let serving = tokio::spawn(server.serve(router));
        let call = async |message: &str| {
            let request = Request::new(message.to_owned());
            client
                .unary::<Prost, String, String>(&MEET, request)
                .await
                .unwrap();
        };
        // It takes long, and that is known of the path.
        call("").await;
        tokio::join!(call("meet"), call("meet"));
        serving.abort();
    }
}
