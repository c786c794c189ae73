//! What every adapter must do, on async-std.

mod rt {
    pub(crate) use async_std::task::block_on;
    pub(crate) use connect_smol::async_std::{AsyncStd as Rt, *};
}

#[path = "../../connect-test/adapter/mod.rs"]
mod adapter;
