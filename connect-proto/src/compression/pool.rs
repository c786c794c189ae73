//! Contexts kept for reuse.

use std::sync::{Mutex, TryLockError};

/// A small stock of idle contexts.
///
/// Making a context costs more than compressing a small message with it. It never waits: when
/// another thread is at the stock, the caller makes a fresh context, or drops its old one. Since a context
/// is in use only inside one synchronous call, there are never more than there are threads.
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

    /// A context from the stock, if there is one and the stock is free.
    pub(super) fn take(&self) -> Option<T> {
        match self.idle.try_lock() {
            Ok(mut idle) => idle.pop(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().pop(),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Keeps a context, unless there are enough.
    pub(super) fn put(&self, context: T) {
        let mut idle = match self.idle.try_lock() {
            Ok(idle) => idle,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        if idle.len() < MAX_IDLE {
            idle.push(context);
        }
    }
}

/// Contexts kept: about the threads of a large machine that compress at one moment.
const MAX_IDLE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_never_waits() {
        let pool = Pool::new();
        assert_eq!(pool.take(), None::<usize>);
        for context in 0..2 * MAX_IDLE {
            pool.put(context);
        }
        let busy = pool.idle.lock().unwrap();
        assert_eq!(busy.len(), MAX_IDLE);
        assert_eq!(pool.take(), None);
        pool.put(99);
        assert_eq!(busy.len(), MAX_IDLE);
        drop(busy);
        assert_eq!(pool.take(), Some(MAX_IDLE - 1));
    }
}
