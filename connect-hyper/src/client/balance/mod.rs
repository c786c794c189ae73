//! Which of several endpoints a call goes to.

mod ejection;

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

pub use self::ejection::Ejection;
pub(super) use self::ejection::Record;
use super::address::EndpointAddress;

/// Chooses the endpoint of each call, among those that are equally fit.
///
/// The channel itself prefers endpoints that have a connection to those that have none yet, and these to those that
/// cannot be reached or are ejected. So a balancer has no bad choice, only fair and unfair ones:
///
/// ```
/// # fn with<R: connect_hyper::Runtime>() -> Result<(), connect_proto::Error> {
/// use connect_hyper::{Channel, client::{Balance, Candidate}};
///
/// /// The endpoint with the fewest calls, of all.
/// struct Fewest;
///
/// impl Balance for Fewest {
///     fn pick(&self, candidates: &[Candidate]) -> usize {
///         let indices = 0..candidates.len();
///         indices.min_by_key(|&index| candidates[index].outstanding()).unwrap_or(0)
///     }
/// }
///
/// let channel = Channel::<R>::builder("http://greet.internal:8080")
///     .with_balance(Fewest)
///     .build()?;
/// # drop(channel);
/// # Ok(())
/// # }
/// ```
pub trait Balance: Send + Sync + 'static {
    /// The index of the endpoint for the next call. There is at least one; an index beyond the last means the last.
    ///
    /// It is called for every call, on the caller's thread: it should be quick, and must not block.
    fn pick(&self, candidates: &[Candidate]) -> usize;

    /// Whether a channel connects to all endpoints once it is used, and again to those that it lost. Otherwise it connects to one
    /// that was picked. Default: yes.
    fn connects_to_all(&self) -> bool {
        true
    }
}

/// An endpoint that a call can go to, as a [`Balance`] sees it.
#[derive(Clone)]
pub struct Candidate(pub(in crate::client) Arc<dyn Load>);

/// What is behind a candidate.
pub(in crate::client) trait Load: Send + Sync {
    fn address(&self) -> &EndpointAddress;
    fn outstanding(&self) -> usize;
}

impl Candidate {
    /// Where it is reached.
    #[must_use]
    pub fn address(&self) -> &EndpointAddress {
        self.0.address()
    }

    /// How many calls of this channel have a connection of it, or wait for one.
    #[must_use]
    pub fn outstanding(&self) -> usize {
        self.0.outstanding()
    }
}

impl fmt::Debug for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Candidate")
            .field("address", &format_args!("{}", self.address()))
            .field("outstanding", &self.outstanding())
            .finish()
    }
}

/// All calls to the first endpoint that can be reached, in the order of the list. The default.
#[derive(Clone, Copy, Debug, Default)]
pub struct PickFirst;

impl Balance for PickFirst {
    fn pick(&self, _: &[Candidate]) -> usize {
        0
    }

    fn connects_to_all(&self) -> bool {
        false
    }
}

/// The endpoints in turn. It begins anywhere, so that many clients do not all begin with the same.
#[derive(Debug)]
pub struct RoundRobin {
    next: AtomicUsize,
}

impl RoundRobin {
    /// Begins anywhere.
    #[must_use]
    pub fn new() -> Self {
        Self {
            next: AtomicUsize::new(fastrand::usize(..usize::MAX / 2)),
        }
    }
}

impl Default for RoundRobin {
    fn default() -> Self {
        Self::new()
    }
}

impl Balance for RoundRobin {
    fn pick(&self, candidates: &[Candidate]) -> usize {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(candidates.len()).unwrap_or(0)
    }
}

/// Of two endpoints at random, the one with fewer calls: nearly as fair as the least of all, without asking all, and without
/// all clients running to the same ("power of two choices"). For calls of unequal length, and servers of unequal speed.
#[derive(Clone, Copy, Debug, Default)]
pub struct LeastOutstanding;

impl Balance for LeastOutstanding {
    fn pick(&self, candidates: &[Candidate]) -> usize {
        let count = candidates.len();
        if count < 2 {
            return 0;
        }
        let first = fastrand::usize(..count);
        // Another one.
        let second = (first + fastrand::usize(1..count)) % count;
        match candidates[second].outstanding() < candidates[first].outstanding() {
            true => second,
            false => first,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(EndpointAddress, AtomicUsize);

    impl Load for Fixed {
        fn address(&self) -> &EndpointAddress {
            &self.0
        }

        fn outstanding(&self) -> usize {
            self.1.load(Ordering::Relaxed)
        }
    }

    fn loads(outstanding: &[usize]) -> Vec<Arc<Fixed>> {
        let load = |&count| {
            let address = EndpointAddress::host("example.com", 80);
            Arc::new(Fixed(address, AtomicUsize::new(count)))
        };
        outstanding.iter().map(load).collect()
    }

    fn candidates(loads: &[Arc<Fixed>]) -> Vec<Candidate> {
        let candidate = |load: &Arc<Fixed>| -> Candidate {
            let load: Arc<dyn Load> = Arc::clone(load) as _;
            Candidate(load)
        };
        loads.iter().map(candidate).collect()
    }

    #[test]
    fn round_robin_gives_each_the_same() {
        for count in 1..8 {
            let candidates = candidates(&loads(&vec![0; count]));
            let balance = RoundRobin::new();
            let mut picked = vec![0; count];
            (0..count * 5).for_each(|_| picked[balance.pick(&candidates)] += 1);
            assert_eq!(picked, vec![5; count]);
        }
    }

    #[test]
    fn round_robin_begins_anywhere() {
        fastrand::seed(7);
        let candidates = candidates(&loads(&[0; 4]));
        let mut begun = [false; 4];
        (0..100).for_each(|_| begun[RoundRobin::new().pick(&candidates)] = true);
        assert_eq!(begun, [true; 4]);
    }

    #[test]
    fn the_fullest_of_all_is_never_chosen() {
        fastrand::seed(7);
        let candidates = candidates(&loads(&[3, 9, 4, 3]));
        let mut picked = [0; 4];
        (0..1000).for_each(|_| picked[LeastOutstanding.pick(&candidates)] += 1);
        assert_eq!(picked[1], 0);
        assert!(picked[0] > picked[2] && picked[2] > 0, "{picked:?}");
    }

    /// As long as no call ends, the loads stay close to each other.
    #[test]
    fn two_choices_spread_calls() {
        fastrand::seed(7);
        let loads = loads(&[0; 10]);
        let candidates = candidates(&loads);
        for _ in 0..1000 {
            let picked = LeastOutstanding.pick(&candidates);
            loads[picked].1.fetch_add(1, Ordering::Relaxed);
        }
        let counts: Vec<usize> = loads.iter().map(|load| load.outstanding()).collect();
        let spread = counts.iter().max().unwrap() - counts.iter().min().unwrap();
        assert!(spread <= 5, "{counts:?}");
    }

    #[test]
    fn one_endpoint_is_chosen_by_all() {
        let candidates = candidates(&loads(&[5]));
        assert_eq!(PickFirst.pick(&candidates), 0);
        assert_eq!(RoundRobin::new().pick(&candidates), 0);
        assert_eq!(LeastOutstanding.pick(&candidates), 0);
    }
}
