//! The same service by several libraries, and the load that measures what each costs its server.
//!
//! `serve` is one server, `compare` drives all of them in one run. The client is the same for all: it sends prepared bytes
//! and compares what comes back, so that only the server differs.
//!
//! ```text
//! scenario.rs    the table: what is measured
//! messages.rs    the bytes of each message, and of what answers it
//! servers/       the service, by each library
//! load/          the client
//! process.rs     a server's process: started, looked at, stopped
//! figures.rs     what was measured, and what it comes to
//! report/        figures in, Markdown, charts and data out
//! clients/       clients in place of servers: a bench of its own
//! ```

pub mod clients;
pub mod figures;
pub mod load;
pub mod messages;
pub mod process;
pub mod report;
pub mod scenario;
pub mod servers;

use std::error::Error;

/// Any failure: the run is over then.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The generated code of this project.
#[allow(missing_docs)]
pub mod proto {
    connect_tokio::include_proto!("bench.v1");
}
