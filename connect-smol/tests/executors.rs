//! Where tasks run: on the user's executor, on a single thread, or nowhere.

#[path = "../../connect-test/adapter/meeting.rs"]
mod meeting;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread::{self, ThreadId},
};

use connect_smol::{
    CallTasks, Channel, Client, Code, Prost, Request, Response, Router, Server, Smol, Spec,
    StreamType,
};
use smol::{Executor, LocalExecutor, channel::unbounded, future::or};

const WHERE: Spec = Spec::new("/test.v1.Test/Where", StreamType::Unary);

/// Answers with the thread that the handler runs on.
fn router() -> Router {
    Router::new().unary(WHERE, |_: Request<String>| async {
        Ok(Response::new(format!("{:?}", thread::current().id())))
    })
}

/// Serves and calls on this runtime, and gives the handler's thread.
async fn call(runtime: Smol) -> String {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let server = server
        .with_runtime(runtime.clone())
        .with_call_tasks(CallTasks::Spawned);
    let uri = format!("http://{}", server.local_addr().unwrap());
    let calling = async {
        let channel = Channel::builder(uri).with_runtime(runtime);
        let client = Client::new(channel.build().unwrap());
        let answer: Response<String> = client
            .unary::<Prost, _, _>(&WHERE, Request::new(String::new()))
            .await
            .unwrap();
        answer.into_message()
    };
    let serving = async {
        server.serve(router()).await;
        unreachable!("nobody stops it")
    };
    or(calling, serving).await
}

fn here() -> String {
    let id: ThreadId = thread::current().id();
    format!("{id:?}")
}

#[test]
fn on_an_executor_of_ones_own() {
    let executor = Arc::new(Executor::new());
    let runtime = Smol::on(Arc::clone(&executor));
    // Only this thread runs it.
    assert_eq!(smol::block_on(executor.run(call(runtime))), here());
}

#[test]
fn on_one_thread_alone() {
    thread_local! {
        static LOCAL: LocalExecutor<'static> = const { LocalExecutor::new() };
    }
    let runtime = Smol::spawning(|task| LOCAL.with(|local| local.spawn(task).detach()));
    let seen = LOCAL.with(|local| smol::block_on(local.run(call(runtime))));
    assert_eq!(seen, here());
}

#[test]
fn on_the_global_executor_by_default() {
    assert_ne!(smol::block_on(call(Smol::default())), here());
}

#[test]
fn handlers_of_one_connection_that_compute_use_several_threads() {
    let executor = Arc::new(Executor::new());
    let (running, stopped) = unbounded::<()>();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (executor, stopped) = (Arc::clone(&executor), stopped.clone());
            thread::spawn(move || smol::block_on(executor.run(stopped.recv())))
        })
        .collect();
    let runtime = Smol::on(Arc::clone(&executor));
    smol::block_on(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let server = server.with_runtime(runtime.clone());
        let channel = Channel::builder(format!("http://{}", server.local_addr().unwrap()))
            .with_http_version(connect_smol::HttpVersion::Http2)
            .with_runtime(runtime);
        let client = Client::new(channel.build().unwrap());
        let _serving = executor.spawn(server.serve(meeting::router()));
        meeting::meet(client).await;
    });
    drop(running);
    for thread in threads {
        let _ = thread.join().unwrap();
    }
}

/// A program that is shutting down drops tasks: calls end with an error that says so.
#[test]
fn nowhere_is_an_error() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let nowhere = Smol::spawning(move |task| {
        drop(task);
        count.fetch_add(1, Ordering::SeqCst);
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let channel = Channel::builder(uri)
        .with_http_version(connect_smol::HttpVersion::Http2)
        .with_runtime(nowhere)
        .build()
        .unwrap();
    let client = Client::new(channel);
    let answer: Result<Response<String>, _> =
        smol::block_on(client.unary::<Prost, _, _>(&WHERE, Request::new(String::new())));
    let error = answer.unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(format!("{error:#}").contains("shutting down"), "{error:#}");
    assert_ne!(dropped.load(Ordering::SeqCst), 0);
}
