//! The stream of one Watch call.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use connect_tower::Error;
use futures_core::Stream;

use crate::{
    Status,
    response::response,
    statuses::{News, Statuses, WaiterId},
    v1::HealthCheckResponse,
};

/// Yields the status of a service, and again whenever it has changed since.
///
/// Only the newest status counts: a client that reads slowly misses what has passed, never what is.
pub(crate) struct Watch {
    statuses: Statuses,
    service: String,
    id: WaiterId,
    /// What was yielded last; inside, `None` is an unknown service.
    known: Option<Option<Status>>,
}

impl Watch {
    pub(crate) fn new(statuses: Statuses, service: String) -> Self {
        Self {
            id: statuses.new_id(),
            statuses,
            service,
            known: None,
        }
    }
}

impl Stream for Watch {
    type Item = Result<HealthCheckResponse, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let news = self
            .statuses
            .poll_news(&self.service, self.id, self.known, cx);
        Poll::Ready(match ready!(news) {
            News::Changed(status) => {
                self.known = Some(status);
                Some(Ok(response(status)))
            }
            News::Over => None,
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.statuses.leave(&self.service, self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use super::*;

    fn poll(watch: &mut Watch) -> Poll<Option<i32>> {
        let next = Pin::new(watch).poll_next(&mut Context::from_waker(Waker::noop()));
        next.map(|next| next.map(|next| next.unwrap().status))
    }

    #[test]
    fn watching_takes_no_room_once_it_is_over() {
        let statuses = Statuses::default();
        let names = ["known", "unknown", "unknown"];
        let mut watches = names.map(|name| Watch::new(statuses.clone(), name.to_owned()));
        statuses.set("known".to_owned(), Status::Serving);
        for watch in &mut watches {
            assert!(poll(watch).is_ready());
            // A second poll replaces the first one's waker.
            assert!(poll(watch).is_pending());
            assert!(poll(watch).is_pending());
        }
        assert_eq!(statuses.waiting(), 3);
        let [known, a, b] = watches;
        drop(a);
        assert_eq!(statuses.waiting(), 2);
        drop((known, b));
        assert_eq!(statuses.waiting(), 0);
    }

    #[test]
    fn a_watch_that_was_never_polled_can_be_dropped() {
        let statuses = Statuses::default();
        drop(Watch::new(statuses.clone(), String::new()));
        assert_eq!(statuses.waiting(), 0);
    }
}
