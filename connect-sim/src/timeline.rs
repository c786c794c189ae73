//! What has happened, for people to read.

use std::{collections::VecDeque, fmt};

use connect_tower::Time;

/// The last events, each with its time.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    events: VecDeque<(Time, String)>,
    forgotten: u64,
}

/// What is kept.
const MAX_EVENTS: usize = 1000;

impl Timeline {
    pub(crate) fn push(&mut self, at: Time, text: fmt::Arguments<'_>) {
        if self.events.len() == MAX_EVENTS {
            self.events.pop_front();
            self.forgotten += 1;
        }
        self.events.push_back((at, text.to_string()));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.forgotten > 0 {
            writeln!(f, "({} earlier events)", self.forgotten)?;
        }
        for (at, text) in &self.events {
            writeln!(f, "{:>12.6} s  {text}", at.since_epoch().as_secs_f64())?;
        }
        Ok(())
    }
}
