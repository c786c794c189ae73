//! The servers.

mod bare;
mod connectrpc;
mod core;
mod ours;
mod tonic;

use std::fmt;

use tokio::net::TcpListener;

use crate::load::Failure;

/// A library, or what stands in for one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// hyper alone, which sends back the bytes it gets: the floor.
    Bare,
    /// connect-proto's machines driven by hand on hyper, without messages.
    Core,
    /// This project.
    Ours,
    /// The `connectrpc` crate.
    Connectrpc,
    /// The `tonic` crate.
    Tonic,
}

impl Peer {
    /// All of them, the floor first.
    pub const ALL: [Self; 5] = [
        Self::Bare,
        Self::Core,
        Self::Ours,
        Self::Connectrpc,
        Self::Tonic,
    ];

    /// The peer of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|peer| peer.name() == name)
    }

    /// As it stands in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Bare => "hyper",
            Self::Core => "connect-proto",
            Self::Ours => "connect-tokio",
            Self::Connectrpc => "connectrpc",
            Self::Tonic => "tonic",
        }
    }

    /// Whether it speaks Connect besides gRPC.
    #[must_use]
    pub fn speaks_connect(self) -> bool {
        self != Self::Tonic
    }

    /// Serves the echo until the process ends.
    ///
    /// # Errors
    ///
    /// What the library's server returns.
    pub async fn serve(self, listener: TcpListener) -> Result<(), Failure> {
        match self {
            Self::Bare => bare::serve(listener).await,
            Self::Core => core::serve(listener).await,
            Self::Ours => ours::serve(listener).await,
            Self::Connectrpc => connectrpc::serve(listener).await,
            Self::Tonic => tonic::serve(listener).await,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
