//! What attempts to connect do to a pool, and which ones it needs.

use std::sync::Arc;

use connect_proto::Time;
use connect_tower::transport::TransportError;

use super::{Pool, State, shutting_down};
use crate::{
    client::{
        connect::Failure,
        connection::{Http1Connection, Http2Connection},
        endpoint::attempts::Attempt,
        shared::Want,
    },
    runtime::vary,
};

impl Pool {
    /// The attempt that calls with this wish need besides those under way.
    pub(super) fn next_attempt(&self, state: &mut State, want: Want, now: Time) -> Option<Attempt> {
        let needs_http1 = state.attempts.needs_http1(want);
        if !needs_http1 && state.http2.len() >= self.settings.max_http2_connections {
            // One that is too old is not to stand in the way of a new one.
            self.remove_expired(state, now);
            if state.http2.len() >= self.settings.max_http2_connections {
                return None;
            }
        }
        if !needs_http1 || state.attempts.have_failed() {
            return state.attempts.start(want, self.can_offer_both);
        }
        let enough = state.http1.opening + 1;
        let has_room = state.http1.has_room(self.settings.max_connections);
        if !has_room || !state.has_waiters(enough, true) {
            return None;
        }
        state.http1.opening = enough;
        Some(Attempt {
            want,
            is_shared: false,
        })
    }

    /// The attempts that the calls in the queue need besides those under way.
    pub(super) fn next_attempts(&self, state: &mut State, now: Time) -> Vec<Attempt> {
        let mut attempts = Vec::new();
        for want in state.queue.wants() {
            while let Some(attempt) = self.next_attempt(state, want, now) {
                attempts.push(attempt);
            }
        }
        attempts
    }

    /// An attempt has opened an HTTP/1.1 connection. Whether it may stay, and the attempts to be started.
    pub(in crate::client::endpoint) fn opened_http1(
        &self,
        attempt: Attempt,
        connection: Arc<Http1Connection>,
    ) -> (bool, Vec<Attempt>) {
        let now = self.timer.now();
        self.with(|state| {
            state.end_attempt(attempt);
            state.attempts.speaks_http1(attempt);
            // The shared attempt may give one more than is allowed.
            let may_stay = state.http1.has_room(self.settings.max_connections) && !state.is_closed;
            if may_stay {
                state.http1.open += 1;
                self.offer_http1(state, connection, now);
            } else {
                state.after.http1.push(connection);
            }
            (may_stay, self.next_attempts(state, now))
        })
    }

    /// An HTTP/1.1 connection has ended: there is room for another.
    pub(in crate::client::endpoint) fn ended_http1(&self) -> Vec<Attempt> {
        let now = self.timer.now();
        self.with(|state| {
            state.http1.open -= 1;
            self.remove_expired(state, now);
            self.next_attempts(state, now)
        })
    }

    /// An attempt has opened an HTTP/2 connection, which allows so many streams. The attempts to be started.
    pub(in crate::client::endpoint) fn opened_http2(
        &self,
        attempt: Attempt,
        connection: &Arc<Http2Connection>,
        max_streams: usize,
    ) -> Vec<Attempt> {
        let now = self.timer.now();
        self.with(|state| {
            state.end_attempt(attempt);
            state.attempts.speaks_http2();
            if !state.is_closed {
                let max_calls = max_streams.min(self.settings.streams_per_connection);
                let connection = Arc::clone(connection);
                let age = self
                    .settings
                    .max_connection_age
                    .map(|age| vary(age, fastrand::f64()));
                let retire_at = age.map(|age| now.saturating_add(age));
                state.http2.add(connection, max_calls, now, retire_at);
                self.fill_http2(state, now);
            }
            self.next_attempts(state, now)
        })
    }

    /// The server of an HTTP/2 connection allows so many streams from now on.
    pub(in crate::client::endpoint) fn set_max_streams(
        &self,
        connection: &Arc<Http2Connection>,
        max_streams: usize,
    ) {
        let now = self.timer.now();
        self.with(|state| {
            let max_calls = max_streams.min(self.settings.streams_per_connection);
            state.http2.set_max_calls(connection, max_calls);
            self.fill_http2(state, now);
        });
    }

    /// An HTTP/2 connection is closed: it takes no more calls. The attempts to be started.
    pub(in crate::client::endpoint) fn ended_http2(&self) -> Vec<Attempt> {
        let now = self.timer.now();
        self.with(|state| {
            self.remove_expired(state, now);
            self.next_attempts(state, now)
        })
    }

    /// An attempt has failed. The attempts to be started.
    pub(in crate::client::endpoint) fn failed(
        &self,
        attempt: Attempt,
        failure: Failure,
    ) -> Vec<Attempt> {
        let now = self.timer.now();
        self.with(|state| {
            state.end_attempt(attempt);
            match failure {
                Failure::NoHttp2(error) => {
                    state.fail_all(|want| want == Want::Http2, &error);
                    state.attempts.refused_http2(now, error);
                }
                Failure::Drained(error) | Failure::Other(error) => {
                    state
                        .attempts
                        .failed(attempt, now, self.settings.max_backoff);
                    state.fail(attempt, &error);
                }
            }
            self.next_attempts(state, now)
        })
    }

    /// An attempt will not be made, or its task was dropped: the calls are not to wait for ever.
    pub(in crate::client::endpoint) fn dropped(&self, attempt: Attempt) {
        self.with(|state| {
            state.end_attempt(attempt);
            state.fail_all(|_| true, &shutting_down());
        });
    }

    /// When to make the attempt that all calls share.
    pub(in crate::client::endpoint) fn retry_at(&self) -> Option<Time> {
        self.with(|state| state.attempts.retry_at)
    }

    /// Whether a call still waits for an attempt. If none does, the attempt is over: the next call starts another.
    pub(in crate::client::endpoint) fn is_wanted(&self, attempt: Attempt) -> bool {
        self.with(|state| {
            state.queue.remove_gone();
            let is_wanted = state.queue.len() > 0;
            if !is_wanted {
                state.end_attempt(attempt);
            }
            is_wanted
        })
    }
}

impl State {
    /// Fails the calls that fail with an attempt: the one that it was for, or all, but those only that cannot wait for an
    /// open connection instead.
    fn fail(&mut self, attempt: Attempt, error: &TransportError) {
        if attempt.is_shared {
            let (has_http1, has_http2) = (self.http1.open > 0, !self.http2.is_empty());
            let prefers_http1 = self.attempts.prefers_http1;
            let may_wait = |want: Want| match want.needs_http1(prefers_http1) {
                true => has_http1,
                false => has_http2,
            };
            if self.fail_all(|want| !may_wait(want), error) {
                return;
            }
        }
        let waiter = self.take_waiter(true);
        let answer = waiter.map(|waiter| (waiter, Err(error.clone())));
        self.after.answers.extend(answer);
    }

    fn end_attempt(&mut self, attempt: Attempt) {
        match attempt.is_shared {
            true => self.attempts.is_connecting = false,
            false => self.http1.opening -= 1,
        }
    }
}
