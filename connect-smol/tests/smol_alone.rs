//! A server and a client on smol, over all that they can do, and no tokio anywhere: not where handlers run, not where
//! calls are made, not as a thread.

use std::{fs, path::Path, time::Duration};

use connect_smol::{
    Channel, Client, Code, HttpVersion, Prost, Request, Response, Router, Server, Spec, StreamType,
};

const SAY: Spec = Spec::new("/test.v1.Test/Say", StreamType::Unary);
const NEVER: Spec = Spec::new("/test.v1.Test/Never", StreamType::Unary);

fn assert_no_tokio() {
    assert!(tokio::runtime::Handle::try_current().is_err());
}

/// The names of this process's threads. Linux only; empty elsewhere.
fn threads() -> Vec<String> {
    let tasks = fs::read_dir(Path::new("/proc/self/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    tasks
        .filter_map(|task| fs::read_to_string(task.path().join("comm")).ok())
        .collect()
}

#[test]
fn no_other_runtime_is_there() {
    let router = Router::new()
        .unary(SAY, |request: Request<String>| async move {
            assert_no_tokio();
            // A timer, while a call is under way.
            smol::Timer::after(Duration::from_millis(1)).await;
            assert_no_tokio();
            Ok(Response::new(request.into_message()))
        })
        .unary(NEVER, |_: Request<String>| async move {
            std::future::pending::<()>().await;
            Ok(Response::new(String::new()))
        });
    smol::block_on(async {
        let server = Server::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}", server.local_addr().unwrap());
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let serving = smol::spawn(server.serve_with_shutdown(router, async move {
            let _ = stopped.recv().await;
        }));
        for version in [HttpVersion::Http1, HttpVersion::Http2] {
            let channel = Channel::builder(&uri)
                .with_http_version(version)
                .build()
                .unwrap();
            let client = Client::new(channel);
            let request = Request::new(String::from("hi"));
            let answer: Response<String> =
                client.unary::<Prost, _, _>(&SAY, request).await.unwrap();
            assert_eq!(answer.message(), "hi");
            // A deadline is kept by smol's clock.
            let request = Request::new(String::new()).with_timeout(Duration::from_millis(10));
            let answer: Result<Response<String>, _> =
                client.unary::<Prost, _, _>(&NEVER, request).await;
            assert_eq!(answer.unwrap_err().code(), Code::DeadlineExceeded);
            assert_no_tokio();
        }
        drop(stop);
        serving.await;
    });
    let threads = threads();
    assert!(
        !threads.iter().any(|name| name.starts_with("tokio")),
        "{threads:?}"
    );
    // The look at the threads sees them: smol's are there.
    if cfg!(target_os = "linux") {
        assert!(
            threads.iter().any(|name| name.starts_with("smol-")),
            "{threads:?}"
        );
    }
}
