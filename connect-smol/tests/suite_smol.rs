//! What every adapter must do, on smol.

mod rt {
    pub(crate) use connect_smol::{Smol as Rt, *};
    pub(crate) use smol::block_on;
}

#[path = "../../connect-test/adapter/mod.rs"]
mod adapter;
