//! What every adapter must do, on smol.

mod rt {
    pub(crate) use connect_smol::{Smol as Rt, *};
    pub(crate) use smol::block_on;

    pub(crate) fn unix_listener(path: &std::path::Path) -> smol::net::unix::UnixListener {
        smol::net::unix::UnixListener::bind(path).unwrap()
    }
}

#[path = "../../connect-test/adapter/mod.rs"]
mod adapter;
