//! The timer: all that calls need of a runtime; and the pauses that it is asked for.
//!
//! Everything else in this crate is pulled: bodies, streams and futures make progress when they are
//! polled, and nothing is spawned. Only deadlines need a task to be woken later, which each runtime
//! does in its own way. A [`Timer`] is a trait object, chosen where the program is put together, by the
//! adapter: no handler, router or client has a type parameter for it. Only calls with a deadline pay for
//! its two virtual calls and one box.

use std::{
    fmt,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, OnceLock},
    time::Duration,
};

use connect_proto::Time;

pub use super::backoff::Backoff;

/// Tells the time and wakes tasks later: the one clock of a program, for deadlines and for all timeouts of connections.
///
/// An adapter implements it in a few lines, and hands it over as a [`SharedTimer`].
pub trait Timer: fmt::Debug + Send + Sync + 'static {
    /// How much time has passed since an epoch that the timer picks and keeps. It never goes back.
    fn now(&self) -> Time;

    /// A future that is ready once [`now`](Self::now) has reached `at`, and never before: not every caller looks again.
    fn sleep_until(&self, at: Time) -> Sleep;

    /// A future that is ready after this long.
    fn sleep(&self, duration: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(duration))
    }
}

/// What [`Timer::sleep_until`] returns.
///
/// It is `Send` and `Sync` also where the runtime's own is not: in a browser, let the callback of `setTimeout` complete a
/// channel.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A timer as routers, clients and deadlines hold it.
///
/// A server's adapter puts it into the [`Connection`](crate::Connection) of its requests, where a
/// [`Router`](crate::Router) that was given no timer of its own finds it; a client takes it from its
/// [`Transport`](crate::Transport).
pub type SharedTimer = Arc<dyn Timer>;

/// A timer for programs without deadlines: its time stands still, and its sleeps never end.
///
/// With it timeouts are sent to the peer, but not kept on this side.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoTimer;

impl Timer for NoTimer {
    fn now(&self) -> Time {
        Time::ZERO
    }

    fn sleep_until(&self, _: Time) -> Sleep {
        Box::pin(pending())
    }
}

/// The same [`NoTimer`] for everybody.
pub(crate) fn no_timer() -> &'static SharedTimer {
    static SHARED: OnceLock<SharedTimer> = OnceLock::new();
    SHARED.get_or_init(|| Arc::new(NoTimer))
}
