//! One connection of a server, from its handshake to its end.

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{self, Poll, ready},
};

use connect_tower::{Connection, rt::SharedTimer};
use hyper::server::conn::{http1, http2};

use super::{
    config::{CallTasks, MAX_HEADERS},
    context::ServerContext,
    drain::{OpenConnection, Phase, Watch},
    event::ServerEvent,
    io::{ServerIo, Transport},
    lifetime::{Activity, Lifetime, LifetimeVersion, Step},
    placement::{BegunSlot, ServerExecutor},
    request_body::Drainer,
    service::{ConnectionService, HttpService, PerVersion},
};
use crate::{
    calls::Calls,
    runtime::{Accepted, Io, Runtime, timeout},
    tls::{ALPN_HTTP1, ALPN_HTTP2, TlsAcceptor, TlsSession},
};

#[derive(Clone, Copy)]
enum Version {
    Http1,
    Http2,
}

/// Serves one connection to its end.
///
/// No async function: a task holds the room of all that one names beside an await, and of its arguments twice, as long as it
/// lives. Most connections are idle most of the time, and there are many.
pub(super) fn serve<R, I, S>(
    server: Arc<ServerContext<R>>,
    accepted: Accepted<I>,
    tls: Option<Arc<dyn TlsAcceptor<R, I>>>,
    service: S,
    connection: OpenConnection,
) -> impl Future<Output = ()> + Send
where
    R: Runtime,
    I: Io,
    S: HttpService,
{
    let activity = Activity::new(server, connection);
    let mut state = State::Establishing(Box::pin(establish(activity, accepted, tls, service)));
    poll_fn(move |cx| {
        if let State::Establishing(establishing) = &mut state {
            match ready!(establishing.as_mut().poll(cx)) {
                // What it took to get here is dropped.
                Some(speaking) => state = State::Speaking(speaking),
                None => return Poll::Ready(()),
            }
        }
        match &mut state {
            State::Speaking(speaking) => speaking.poll(cx),
            State::Establishing(_) => Poll::Pending,
        }
    })
}

#[allow(
    clippy::large_enum_variant,
    reason = "the large one is what a connection is for almost all of its life"
)]
enum State<R: Runtime, I: Io, S: HttpService> {
    Establishing(Establishing<R, I, S>),
    Speaking(Speaking<R, I, S>),
}

type Establishing<R, I, S> = Pin<Box<dyn Future<Output = Option<Speaking<R, I, S>>> + Send>>;

/// From a socket to a connection that speaks HTTP. None if the client went away or took too long, or the server shuts down.
async fn establish<R: Runtime, I: Io, S: HttpService>(
    activity: Arc<Activity<R>>,
    accepted: Accepted<I>,
    tls: Option<Arc<dyn TlsAcceptor<R, I>>>,
    service: S,
) -> Option<Speaking<R, I, S>> {
    let mut watch = Watch::default();
    let mut meeting = pin!(meet(&activity, accepted, tls));
    let met = poll_fn(|cx| {
        // A client that has not said anything before a shutdown began loses nothing by it.
        let is_late = watch.poll_phase(&activity.connection, cx) != Phase::Serving;
        match meeting.as_mut().poll(cx) {
            Poll::Pending if is_late => Poll::Ready(None),
            polled => polled,
        }
    });
    let met = met.await?;
    Some(Speaking::new(met, service, Arc::clone(&activity), watch))
}

/// A client whose version of HTTP is known.
struct Met<R: Runtime, I> {
    io: ServerIo<R, I>,
    version: Version,
    connection: Connection,
}

/// Does the TLS handshake and finds the HTTP version. None if the client went away or took too long.
async fn meet<R: Runtime, I: Io>(
    activity: &Arc<Activity<R>>,
    accepted: Accepted<I>,
    tls: Option<Arc<dyn TlsAcceptor<R, I>>>,
) -> Option<Met<R, I>> {
    let server = &*activity.server;
    let Accepted {
        io,
        peer,
        local_addr,
    } = accepted;
    let (transport, connection, agreed) = match tls {
        None => (Transport::Plain(io), Connection::new(peer), None),
        Some(tls) => {
            let shaking_hands = tls.accept(&[ALPN_HTTP2, ALPN_HTTP1], io);
            match handshake(server, shaking_hands).await {
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
                    server.report(&ServerEvent::HandshakeFailed {
                        peer: &peer,
                        error: &error,
                    });
                    return None;
                }
            }
        }
    };
    let mut io = ServerIo::new(transport, Arc::clone(activity));
    // Also where ALPN has said it: hyper waits without end for the first bytes of HTTP/2.
    let limit = server.config.header_read_timeout;
    let http2 = timeout(&server.runtime, limit, io.starts_with_http2()).await?;
    let shown = match http2.ok()? {
        true => Version::Http2,
        false => Version::Http1,
    };
    Some(Met {
        io,
        version: agreed.unwrap_or(shown),
        connection: connection
            .with_local_addr(local_addr)
            .with_timer(SharedTimer::clone(&server.timer))
            .with_receive_limits(server.receive_limits()),
    })
}

async fn handshake<R: Runtime>(
    server: &ServerContext<R>,
    handshake: impl Future<Output = io::Result<TlsSession>>,
) -> io::Result<TlsSession> {
    let limit = server.config.tls_handshake_timeout;
    timeout(&server.runtime, limit, handshake)
        .await
        .unwrap_or_else(|| {
            let text = format!("took longer than {limit:?}");
            Err(io::Error::new(io::ErrorKind::TimedOut, text))
        })
}

/// A connection that speaks HTTP, and what is polled together with it.
struct Speaking<R: Runtime, I: Io, S: HttpService> {
    http: Http<R, I, S>,
    activity: Arc<Activity<R>>,
    lifetime: Lifetime<R>,
    watch: Watch,
    is_draining: bool,
    connection: Connection,
}

/// hyper's connection, and the work that each version has beside it.
enum Http<R: Runtime, I: Io, S: HttpService> {
    Http1 {
        connection: Pin<Box<Http1Connection<R, I, S>>>,
        /// Of bodies that nobody read.
        drainer: Box<Drainer<R>>,
    },
    Http2 {
        connection: Pin<Box<Http2Connection<R, I, S>>>,
        /// Unless they have tasks of their own.
        calls: Option<Calls>,
    },
}

type Http1Connection<R, I, S> = http1::Connection<ServerIo<R, I>, ConnectionService<S, R>>;
type Http2Connection<R, I, S> =
    http2::Connection<ServerIo<R, I>, ConnectionService<S, R>, ServerExecutor<R>>;

impl<R: Runtime, I: Io, S: HttpService> Speaking<R, I, S> {
    fn new(met: Met<R, I>, service: S, activity: Arc<Activity<R>>, watch: Watch) -> Self {
        let Met {
            io,
            version,
            connection,
        } = met;
        let service = |version| ConnectionService {
            service,
            connection: connection.clone(),
            activity: Arc::clone(&activity),
            version,
        };
        let (http, version) = match version {
            Version::Http1 => (
                Http::new_http1(io, &activity, service),
                LifetimeVersion::Http1(Box::default()),
            ),
            Version::Http2 => (
                Http::new_http2(io, &activity, &connection, service),
                LifetimeVersion::Http2,
            ),
        };
        Self {
            http,
            lifetime: Lifetime::new(Arc::clone(&activity), version),
            activity,
            watch,
            is_draining: false,
            connection,
        }
    }

    /// Ready when the connection has ended, and that was told.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<()> {
        let ended = ready!(self.poll_end(cx));
        let (server, peer) = (&self.activity.server, self.connection.peer());
        if let Some(flood) = self.activity.flood() {
            server.report(&ServerEvent::Flooded { peer, flood });
        } else if let Err(error) = ended {
            server.report(&ServerEvent::ConnectionFailed {
                peer,
                error: &error,
            });
        }
        Poll::Ready(())
    }

    /// Ready when the connection ends, has lived its time, or the server ends it.
    fn poll_end(&mut self, cx: &mut task::Context<'_>) -> Poll<hyper::Result<()>> {
        match self.watch.poll_phase(&self.activity.connection, cx) {
            Phase::Serving => {}
            Phase::Draining if self.is_draining => {}
            Phase::Draining => {
                self.is_draining = true;
                self.lifetime.drain();
            }
            // Its calls are dropped with the connection. A stream that was reset would tell its client that somebody has
            // cancelled the call; of a connection that closes, every gRPC client makes `unavailable`.
            Phase::Ended => return Poll::Ready(Ok(())),
        }
        self.activity.reads.refill();
        // Once it was ready the connection is polled no more.
        let polled = self.http.poll(cx);
        if polled.is_ready() {
            return polled;
        }
        match ready!(self.lifetime.poll(cx)) {
            Step::Close => {
                self.http.shut_down();
                // For another turn, which tells the client.
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Step::End => Poll::Ready(Ok(())),
        }
    }
}

impl<R: Runtime, I: Io, S: HttpService> Http<R, I, S> {
    fn new_http1(
        mut io: ServerIo<R, I>,
        activity: &Arc<Activity<R>>,
        service: impl FnOnce(PerVersion) -> ConnectionService<S, R>,
    ) -> Self {
        let drainer = Box::new(Drainer::new(Arc::clone(activity)));
        let service = service(PerVersion::Http1 {
            unread: drainer.unread(),
            call_end: io.speak_http1(),
        });
        let connection = http1_builder(&activity.server).serve_connection(io, service);
        Self::Http1 {
            connection: Box::pin(connection),
            drainer,
        }
    }

    fn new_http2(
        mut io: ServerIo<R, I>,
        activity: &Arc<Activity<R>>,
        connection: &Connection,
        service: impl FnOnce(PerVersion) -> ConnectionService<S, R>,
    ) -> Self {
        let server = &activity.server;
        io.speak_http2(connection);
        let calls = match server.config.call_tasks {
            CallTasks::Adaptive | CallTasks::OnConnection => Some(Calls::new()),
            CallTasks::Spawned => None,
        };
        let slot = BegunSlot::default();
        let executor = ServerExecutor {
            calls: calls.as_ref().map(Calls::executor),
            slot: slot.clone(),
            activity: Arc::clone(activity),
        };
        let service = service(PerVersion::Http2(slot));
        let connection = http2_builder(server, executor).serve_connection(io, service);
        Self::Http2 {
            connection: Box::pin(connection),
            calls,
        }
    }

    /// Polls the connection and the work beside it.
    fn poll(&mut self, cx: &mut task::Context<'_>) -> Poll<hyper::Result<()>> {
        match self {
            Self::Http1 {
                connection,
                drainer,
            } => {
                let polled = connection.as_mut().poll(cx);
                if polled.is_pending() {
                    drainer.poll(cx);
                }
                polled
            }
            Self::Http2 {
                connection,
                calls: Some(calls),
            } => calls.poll_with(cx, |cx| connection.as_mut().poll(cx)),
            Self::Http2 {
                connection,
                calls: None,
            } => connection.as_mut().poll(cx),
        }
    }

    /// Tells the client that the connection ends after the calls that it has.
    fn shut_down(&mut self) {
        match self {
            Self::Http1 { connection, .. } => connection.as_mut().graceful_shutdown(),
            Self::Http2 { connection, .. } => connection.as_mut().graceful_shutdown(),
        }
    }
}

fn http1_builder<R: Runtime>(server: &ServerContext<R>) -> http1::Builder {
    // Not `pipeline_flush`: hyper 1.12 then flushes nothing while bytes of a request are unread in its buffer, also
    // when no handler will ever read them, and loses an answer if the connection ends so.
    let mut builder = http1::Builder::new();
    let config = &server.config;
    builder
        .timer(server.hyper_timer.clone())
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
    server: &ServerContext<R>,
    executor: ServerExecutor<R>,
) -> http2::Builder<ServerExecutor<R>> {
    let mut builder = http2::Builder::new(executor);
    let config = &server.config;
    let (not_begun, by_errors) = config.max_resets;
    builder
        .timer(server.hyper_timer.clone())
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
