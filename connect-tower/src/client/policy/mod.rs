//! What a client is told of its calls by procedure: retries, hedging and their budget, timeouts, waiting for a connection.

pub(crate) mod config;
mod json;
pub(crate) mod pushback;
pub(crate) mod rules;
pub(crate) mod throttle;
