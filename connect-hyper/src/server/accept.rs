//! The accept loop, its pauses when the listener fails, and the shutdown.

use std::{
    convert::Infallible,
    future::Future,
    io::{self, ErrorKind},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use connect_tower::ReceiveBudget;

use super::{
    Server, ServerEvent, connection,
    drain::{Drain, Phase},
    service::HttpService,
};
use crate::runtime::{Either, Listener, Runtime, race, timeout, yield_now};

/// The first pause after a failed accept; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// What ended connections have to notice that they are. Only a handler that blocks its thread takes longer.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Serves until the signal, then drains.
pub(super) async fn run<R, L, S>(
    server: Server<R, L>,
    service: S,
    signal: impl Future<Output = ()> + Send,
) where
    R: Runtime,
    L: Listener<R>,
    S: HttpService,
{
    let Server {
        runtime,
        mut listener,
        tls,
        config,
        observer,
    } = server;
    let drain_timeout = config.drain_timeout;
    let context = Arc::new(connection::Context {
        runtime: runtime.clone(),
        timer: Arc::new(runtime.clone()),
        receive_budget: ReceiveBudget::new(config.server_receive_budget),
        tls,
        config,
        observer,
    });
    let drain = Drain::default();
    {
        let accepting = accept(&mut listener, &context, &drain, service);
        // The signal first: clients that keep coming must not keep the server from ending.
        match race(pin!(signal), accepting).await {
            Either::Left(()) => {}
            Either::Right(never) => match never {},
        }
    }
    // The socket is closed first: new clients must find another server while this one drains.
    drop(listener);
    drain.enter(Phase::Draining);
    if timeout(&runtime, drain_timeout, drain.empty())
        .await
        .is_none()
    {
        context.report(&ServerEvent::DrainExpired {
            connections: drain.connections(),
        });
        drain.enter(Phase::Ended);
        let _ = timeout(&runtime, END_TIMEOUT, drain.empty()).await;
    }
}

async fn accept<R, L, S>(
    listener: &mut L,
    context: &Arc<connection::Context<R, L::Io>>,
    drain: &Drain,
    service: S,
) -> Infallible
where
    R: Runtime,
    L: Listener<R>,
    S: HttpService,
{
    let mut pause = FIRST_PAUSE;
    let mut aborted = 0;
    let mut in_a_row = 0;
    loop {
        in_a_row += 1;
        if in_a_row == ACCEPTS_IN_A_ROW {
            in_a_row = 0;
            yield_now().await;
        }
        drain.at_most(context.config.max_connections - 1).await;
        match listener.accept().await {
            Ok((io, address)) => {
                (pause, aborted) = (FIRST_PAUSE, 0);
                context.runtime.spawn(connection::serve(
                    Arc::clone(context),
                    io,
                    address,
                    service.clone(),
                    drain.watch(),
                ));
            }
            Err(error) if is_of_one_connection(&error) && aborted < MAX_ABORTED_IN_A_ROW => {
                aborted += 1;
            }
            Err(error) => {
                context.report(&ServerEvent::AcceptFailed {
                    error: &error,
                    pause,
                });
                context.runtime.sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
                aborted = 0;
            }
        }
    }
}

/// Accepts before other tasks run: a listener with a long queue is ready each time.
const ACCEPTS_IN_A_ROW: u32 = 32;

/// With more connections in a row that ended before they were accepted, the listener counts as failing.
const MAX_ABORTED_IN_A_ROW: u32 = 64;

/// Whether the connection ended before it was accepted, while the listener is fine.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionRefused
            | ErrorKind::ConnectionReset
            | ErrorKind::Interrupted
    )
}
