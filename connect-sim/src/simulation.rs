//! One run, and how it fails.

use std::{
    any::Any,
    error::Error,
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use connect_tower::rt::Timer as _;

use crate::{
    core::{Core, Step},
    faults::Faults,
    world::World,
};

/// A run of a system: the same for the same seed, on any machine.
#[derive(Clone, Debug)]
#[must_use = "a simulation does nothing until it runs"]
pub struct Simulation {
    seed: u64,
    faults: Faults,
    time_limit: Duration,
    max_steps: u64,
}

impl Simulation {
    /// The run of this number, on a network without faults.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            faults: Faults::default(),
            time_limit: Duration::from_secs(60 * 60),
            max_steps: 10_000_000,
        }
    }

    /// What goes wrong. Default: nothing.
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// What goes wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// How much time may pass, in the simulation. Default: an hour.
    pub fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// How much time may pass, in the simulation.
    #[must_use]
    pub fn time_limit(&self) -> Duration {
        self.time_limit
    }

    /// How often tasks may be polled, all together. Default: ten million times.
    pub fn with_max_steps(mut self, steps: u64) -> Self {
        self.max_steps = steps;
        self
    }

    /// How often tasks may be polled, all together.
    #[must_use]
    pub fn max_steps(&self) -> u64 {
        self.max_steps
    }

    /// Runs a future to its end, and with it what it starts on the hosts of its world; what runs then is dropped.
    ///
    /// # Errors
    ///
    /// The future, or a task, panics; or it does not come to its end. The error shows the seed and what has happened of late,
    /// by `{}` and by `{:?}`, so that `unwrap` prints it.
    pub fn run<F: Future>(&self, main: impl FnOnce(World) -> F) -> Result<F::Output, Failure> {
        // Jitter of balancing and retries, on this thread.
        fastrand::seed(self.seed);
        let core = Core::new(self.seed, self.faults.clone());
        let world = World::new(core.clone());
        let ran = catch_unwind(AssertUnwindSafe(|| self.drive(&core, main(world.clone()))));
        let ran = ran.unwrap_or_else(|panic| Err(Reason::Panicked(text(&*panic))));
        let failure = |reason| Failure {
            seed: self.seed,
            at: world.now(),
            reason,
            timeline: world.timeline(),
        };
        let ran = ran.map_err(failure);
        core.end();
        ran
    }

    fn drive<F: Future>(&self, core: &Core, main: F) -> Result<F::Output, Reason> {
        let mut main = pin!(main);
        let wants = core.main_waker();
        let waker = Waker::from(Arc::clone(&wants));
        for _ in 0..self.max_steps {
            match core.step() {
                Step::Main => {
                    wants.begin();
                    if let Poll::Ready(output) =
                        main.as_mut().poll(&mut Context::from_waker(&waker))
                    {
                        return Ok(output);
                    }
                }
                Step::Polled => {}
                Step::Slept if core.now().since_epoch() > self.time_limit => {
                    return Err(Reason::TimeIsOver);
                }
                Step::Slept => {}
                Step::Stuck => return Err(Reason::Stuck),
            }
        }
        Err(Reason::Busy)
    }
}

/// A run that did not come to its end.
#[derive(Clone)]
pub struct Failure {
    seed: u64,
    at: Duration,
    reason: Reason,
    timeline: String,
}

/// Why a run did not come to its end.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Reason {
    /// Everything waits, and no timer runs: somebody was not woken.
    Stuck,
    /// More time has passed than may.
    TimeIsOver,
    /// Tasks were polled more often than they may: something goes round in circles.
    Busy,
    /// With this message.
    Panicked(String),
}

impl Failure {
    /// The number that runs it again.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// When, since the simulation began.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Why.
    #[must_use]
    pub fn reason(&self) -> &Reason {
        &self.reason
    }

    /// What had happened of late, a line an event.
    #[must_use]
    pub fn timeline(&self) -> &str {
        &self.timeline
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            at,
            reason,
            timeline,
        } = self;
        write!(f, "seed {seed}, after {at:?}: {reason}\n{timeline}")
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for Failure {}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stuck => f.write_str("everything waits, and no timer runs"),
            Self::TimeIsOver => f.write_str("more time has passed than may"),
            Self::Busy => f.write_str("tasks were polled more often than they may"),
            Self::Panicked(message) => write!(f, "panicked: {message}"),
        }
    }
}

/// What a panic says.
fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("with a value that is no text").to_owned()
}
