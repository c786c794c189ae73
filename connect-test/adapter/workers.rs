//! Workers: threads of a server's own that share its port.

use std::{
    collections::HashSet,
    io,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use connect_hyper::{
    CallTasks, HttpVersion, ServerEvent,
    runtime::{ListenOptions, Listener, Runtime},
    server::RequestBody,
};
use connect_tower::CallBody;
use http::Request;
use macro_rules_attribute::apply;
use tokio::sync::{Semaphore, mpsc};

use super::support::{
    ECHO, ServiceFn, async_test, call, certs::Authority, connect, echo, http2_client, listen, post,
    runtime, spawn, start, text, unary, yield_now,
};
use crate::rt::{Channel, ClientTls, ReloadableTls, Server, ServerTls};

async fn bind(workers: usize) -> Server {
    Server::bind_workers("127.0.0.1:0", workers).await.unwrap()
}

fn worker() -> String {
    thread::current().name().unwrap_or_default().to_owned()
}

/// Answers with the threads that a call was polled on.
fn tell() -> impl connect_hyper::HttpService {
    ServiceFn(|request: Request<RequestBody>| async move {
        let mut seen = vec![worker()];
        for _ in 0..3 {
            yield_now().await;
            seen.push(worker());
        }
        drop(request);
        seen.dedup();
        text(seen.join(" "))
    })
}

async fn ask(channel: &Channel) -> String {
    let answer = call(channel, post(CallBody::empty())).await.unwrap();
    String::from_utf8(answer.into_body().to_vec()).unwrap()
}

/// Channels whose connections are with two workers: the system deals them out as it likes.
async fn channels_of_two(uri: &str) -> [(Channel, String); 2] {
    let mut seen: Vec<(Channel, String)> = Vec::new();
    while seen.len() < 2 {
        let channel = Channel::new(uri).unwrap();
        let worker = ask(&channel).await;
        if seen.iter().all(|(_, other)| *other != worker) {
            seen.push((channel, worker));
        }
    }
    seen.try_into().unwrap()
}

#[apply(async_test)]
async fn several_workers_answer_and_no_call_leaves_its_own() {
    for tasks in [CallTasks::OnConnection, CallTasks::Spawned] {
        let server = bind(3).await.with_call_tasks(tasks);
        assert_eq!(server.workers(), Some(3));
        let server = start(server, tell());
        for (channel, name) in channels_of_two(&server.uri()).await {
            assert!(name.starts_with("connect-worker-"), "{name}");
            // No second name, and the next calls of the connection are there too.
            assert!(!name.contains(' '), "{name}");
            assert_eq!(ask(&channel).await, name);
        }
        server.stop().await.unwrap();
    }
}

#[apply(async_test)]
async fn as_many_as_the_machine_runs_at_once_unless_said() {
    let server = Server::bind_workers("localhost:0", None).await.unwrap();
    let parallel = thread::available_parallelism().unwrap().get();
    assert_eq!(server.workers(), Some(parallel));
    assert_eq!(server.local_addrs().len(), 1);
    assert_eq!(super::support::bind().await.workers(), None);
}

#[apply(async_test)]
async fn one_shutdown_waits_for_the_calls_of_all_workers() {
    let (begun, mut began) = mpsc::unbounded_channel();
    let held = Arc::new(Semaphore::new(0));
    let service = {
        let held = Arc::clone(&held);
        ServiceFn(move |request: Request<RequestBody>| {
            let (begun, held) = (begun.clone(), Arc::clone(&held));
            async move {
                if request.uri().path() == "/held" {
                    begun.send(()).unwrap();
                    held.acquire().await.unwrap().forget();
                }
                text(worker())
            }
        })
    };
    let server = bind(2).await;
    let (handle, address) = (server.handle(), server.local_addr().unwrap());
    let server = start(server, service);
    let channels = channels_of_two(&server.uri()).await;
    let mut calls = Vec::new();
    for (channel, _) in channels.clone() {
        calls.push(spawn(async move {
            let request = Request::post("/held").body(CallBody::empty()).unwrap();
            call(&channel, request).await
        }));
        began.recv().await.unwrap();
    }
    assert_eq!(handle.stats().active_calls, 2);
    let serving = server.stop();
    // The sockets are closed while the calls go on.
    while connect(address).await.is_ok() {
        yield_now().await;
    }
    assert!(!serving.is_finished());
    held.add_permits(2);
    for (call, (_, name)) in calls.into_iter().zip(&channels) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(answer.into_body(), name.as_bytes());
    }
    serving.await.unwrap();
    handle.ended().await;
    assert_eq!(handle.connections(), 0);
}

/// A value of the service's, so that a test sees when all of it is dropped.
fn never(alive: &Arc<()>) -> (impl connect_hyper::HttpService, mpsc::UnboundedReceiver<()>) {
    let (begun, began) = mpsc::unbounded_channel();
    let alive = Arc::clone(alive);
    let service = ServiceFn(move |_: Request<RequestBody>| {
        let (begun, alive) = (begun.clone(), Arc::clone(&alive));
        async move {
            begun.send(()).unwrap();
            let () = std::future::pending().await;
            drop(alive);
            text("")
        }
    });
    (service, began)
}

#[apply(async_test)]
async fn calls_that_outlive_the_drain_are_ended_and_the_workers_with_them() {
    let alive = Arc::new(());
    let (service, mut began) = never(&alive);
    let expired = Arc::new(Mutex::new(0));
    let told = Arc::clone(&expired);
    let server = bind(2)
        .await
        .with_drain_timeout(Duration::ZERO)
        .with_observer(move |event| {
            if let ServerEvent::DrainExpired { connections } = event {
                *told.lock().unwrap() += connections;
            }
        });
    let server = start(server, service);
    let channel = Channel::new(server.uri()).unwrap();
    let calling = spawn(async move { call(&channel, post(CallBody::empty())).await });
    began.recv().await.unwrap();
    server.stop().await.unwrap();
    assert!(calling.await.unwrap().is_err());
    assert_eq!(*expired.lock().unwrap(), 1);
    assert_eq!(Arc::strong_count(&alive), 1);
}

#[apply(async_test)]
async fn a_server_that_is_dropped_ends_its_workers() {
    let alive = Arc::new(());
    let (service, mut began) = never(&alive);
    let server = bind(2).await;
    let (handle, address) = (server.handle(), server.local_addr().unwrap());
    let serving = spawn(server.serve(service));
    let channel = Channel::new(format!("http://{address}")).unwrap();
    let calling = spawn(async move { call(&channel, post(CallBody::empty())).await });
    began.recv().await.unwrap();
    serving.abort();
    handle.ended().await;
    assert!(calling.await.unwrap().is_err());
    // One that never serves as well.
    let idle = bind(2).await;
    let idle_address = idle.local_addr().unwrap();
    drop(idle);
    for address in [address, idle_address] {
        while connect(address).await.is_ok() {
            yield_now().await;
        }
    }
    while Arc::strong_count(&alive) > 1 {
        yield_now().await;
    }
}

#[apply(async_test)]
async fn a_panic_does_not_lose_a_worker() {
    let service = ServiceFn(|request: Request<RequestBody>| async move {
        assert_ne!(request.uri().path(), "/panic", "as the test wants it");
        text(worker())
    });
    let server = start(bind(1).await, service);
    for version in [HttpVersion::Http1, HttpVersion::Http2] {
        let channel = Channel::builder(server.uri()).with_http_version(version);
        let channel = channel.build().unwrap();
        let request = Request::post("/panic").body(CallBody::empty()).unwrap();
        let answer = call(&channel, request).await;
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status().is_server_error()));
        assert_eq!(ask(&channel).await, "connect-worker-0");
    }
    server.stop().await.unwrap();
}

#[apply(async_test)]
async fn what_a_worker_cannot_bind_is_reported() {
    let taken = listen().await;
    let address = Listener::local_addr(&taken).unwrap().to_string();
    let error = Server::bind_workers(&address, 2).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address), "{error}");

    let error = Server::bind_workers("127.0.0.1:0", 0).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[apply(async_test)]
async fn a_listener_that_is_added_serves_beside_the_workers() {
    let server = bind(1).await.add_listener(listen().await);
    let addresses = server.local_addrs();
    let handle = server.handle();
    let serving = spawn(server.serve(echo()));
    assert_eq!(addresses.len(), 2);
    for address in addresses {
        let client = http2_client(address.tcp().unwrap());
        assert_eq!(unary(&client, &ECHO, "hi").await.unwrap(), "hi");
    }
    handle.shutdown();
    serving.await.unwrap();
}

#[apply(async_test)]
async fn limits_are_those_of_all_workers() {
    let server = bind(3).await.with_max_connections_per_address(2);
    let handle = server.handle();
    let server = start(server, tell());
    let uri = server.uri();
    let mut channels = Vec::new();
    for _ in 0..2 {
        let channel = Channel::new(&uri).unwrap();
        ask(&channel).await;
        channels.push(channel);
    }
    for _ in 0..10 {
        let late = Channel::new(&uri).unwrap();
        assert!(call(&late, post(CallBody::empty())).await.is_err());
    }
    assert_eq!(handle.connections(), 2);
    server.stop().await.unwrap();
}

#[apply(async_test)]
async fn a_new_certificate_is_that_of_all_workers() {
    let (old, new) = (Authority::new(), Authority::new());
    let identity = |authority: &Authority| {
        let issued = authority.issue("localhost");
        ServerTls::from_pem(&issued.chain, &issued.key).unwrap()
    };
    let tls = ReloadableTls::new(identity(&old));
    let server = start(bind(3).await.with_tls(tls.clone()), tell());
    let uri = format!("https://localhost:{}", server.address.port());
    for authority in [&old, &new] {
        let mut seen = HashSet::new();
        while seen.len() < 2 {
            let trust = ClientTls::new().add_ca(authority.pem()).unwrap();
            let channel = Channel::builder(&uri).with_tls(trust).build().unwrap();
            seen.insert(ask(&channel).await);
        }
        tls.replace(identity(&new));
    }
    server.stop().await.unwrap();
}

#[apply(async_test)]
async fn a_port_that_workers_have_can_be_shared_by_who_asks_for_it() {
    let server = bind(1).await;
    let address = server.local_addr().unwrap();
    assert!(Server::bind(address).await.is_err());
    let options = ListenOptions::new().with_reuse_port(true);
    runtime().listen(address, &options).await.unwrap();
}
