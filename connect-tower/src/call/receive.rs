//! What a server holds of requests that are not complete, and how long it waits for more of them.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use connect_proto::{Error, Time};

use crate::call::rt::{SharedTimer, Sleep};

/// The bounds of what a server receives: an HTTP server sets them for a [`Connection`](crate::Connection), a
/// [`Router`](crate::Router) keeps them.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ReceiveLimits {
    message_timeout: Option<Duration>,
    budget: Option<ReceiveBudget>,
}

impl ReceiveLimits {
    /// How long a call that waits for its one message (unary and server-streaming procedures) may receive no byte of it.
    /// Then it fails with `deadline_exceeded`. Needs a timer. Default: for ever.
    pub fn with_message_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.message_timeout = timeout.into();
        self
    }

    /// What incomplete messages may hold together. Default: no bound but that of each message.
    pub fn with_budget(mut self, budget: impl Into<Option<ReceiveBudget>>) -> Self {
        self.budget = budget.into();
        self
    }

    /// How long a call may receive nothing of its one message.
    #[must_use]
    pub fn message_timeout(&self) -> Option<Duration> {
        self.message_timeout
    }

    /// What incomplete messages may hold together.
    #[must_use]
    pub fn budget(&self) -> Option<&ReceiveBudget> {
        self.budget.as_ref()
    }
}

/// A bound of the bytes of incomplete messages, shared by many calls: those of a connection, or of a server.
///
/// A call for whose bytes there is no room fails with `resource_exhausted`. The first 16 KiB of a message are not counted, so
/// that small calls need not touch what all threads share. Clones share one bound.
#[derive(Clone)]
pub struct ReceiveBudget(Arc<Budget>);

struct Budget {
    used: AtomicUsize,
    max: usize,
    /// The larger bound that this one is a part of.
    whole: Option<ReceiveBudget>,
}

impl ReceiveBudget {
    /// So many bytes.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self(Arc::new(Budget {
            used: AtomicUsize::new(0),
            max,
            whole: None,
        }))
    }

    /// A part with a bound of its own; its bytes count here too.
    #[must_use]
    pub fn part(&self, max: usize) -> Self {
        Self(Arc::new(Budget {
            used: AtomicUsize::new(0),
            max,
            whole: Some(self.clone()),
        }))
    }

    /// How many bytes are held now.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// The bound, in bytes.
    #[must_use]
    pub fn max(&self) -> usize {
        self.0.max
    }

    fn take(&self, bytes: usize) -> Result<(), Error> {
        if let Some(whole) = &self.0.whole {
            whole.take(bytes)?;
        }
        let used = self.0.used.fetch_add(bytes, Ordering::Relaxed);
        if used.saturating_add(bytes) <= self.0.max {
            return Ok(());
        }
        self.give_back(bytes);
        let of = match self.0.whole {
            Some(_) => "connection",
            None => "server",
        };
        Err(Error::resource_exhausted(format!(
            "the incomplete messages of the {of} hold more than {} bytes together; send fewer at once",
            self.0.max
        )))
    }

    fn give_back(&self, bytes: usize) {
        self.0.used.fetch_sub(bytes, Ordering::Relaxed);
        if let Some(whole) = &self.0.whole {
            whole.give_back(bytes);
        }
    }
}

impl fmt::Debug for ReceiveBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReceiveBudget")
            .field("used", &self.used())
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

/// Bytes of one message that no budget counts.
const UNCOUNTED: usize = 16 * 1024;

/// What one call holds of an incomplete message, charged to its budget until the message is complete or the call is over.
#[derive(Debug, Default)]
pub(crate) struct Held {
    budget: Option<ReceiveBudget>,
    charged: usize,
    /// All bytes of the body.
    received: u64,
}

impl Held {
    pub(crate) fn new(budget: Option<ReceiveBudget>) -> Self {
        Self {
            budget,
            ..Self::default()
        }
    }

    /// All bytes that were received.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// These bytes were received.
    pub(crate) fn receive(&mut self, bytes: usize) {
        self.received += bytes as u64;
    }

    /// The bytes that came did not complete the message: the call holds so many now.
    ///
    /// # Errors
    ///
    /// When there is no room for them.
    pub(crate) fn charge(&mut self, held: usize) -> Result<(), Error> {
        let Some(budget) = self.budget.as_ref().filter(|_| held > UNCOUNTED) else {
            return Ok(());
        };
        if let more @ 1.. = held.saturating_sub(self.charged) {
            budget.take(more)?;
            self.charged = held;
        }
        Ok(())
    }

    /// The message is complete.
    pub(crate) fn release(&mut self) {
        if let (Some(budget), 1..) = (&self.budget, self.charged) {
            budget.give_back(self.charged);
        }
        self.charged = 0;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// Finds out that nothing of a message came for too long.
pub(crate) struct MessageTimeout {
    timeout: Duration,
    /// What had been received when the wait began.
    received: u64,
    since: Option<Time>,
    sleep: Option<Sleep>,
}

impl MessageTimeout {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            timeout,
            received: 0,
            since: None,
            sleep: None,
        }
    }

    /// Ready with the error of a call that waited too long. Polled while it waits; `received` is all that it has received.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        received: u64,
        timer: &SharedTimer,
    ) -> Poll<Error> {
        let since = match self.since {
            Some(since) if received == self.received => since,
            _ => timer.now(),
        };
        (self.since, self.received) = (Some(since), received);
        let end = since.saturating_add(self.timeout);
        loop {
            let sleep = self.sleep.get_or_insert_with(|| timer.sleep_until(end));
            ready!(sleep.as_mut().poll(cx));
            // It may have been made for an earlier wait.
            self.sleep = None;
            if timer.now() >= end {
                return Poll::Ready(Error::deadline_exceeded(format!(
                    "nothing of the request's message came for {:?}: it was not sent to its end",
                    self.timeout
                )));
            }
        }
    }
}
