//! What goes wrong, and how often.

use std::time::Duration;

/// What a network does to those who use it, by the simulation's seed. By default nothing but to take a millisecond or two.
///
/// Rates are from 0.0, never, to 1.0, always.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    latency: (Duration, Duration),
    pieces: bool,
    refused: f64,
    resets: f64,
    stalls: f64,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: (Duration::from_micros(500), Duration::from_millis(2)),
            pieces: true,
            refused: 0.0,
            resets: 0.0,
            stalls: 0.0,
        }
    }
}

impl Faults {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long bytes are on their way, at least and at most. Default: 0.5 to 2 ms.
    #[must_use]
    pub fn with_latency(mut self, least: Duration, most: Duration) -> Self {
        self.latency = (least, most.max(least));
        self
    }

    /// Set by [`with_latency`](Self::with_latency).
    #[must_use]
    pub fn latency(&self) -> (Duration, Duration) {
        self.latency
    }

    /// Whether a write may be taken in part, and a read cut at any byte. Default: yes.
    #[must_use]
    pub fn with_pieces(mut self, pieces: bool) -> Self {
        self.pieces = pieces;
        self
    }

    /// Set by [`with_pieces`](Self::with_pieces).
    #[must_use]
    pub fn pieces(&self) -> bool {
        self.pieces
    }

    /// How many connections are refused. Default: none.
    #[must_use]
    pub fn with_refused(mut self, rate: f64) -> Self {
        self.refused = rate;
        self
    }

    /// Set by [`with_refused`](Self::with_refused).
    #[must_use]
    pub fn refused(&self) -> f64 {
        self.refused
    }

    /// How many writes end in a reset of their connection: after part of their bytes has gone, and with all that is on its way
    /// lost, in both directions. Default: none.
    #[must_use]
    pub fn with_resets(mut self, rate: f64) -> Self {
        self.resets = rate;
        self
    }

    /// Set by [`with_resets`](Self::with_resets).
    #[must_use]
    pub fn resets(&self) -> f64 {
        self.resets
    }

    /// How many writes are on their way for up to ten seconds, with all that comes behind them. Default: none.
    #[must_use]
    pub fn with_stalls(mut self, rate: f64) -> Self {
        self.stalls = rate;
        self
    }

    /// Set by [`with_stalls`](Self::with_stalls).
    #[must_use]
    pub fn stalls(&self) -> f64 {
        self.stalls
    }
}
