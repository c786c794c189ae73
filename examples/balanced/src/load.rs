//! Steady load: unary calls one after the other from several workers, and streams that are opened again when they end.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connect_hyper::{Channel, Runtime};
use connect_tower::Request;
use futures_channel::oneshot;

use crate::{
    fleet::SIZE,
    rpc::{FleetServiceClient, GetRequest, WatchRequest},
};

/// How many unary calls are in flight.
pub(crate) const WORKERS: usize = 20;

/// How many streams are open.
pub(crate) const STREAMS: usize = 6;

/// What a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Between a stream that could not begin, or that ended, and the next.
const PAUSE: Duration = Duration::from_millis(50);

/// What became of the calls so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Unary calls that each server has answered.
    pub(crate) answered: [u64; SIZE],
    /// Unary calls that failed, by what they said.
    pub(crate) failed: BTreeMap<String, u64>,
    /// Streams that have ended, by how.
    pub(crate) streams: BTreeMap<String, u64>,
    /// Messages of streams.
    pub(crate) ticks: [u64; SIZE],
}

impl Counts {
    pub(crate) fn all_answered(&self) -> u64 {
        self.answered.iter().sum()
    }

    pub(crate) fn all_failed(&self) -> u64 {
        self.failed.values().sum()
    }
}

/// Load that runs until it is stopped.
pub(crate) struct Load {
    shared: Arc<Shared>,
    ends: Vec<oneshot::Receiver<()>>,
}

#[derive(Default)]
struct Shared {
    counts: Mutex<Counts>,
    has_stopped: AtomicBool,
}

impl Shared {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn goes_on(&self) -> bool {
        !self.has_stopped.load(Ordering::Relaxed)
    }
}

impl Load {
    /// Starts the workers, as tasks.
    pub(crate) fn start<R: Runtime>(runtime: &R, client: &FleetServiceClient<Channel<R>>) -> Self {
        let shared = Arc::new(Shared::default());
        let mut ends = Vec::new();
        let mut spawn = |task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>| {
            let (running, end) = oneshot::channel::<()>();
            ends.push(end);
            runtime.spawn(async move {
                task.await;
                drop(running);
            });
        };
        for _ in 0..WORKERS {
            spawn(Box::pin(call(Arc::clone(&shared), client.clone())));
        }
        for _ in 0..STREAMS {
            spawn(Box::pin(watch(
                Arc::clone(&shared),
                client.clone(),
                runtime.clone(),
            )));
        }
        Self { shared, ends }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.shared.counts().clone()
    }

    /// Lets the calls in flight end, and tells what became of all.
    pub(crate) async fn stop(self) -> Counts {
        self.shared.has_stopped.store(true, Ordering::Relaxed);
        for end in self.ends {
            // The worker has dropped its side.
            let _ = end.await;
        }
        self.shared.counts().clone()
    }
}

async fn call<R: Runtime>(shared: Arc<Shared>, client: FleetServiceClient<Channel<R>>) {
    while shared.goes_on() {
        let request = Request::new(GetRequest {}).with_timeout(TIMEOUT);
        let outcome = client.get(request).await;
        let mut counts = shared.counts();
        match outcome {
            Ok(response) => counts.answered[response.message().server as usize] += 1,
            Err(error) => *counts.failed.entry(error.to_string()).or_default() += 1,
        }
    }
}

async fn watch<R: Runtime>(
    shared: Arc<Shared>,
    client: FleetServiceClient<Channel<R>>,
    runtime: R,
) {
    while shared.goes_on() {
        let end = match client.watch(WatchRequest {}).await {
            Err(error) => Some(error),
            Ok(response) => {
                let mut ticks = response.into_stream();
                loop {
                    match ticks.message().await {
                        Ok(Some(tick)) => shared.counts().ticks[tick.server as usize] += 1,
                        Ok(None) => break None,
                        Err(error) => break Some(error),
                    }
                    if !shared.goes_on() {
                        return;
                    }
                }
            }
        };
        let end = end.map_or_else(|| "ok".to_owned(), |error| error.to_string());
        *shared.counts().streams.entry(end).or_default() += 1;
        runtime.sleep(PAUSE).await;
    }
}

/// A list of outcomes with their numbers.
pub(crate) struct Outcomes<'a>(pub(crate) &'a BTreeMap<String, u64>);

impl fmt::Display for Outcomes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, (words, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{count} x {words}")?;
        }
        Ok(())
    }
}
