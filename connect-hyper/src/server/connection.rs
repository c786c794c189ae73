//! One connection of a server, from its handshake to its end.

use std::{
    future::{Future, poll_fn},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{self, Poll, ready},
};

use connect_tower::{Connection, ReceiveBudget, ReceiveLimits, rt::SharedTimer};
use hyper::server::conn::{http1, http2};

use super::{
    config::{CallTasks, Config, MAX_HEADERS},
    drain::{Phase, Watch},
    event::{Observer, ServerEvent},
    floods::AnsweredFrames,
    io::{ServerIo, Transport},
    lifetime::{Activity, Lifetime, LifetimeVersion, Step},
    placement::{ProgressSlot, ServerExecutor},
    request_body::Drainer,
    service::{ConnectionService, HttpService, PerVersion},
    stall::WriteTimeout,
};
use crate::{
    calls::{CallExecutor, Calls},
    read_budget::ReadBudget,
    runtime::{Accepted, HyperTimer, Io, Runtime, timeout},
    tls::{ALPN_HTTP1, ALPN_HTTP2, TlsAcceptor, TlsSession},
};

/// What the connections of a server share.
pub(super) struct Context<R> {
    pub(super) runtime: R,
    pub(super) config: Arc<Config>,
    pub(super) observer: Option<Observer>,
    pub(super) timer: SharedTimer,
    /// What incomplete messages of all connections may hold together.
    pub(super) receive_budget: ReceiveBudget,
}

impl<R> Context<R> {
    /// For the calls of one connection.
    fn receive_limits(&self) -> ReceiveLimits {
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

#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

/// Serves one connection to its end.
pub(super) async fn serve<R, I, S>(
    context: Arc<Context<R>>,
    accepted: Accepted<I>,
    tls: Option<Arc<dyn TlsAcceptor<R, I>>>,
    service: S,
    mut watch: Watch,
) where
    R: Runtime,
    I: Io,
    S: HttpService,
{
    let phase = watch.reader();
    let activity = Activity::new(watch.connection(), &context.config);
    let wrap = |io| {
        let runtime = context.runtime.clone();
        let write_timeout = WriteTimeout::new(&runtime, context.config.write_timeout);
        let linger_timeout = context.config.linger_timeout;
        let activity = Arc::clone(&activity);
        ServerIo::new(io, runtime, linger_timeout, phase, write_timeout, activity)
    };
    // In boxes, this and what follows, and nothing named that has moved on: a task holds the room of all that it names
    // beside an await, as long as it lives.
    let mut establishing = Box::pin(establish(&context, accepted, tls, wrap));
    let established = poll_fn(|cx| {
        // A client that has not said anything before a shutdown began loses nothing by it.
        let is_late = watch.poll_phase(cx) != Phase::Serving;
        match establishing.as_mut().poll(cx) {
            Poll::Pending if is_late => Poll::Ready(None),
            polled => polled,
        }
    });
    let (connection, speaking) = match established.await {
        Some(established) => {
            let connection = established.connection.clone();
            let speaking = speak(&context, established, service, &activity, watch);
            (connection, speaking)
        }
        None => return,
    };
    let ended = speaking.await;
    let peer = connection.peer();
    if let Some(flood) = activity.flood() {
        context.report(&ServerEvent::Flooded { peer, flood });
    } else if let Err(error) = ended {
        context.report(&ServerEvent::ConnectionFailed {
            peer,
            error: &error,
        });
    }
}

/// Speaks HTTP on a connection until it ends.
fn speak<R: Runtime, I: Io, S: HttpService>(
    context: &Context<R>,
    established: Established<R, I>,
    service: S,
    activity: &Arc<Activity>,
    watch: Watch,
) -> Pin<Box<dyn Future<Output = hyper::Result<()>> + Send>> {
    let Established {
        mut io,
        version,
        connection,
    } = established;
    if let Version::Http2 = version {
        io.read_settings_for(&connection);
        if let Some(max) = context.config.max_control_frames {
            io.count_answers(AnsweredFrames::new(max));
        }
    }
    let runtime = context.runtime.clone();
    let config = &context.config;
    let service = |version| ConnectionService {
        service,
        connection,
        runtime: runtime.clone(),
        read_timeout: config.read_timeout,
        unasked_timeout: config.message_timeout,
        version,
    };
    let lifetime = |version| Lifetime::new(&runtime, config, Arc::clone(activity), version);
    let read_budget = io.read_budget();
    match version {
        Version::Http1 => {
            if let Some(timeout) = config.http1_half_close {
                io.allow_half_close(timeout);
            }
            let lifetime = lifetime(LifetimeVersion::http1());
            let (max_unread, linger) = (config.max_unread_body, config.linger_timeout);
            let drainer = Drainer::new(runtime.clone(), Arc::clone(activity), max_unread, linger);
            let service = service(PerVersion::Http1 {
                unread: drainer.unread(),
                call_end: io.call_end(),
                activity: Arc::clone(activity),
            });
            let connection = Box::pin(http1_builder(context).serve_connection(io, service));
            let shut_down = http1::Connection::graceful_shutdown;
            let beside = Beside::new(SideWork::Unread(Box::new(drainer)), lifetime, read_budget);
            Box::pin(drive(connection, shut_down, beside, watch))
        }
        Version::Http2 => {
            let (calls, executor) = match config.call_tasks {
                CallTasks::OnConnection => {
                    let calls = Calls::new();
                    let executor = calls.executor();
                    (Some(calls), executor)
                }
                CallTasks::Spawned => (None, CallExecutor::Runtime(runtime.clone())),
            };
            let slot = ProgressSlot::default();
            let executor = ServerExecutor {
                calls: executor,
                slot: slot.clone(),
                write_timeout: WriteTimeout::new(&runtime, config.write_timeout),
                activity: Arc::clone(activity),
            };
            let service = service(PerVersion::Http2(slot));
            let connection =
                Box::pin(http2_builder(context, executor).serve_connection(io, service));
            let shut_down = http2::Connection::graceful_shutdown;
            let lifetime = lifetime(LifetimeVersion::Http2);
            let beside = Beside::new(SideWork::Calls(calls), lifetime, read_budget);
            Box::pin(drive(connection, shut_down, beside, watch))
        }
    }
}

/// A connection that speaks HTTP.
struct Established<R: Runtime, I> {
    io: ServerIo<R, I>,
    version: Version,
    connection: Connection,
}

/// Does the TLS handshake and finds the HTTP version. None if the client went away or took too long.
async fn establish<R: Runtime, I: Io>(
    context: &Context<R>,
    accepted: Accepted<I>,
    tls: Option<Arc<dyn TlsAcceptor<R, I>>>,
    wrap: impl FnOnce(Transport<I>) -> ServerIo<R, I>,
) -> Option<Established<R, I>> {
    let Accepted {
        io,
        peer,
        local_addr,
    } = accepted;
    let (transport, connection, agreed) = match tls {
        None => (Transport::Plain(io), Connection::new(peer), None),
        Some(tls) => {
            let shaking_hands = tls.accept(&[ALPN_HTTP2, ALPN_HTTP1], io);
            match handshake(context, shaking_hands).await {
                Ok(session) => {
                    let agreed = if session.speaks(ALPN_HTTP2) {
                        Some(Version::Http2)
                    } else if session.speaks(ALPN_HTTP1) {
                        Some(Version::Http1)
                    } else {
                        None
                    };
                    let (io, connection) = session.into_server_parts(peer);
                    (Transport::Tls(io), connection, agreed)
                }
                Err(error) => {
                    context.report(&ServerEvent::HandshakeFailed {
                        peer: &peer,
                        error: &error,
                    });
                    return None;
                }
            }
        }
    };
    let mut io = wrap(transport);
    // Also where ALPN has said it: hyper waits without end for the first bytes of HTTP/2.
    let limit = context.config.header_read_timeout;
    let http2 = timeout(&context.runtime, limit, io.starts_with_http2()).await?;
    let shown = match http2.ok()? {
        true => Version::Http2,
        false => Version::Http1,
    };
    Some(Established {
        io,
        version: agreed.unwrap_or(shown),
        connection: connection
            .with_local_addr(local_addr)
            .with_timer(SharedTimer::clone(&context.timer))
            .with_receive_limits(context.receive_limits()),
    })
}

async fn handshake<R: Runtime>(
    context: &Context<R>,
    handshake: impl Future<Output = io::Result<TlsSession>>,
) -> io::Result<TlsSession> {
    let limit = context.config.tls_handshake_timeout;
    timeout(&context.runtime, limit, handshake)
        .await
        .unwrap_or_else(|| {
            let text = format!("took longer than {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
}

/// What is polled together with a connection, on the same task.
struct Beside<R> {
    work: SideWork<R>,
    lifetime: Lifetime<R>,
    read_budget: ReadBudget,
}

enum SideWork<R> {
    /// HTTP/1.1: bodies that nobody read.
    Unread(Box<Drainer<R>>),
    /// HTTP/2: the calls, unless they have tasks of their own.
    Calls(Option<Calls>),
}

impl<R: Runtime> Beside<R> {
    fn new(work: SideWork<R>, lifetime: Lifetime<R>, read_budget: ReadBudget) -> Self {
        Self {
            work,
            lifetime,
            read_budget,
        }
    }

    /// Polls the connection and the work beside it.
    fn poll<T>(
        &mut self,
        cx: &mut task::Context<'_>,
        mut connection: impl FnMut(&mut task::Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.read_budget.refill();
        match &mut self.work {
            SideWork::Calls(Some(calls)) => calls.poll_with(cx, connection),
            SideWork::Calls(None) => connection(cx),
            SideWork::Unread(drainer) => {
                let polled = connection(cx);
                if polled.is_pending() {
                    drainer.poll(cx);
                }
                polled
            }
        }
    }
}

/// Polls a connection until it ends, has lived its time, or the server ends it. No async function: the arguments of one
/// take their room in the task twice.
fn drive<R: Runtime, C: Future<Output = hyper::Result<()>>>(
    mut connection: Pin<Box<C>>,
    shut_down: impl Fn(Pin<&mut C>),
    mut beside: Beside<R>,
    mut watch: Watch,
) -> impl Future<Output = hyper::Result<()>> {
    let mut draining = false;
    poll_fn(move |cx| {
        match watch.poll_phase(cx) {
            Phase::Serving => {}
            Phase::Draining if draining => {}
            Phase::Draining => {
                draining = true;
                beside.lifetime.drain();
            }
            // Its calls are dropped with the connection. A stream that was reset would tell its client that somebody has
            // cancelled the call; of a connection that closes, every gRPC client makes `unavailable`.
            Phase::Ended => return Poll::Ready(Ok(())),
        }
        // Once it was ready the connection is polled no more.
        let polled = beside.poll(cx, |cx| connection.as_mut().poll(cx));
        if polled.is_ready() {
            return polled;
        }
        match ready!(beside.lifetime.poll(cx)) {
            Step::Close => {
                shut_down(connection.as_mut());
                // For another turn, which tells the client.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::End => Poll::Ready(Ok(())),
        }
    })
}

fn http1_builder<R: Runtime>(context: &Context<R>) -> http1::Builder {
    // Not `pipeline_flush`: hyper 1.12 then flushes nothing while bytes of a request are unread in its buffer, also
    // when no handler will ever read them, and loses an answer if the connection ends so.
    let mut builder = http1::Builder::new();
    let config = &context.config;
    builder
        .timer(HyperTimer::new(context.timer.clone()))
        .half_close(config.http1_half_close.is_some())
        // `lifetime.rs` has a timeout that does not count while the connection is idle.
        .header_read_timeout(None)
        .max_header_size(usize::try_from(config.max_header_size).unwrap_or(usize::MAX))
        .max_buf_size(config.http1_buffer_size());
    if config.max_headers != MAX_HEADERS {
        builder.max_headers(config.max_headers);
    }
    builder
}

fn http2_builder<R: Runtime>(
    context: &Context<R>,
    executor: ServerExecutor<R>,
) -> http2::Builder<ServerExecutor<R>> {
    let mut builder = http2::Builder::new(executor);
    let config = &context.config;
    let (not_begun, by_errors) = config.max_resets;
    builder
        .timer(HyperTimer::new(context.timer.clone()))
        .max_concurrent_streams(config.max_concurrent_streams)
        .initial_stream_window_size(config.windows.stream)
        .initial_connection_window_size(config.windows.connection)
        .max_frame_size(config.max_frame_size)
        .max_header_list_size(config.max_header_size)
        .header_table_size(config.header_table_size)
        .max_send_buf_size(config.send_buffer_size)
        .max_pending_accept_reset_streams(not_begun)
        .max_local_error_reset_streams(by_errors);
    if config.adaptive_windows {
        // Takes the place of the windows.
        builder.adaptive_window(true);
    }
    if let Some((interval, timeout)) = config.keep_alive {
        builder
            .keep_alive_interval(interval)
            .keep_alive_timeout(timeout);
    }
    builder
}
