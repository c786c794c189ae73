//! The servers: a library on a runtime, each of which serves the same.

mod connectrpc;
mod hyper;
mod ours;
mod tonic;

use std::{
    fmt,
    net::{SocketAddr, TcpListener},
};

use tokio::runtime::Builder;

use crate::{
    Failure,
    scenario::{Message, Protocol, Scenario},
};

/// A library, or what stands in for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Library {
    /// hyper alone, which answers with bytes that it need not understand: the floor.
    Hyper,
    /// This project.
    Ours,
    /// The `connectrpc` crate.
    Connectrpc,
    /// The `tonic` crate.
    Tonic,
}

/// What runs a server's tasks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime {
    /// tokio's multi-thread runtime, the default of `#[tokio::main]`.
    Multi,
    /// tokio's current-thread runtime.
    Current,
    /// smol's global executor.
    Smol,
    /// tokio's current-thread runtime, one for each processor, on one port.
    Workers,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Multi, Self::Current, Self::Smol, Self::Workers];

    /// For arguments and names of files.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Multi => "multi-thread",
            Self::Current => "current-thread",
            Self::Smol => "smol",
            Self::Workers => "workers",
        }
    }

    /// For headings.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Multi => "tokio, multi-thread runtime",
            Self::Current => "tokio, current-thread runtime",
            Self::Smol => "smol",
            Self::Workers => "tokio, a worker per core",
        }
    }
}

/// A library on a runtime.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Server {
    /// Whose code serves.
    pub library: Library,
    /// What it runs on.
    pub runtime: Runtime,
}

impl Server {
    /// All that are measured.
    #[must_use]
    pub fn all() -> Vec<Self> {
        use Library::{Connectrpc, Hyper, Ours, Tonic};
        let libraries = |runtime| match runtime {
            Runtime::Multi | Runtime::Current => &[Hyper, Ours, Connectrpc, Tonic][..],
            // The others are made for tokio.
            Runtime::Smol => &[Hyper, Ours],
            Runtime::Workers => &[Ours],
        };
        let on = |runtime| {
            let libraries = libraries(runtime).iter();
            libraries.map(move |&library| Self { library, runtime })
        };
        Runtime::ALL.into_iter().flat_map(on).collect()
    }

    /// The server whose [`Display`](fmt::Display) this is.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|one| one.to_string() == name)
    }

    /// The crate.
    #[must_use]
    pub fn library_name(self) -> &'static str {
        match (self.library, self.runtime) {
            (Library::Hyper, _) => "hyper",
            (Library::Ours, Runtime::Smol) => "connect-smol",
            (Library::Ours, _) => "connect-tokio",
            (Library::Connectrpc, _) => "connectrpc",
            (Library::Tonic, _) => "tonic",
        }
    }

    /// Whether it speaks what the scenario is about.
    #[must_use]
    pub fn speaks(self, scenario: &Scenario) -> bool {
        match self.library {
            Library::Tonic => scenario.protocol == Protocol::Grpc,
            // Compression and messages are what is measured there.
            Library::Hyper => !scenario.gzip && scenario.message != Message::Logs,
            Library::Ours | Library::Connectrpc => true,
        }
    }

    /// Serves on a free port until the process ends, and tells the address once it listens.
    ///
    /// # Errors
    ///
    /// What the library's server returns.
    pub fn serve(self, listening: impl FnOnce(SocketAddr)) -> Result<(), Failure> {
        let current_thread = || Builder::new_current_thread().enable_all().build();
        match self.runtime {
            Runtime::Multi => Builder::new_multi_thread()
                .enable_all()
                .build()?
                .block_on(self.serve_on_tokio(listen(listening)?)),
            Runtime::Current => current_thread()?.block_on(self.serve_on_tokio(listen(listening)?)),
            Runtime::Smol => match self.library {
                Library::Hyper => smol::block_on(hyper::serve_on_smol(listen(listening)?)),
                _ => smol::block_on(ours::serve_on_smol(listen(listening)?)),
            },
            // They have sockets of their own.
            Runtime::Workers => current_thread()?.block_on(ours::serve_on_workers(listening)),
        }
    }

    async fn serve_on_tokio(self, listener: TcpListener) -> Result<(), Failure> {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        match self.library {
            Library::Hyper => hyper::serve_on_tokio(listener).await,
            Library::Ours => ours::serve_on_tokio(listener).await,
            Library::Connectrpc => connectrpc::serve(listener).await,
            Library::Tonic => tonic::serve(listener).await,
        }
    }
}

/// Listens on a free port, and tells the address.
fn listen(listening: impl FnOnce(SocketAddr)) -> Result<TcpListener, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    listening(listener.local_addr()?);
    Ok(listener)
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.library_name(), self.runtime.name())
    }
}
