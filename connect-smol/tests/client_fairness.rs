//! A server that sends without end does not keep a client's thread from its other calls.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use connect_smol::{
    Channel, Client, HttpVersion, Prost, Request, Response, Router, Server, Smol, Spec, StreamType,
};
use smol::LocalExecutor;
use tokio::sync::oneshot;

const ECHO: Spec = Spec::new("/test.v1.Test/Echo", StreamType::Unary);

/// Accepts one connection, answers no call on it and sends PINGs as fast as the client takes them. Tells when the
/// client is busy with them; ends with the connection.
fn flood(listener: &TcpListener) -> oneshot::Receiver<TcpStream> {
    const PING: &[u8; 17] = b"\0\0\x08\x06\0\0\0\0\0pingpong";
    const SETTINGS: &[u8; 9] = b"\0\0\0\x04\0\0\0\0\0";
    let listener = listener.try_clone().unwrap();
    let (is_busy, busy) = oneshot::channel();
    thread::spawn(move || {
        let (mut sending, _) = listener.accept().unwrap();
        let mut receiving = sending.try_clone().unwrap();
        let socket = sending.try_clone().unwrap();
        thread::spawn(move || {
            let (mut is_busy, mut total) = (Some((is_busy, socket)), 0);
            let mut answers = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = receiving.read(&mut answers) {
                total += read;
                // Far more than the answers to a first read.
                if total > 1024 * 1024 {
                    if let Some((is_busy, socket)) = is_busy.take() {
                        let _ = is_busy.send(socket);
                    }
                }
            }
        });
        let pings = PING.repeat(8 * 1024);
        let mut sent = sending.write_all(SETTINGS);
        while sent.is_ok() {
            sent = sending.write_all(&pings);
        }
    });
    busy
}

async fn echo(channel: Channel, text: &str) -> String {
    let answer: Response<String> = Client::new(channel)
        .unary::<Prost, _, _>(&ECHO, Request::new(text.to_owned()))
        .await
        .unwrap();
    answer.into_message()
}

fn http2(address: SocketAddr, runtime: Smol) -> Channel {
    Channel::builder(format!("http://{address}"))
        .with_http_version(HttpVersion::Http2)
        .with_runtime(runtime)
        .build()
        .unwrap()
}

/// Serves, is flooded and calls on this thread alone.
async fn call_beside_a_flood(runtime: Smol) -> String {
    let server = Server::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let router = Router::new().unary(ECHO, |request: Request<String>| async {
        Ok(Response::new(request.into_message()))
    });
    let serving = server.with_runtime(runtime.clone()).serve(router);

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = flood(&listener);
    let flooded = http2(listener.local_addr().unwrap(), runtime.clone());
    let unanswered = echo(flooded, "unanswered");

    let calling = async {
        let socket = busy.await.unwrap();
        let mut answer = String::new();
        for _ in 0..3 {
            answer = echo(http2(address, runtime.clone()), "hi").await;
        }
        let _ = socket.shutdown(Shutdown::Both);
        answer
    };
    tokio::select! {
        biased;
        answer = calling => answer,
        _ = unanswered => unreachable!("nobody answers it"),
        () = serving => unreachable!("nobody stops it"),
    }
}

#[test]
fn a_flood_of_pings_from_one_server_leaves_the_calls_to_others_their_answers() {
    thread_local! {
        static LOCAL: LocalExecutor<'static> = const { LocalExecutor::new() };
    }
    let (answered, answer) = mpsc::channel();
    thread::spawn(move || {
        let runtime = Smol::spawning(|task| LOCAL.with(|local| local.spawn(task).detach()));
        let calling = call_beside_a_flood(runtime);
        // A task as well: the executor runs many turns of its tasks before it polls what is given to `run`.
        let calling = LOCAL.with(|local| local.spawn(calling));
        answered.send(LOCAL.with(|local| smol::block_on(local.run(calling))))
    });
    let answer = answer.recv_timeout(Duration::from_secs(60));
    assert_eq!(answer.as_deref(), Ok("hi"), "the flood has the thread");
}
