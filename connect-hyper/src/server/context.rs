//! What all connections of a server share.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use connect_tower::{ReceiveBudget, ReceiveLimits, rt::SharedTimer};

use super::{
    config::{CallTasks, Config},
    event::{Observer, ServerEvent},
    pace::Paces,
};
use crate::runtime::{HyperTimer, Runtime};

/// What all connections of a server share. Each of them holds it once, and nothing of it.
pub(super) struct ServerContext<R> {
    pub(super) runtime: R,
    pub(super) config: Config,
    observer: Option<Observer>,
    /// The runtime's, for calls.
    pub(super) timer: SharedTimer,
    /// The same one for hyper.
    pub(super) hyper_timer: HyperTimer,
    /// What incomplete messages of all connections may hold together.
    receive_budget: ReceiveBudget,
    /// Which calls leave their connection's task; none if that is set for all.
    pub(super) paces: Option<Paces>,
}

impl<R: Runtime> ServerContext<R> {
    pub(super) fn new(runtime: R, config: Config, observer: Option<Observer>) -> Self {
        let timer: SharedTimer = Arc::new(runtime.clone());
        Self {
            hyper_timer: HyperTimer::new(timer.clone()),
            timer,
            receive_budget: ReceiveBudget::new(config.server_receive_budget),
            paces: (config.call_tasks == CallTasks::Adaptive).then(Paces::new),
            runtime,
            config,
            observer,
        }
    }

    /// The same for the connections of a worker: what limits them limits those of all workers.
    pub(super) fn on_worker(&self, runtime: R) -> Self {
        let (config, observer) = (self.config.clone(), self.observer.clone());
        Self {
            receive_budget: self.receive_budget.clone(),
            ..Self::new(runtime, config, observer)
        }
    }
}

impl<R> ServerContext<R> {
    /// For the calls of one connection.
    pub(super) fn receive_limits(&self) -> ReceiveLimits {
        let budget = self
            .receive_budget
            .part(self.config.connection_receive_budget);
        ReceiveLimits::default()
            .with_message_timeout(self.config.message_timeout)
            .with_budget(budget)
    }

    pub(super) fn report(&self, event: &ServerEvent<'_>) {
        if let Some(observer) = &self.observer {
            // Logs that fail must not take the server with them.
            let _ = catch_unwind(AssertUnwindSafe(|| observer(event)));
        }
    }
}
