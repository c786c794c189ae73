//! Values that a call holds until it ends.

use std::{fmt, mem};

use crate::call::panics::drop_quietly;

/// What gates gave a call to hold. A call that holds nothing allocates nothing.
#[derive(Default)]
pub(crate) struct Permits(Vec<Box<dyn Send + Sync>>);

impl Permits {
    pub(crate) fn add(&mut self, value: impl Send + Sync + 'static) {
        self.0.push(Box::new(value));
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
