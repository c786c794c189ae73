//! Serves until it is stopped: `raw-sans-io [ADDR]`, on 127.0.0.1:8081 by default.

use std::{env, io, net::TcpListener};

fn main() -> io::Result<()> {
    let addr = env::args().nth(1);
    let addr = addr.unwrap_or_else(|| String::from("127.0.0.1:8081"));
    let listener = TcpListener::bind(addr)?;
    println!("Eliza listens on http://{}", listener.local_addr()?);
    raw_sans_io::server::serve(&listener)
}
