//! What hostile peers cost, on tokio.

mod rt {
    use std::future::Future;

    pub(crate) use connect_tokio::{Tokio as Rt, *};

    pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().build().unwrap().block_on(future)
    }
}

#[path = "../../connect-test/adapter/abuse/mod.rs"]
mod abuse;
