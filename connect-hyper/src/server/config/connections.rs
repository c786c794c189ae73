//! How many connections there may be, and how long they live.

use std::time::Duration;

use super::super::Server;
use crate::runtime::{LONGEST, Listener, Runtime};

impl<R: Runtime, L: Listener<R>, M> Server<R, L, M> {
    /// How long a connection of either HTTP version may stay open without a call. The server looks at such intervals, so an
    /// idle connection is closed after one to two of them; an HTTP/2 client gets a GOAWAY, and connects again when it needs to.
    /// Default: 5 minutes, longer than the proxies in front commonly keep an idle connection (60 seconds): who closes first can
    /// lose an HTTP/1.1 request that is on its way. [`Duration::MAX`] keeps them.
    ///
    /// A connection whose socket does not take what is to be sent is not idle: there is
    /// [`with_write_timeout`](Self::with_write_timeout).
    ///
    /// 0 counts as a millisecond.
    pub fn with_idle_timeout(mut self, timeout: Duration) -> Self {
        // Without any pause the connection would look without end.
        self.config.idle_timeout = timeout.clamp(Duration::from_millis(1), LONGEST);
        self
    }

    /// Set by [`with_idle_timeout`](Self::with_idle_timeout).
    #[must_use]
    pub fn idle_timeout(&self) -> Duration {
        self.config.idle_timeout
    }

    /// How many connections may be open at once. With as many, no more are accepted until one ends: clients wait in the
    /// listener's queue, and the observer gets [`ServerEvent::ConnectionsFull`](super::super::ServerEvent::ConnectionsFull).
    /// Default: 65,536. The process's limit of open files may be lower; there clients wait too.
    ///
    /// 0 counts as 1.
    pub fn with_max_connections(mut self, max: usize) -> Self {
        self.config.max_connections = max.max(1);
        self
    }

    /// Set by [`with_max_connections`](Self::with_max_connections).
    #[must_use]
    pub fn max_connections(&self) -> usize {
        self.config.max_connections
    }

    /// Pings HTTP/2 clients that were silent for the first time, and closes the connection when no answer comes within the
    /// second; `None` sends none. The second also holds for the ping that tells a client of a shutdown, or of its connection's
    /// age. Default: 60 and 20 seconds. A client that vanished while it waits for a quiet stream is found
    /// out after 80 seconds at most, earlier than by any other limit, and routers on the way do not forget the connection:
    /// the strictest commonly do so after some minutes. Ten thousand silent connections cost 170 pings a second.
    pub fn with_keep_alive(
        mut self,
        interval_and_timeout: impl Into<Option<(Duration, Duration)>>,
    ) -> Self {
        self.config.keep_alive = interval_and_timeout
            .into()
            .map(|(interval, timeout)| (interval.min(LONGEST), timeout.min(LONGEST)));
        self
    }

    /// Set by [`with_keep_alive`](Self::with_keep_alive).
    #[must_use]
    pub fn keep_alive(&self) -> Option<(Duration, Duration)> {
        self.config.keep_alive
    }

    /// How many connections one address may have open at once; of IPv6, one network of 64 bits. Further ones are closed when
    /// they come, and the observer gets [`ServerEvent::AddressFull`](super::super::ServerEvent::AddressFull) for the first. Default:
    /// `None`, no limit but [`max_connections`](Self::max_connections): behind a proxy or a gateway all clients have one address. Set
    /// it, to some hundreds, for a server that clients reach directly.
    ///
    /// 0 counts as 1.
    pub fn with_max_connections_per_address(mut self, max: impl Into<Option<usize>>) -> Self {
        self.config.max_connections_per_address = max.into().map(|max| max.max(1));
        self
    }

    /// Set by [`with_max_connections_per_address`](Self::with_max_connections_per_address).
    #[must_use]
    pub fn max_connections_per_address(&self) -> Option<usize> {
        self.config.max_connections_per_address
    }

    /// How old a connection may become. Then its client is told to use another: by a GOAWAY on HTTP/2, by
    /// `connection: close` in the next answer on HTTP/1.1. No request is lost by that: those that were sent meanwhile are
    /// answered, and calls go on for [`max_connection_age_grace`](Self::max_connection_age_grace). Each connection's age varies by
    /// 10 %, so that those which came together do not go together. Default: `None`, no limit, as most clients gain nothing.
    /// Behind a load balancer that only spreads connections, half an hour spreads calls over new servers.
    pub fn with_max_connection_age(mut self, age: impl Into<Option<Duration>>) -> Self {
        self.config.max_connection_age = age.into().map(|age| age.min(LONGEST));
        self
    }

    /// Set by [`with_max_connection_age`](Self::with_max_connection_age).
    #[must_use]
    pub fn max_connection_age(&self) -> Option<Duration> {
        self.config.max_connection_age
    }

    /// How long the calls of a connection may go on that has reached its age or its number of requests; then it is ended with
    /// them. Default: 5 minutes, enough for calls, while streams that never end move on; [`Duration::MAX`] waits for them.
    pub fn with_max_connection_age_grace(mut self, grace: Duration) -> Self {
        self.config.max_connection_age_grace = grace.min(LONGEST);
        self
    }

    /// Set by [`with_max_connection_age_grace`](Self::with_max_connection_age_grace).
    #[must_use]
    pub fn max_connection_age_grace(&self) -> Duration {
        self.config.max_connection_age_grace
    }

    /// How many requests a connection takes before its client is told to use another, as by
    /// [`with_max_connection_age`](Self::with_max_connection_age). HTTP/2 requests that were sent before the client knew are
    /// answered too. Default: `None`, no limit, as nothing grows with their number.
    ///
    /// 0 counts as 1.
    pub fn with_max_requests_per_connection(mut self, max: impl Into<Option<usize>>) -> Self {
        self.config.max_requests_per_connection = max.into().map(|max| max.max(1));
        self
    }

    /// Set by [`with_max_requests_per_connection`](Self::with_max_requests_per_connection).
    #[must_use]
    pub fn max_requests_per_connection(&self) -> Option<usize> {
        self.config.max_requests_per_connection
    }
}
