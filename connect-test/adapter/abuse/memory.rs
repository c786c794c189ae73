//! Bytes that are allocated, by clients and servers alike: both are in this process.

use std::sync::{Mutex, MutexGuard, PoisonError};

use peak_alloc::PeakAlloc;

#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

static ALONE: Mutex<()> = Mutex::new(());

/// Waits until no other test of this binary runs.
pub(super) fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes a test of an async function that runs alone: `#[apply(lone_test)]`.
macro_rules! lone_test {
    ($(#[$attribute:meta])* async fn $name:ident() $body:block) => {
        $(#[$attribute])*
        #[test]
        fn $name() {
            let _alone = crate::abuse::memory::alone();
            crate::rt::block_on(async $body);
        }
    };
}
pub(super) use lone_test;

/// What is held from now on.
pub(super) struct Held {
    before: usize,
}

impl Held {
    pub(super) fn begin() -> Self {
        let before = ALLOCATED.current_usage();
        ALLOCATED.reset_peak_usage();
        Self { before }
    }

    /// The most that was held at once.
    pub(super) fn peak(&self) -> usize {
        ALLOCATED.peak_usage().saturating_sub(self.before)
    }
}
