//! The waker of whoever waits for something.

use std::task::Waker;

/// A place for one waker.
#[derive(Debug, Default)]
pub(crate) struct WakerSlot(Option<Waker>);

impl WakerSlot {
    /// This one waits now, in place of whoever did.
    pub(crate) fn set(&mut self, waker: &Waker) {
        match &mut self.0 {
            Some(known) => known.clone_from(waker),
            place @ None => *place = Some(waker.clone()),
        }
    }

    /// Whether anybody waits.
    pub(crate) fn is_set(&self) -> bool {
        self.0.is_some()
    }

    /// Nobody waits any more. Who takes it wakes it without holding a lock, as a waker may run anything.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    pub(crate) fn wake(self) {
        if let Some(waker) = self.0 {
            waker.wake();
        }
    }
}
