//! A server from its first connection to the end of its shutdown.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use super::{
    Server,
    accept::Accepting,
    addresses::Addresses,
    context::ServerContext,
    drain::{Phase, Shutdown},
    event::ServerEvent,
    listeners::{MoreListeners, sealed::Listeners},
    service::HttpService,
};
use crate::runtime::{Listener, Runtime, race, timeout};

/// What ended connections, and then workers, have to notice that they are. Only a handler that blocks its thread takes longer.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until the signal, or a handle's, then drains.
pub(super) async fn run<R, L, M, S>(
    server: Server<R, L, M>,
    service: S,
    signal: impl Future<Output = ()> + Send,
) where
    R: Runtime,
    L: Listener<R>,
    M: MoreListeners<R>,
    S: HttpService,
{
    let Server {
        runtime,
        first,
        more,
        config,
        observer,
        drain,
    } = server;
    let (delay, drain_timeout) = (config.drain_delay, config.drain_timeout);
    let accepting = Accepting {
        addresses: config.max_connections_per_address.map(Addresses::new),
        context: Arc::new(ServerContext::new(runtime.clone(), config, observer)),
        drain: drain.handle(),
    };
    let context = &accepting.context;
    {
        let mut listeners = (more, first);
        let mut serving = pin!(listeners.accept(&accepting, service));
        let handle = &accepting.drain;
        let asked = race(signal, handle.reached(Shutdown::Asked));
        // The signal first: clients that keep coming must not keep the server from ending.
        race(asked, serving.as_mut()).await;
        handle.reach(Shutdown::Asked);
        context.report(&ServerEvent::ShuttingDown { delay });
        if !delay.is_zero() {
            race(runtime.sleep(delay), serving).await;
        }
        // The sockets are closed first: new clients must find another server while this one drains.
    }
    drain.enter(Phase::Draining);
    if timeout(&runtime, drain_timeout, drain.empty())
        .await
        .is_none()
    {
        context.report(&ServerEvent::DrainExpired {
            connections: accepting.drain.connections(),
        });
        drain.enter(Phase::Ended);
        let _ = timeout(&runtime, END_TIMEOUT, drain.empty()).await;
    }
    accepting.drain.reach(Shutdown::Drained);
    let _ = timeout(&runtime, END_TIMEOUT, drain.workers_ended()).await;
}
