//! Many listeners on one server, with one shutdown, and its handle.

use std::{
    io::{self, Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use connect_hyper::{
    ServerEvent, ServerHandle,
    runtime::{Accepted, ListenAddr, StreamListener},
    server::RequestBody,
};
use connect_tower::{CallBody, Connection};
use futures_util::{Stream, StreamExt};
use http::Request;
use hyper_util::rt::TokioIo;
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex},
    sync::{Notify, mpsc, oneshot},
};

use super::support::{
    ServiceFn, async_test, bind, body_channel, call, certs::Authority, connect, echo, listen, post,
    spawn, start, text, yield_now,
};
use crate::rt::{Channel, ClientTls, Server, ServerTls};

const REQUEST: &[u8] =
    b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi";

/// One request of HTTP/1.1, and the answer's body.
async fn ask(mut socket: impl AsyncRead + AsyncWrite + Unpin) -> io::Result<String> {
    AsyncWriteExt::write_all(&mut socket, REQUEST).await?;
    let mut answer = String::new();
    AsyncReadExt::read_to_string(&mut socket, &mut answer).await?;
    Ok(body_of(&answer))
}

/// The same on a Unix socket, by a thread of its own.
async fn ask_unix(path: &Path) -> String {
    let path = path.to_owned();
    let (answered, answer) = oneshot::channel();
    std::thread::spawn(move || {
        let mut socket = UnixStream::connect(path).unwrap();
        socket.write_all(REQUEST).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answered.send(body_of(&answer)).unwrap();
    });
    answer.await.unwrap()
}

fn body_of(answer: &str) -> String {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    body.to_owned()
}

type InMemory = io::Result<Accepted<TokioIo<DuplexStream>>>;

/// A listener of connections that the test makes.
fn in_memory() -> (
    mpsc::UnboundedSender<InMemory>,
    StreamListener<impl Stream<Item = InMemory> + Unpin>,
) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let stream = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
    (sender, StreamListener::new(stream))
}

/// A path for a Unix socket, removed in the end.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> Self {
        let name = format!("connect-test-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_file(&path);
        Self(path)
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[apply(async_test)]
async fn one_server_serves_on_tcp_unix_tls_and_memory_and_ends_them_together() {
    let identity = Authority::new().issue("localhost");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let path = SocketPath::new();
    let (connections, memory) = in_memory();
    let server = bind()
        .await
        .add_listener(crate::rt::unix_listener(&path.0))
        .add_tls_listener(listen().await, tls)
        .add_listener(memory);
    let handle = server.handle();
    let [
        ListenAddr::Tcp(plain),
        ListenAddr::Unix(unix),
        ListenAddr::Tcp(secure),
    ] = handle.local_addrs()
    else {
        panic!("{handle:?}");
    };
    assert_eq!(*unix, path.0);
    assert_eq!(server.local_addr().unwrap(), *plain);
    let serving = spawn(server.serve(echo()));

    assert_eq!(ask(connect(*plain).await.unwrap()).await.unwrap(), "hi");
    assert_eq!(ask_unix(&path.0).await, "hi");
    let (near, far) = duplex(1000);
    let accepted = Accepted::new(TokioIo::new(far));
    assert!(connections.send(Ok(accepted)).is_ok());
    assert_eq!(ask(near).await.unwrap(), "hi");
    // What speaks no TLS gets no answer here.
    assert_eq!(
        ask(connect(*secure).await.unwrap())
            .await
            .unwrap_or_default(),
        ""
    );

    handle.shutdown();
    serving.await.unwrap();
    handle.ended().await;
    assert_eq!(handle.connections(), 0);
    for address in [*plain, *secure] {
        assert!(connect(address).await.is_err());
    }
    assert!(connections.is_closed());
}

/// What a handler sees of its connection.
fn tell() -> impl connect_hyper::HttpService {
    ServiceFn(|request: Request<RequestBody>| async move {
        let connection = request.extensions().get::<Connection>().unwrap();
        let alpn = connection.alpn().unwrap_or_default();
        text(format!(
            "{:?} {:?} {:?} {}",
            connection.peer().addr().map(|a| a.ip()),
            connection.local_addr(),
            connection.server_name(),
            String::from_utf8_lossy(alpn)
        ))
    })
}

#[apply(async_test)]
async fn handlers_see_both_ends_of_their_connection_and_what_tls_agreed_on() {
    let authority = Authority::new();
    let identity = authority.issue("localhost");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let (connections, memory) = in_memory();
    let server = bind().await.with_tls(tls).add_listener(memory);
    let address = server.local_addr().unwrap();
    spawn(server.serve(tell()));
    let trust = ClientTls::new().add_ca(authority.pem()).unwrap();
    let channel = Channel::builder(format!("https://localhost:{}", address.port()));
    let channel = channel.with_tls(trust).build().unwrap();
    let told = call(&channel, post(CallBody::empty())).await.unwrap();
    let expected = format!("Some(127.0.0.1) Some({address}) Some(\"localhost\") h2");
    assert_eq!(told.body(), &expected);

    let (near, far) = duplex(1000);
    let accepted = Accepted::new(TokioIo::new(far));
    assert!(connections.send(Ok(accepted)).is_ok());
    assert_eq!(ask(near).await.unwrap(), "None None None ");
}

#[apply(async_test)]
async fn a_handle_works_before_and_while_the_server_serves_and_many_may_wait() {
    let server = bind().await;
    let handle = server.handle();
    let waiting: Vec<_> = (0..3)
        .map(|_| {
            let handle = handle.clone();
            spawn(async move { handle.ended().await })
        })
        .collect();
    let begun = Arc::new(Notify::new());
    let begin = Arc::clone(&begun);
    let service = ServiceFn(move |_: Request<RequestBody>| {
        begin.notify_one();
        async { std::future::pending().await }
    });
    let address = server.local_addr().unwrap();
    let serving = spawn(server.with_drain_timeout(Duration::ZERO).serve(service));
    let channel = Channel::new(format!("http://{address}")).unwrap();
    let calling = spawn(async move { call(&channel, post(CallBody::empty())).await });
    begun.notified().await;
    assert_eq!(handle.connections(), 1);
    assert!(!waiting[0].is_finished());
    handle.shutdown();
    assert!(calling.await.unwrap().is_err());
    for task in waiting {
        task.await.unwrap();
    }
    serving.await.unwrap();

    // A server that was shut down before it serves, and one that is dropped.
    let server = bind().await;
    let handle = server.handle();
    handle.shutdown();
    server.serve(echo()).await;
    handle.ended().await;
    let handle = bind().await.handle();
    handle.ended().await;
}

#[apply(async_test)]
async fn the_limit_of_connections_holds_for_all_listeners_and_is_told_once() {
    let (events, mut full) = mpsc::unbounded_channel();
    let (connections, memory) = in_memory();
    let server = bind()
        .await
        .with_max_connections(2)
        .with_observer(move |event| {
            if let ServerEvent::ConnectionsFull { connections } = event {
                let _ = events.send(*connections);
            }
        })
        .add_listener(memory);
    let handle = server.handle();
    let address = server.local_addr().unwrap();
    let far_ends: Vec<DuplexStream> = (0..4)
        .map(|_| {
            let (near, far) = duplex(1000);
            let accepted = Accepted::new(TokioIo::new(far));
            assert!(connections.send(Ok(accepted)).is_ok());
            near
        })
        .collect();
    spawn(server.serve(echo()));
    let waiting = spawn(async move { ask(connect(address).await?).await });
    assert_eq!(full.recv().await, Some(2));
    for _ in 0..100 {
        assert!(handle.connections() <= 2);
        yield_now().await;
    }
    for near in far_ends {
        assert_eq!(ask(near).await.unwrap(), "hi");
    }
    assert_eq!(waiting.await.unwrap().unwrap(), "hi");
}

#[apply(async_test)]
async fn an_address_has_a_number_of_connections_and_the_refusal_is_told_once() {
    let (events, mut full) = mpsc::unbounded_channel();
    let server = bind()
        .await
        .with_max_connections_per_address(2)
        .with_observer(move |event| {
            if let ServerEvent::AddressFull { peer } = event {
                let _ = events.send(peer.addr().unwrap().ip());
            }
        });
    let handle = server.handle();
    let server = start(server, echo());
    let connect = async || connect(server.address).await.unwrap();
    let (first, second) = (connect().await, connect().await);
    while handle.connections() < 2 {
        yield_now().await;
    }
    for _ in 0..2 {
        assert_eq!(ask(connect().await).await.unwrap_or_default(), "");
    }
    assert_eq!(full.recv().await, Some(server.address.ip()));
    assert_eq!(ask(first).await.unwrap(), "hi");
    while handle.connections() > 1 {
        yield_now().await;
    }
    assert_eq!(ask(connect().await).await.unwrap(), "hi");
    assert!(full.is_empty());
    drop(second);
}

/// The server goes on as before while load balancers find out.
#[apply(async_test)]
async fn a_drain_may_be_told_to_wait_and_says_so() {
    let (events, mut told) = mpsc::unbounded_channel();
    let delay = Duration::from_millis(200);
    let server = bind()
        .await
        .with_drain_delay(delay)
        .with_observer(move |event| {
            if let ServerEvent::ShuttingDown { delay } = event {
                let _ = events.send(*delay);
            }
        });
    let server = start(server, echo());
    let address: SocketAddr = server.address;
    let channel = Channel::new(server.uri()).unwrap();
    let (chunks, body) = body_channel();
    let calling = spawn({
        let channel = channel.clone();
        async move { call(&channel, post(CallBody::foreign(body))).await }
    });
    let task = server.stop();
    assert_eq!(told.recv().await, Some(delay));
    assert_eq!(ask(connect(address).await.unwrap()).await.unwrap(), "hi");
    // Then it ends as without: nobody is let in, and calls go on.
    while connect(address).await.is_ok() {
        yield_now().await;
    }
    assert!(!task.is_finished());
    chunks.send(Ok("late".into())).unwrap();
    drop(chunks);
    assert_eq!(calling.await.unwrap().unwrap().body(), "late");
    task.await.unwrap();
}

#[apply(async_test)]
async fn a_server_on_no_tcp_address_says_so() {
    let (_connections, memory) = in_memory();
    let server = Server::from_listener(memory);
    let error = server.local_addr().unwrap_err();
    assert!(error.to_string().contains("no TCP address"), "{error}");
    let handle: ServerHandle = server.handle();
    assert!(handle.local_addrs().is_empty());
}

/// Where the peer is not asked, its stream's end is not the server's.
#[apply(async_test)]
async fn a_stream_of_connections_may_fail_and_end() {
    let server = bind().await;
    let address = server.local_addr().unwrap();
    let aborted: InMemory = Err(io::ErrorKind::ConnectionAborted.into());
    let failing = futures_util::stream::iter([aborted]);
    spawn(
        server
            .add_listener(StreamListener::new(failing.boxed()))
            .serve(echo()),
    );
    assert_eq!(ask(connect(address).await.unwrap()).await.unwrap(), "hi");
}
