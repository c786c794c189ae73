//! What is known of services, and who waits for it to change.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::Status;

/// The statuses of services, shared by all clones.
#[derive(Clone, Default)]
pub(crate) struct Statuses(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    by_name: BTreeMap<String, Status>,
    /// Who waits for news of a name. Names that nobody waits for are not here, so unknown ones take no room for longer
    /// than they are watched.
    waiting: HashMap<String, HashMap<WaiterId, Waker>>,
    next_id: WaiterId,
    shut_down: bool,
}

pub(crate) type WaiterId = u64;

/// What somebody who watches a service learns.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum News {
    /// The status is another one; `None` is an unknown service.
    Changed(Option<Status>),
    /// It is the same, and will stay so.
    Over,
}

impl Statuses {
    pub(crate) fn get(&self, name: &str) -> Option<Status> {
        self.lock().by_name.get(name).copied()
    }

    pub(crate) fn all(&self) -> BTreeMap<String, Status> {
        self.lock().by_name.clone()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().by_name.len()
    }

    pub(crate) fn set(&self, name: String, status: Status) {
        self.change(|inner| {
            let waiting = inner.take_waiting(&name);
            inner.by_name.insert(name, status);
            waiting
        });
    }

    pub(crate) fn clear(&self, name: &str) {
        self.change(|inner| {
            inner.by_name.remove(name);
            inner.take_waiting(name)
        });
    }

    pub(crate) fn shut_down(&self) {
        self.change(|inner| {
            inner.shut_down = true;
            let statuses = inner.by_name.values_mut();
            statuses.for_each(|status| *status = Status::NotServing);
            let waiting = std::mem::take(&mut inner.waiting);
            waiting
                .into_values()
                .flat_map(HashMap::into_values)
                .collect()
        });
    }

    /// A number for somebody who watches.
    pub(crate) fn new_id(&self) -> WaiterId {
        let mut inner = self.lock();
        inner.next_id += 1;
        inner.next_id
    }

    /// What is new to somebody who knows `known`; waits if that is nothing.
    pub(crate) fn poll_news(
        &self,
        name: &str,
        id: WaiterId,
        known: Option<Option<Status>>,
        cx: &Context<'_>,
    ) -> Poll<News> {
        let mut inner = self.lock();
        let status = inner.by_name.get(name).copied();
        if known != Some(status) {
            return Poll::Ready(News::Changed(status));
        }
        if inner.shut_down {
            return Poll::Ready(News::Over);
        }
        // The same lock as for changes: none can come in between.
        let waker = cx.waker().clone();
        let old = match inner.waiting.get_mut(name) {
            Some(waiting) => waiting.insert(id, waker),
            None => {
                let waiting = HashMap::from([(id, waker)]);
                inner.waiting.insert(name.to_owned(), waiting);
                None
            }
        };
        // A waker is foreign code, which must not run under the lock.
        drop(inner);
        drop(old);
        Poll::Pending
    }

    /// Forgets somebody who no longer watches.
    pub(crate) fn leave(&self, name: &str, id: WaiterId) {
        let mut inner = self.lock();
        let Some(waiting) = inner.waiting.get_mut(name) else {
            return;
        };
        let waker = waiting.remove(&id);
        if waiting.is_empty() {
            inner.waiting.remove(name);
        }
        drop(inner);
        drop(waker);
    }

    /// Changes something, unless it is too late for that, and wakes those who are returned.
    fn change(&self, change: impl FnOnce(&mut Inner) -> Vec<Waker>) {
        let mut inner = self.lock();
        if inner.shut_down {
            return;
        }
        let waiting = change(&mut inner);
        drop(inner);
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that can panic runs between two parts of a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait, for tests.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        let inner = self.lock();
        assert!(inner.waiting.values().all(|waiting| !waiting.is_empty()));
        inner.waiting.values().map(HashMap::len).sum()
    }
}

impl Inner {
    fn take_waiting(&mut self, name: &str) -> Vec<Waker> {
        let waiting = self.waiting.remove(name).unwrap_or_default();
        waiting.into_values().collect()
    }
}
