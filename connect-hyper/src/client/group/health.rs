//! What is known of an endpoint's health.

use std::convert::Infallible;

use futures_channel::oneshot;

/// What an endpoint with a connection says of itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Health {
    /// It has not been asked since it has this connection.
    Unasked,
    /// It has not answered yet.
    Asked,
    Serving,
    NotServing,
}

/// The health of an endpoint, and who asks for it.
#[derive(Debug)]
pub(super) struct HealthRecord {
    health: Health,
    /// What watches it ends when this is dropped.
    watching: Option<oneshot::Sender<Infallible>>,
    /// It is not to be asked any more.
    is_stopped: bool,
}

impl HealthRecord {
    pub(super) fn new() -> Self {
        Self {
            health: Health::Unasked,
            watching: None,
            is_stopped: false,
        }
    }

    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Whether it was something else before.
    pub(super) fn set(&mut self, health: Health) -> bool {
        std::mem::replace(&mut self.health, health) != health
    }

    /// The watching is to end when what this returns does. `None` if it is under way, or nobody wants to know any more.
    pub(super) fn start(&mut self) -> Option<oneshot::Receiver<Infallible>> {
        if self.health != Health::Unasked || self.is_stopped {
            return None;
        }
        let (watching, stopped) = oneshot::channel();
        self.watching = Some(watching);
        self.health = Health::Asked;
        Some(stopped)
    }

    /// Ends the watching: the endpoint takes no more calls.
    pub(super) fn stop(&mut self) {
        self.watching = None;
        self.is_stopped = true;
    }
}
