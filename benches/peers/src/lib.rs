//! A unary echo by several libraries, and the load that measures what each costs its server.
//!
//! `serve` is the server, `compare` drives all of them in one run. The client is the same for all: it sends prepared
//! bytes, so that only the server differs.

pub mod clients;
pub mod cpu;
pub mod load;
pub mod peers;
pub mod workload;
