//! Clients that only begin: with a TLS handshake, with the preface of HTTP/2, with a head, and with a connection after the other.

use std::time::Duration;

use macro_rules_attribute::apply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    is_served,
    memory::{Held, lone_test},
    support::{HTTP2_PREFACE, bind, certs::Authority, connect, echo, start, yield_now},
};
use crate::rt::{Channel, ClientTls, ServerTls};

const SHORT: Duration = Duration::from_millis(50);
const KIB: usize = 1024;

/// Each stays open until the server closes it.
#[apply(lone_test)]
async fn connections_that_only_begin_are_closed_and_hold_little() {
    let head = b"POST / HTTP/1.1\r\nhost: x\r\nx-more: ".as_slice();
    let begins = (1..HTTP2_PREFACE.len()).map(|end| &HTTP2_PREFACE[..end]);
    let begins: Vec<_> = begins
        .chain((1..head.len()).map(|end| &head[..end]))
        .collect();
    assert_eq!(bind().await.header_read_timeout(), Duration::from_secs(30));
    // The settings may be missing: then pings are not answered.
    let server = bind().await.with_header_read_timeout(SHORT);
    let server = start(server.with_keep_alive((SHORT, SHORT)), echo());
    let channel = Channel::new(server.uri()).unwrap();
    is_served(&channel).await;
    let held = Held::begin();
    let mut sockets = Vec::new();
    for begin in &begins {
        let mut socket = connect(server.address).await.unwrap();
        socket.write_all(begin).await.unwrap();
        sockets.push(socket);
    }
    is_served(&channel).await;
    for mut socket in sockets {
        let _ = socket.read_to_end(&mut Vec::new()).await;
    }
    let each = held.peak() / begins.len();
    assert!(each < 32 * KIB, "{each} bytes for each");
    is_served(&channel).await;
}

/// A byte now and then does not make the handshake's time longer.
#[apply(lone_test)]
async fn tls_handshakes_that_only_begin_are_closed_and_hold_little() {
    const CLIENTS: usize = 50;
    let authority = Authority::new();
    let identity = authority.issue("localhost");
    let server = bind()
        .await
        .with_tls(ServerTls::from_pem(&identity.chain, &identity.key).unwrap())
        .with_tls_handshake_timeout(2 * SHORT);
    let server = start(server, echo());
    let tls = ClientTls::new().add_ca(authority.pem()).unwrap();
    let uri = format!("https://localhost:{}", server.address.port());
    let channel = Channel::builder(uri).with_tls(tls).build().unwrap();
    is_served(&channel).await;
    let held = Held::begin();
    let mut sockets = Vec::new();
    for _ in 0..CLIENTS {
        sockets.push(connect(server.address).await.unwrap());
    }
    // A record of a ClientHello of 16 KiB, a byte each.
    let hello = [&[22, 3, 1, 64, 0, 1, 0, 63, 252][..], &[3; 16 * 1024]].concat();
    let mut closed = 0;
    for byte in hello.iter().cycle() {
        let mut open = Vec::new();
        for mut socket in sockets {
            match socket.write_all(&[*byte]).await {
                Ok(()) => open.push(socket),
                Err(_) => closed += 1,
            }
        }
        sockets = open;
        if sockets.is_empty() {
            break;
        }
        yield_now().await;
    }
    assert_eq!(closed, CLIENTS);
    let each = held.peak() / CLIENTS;
    assert!(each < 32 * KIB, "{each} bytes for each");
    is_served(&channel).await;
}

/// One address has its number of connections, and another comes in all the same.
#[apply(lone_test)]
async fn a_flood_of_connections_is_turned_away_at_the_door() {
    const FLOOD: usize = 500;
    let server = bind().await.with_max_connections_per_address(10);
    let handle = server.handle();
    let server = start(server, echo());
    let channel = Channel::new(server.uri()).unwrap();
    is_served(&channel).await;
    let held = Held::begin();
    let mut most = 0;
    for _ in 0..FLOOD {
        let mut socket = connect(server.address).await.unwrap();
        let _ = socket.write_all(b"POST").await;
        most = most.max(handle.connections());
        yield_now().await;
    }
    assert!(most <= 10, "{most}");
    let peak = held.peak();
    assert!(peak < 1024 * KIB, "{peak} bytes");
    is_served(&channel).await;
}
