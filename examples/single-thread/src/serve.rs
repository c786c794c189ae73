//! The four ways to run the server. The handler is the same in all: it must be `Send`, as every handler, and loses nothing
//! by that on one thread.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread,
};

use connect_smol::{ListenOptions, Smol};
use connect_tower::{Request, Response, Router};
use smol::{Executor, LocalExecutor};

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

/// Serves until the process ends. Prints the address when all threads listen.
pub(crate) fn run(way: Way, addr: SocketAddr, threads: usize) -> Result<(), Failure> {
    let first = listen(addr)?;
    let addr = first.local_addr()?;
    let run: fn(TcpListener) -> Result<(), Failure> = match way {
        Way::TokioShared => {
            println!("{addr}");
            return tokio_shared(first, threads);
        }
        Way::SmolShared => {
            println!("{addr}");
            return smol_shared(first, threads);
        }
        Way::TokioSingle => tokio_single,
        Way::SmolSingle => smol_single,
    };
    let mut running = Vec::new();
    for _ in 1..threads {
        let listener = listen(addr)?;
        running.push(thread::spawn(move || run(listener)));
    }
    println!("{addr}");
    run(first)?;
    for thread in running {
        thread.join().map_err(|_| "a thread panicked")??;
    }
    Ok(())
}

/// A socket that others may listen beside.
fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    ListenOptions::new().with_reuse_port(true).bind(addr)
}

fn tokio_shared(listener: TcpListener, threads: usize) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build()?;
    runtime.block_on(tokio_server(listener))
}

fn tokio_single(listener: TcpListener) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(tokio_server(listener))
}

async fn tokio_server(listener: TcpListener) -> Result<(), Failure> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    connect_tokio::Server::from_listener(listener)
        .serve(router())
        .await;
    Ok(())
}

fn smol_shared(listener: TcpListener, threads: usize) -> Result<(), Failure> {
    let executor = Arc::new(Executor::new());
    for _ in 1..threads {
        let executor = Arc::clone(&executor);
        thread::spawn(move || smol::block_on(executor.run(std::future::pending::<()>())));
    }
    let runtime = Smol::on(Arc::clone(&executor));
    smol::block_on(executor.run(smol_server(listener, runtime)))
}

fn smol_single(listener: TcpListener) -> Result<(), Failure> {
    thread_local! {
        static LOCAL: LocalExecutor<'static> = const { LocalExecutor::new() };
    }
    // Tasks are spawned where their server runs, and so stay on its thread.
    let runtime = Smol::spawning(|task| LOCAL.with(|local| local.spawn(task).detach()));
    LOCAL.with(|local| smol::block_on(local.run(smol_server(listener, runtime))))
}

async fn smol_server(listener: TcpListener, runtime: Smol) -> Result<(), Failure> {
    let listener: smol::net::TcpListener = smol::Async::new_nonblocking(listener)?.into();
    connect_smol::Server::from_listener(listener)
        .with_runtime(runtime)
        .serve(router())
        .await;
    Ok(())
}
