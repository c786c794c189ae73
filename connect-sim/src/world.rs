//! A simulation's world, as its tests see it.

use std::{fmt, time::Duration};

use connect_tower::{
    Time,
    rt::{Sleep, Timer},
};

use crate::{core::Core, faults::Faults, host::Host, network::Network};

/// The hosts, the network and the clock of a simulation. Clones are the same world.
#[derive(Clone)]
pub struct World {
    core: Core,
    network: Network,
}

impl World {
    pub(crate) fn new(core: Core) -> Self {
        Self {
            network: Network::new(core.clone()),
            core,
        }
    }

    /// The host of this name, made when it is first asked for. Others reach it by the name, or by its address.
    #[must_use]
    pub fn host(&self, name: &str) -> Host {
        let index = self.core.state().host(name);
        Host::new(self.core.clone(), self.network.clone(), index)
    }

    /// The time that has passed since the simulation began.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.core.state().now.since_epoch()
    }

    /// Waits, in the simulation's time.
    pub async fn sleep(&self, duration: Duration) {
        self.core.sleep(duration).await;
    }

    /// Lets the clock jump, as that of a machine that was asleep: what is due by then is late.
    pub fn jump(&self, duration: Duration) {
        let mut state = self.core.state();
        state.now = state.now.saturating_add(duration);
        state.note(format_args!("the clock jumps by {duration:?}"));
    }

    /// A number below `end` by the simulation's seed; zero if `end` is.
    #[must_use]
    pub fn random(&self, end: u64) -> u64 {
        match end {
            0 => 0,
            _ => self.core.state().random.u64(..end),
        }
    }

    /// What is to go wrong from now on.
    pub fn set_faults(&self, faults: Faults) {
        self.core.state().faults = faults;
    }

    /// Keeps two hosts from reaching each other: what they send waits, and connections between them are not made.
    pub fn part(&self, one: &Host, other: &Host) {
        self.core.state().part(one.index(), other.index());
        self.note(format_args!("{one} and {other} are parted"));
    }

    /// Lets two hosts reach each other again.
    pub fn rejoin(&self, one: &Host, other: &Host) {
        self.core.state().rejoin(one.index(), other.index());
        self.note(format_args!("{one} and {other} are rejoined"));
        self.network.wake();
    }

    /// How many tasks there are, besides the simulation's own.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.core.tasks()
    }

    /// How many connections are open.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.network.connections()
    }

    /// Adds a line to the timeline that a failing simulation prints.
    pub fn note(&self, text: impl fmt::Display) {
        // Before the lock: what it shows may look at the world.
        let text = text.to_string();
        self.core.state().note(format_args!("{text}"));
    }

    /// What has happened of late, a line an event.
    #[must_use]
    pub fn timeline(&self) -> String {
        self.core.state().timeline.to_string()
    }
}

impl Timer for World {
    fn now(&self) -> Time {
        self.core.now()
    }

    fn sleep_until(&self, at: Time) -> Sleep {
        self.core.sleep_until(at)
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World")
            .field("now", &self.now())
            .field("tasks", &self.tasks())
            .field("connections", &self.connections())
            .finish_non_exhaustive()
    }
}
