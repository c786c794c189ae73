//! `serve SERVER`: one server, by its name in `servers`. Prints its address.

use connect_peers::{Failure, servers::Server};

fn main() -> Result<(), Failure> {
    let name = std::env::args().nth(1).ok_or("usage: serve SERVER")?;
    let server = Server::from_name(&name).ok_or_else(|| format!("no server {name:?}"))?;
    server.serve(|address| println!("{address}"))
}
