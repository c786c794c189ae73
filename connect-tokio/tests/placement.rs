//! Handlers of one connection on the threads of tokio.

#[path = "../../connect-test/adapter/meeting.rs"]
mod meeting;

use connect_tokio::{CallTasks, Channel, Client, HttpVersion, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn handlers_of_one_connection_that_compute_use_several_threads() {
    for tasks in [CallTasks::Adaptive, CallTasks::Spawned] {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server.with_call_tasks(tasks);
        let channel = Channel::builder(format!("http://{}", server.local_addr().unwrap()))
            .with_http_version(HttpVersion::Http2);
        let client = Client::new(channel.build().unwrap());
        let serving = tokio::spawn(server.serve(meeting::router()));
        meeting::meet(client).await;
        serving.abort();
    }
}
