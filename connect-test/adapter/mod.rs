//! What every adapter must do, through real sockets.
//!
//! Each adapter's `tests` include these files by path, beside a module `rt` that names the adapter's items, its runtime as
//! `Rt`, and starts it by `block_on`. So every behaviour of connect-hyper is tested on every runtime.
//!
//! `tokio`'s channels and its traits for reading and writing are used freely here: they run anywhere.

mod accept_errors;
mod bad_input;
mod balancing;
mod cancel;
mod client_certs;
mod deadlines;
mod errors;
mod fairness;
mod floods;
mod frames;
mod goaway;
mod header_limits;
mod health_checks;
mod http1_rules;
mod http2_connections;
mod http_limits;
mod incomplete_requests;
mod lifetime;
mod limits;
mod listeners;
mod load;
mod observers;
mod placement;
mod pool;
mod reconnect;
mod shutdown;
mod slow_clients;
mod standard_services;
mod stats;
mod streams;
mod stuck_requests;
mod support;
mod unread_request;
mod versions;
mod ways;
mod windows;
mod workers;
