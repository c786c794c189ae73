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
