//! The HTTP/2 connections of an endpoint that take calls, and the places for calls on them.

use std::{convert::Infallible, mem, sync::Arc, time::Duration};

use connect_proto::Time;
use futures_channel::oneshot;

use crate::client::connection::Http2Connection;

/// The connections, and how many calls each has.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Open>);

/// A connection, and what ends when it takes no more calls.
pub(super) type Watch = (Arc<Http2Connection>, oneshot::Receiver<Infallible>);

#[derive(Debug)]
struct Open {
    connection: Arc<Http2Connection>,
    /// How many calls use it.
    calls: usize,
    /// How many may.
    max_calls: usize,
    /// When the last call ended.
    idle_since: Time,
    /// When it is to take no more calls.
    retire_at: Option<Time>,
    /// A call watches it, that is none of `calls` and ends when this is dropped.
    watcher: Option<oneshot::Sender<Infallible>>,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many have no call.
    pub(super) fn idle(&self) -> usize {
        self.0.iter().filter(|open| open.calls == 0).count()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn add(
        &mut self,
        connection: Arc<Http2Connection>,
        max_calls: usize,
        now: Time,
        retire_at: Option<Time>,
    ) {
        self.0.push(Open {
            connection,
            calls: 0,
            max_calls,
            idle_since: now,
            retire_at,
            watcher: None,
        });
    }

    /// A place on the connection with the fewest calls. Of those with as few the oldest: the others become idle, and end.
    pub(super) fn take(&mut self, now: Time) -> Option<Arc<Http2Connection>> {
        let has_room = |open: &&mut Open| {
            let watchers = usize::from(open.watcher.is_some());
            open.calls + watchers < open.max_calls && open.is_live(now)
        };
        let open = self.0.iter_mut().filter(has_room).min_by_key(|o| o.calls)?;
        open.calls += 1;
        Some(Arc::clone(&open.connection))
    }

    /// A connection, for one more call than it has, until what comes with it ends. The inner `None` if it may have no two.
    pub(super) fn watch(&mut self, now: Time) -> Option<Option<Watch>> {
        let open = self.0.iter_mut().find(|open| open.is_live(now))?;
        if open.max_calls < 2 {
            return Some(None);
        }
        let (watcher, let_go) = oneshot::channel();
        open.watcher = Some(watcher);
        Some(Some((Arc::clone(&open.connection), let_go)))
    }

    /// Gives a place back. The connection may be none of these any more.
    pub(super) fn release(&mut self, connection: &Arc<Http2Connection>, now: Time) {
        if let Some(open) = self.find(connection) {
            open.calls -= 1;
            open.idle_since = now;
        }
    }

    pub(super) fn set_max_calls(&mut self, connection: &Arc<Http2Connection>, max_calls: usize) {
        if let Some(open) = self.find(connection) {
            open.max_calls = max_calls;
            if max_calls < 2 {
                // It would take the only place.
                open.watcher = None;
            }
        }
    }

    fn find(&mut self, connection: &Arc<Http2Connection>) -> Option<&mut Open> {
        self.0
            .iter_mut()
            .find(|open| Arc::ptr_eq(&open.connection, connection))
    }

    /// Takes a connection out: it gets no more calls, and ends when those that it has have ended.
    pub(super) fn remove(
        &mut self,
        connection: &Arc<Http2Connection>,
    ) -> Option<Arc<Http2Connection>> {
        let is_it = |open: &Open| Arc::ptr_eq(&open.connection, connection);
        let index = self.0.iter().position(is_it)?;
        Some(self.0.remove(index).connection)
    }

    /// Takes out all.
    pub(super) fn remove_all(&mut self) -> impl Iterator<Item = Arc<Http2Connection>> {
        self.0.drain(..).map(|open| open.connection)
    }

    /// Takes out all that are idle for so long, too old, or closed.
    pub(super) fn remove_expired(
        &mut self,
        now: Time,
        idle_timeout: Duration,
    ) -> Vec<Arc<Http2Connection>> {
        let is_over = |open: &Open| {
            let ends_at = open.ends_at(idle_timeout);
            ends_at.is_some_and(|at| at <= now) || open.connection.is_closed()
        };
        let (over, live) = mem::take(&mut self.0).into_iter().partition(is_over);
        self.0 = live;
        let over: Vec<Open> = over;
        over.into_iter().map(|open| open.connection).collect()
    }

    /// When the next one is over, if all goes on as it is.
    pub(super) fn next_expiry(&self, idle_timeout: Duration) -> Option<Time> {
        let ends = self.0.iter().filter_map(|open| open.ends_at(idle_timeout));
        ends.min()
    }
}

impl Open {
    fn is_live(&self, now: Time) -> bool {
        self.retire_at.is_none_or(|at| now < at) && !self.connection.is_closed()
    }

    fn ends_at(&self, idle_timeout: Duration) -> Option<Time> {
        let idle = (self.calls == 0).then(|| self.idle_since.saturating_add(idle_timeout));
        idle.into_iter().chain(self.retire_at).min()
    }
}
