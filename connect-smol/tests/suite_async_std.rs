//! What every adapter must do, on async-std.

mod rt {
    pub(crate) use async_std::task::block_on;
    pub(crate) use connect_smol::async_std::{AsyncStd as Rt, *};

    pub(crate) fn unix_listener(path: &std::path::Path) -> async_std::os::unix::net::UnixListener {
        let listener = std::os::unix::net::UnixListener::bind(path).unwrap();
        listener.set_nonblocking(true).unwrap();
        listener.into()
    }
}

#[path = "../../connect-test/adapter/mod.rs"]
mod adapter;
