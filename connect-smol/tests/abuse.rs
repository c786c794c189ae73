//! What hostile peers cost, on smol.

mod rt {
    pub(crate) use connect_smol::{Smol as Rt, *};
    pub(crate) use smol::block_on;
}

#[path = "../../connect-test/adapter/abuse/mod.rs"]
mod abuse;
