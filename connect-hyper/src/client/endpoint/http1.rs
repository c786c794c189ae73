//! The HTTP/1.1 connections of an endpoint: those that no call uses, and how many there are.

use std::{mem, sync::Arc, time::Duration};

use connect_proto::Time;

use crate::client::connection::Http1Connection;

#[derive(Debug, Default)]
pub(super) struct Http1s {
    /// Those that no call uses. The one that was used last is the last.
    idle: Vec<Idle>,
    /// How many are open, idle or not.
    pub(super) open: usize,
    /// How many are being opened, each for one call.
    pub(super) opening: usize,
}

#[derive(Debug)]
struct Idle {
    connection: Arc<Http1Connection>,
    since: Time,
}

impl Http1s {
    /// Whether one more may be opened.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.open + self.opening < max
    }

    /// How many are open without a call.
    pub(super) fn idle(&self) -> usize {
        let live = self.idle.iter().filter(|idle| !idle.connection.is_closed());
        live.count()
    }

    /// The idle connection that was used last: it is the least likely to be closed by the server.
    pub(super) fn take(
        &mut self,
        now: Time,
        idle_timeout: Duration,
    ) -> Option<Arc<Http1Connection>> {
        let is_live = |idle: &Idle| {
            now.saturating_since(idle.since) < idle_timeout && !idle.connection.is_closed()
        };
        let index = self.idle.iter().rposition(is_live)?;
        Some(self.idle.remove(index).connection)
    }

    /// The idle connection that was used first.
    pub(super) fn take_oldest(&mut self) -> Option<Arc<Http1Connection>> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0).connection)
    }

    /// Keeps a connection, and returns the one that is too many for that.
    pub(super) fn keep(
        &mut self,
        connection: Arc<Http1Connection>,
        since: Time,
        max_idle: usize,
    ) -> Option<Arc<Http1Connection>> {
        if max_idle == 0 {
            return Some(connection);
        }
        let surplus = (self.idle.len() >= max_idle)
            .then(|| self.take_oldest())
            .flatten();
        self.idle.push(Idle { connection, since });
        surplus
    }

    /// Takes out those that are idle for so long, or closed.
    pub(super) fn remove_expired(
        &mut self,
        now: Time,
        idle_timeout: Duration,
    ) -> Vec<Arc<Http1Connection>> {
        let is_over = |idle: &Idle| {
            now.saturating_since(idle.since) >= idle_timeout || idle.connection.is_closed()
        };
        let (over, live) = mem::take(&mut self.idle).into_iter().partition(is_over);
        self.idle = live;
        let over: Vec<Idle> = over;
        over.into_iter().map(|idle| idle.connection).collect()
    }

    /// When the next one is over.
    pub(super) fn next_expiry(&self, idle_timeout: Duration) -> Option<Time> {
        let oldest = self.idle.first();
        oldest.map(|idle| idle.since.saturating_add(idle_timeout))
    }
}
