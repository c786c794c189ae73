//! Which calls compute for so long that they are better off as tasks: those of paths where calls lately did.

use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

/// A poll that takes as long holds up the other calls of its connection. A task of its own costs a call some ten microseconds, its
/// wake-ups and a write for its answer alone: a tenth of this.
const LONG_POLL: Duration = Duration::from_micros(100);

/// So many polls in a row that are shorter, and a path's calls run on their connections again: if fewer than one in a hundred is
/// long, one in a hundred calls beside them waits at most. More would make tasks of short calls, as the system takes the processor
/// from any of them now and then.
const SHORT_POLLS: u8 = 100;

/// The paths of a service are few: some share a place by chance, and then both are tasks, which is no harm. It is a clear number,
/// as clients can name as many paths as they like.
const PLACES: u16 = 4096;

/// A path, as far as it is told from others.
#[derive(Clone, Copy, Debug)]
pub(super) struct Procedure(u16);

/// How long the polls of all calls of a server take, by path.
pub(super) struct Paces {
    hasher: RandomState,
    /// How many polls in a row have to be short. It is written to only while that is some, so cores do not contend for it.
    left: Box<[AtomicU8]>,
}

impl Paces {
    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            left: (0..PLACES).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    pub(super) fn procedure(&self, path: &str) -> Procedure {
        #[allow(
            clippy::cast_possible_truncation,
            reason = "the lower bits are as random as the others"
        )]
        Procedure(self.hasher.hash_one(path) as u16 % PLACES)
    }

    pub(super) fn is_slow(&self, procedure: Procedure) -> bool {
        self.left(procedure).load(Ordering::Relaxed) > 0
    }

    /// A call was polled. Of polls at the same moment one may go uncounted: it is an estimate.
    pub(super) fn note(&self, procedure: Procedure, took: Duration) {
        let left = self.left(procedure);
        if took >= LONG_POLL {
            left.store(SHORT_POLLS, Ordering::Relaxed);
            return;
        }
        let before = left.load(Ordering::Relaxed);
        if before > 0 {
            left.store(before - 1, Ordering::Relaxed);
        }
    }

    fn left(&self, Procedure(place): Procedure) -> &AtomicU8 {
        &self.left[usize::from(place)]
    }
}

impl fmt::Debug for Paces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paces").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_micros(99);

    #[test]
    fn a_path_is_slow_from_a_long_poll_until_a_hundred_in_a_row_were_short() {
        let paces = Paces::new();
        let slow = paces.procedure("/test.v1.Test/Compute");
        let other = (0..)
            .map(|n| paces.procedure(&format!("/test.v1.Test/Echo{n}")))
            .find(|other| other.0 != slow.0)
            .unwrap();
        assert!(!paces.is_slow(slow));
        paces.note(slow, SHORT);
        assert!(!paces.is_slow(slow));
        for short in [SHORT_POLLS - 1, SHORT_POLLS] {
            paces.note(slow, LONG_POLL);
            for _ in 0..short {
                assert!(paces.is_slow(slow));
                paces.note(slow, SHORT);
            }
        }
        assert!(!paces.is_slow(slow));
        assert!(!paces.is_slow(other));
    }
}
