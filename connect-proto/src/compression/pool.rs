//! Contexts kept for reuse.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// A small stock of idle contexts.
///
/// Making a context costs more than compressing a small message with it, and more than waiting for another thread that takes
/// one out or puts one in. Since a context is in use only inside one synchronous call, there are never more than there are
/// threads.
#[derive(Debug)]
pub(super) struct Pool<T> {
    idle: Mutex<Vec<T>>,
}

impl<T> Pool<T> {
    pub(super) const fn new() -> Self {
        Self {
            idle: Mutex::new(Vec::new()),
        }
    }

    /// A context from the stock, if there is one.
    pub(super) fn take(&self) -> Option<T> {
        self.idle().pop()
    }

    /// Keeps a context, unless there are enough.
    pub(super) fn put(&self, context: T) {
        let mut idle = self.idle();
        if idle.len() < MAX_IDLE {
            idle.push(context);
        }
    }

    /// Held for a push or a pop; nothing that can panic runs under it.
    fn idle(&self) -> MutexGuard<'_, Vec<T>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Contexts kept: about the threads of a large machine that compress at one moment.
const MAX_IDLE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded() {
        let pool = Pool::new();
        assert_eq!(pool.take(), None::<usize>);
        for context in 0..2 * MAX_IDLE {
            pool.put(context);
        }
        for context in (0..MAX_IDLE).rev() {
            assert_eq!(pool.take(), Some(context));
        }
        assert_eq!(pool.take(), None);
    }
}
