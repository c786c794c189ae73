//! The connections to one server: several of HTTP/2 with many calls each, and several of HTTP/1.1, for one call at a time each.
//!
//! A call checks out a connection. If none has room for it, it waits in the queue, and an attempt to connect is started
//! if those under way are not enough. Every attempt is a task: a call that is dropped while it waits takes nothing from
//! the others, and what it leaves behind is used by the next.
//!
//! How many attempts there are: one that all calls share for HTTP/2, and while nobody knows which version the server prefers;
//! one for each waiting call where HTTP/1.1 is spoken. After a failure all calls share the next attempt, whatever
//! they want, and it waits a little first.

mod attempts;
mod http1;
mod http2;
mod pool;
mod queue;
mod watch;

use std::{
    fmt,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use connect_proto::Time;
use connect_tower::transport::{ChannelState, EndpointStats, TransportError};
use futures_channel::oneshot;

pub(super) use self::pool::{Http1Lease, Http2Lease, Lease, too_many};
use self::{
    attempts::Attempt,
    http2::Watch,
    pool::{Found, Pool, shutting_down},
};
use super::{
    address::EndpointAddress,
    connect::{Connected, Failure, connect},
    connection::{Driver, Http2Connection, Http2Driver, Http2Settings},
    shared::{Shared, Want},
};
use crate::runtime::Runtime;

/// The connections to one server.
pub(super) struct Endpoint<R: Runtime> {
    shared: Arc<Shared<R>>,
    address: EndpointAddress,
    pool: Arc<Pool>,
    /// The server has complained of pings.
    pings_seldom: AtomicBool,
}

/// How often a server is pinged at most that has complained of it: those of gRPC in Go and Java allow a ping every 5 minutes
/// (gRFC A8).
const SELDOM: Duration = Duration::from_secs(5 * 60 + 10);

impl<R: Runtime> Endpoint<R> {
    /// Without a connection yet.
    pub(super) fn new(shared: Arc<Shared<R>>, address: EndpointAddress) -> Self {
        let timer = Arc::clone(&shared.timer);
        let pool = Pool::new(timer, shared.settings.clone(), shared.can_offer_both());
        Self {
            shared,
            address,
            pool,
            pings_seldom: AtomicBool::new(false),
        }
    }

    fn http2_settings(&self) -> Http2Settings {
        let mut settings = self.shared.settings.http2;
        if let (Some((interval, _)), true) = (
            &mut settings.keep_alive,
            self.pings_seldom.load(Ordering::Relaxed),
        ) {
            *interval = SELDOM.max(*interval);
        }
        settings
    }

    pub(super) fn state(&self) -> ChannelState {
        self.pool.state()
    }

    /// Waits until the state is another than this, and returns it.
    pub(super) async fn changed(&self, since: ChannelState) -> ChannelState {
        loop {
            match self.pool.watch(since) {
                (state, None) => return state,
                // Whatever it says: the state is looked at again.
                (_, Some(changed)) => drop(changed.await),
            }
        }
    }

    /// How many calls have a connection or wait for one.
    pub(super) fn outstanding(&self) -> usize {
        self.pool.outstanding()
    }

    pub(super) fn stats(&self) -> EndpointStats {
        EndpointStats {
            address: self.address.to_string(),
            ..self.pool.stats()
        }
    }

    /// Takes no more calls.
    pub(super) fn close(&self) {
        self.pool.close();
    }

    /// Takes no more calls, and ends when the last one has ended.
    pub(super) async fn drain(&self) {
        self.close();
        while let Some(changed) = self.pool.watch_drain() {
            let _ = changed.await;
        }
    }

    /// A connection for a call: an open one if there is room, else the next to have some. `skip_idle` is for a call that has
    /// met an HTTP/1.1 connection that was closed: other idle ones may be too.
    ///
    /// # Errors
    ///
    /// `unavailable` when none can be opened.
    pub(super) async fn check_out(
        self: &Arc<Self>,
        want: Want,
        skip_idle: bool,
    ) -> Result<Lease, TransportError> {
        loop {
            let mut lease = match self.pool.find(want, skip_idle)? {
                Found::Open(lease) => lease,
                Found::Later(waiting, attempts) => {
                    self.start(attempts);
                    waiting
                        .await
                        .unwrap_or_else(|oneshot::Canceled| Err(shutting_down()))?
                }
            };
            if let Lease::Http1(http1) = &mut lease {
                // In a box, to keep the future of a call small.
                if !http1.is_ready() && !Box::pin(http1.ready(&self.shared.runtime)).await {
                    continue;
                }
            }
            return Ok(lease);
        }
    }

    /// A connection of HTTP/2 for a call that lasts as long as it, and is not counted: it keeps no connection from being idle or
    /// closed. What comes with it ends when the connection takes no more calls; then the call is to end. `None` if a connection
    /// has no room for such a call beside others.
    ///
    /// # Errors
    ///
    /// As [`check_out`](Self::check_out), if there is no connection of HTTP/2 yet.
    pub(super) async fn watch(
        self: &Arc<Self>,
        want: Want,
    ) -> Result<Option<Watch>, TransportError> {
        loop {
            if let Some(watch) = self.pool.watch_http2() {
                return Ok(watch);
            }
            drop(self.check_out(want, false).await?);
        }
    }

    /// Starts attempts. Without the lock: a runtime that is shutting down drops their tasks at once.
    fn start(self: &Arc<Self>, attempts: Vec<Attempt>) {
        for attempt in attempts {
            let attempt = RunningAttempt {
                endpoint: Arc::clone(self),
                attempt: Some(attempt),
            };
            self.shared.runtime.spawn(attempt.run());
        }
    }

    fn connected(self: &Arc<Self>, attempt: Attempt, connected: Connected) {
        let runtime = &self.shared.runtime;
        let attempts = match connected {
            Connected::Http1(connection, driver) => {
                let (may_stay, attempts) = self.pool.opened_http1(attempt, connection);
                if may_stay {
                    let open = OpenHttp1(Arc::downgrade(self));
                    runtime.spawn(drive_http1(driver, open));
                }
                attempts
            }
            Connected::Http2(connection, driver) => {
                let connection = Arc::new(connection);
                let attempts = self
                    .pool
                    .opened_http2(attempt, &connection, driver.max_streams());
                let weak = Arc::downgrade(&connection);
                runtime.spawn(drive_http2(driver, weak, Arc::downgrade(self)));
                attempts
            }
        };
        if self.pool.needs_keeper() {
            runtime.spawn(keep(runtime.clone(), Arc::downgrade(self)));
        }
        // Last: a call that such an attempt fails is to find the connection.
        self.start(attempts);
    }

    /// Lets go of connections whose time is over. When to do so again; `None` if there is none left.
    fn expire(self: &Arc<Self>) -> Option<Time> {
        let (next, attempts) = self.pool.expire();
        self.start(attempts);
        next
    }
}

/// An attempt that is under way, in a task of its own. A runtime may drop that, be it before the first poll: the calls
/// are not to wait for ever.
struct RunningAttempt<R: Runtime> {
    endpoint: Arc<Endpoint<R>>,
    /// None once it has ended.
    attempt: Option<Attempt>,
}

impl<R: Runtime> RunningAttempt<R> {
    async fn run(mut self) {
        let Some(attempt) = self.attempt else { return };
        if attempt.is_shared && !self.wait(attempt).await {
            return;
        }
        let Endpoint {
            shared, address, ..
        } = &*self.endpoint;
        let connected = connect(
            shared,
            address,
            attempt.want,
            self.endpoint.http2_settings(),
        )
        .await;
        self.attempt = None;
        match connected {
            Ok(connected) => self.endpoint.connected(attempt, connected),
            Err(failure) => self.failed(attempt, failure),
        }
    }

    fn failed(&self, attempt: Attempt, failure: Failure) {
        let attempts = self.endpoint.pool.failed(attempt, failure);
        self.endpoint.start(attempts);
    }

    /// Waits after a failed attempt. `false` if no call is left then.
    async fn wait(&mut self, attempt: Attempt) -> bool {
        let pool = &self.endpoint.pool;
        if let Some(retry_at) = pool.retry_at() {
            self.endpoint.shared.runtime.sleep_until(retry_at).await;
            if !pool.is_wanted(attempt) {
                self.attempt = None;
                return false;
            }
        }
        true
    }
}

impl<R: Runtime> Drop for RunningAttempt<R> {
    fn drop(&mut self) {
        if let Some(attempt) = self.attempt {
            self.endpoint.pool.dropped(attempt);
        }
    }
}

/// Counts an HTTP/1.1 connection as open until it is dropped.
struct OpenHttp1<R: Runtime>(Weak<Endpoint<R>>);

impl<R: Runtime> Drop for OpenHttp1<R> {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0.upgrade() {
            endpoint.start(endpoint.pool.ended_http1());
        }
    }
}

async fn drive_http1<R: Runtime>(driver: Driver, open: OpenHttp1<R>) {
    driver.await;
    drop(open);
}

/// Weak: the connection ends when neither the endpoint nor a call holds it.
async fn drive_http2<R: Runtime>(
    driver: Http2Driver,
    connection: Weak<Http2Connection>,
    endpoint: Weak<Endpoint<R>>,
) {
    let both = || Some((connection.upgrade()?, endpoint.upgrade()?));
    let on_max_streams = |max_streams| {
        if let Some((connection, endpoint)) = both() {
            endpoint.pool.set_max_streams(&connection, max_streams);
        }
    };
    let on_too_many_pings = || {
        if let Some(endpoint) = endpoint.upgrade() {
            endpoint.pings_seldom.store(true, Ordering::Relaxed);
        }
    };
    let calls = driver.run(on_max_streams, on_too_many_pings).await;
    // Though nobody may hold the connection any more, calls may wait for it.
    if let Some(endpoint) = endpoint.upgrade() {
        endpoint.start(endpoint.pool.ended_http2());
    }
    calls.run().await;
}

/// Lets go of connections when their time is over, as long as there are any.
async fn keep<R: Runtime>(runtime: R, endpoint: Weak<Endpoint<R>>) {
    while let Some(next) = endpoint.upgrade().and_then(|endpoint| endpoint.expire()) {
        runtime.sleep_until(next).await;
    }
}

impl<R: Runtime> fmt::Debug for Endpoint<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("address", &self.address)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
