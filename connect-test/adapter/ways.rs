//! The ways to a server: sockets of Unix, proxies, a user's own connector; and what the server is called meanwhile.

#[cfg(unix)]
use std::{os::unix::net::UnixListener, thread};

use connect_hyper::{runtime::Runtime, server::RequestBody};
use connect_proto::Code;
use connect_tower::{
    CallBody,
    transport::{Sent, TransportError},
};
use http::{Request, header::HOST};
use macro_rules_attribute::apply;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    sync::mpsc,
};

use super::support::{
    Refusing, Running, ServiceFn, Socket, accept, async_test, bind, call, certs::Authority,
    connect, listen, post, post_http2, runtime, spawn, start, text,
};
use crate::rt::{Channel, ChannelBuilder, ClientTls, EndpointAddress, ServerTls};

/// A server that answers with what it is called.
async fn named() -> Running {
    start(bind().await, say_name())
}

fn say_name() -> ServiceFn<
    impl FnMut(Request<RequestBody>) -> std::future::Ready<http::Response<super::support::ResponseBody>>
    + Clone,
> {
    ServiceFn(|request: Request<RequestBody>| {
        let of_header = request.headers().get(HOST).map(|it| it.to_str().unwrap());
        let of_uri = request.uri().authority().map(|it| it.as_str());
        std::future::ready(text(of_uri.or(of_header).unwrap_or("nothing")))
    })
}

/// What the server is called by each HTTP version.
async fn names(channel: &Channel) -> [String; 2] {
    let mut names = Vec::new();
    for request in [post, post_http2] {
        let response = call(channel, request(CallBody::empty())).await.unwrap();
        names.push(String::from_utf8(response.into_body().to_vec()).unwrap());
    }
    names.try_into().unwrap()
}

async fn fail(builder: ChannelBuilder) -> TransportError {
    let channel = builder.build().unwrap();
    let error = call(&channel, post(CallBody::full("x"))).await.unwrap_err();
    assert_eq!(error.sent(), Sent::No, "{error}");
    assert_eq!(error.error().code(), Code::Unavailable, "{error}");
    error
}

#[apply(async_test)]
async fn a_server_is_called_what_the_channel_says() {
    let server = named().await;
    let channel = Channel::new(server.uri()).unwrap();
    let address = server.address.to_string();
    assert_eq!(names(&channel).await, [address.clone(), address]);
    let channel = Channel::builder(server.uri())
        .with_authority("api.example:1")
        .build()
        .unwrap();
    assert_eq!(names(&channel).await, ["api.example:1"; 2]);
}

#[apply(async_test)]
async fn a_certificate_is_checked_for_the_tls_name() {
    let authority = Authority::new();
    let identity = authority.issue("cert.example");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let server = start(bind().await.with_tls(tls), say_name());
    let builder = || {
        let tls = ClientTls::new().add_ca(authority.pem()).unwrap();
        Channel::builder(format!("https://{}", server.address)).with_tls(tls)
    };
    let channel = builder().with_tls_name("cert.example").build().unwrap();
    assert_eq!(
        names(&channel).await,
        [server.address.to_string(), server.address.to_string()]
    );
    // An authority is another thing.
    let error = fail(builder().with_authority("cert.example")).await;
    assert!(error.to_string().starts_with("TLS handshake"), "{error}");
}

/// A Unix socket behind which the bytes go to a server.
#[cfg(unix)]
fn unix_socket(name: &str, server: &Running) -> std::path::PathBuf {
    use std::{io::copy, net::TcpStream};
    let file = format!("connect-{}-{name}.sock", std::process::id());
    let path = std::env::temp_dir().join(file);
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let address = server.address;
    thread::spawn(move || {
        while let Ok((client, _)) = listener.accept() {
            let server = TcpStream::connect(address).unwrap();
            let mut up = (client.try_clone().unwrap(), server.try_clone().unwrap());
            let mut down = (server, client);
            thread::spawn(move || copy(&mut up.0, &mut up.1));
            thread::spawn(move || copy(&mut down.0, &mut down.1));
        }
    });
    path
}

#[cfg(unix)]
#[apply(async_test)]
async fn a_unix_socket_leads_to_a_server() {
    let server = named().await;
    let name = std::any::type_name::<crate::rt::Rt>().replace(':', "-");
    let path = unix_socket(&name, &server);
    let channel = Channel::new(format!("unix:{}", path.display())).unwrap();
    assert_eq!(names(&channel).await, ["localhost"; 2]);
    let channel = Channel::builder("http://service.example")
        .with_unix_socket(&path)
        .build()
        .unwrap();
    assert_eq!(names(&channel).await, ["service.example"; 2]);
    std::fs::remove_file(&path).unwrap();
    let error = fail(Channel::builder("http://service.example").with_unix_socket(&path)).await;
    let message = error.to_string();
    assert!(
        message.starts_with(&format!("connect to unix:{}: ", path.display())),
        "{message}"
    );
}

/// A proxy that does what the heads of its requests say; it tells their texts.
async fn proxy() -> (String, mpsc::UnboundedReceiver<String>) {
    let mut listener = listen().await;
    let uri = format!("http://ada:love%40lace@{}", listener.local_addr().unwrap());
    let (heads, told) = mpsc::unbounded_channel();
    spawn(async move {
        loop {
            let mut client = accept(&mut listener).await;
            let head = read_head(&mut client).await;
            let destination = head.split(' ').nth(1).unwrap();
            let connected = connect(destination.parse().unwrap()).await;
            let _ = heads.send(head);
            let Ok(mut server) = connected else {
                let answer = b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n";
                client.write_all(answer).await.unwrap();
                continue;
            };
            // Many bytes, as from one that explains itself.
            let via = "x".repeat(20_000);
            let answer = format!("HTTP/1.1 200 Connection established\r\nvia: {via}\r\n\r\n");
            client.write_all(answer.as_bytes()).await.unwrap();
            spawn(async move { copy_bidirectional(&mut client, &mut server).await });
        }
    });
    (uri, told)
}

async fn read_head(client: &mut Socket) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[apply(async_test)]
async fn a_proxy_gives_a_tunnel() {
    let server = named().await;
    let address = server.address.to_string();
    let (uri, mut heads) = proxy().await;
    let channel = Channel::builder(server.uri())
        .with_proxy(uri)
        .build()
        .unwrap();
    assert_eq!(names(&channel).await, [address.clone(), address.clone()]);
    for _ in 0..2 {
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")));
        assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
        // ada:love@lace
        let credentials = "proxy-authorization: Basic YWRhOmxvdmVAbGFjZQ==\r\n";
        assert!(head.contains(credentials), "{head}");
    }
}

#[apply(async_test)]
async fn a_proxy_is_asked_for_each_address_of_a_server() {
    let server = named().await;
    let closed = Refusing::new();
    let (uri, mut heads) = proxy().await;
    let addresses = [closed.address, server.address];
    let channel = Channel::builder("http://service.example")
        .with_endpoints([EndpointAddress::sockets(addresses)])
        .with_proxy(uri)
        .build()
        .unwrap();
    assert_eq!(names(&channel).await, ["service.example"; 2]);
    for address in addresses {
        let head = heads.recv().await.unwrap();
        assert!(head.starts_with(&format!("CONNECT {address} HTTP/1.1\r\n")));
    }
}

#[apply(async_test)]
async fn tls_goes_through_a_proxy() {
    let authority = Authority::new();
    let identity = authority.issue("cert.example");
    let tls = ServerTls::from_pem(&identity.chain, &identity.key).unwrap();
    let server = start(bind().await.with_tls(tls), say_name());
    let (uri, mut heads) = proxy().await;
    let channel = Channel::builder(format!("https://{}", server.address))
        .with_tls(ClientTls::new().add_ca(authority.pem()).unwrap())
        .with_tls_name("cert.example")
        .with_proxy(uri)
        .build()
        .unwrap();
    let address = server.address.to_string();
    assert_eq!(names(&channel).await, [address.clone(), address]);
    assert!(heads.recv().await.is_some());
}

#[apply(async_test)]
async fn a_proxy_without_a_tunnel_is_named_with_its_answer() {
    let too_long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 20_000]].concat();
    for (answer, why) in [
        (
            &b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"[..],
            "it answered 407 Proxy Authentication Required; give user and password",
        ),
        (
            b"HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
            "it answered 403 Forbidden; does it allow CONNECT",
        ),
        (
            b"HTTP/1.1 502 Bad Gateway\r\n\r\n",
            "it answered 502 Bad Gateway; can it reach the server?",
        ),
        (b"HTTP/1.1 302 Found\r\n\r\n", "it answered 302 Found"),
        (b"", "it closed the connection without an answer"),
        (
            b"HTTP/1.1 200",
            "it closed the connection without an answer",
        ),
        (b"220 mail ready\r\n\r\n", "its answer is not HTTP/1.1"),
        (
            &too_long,
            "the head of its answer is larger than with_http1_buffer_size",
        ),
    ] {
        let mut listener = listen().await;
        let address = listener.local_addr().unwrap();
        let answer = answer.to_vec();
        let proxy = spawn(async move {
            let mut client = accept(&mut listener).await;
            read_head(&mut client).await;
            // The client need not read all of it.
            let _ = client.write_all(&answer).await;
            let _ = client.shutdown().await;
        });
        let builder = Channel::builder("http://service.example").with_http1_buffer_size(8 * 1024);
        let error = fail(builder.with_proxy(format!("http://ada:secret@{address}"))).await;
        let message = error.to_string();
        let start = format!("proxy http://{address} for service.example:80: {why}");
        assert!(message.starts_with(&start), "{message}");
        proxy.await.unwrap();
    }
}

#[apply(async_test)]
async fn a_proxy_that_is_not_there_is_named() {
    let listener = listen().await;
    let address = listener.local_addr().unwrap();
    drop(listener);
    let builder = Channel::builder("http://service.example");
    let error = fail(builder.with_proxy(format!("http://{address}"))).await;
    let message = error.to_string();
    let start = format!("proxy http://{address} for service.example:80: connect to {address}: ");
    assert!(message.starts_with(&start), "{message}");
    let refused = Channel::builder("http://service.example")
        .with_proxy("https://proxy.example")
        .build()
        .unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[apply(async_test)]
async fn a_connector_of_ones_own_is_asked() {
    let server = named().await;
    let (asked, mut addresses) = mpsc::unbounded_channel();
    let address = server.address;
    let channel = Channel::builder("http://service.invalid:7")
        .with_connector(move |to: EndpointAddress| {
            let _ = asked.send(to.to_string());
            async move { runtime().connect(address).await }
        })
        .build()
        .unwrap();
    assert_eq!(names(&channel).await, ["service.invalid:7"; 2]);
    assert_eq!(addresses.recv().await.unwrap(), "service.invalid:7");
    let refusing =
        Channel::builder("http://service.invalid:7").with_connector(|_: EndpointAddress| async {
            let refusal: std::io::Result<<crate::rt::Rt as Runtime>::Io> =
                Err(std::io::Error::other("no way"));
            refusal
        });
    let error = fail(refusing).await;
    let message = error.to_string();
    let whole = "connect to service.invalid:7 by the channel's connector: no way";
    assert_eq!(message, whole);
}
