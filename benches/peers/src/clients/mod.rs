//! Clients of several libraries, each as its guide writes it, and what they are measured by.
//!
//! ```text
//! scenario.rs   what is called, and how often at a time
//! ours.rs  tonic.rs  connectrpc.rs      the clients
//! server.rs     the one server of all of them
//! caller.rs     a process that makes the calls, from its inside
//! process.rs    the same, from its outside
//! table.rs      ratios, with their spread
//! ```

pub mod caller;
pub mod process;
pub mod scenario;
pub mod server;
pub mod table;

mod connectrpc;
mod ours;
mod tonic;

use std::{error::Error, fmt};

/// Any failure: the run is over then.
pub type Failure = Box<dyn Error + Send + Sync>;

/// A client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Library {
    /// This project, on tokio.
    Tokio,
    /// This project, on smol.
    Smol,
    /// The `connectrpc` crate.
    Connectrpc,
    /// The `tonic` crate.
    Tonic,
}

impl Library {
    /// Ours first.
    pub const ALL: [Self; 4] = [Self::Tokio, Self::Smol, Self::Connectrpc, Self::Tonic];

    /// As it stands in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tokio => "connect-tokio",
            Self::Smol => "connect-smol",
            Self::Connectrpc => "connectrpc",
            Self::Tonic => "tonic",
        }
    }

    /// The library of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|library| library.name() == name)
    }

    /// Whether it is what this project is compared with.
    #[must_use]
    pub fn is_peer(self) -> bool {
        matches!(self, Self::Connectrpc | Self::Tonic)
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What the calls of a client run on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Runtime {
    /// tokio's current-thread runtime.
    Current,
    /// tokio's multi-thread runtime with one worker; smol's global executor, which has one thread.
    One,
    /// tokio's multi-thread runtime with two workers.
    Two,
}

impl Runtime {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Current, Self::One, Self::Two];

    /// As it stands in the table.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::One => "one",
            Self::Two => "two",
        }
    }

    /// The runtime of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|runtime| runtime.name() == name)
    }

    /// Whether a library runs on it.
    #[must_use]
    pub fn runs(self, library: Library) -> bool {
        library != Library::Smol || self == Self::One
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Current => "current thread",
            Self::One => "one worker",
            Self::Two => "two workers",
        })
    }
}
