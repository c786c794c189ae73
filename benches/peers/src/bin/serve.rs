//! `serve PEER multi|current`: the echo by one library on one kind of tokio runtime. Prints its address.

use connect_peers::{load::Failure, peers::Peer};
use tokio::{net::TcpListener, runtime};

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [peer, runtime] = &arguments[..] else {
        return Err("usage: serve PEER multi|current".into());
    };
    let peer = Peer::from_name(peer).ok_or("no such peer")?;
    let mut builder = match &runtime[..] {
        "multi" => runtime::Builder::new_multi_thread(),
        "current" => runtime::Builder::new_current_thread(),
        _ => return Err("the runtime is multi or current".into()),
    };
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        peer.serve(listener).await
    })
}
