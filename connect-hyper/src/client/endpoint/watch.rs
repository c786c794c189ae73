//! The state of a channel, and those who wait for it to change.

use connect_tower::transport::ChannelState;
use futures_channel::oneshot;

/// What is watched.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Watched {
    pub(super) state: ChannelState,
    /// It takes no more calls, and the last has ended.
    pub(super) has_drained: bool,
}

pub(super) struct Watchers {
    told: Watched,
    watchers: Vec<oneshot::Sender<()>>,
}

impl Watchers {
    pub(super) fn new() -> Self {
        Self {
            told: Watched {
                state: ChannelState::Idle,
                has_drained: false,
            },
            watchers: Vec::new(),
        }
    }

    /// It ends when something has changed.
    pub(super) fn add(&mut self) -> oneshot::Receiver<()> {
        let (watcher, changed) = oneshot::channel();
        // Those that have gone away are not to make it grow.
        if self.watchers.len() == self.watchers.capacity() {
            self.watchers.retain(|watcher| !watcher.is_canceled());
        }
        self.watchers.push(watcher);
        changed
    }

    /// Those to be told, as something has changed. Dropped, they are.
    pub(super) fn take(&mut self, now: Watched) -> Vec<oneshot::Sender<()>> {
        match std::mem::replace(&mut self.told, now) == now {
            true => Vec::new(),
            false => std::mem::take(&mut self.watchers),
        }
    }
}
