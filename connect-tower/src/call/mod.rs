//! The machinery of one call, shared by clients and servers: bodies to state machines and back.

pub(crate) mod body;
pub(crate) mod deadline;
pub(crate) mod incoming;
pub(crate) mod panics;
pub mod rt;
pub(crate) mod sink;
