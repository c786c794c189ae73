//! The four ways to run the server. The handler is the same in all: it must be `Send`, as every handler, and loses nothing
//! by that on one thread.

use std::{net::SocketAddr, sync::Arc, thread};

use connect_smol::Smol;
use connect_tower::{Request, Response, Router};
use smol::Executor;

use crate::{ECHO, Failure};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Way {
    TokioShared,
    TokioSingle,
    SmolShared,
    SmolSingle,
}

impl Way {
    pub(crate) const ALL: [Self; 4] = [
        Self::TokioShared,
        Self::TokioSingle,
        Self::SmolShared,
        Self::SmolSingle,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::TokioShared => "tokio-shared",
            Self::TokioSingle => "tokio-single",
            Self::SmolShared => "smol-shared",
            Self::SmolSingle => "smol-single",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

fn router() -> Router {
    Router::new().unary(ECHO, |request: Request<String>| async {
        Ok(Response::new(request.into_message()))
    })
}

/// Serves until the process ends. Prints the address once all threads listen.
pub(crate) fn run(way: Way, addr: SocketAddr, threads: usize) -> Result<(), Failure> {
    match way {
        Way::TokioShared => tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .enable_all()
            .build()?
            .block_on(async { tokio_serve(connect_tokio::Server::bind(addr).await?).await }),
        Way::TokioSingle => tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(async {
                tokio_serve(connect_tokio::Server::bind_workers(addr, threads).await?).await
            }),
        Way::SmolShared => {
            let executor = Arc::new(Executor::new());
            for _ in 1..threads {
                let executor = Arc::clone(&executor);
                thread::spawn(move || smol::block_on(executor.run(std::future::pending::<()>())));
            }
            let runtime = Smol::on(Arc::clone(&executor));
            smol::block_on(executor.run(async {
                let server = connect_smol::Server::bind(addr).await?;
                smol_serve(server.with_runtime(runtime)).await
            }))
        }
        Way::SmolSingle => smol::block_on(async {
            smol_serve(connect_smol::Server::bind_workers(addr, threads).await?).await
        }),
    }
}

async fn tokio_serve(server: connect_tokio::Server) -> Result<(), Failure> {
    println!("{}", server.local_addr()?);
    server.serve(router()).await;
    Ok(())
}

async fn smol_serve(server: connect_smol::Server) -> Result<(), Failure> {
    println!("{}", server.local_addr()?);
    server.serve(router()).await;
    Ok(())
}
