//! Values that a call holds until it ends.

use std::{fmt, mem};

use crate::call::panics::drop_quietly;

/// What a call holds until it ends, and what it is told of the call meanwhile.
pub(crate) trait Hold: Send + Sync {
    /// The request's one message has come: the handler begins.
    fn begin(&mut self) {}

    /// There is an answer's head: of a unary call the handler is done, or never began.
    fn answer(&mut self) {}
}

/// A user's value.
struct Value<T>(T);

impl<T: Send + Sync> Hold for Value<T> {}

/// What gates gave a call to hold. A call that holds nothing allocates nothing.
#[derive(Default)]
pub(crate) struct Permits(Vec<Box<dyn Hold>>);

impl Permits {
    pub(crate) fn add_value(&mut self, value: impl Send + Sync + 'static) {
        self.add(Value(value));
    }

    pub(crate) fn add(&mut self, hold: impl Hold + 'static) {
        self.0.push(Box::new(hold));
    }

    pub(crate) fn begin(&mut self) {
        self.0.iter_mut().for_each(|hold| hold.begin());
    }

    pub(crate) fn answer(&mut self) {
        self.0.iter_mut().for_each(|hold| hold.answer());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Drops all of them.
    pub(crate) fn release(&mut self) {
        mem::take(&mut self.0).into_iter().for_each(drop_quietly);
    }
}

impl Drop for Permits {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permits").field(&self.0.len()).finish()
    }
}
