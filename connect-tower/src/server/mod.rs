//! The server: from the head of a request to a handler, and the answer back.

pub(crate) mod bearer;
pub mod cors;
pub(crate) mod error_writer;
pub(crate) mod gate;
mod generated;
pub(crate) mod handler;
pub(crate) mod intercepted;
pub(crate) mod load;
pub(crate) mod methods;
mod observed;
mod reading;
pub(crate) mod router;
pub(crate) mod service;
pub(crate) mod stats;
