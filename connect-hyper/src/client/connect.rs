//! Opening a connection: name, address, socket, TLS, HTTP. Every error says which of them failed, with whom,
//! and what may help.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Weak},
    time::Duration,
};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};
use futures_channel::oneshot;
use hyper::client::conn::{http1, http2};

use super::{
    Inner,
    body::{PipeExecutor, RequestBody},
    dial::dial,
    remote::{Cleartext, Remote},
};
use crate::{
    calls::Calls,
    runtime::{BoxIo, Either, Runtime, race, timeout},
    tls::{self, ALPN_HTTP1, ALPN_HTTP2, TlsSession},
};

/// Which HTTP a connection is to speak.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Want {
    Http1,
    Http2,
    /// Over TLS: what the server prefers.
    Either,
}

/// An open connection.
pub(super) struct Connected {
    pub(super) sender: Sender,
    pub(super) remote: Arc<Remote>,
}

pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>, Driven),
    Http2(http2::SendRequest<RequestBody>),
}

/// What ties an HTTP/1.1 connection and the task that drives it.
#[derive(Debug)]
pub(super) struct Driven {
    /// Dropped when nobody has use for the connection any more: the task closes it.
    _in_use: oneshot::Sender<Infallible>,
    /// Ends when the task has: nothing takes requests from the connection's queue any more.
    pub(super) ended: oneshot::Receiver<Infallible>,
}

/// How long an HTTP/1.1 connection that nobody has use for may take to close by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a connection is opened by, one after the other; an error's message names it, without an address.
#[derive(Clone, Copy, Debug)]
enum Phase {
    Resolve,
    Connect,
    TlsHandshake,
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server is there, but does not offer HTTP/2, which was asked for.
    NoHttp2(TransportError),
    Other(TransportError),
}

impl From<Failure> for TransportError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoHttp2(error) | Failure::Other(error) => error,
        }
    }
}

/// Connects within the channel's connect timeout.
pub(super) async fn connect<R: Runtime>(
    channel: &Arc<Inner<R>>,
    want: Want,
) -> Result<Connected, Failure> {
    let limit = channel.settings.connect_timeout;
    timeout(&channel.runtime, limit, open(channel, want))
        .await
        .unwrap_or_else(|| {
            let detail = format!(
                "connect to {}: not done within {limit:?}; is the server reachable, and does it answer?",
                channel.origin
            );
            Err(unsent(Phase::Connect.failed(), detail))
        })
}

async fn open<R: Runtime>(channel: &Arc<Inner<R>>, want: Want) -> Result<Connected, Failure> {
    let (io, address) = reach(channel).await?;
    let remote = Arc::new(Remote::new(address));
    if !channel.origin.is_tls() {
        let http2 = want == Want::Http2;
        let io: BoxIo = Box::new(Cleartext::new(io, http2, Arc::clone(&remote)));
        return speak(channel, io, http2, remote).await;
    }
    let session = shake_hands(channel, want, io, address).await?;
    let http2 = session.speaks(ALPN_HTTP2);
    if want == Want::Http2 && !http2 {
        return Err(no_http2(address));
    }
    speak(channel, session.into_parts().0, http2, remote).await
}

async fn shake_hands<R: Runtime>(
    channel: &Arc<Inner<R>>,
    want: Want,
    io: R::Io,
    address: SocketAddr,
) -> Result<TlsSession, Failure> {
    let host = channel.origin.host();
    let Some(tls) = &channel.tls else {
        // The builder refuses https without TLS.
        let detail = format!("{}: no TLS is configured", channel.origin);
        return Err(unsent(Phase::TlsHandshake.failed(), detail));
    };
    let alpn: &[&'static [u8]] = match want {
        Want::Http1 => &[ALPN_HTTP1],
        Want::Http2 => &[ALPN_HTTP2],
        Want::Either => &[ALPN_HTTP2, ALPN_HTTP1],
    };
    tls.connect(host, alpn, io).await.map_err(|error| {
        if want == Want::Http2 && tls::is_alpn_refusal(&error) {
            return no_http2(address);
        }
        let advice = tls::advice(&error);
        let detail = format!("TLS handshake with {address} as {host}: {error}; {advice}");
        unsent(Phase::TlsHandshake.failed().with_source(error), detail)
    })
}

/// A socket to the first of the host's addresses that answers.
async fn reach<R: Runtime>(channel: &Inner<R>) -> Result<(R::Io, SocketAddr), Failure> {
    let (host, port) = (channel.origin.host(), channel.origin.port());
    let resolved = channel.runtime.resolve(host, port).await;
    let addresses = resolved.map_err(|error| {
        let detail = format!("resolve {host}: {error}; check the host's name");
        unsent(Phase::Resolve.failed().with_source(error), detail)
    })?;
    dial(&channel.runtime, addresses)
        .await
        .map_err(|(failures, cause)| match cause {
            None => {
                let detail = format!("resolve {host}: the name has no address");
                unsent(Phase::Resolve.failed(), detail)
            }
            Some(error) => {
                let detail =
                    format!("connect to {failures}; is the server running, and the port right?");
                unsent(Phase::Connect.failed().with_source(error), detail)
            }
        })
}

/// Starts HTTP on a connection and leaves it to a task of its own.
async fn speak<R: Runtime>(
    channel: &Arc<Inner<R>>,
    io: BoxIo,
    http2: bool,
    remote: Arc<Remote>,
) -> Result<Connected, Failure> {
    let failed = |error: hyper::Error| {
        let text = crate::reset::chain(&error);
        let detail = format!("start HTTP with {remote}: {text}");
        unsent(Phase::Connect.failed().with_source(error), detail)
    };
    if !http2 {
        let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
        let (in_use, unused) = oneshot::channel();
        let (driving, ended) = oneshot::channel();
        let runtime = channel.runtime.clone();
        channel.runtime.spawn(async move {
            // Dropped when the connection was: in this order, also when the runtime drops the task.
            let _driving: oneshot::Sender<Infallible> = driving;
            drive_http1(runtime, connection, unused).await;
        });
        return Ok(Connected {
            sender: Sender::Http1(
                sender,
                Driven {
                    _in_use: in_use,
                    ended,
                },
            ),
            remote,
        });
    }
    let calls = Calls::new();
    let executor: PipeExecutor<R> = PipeExecutor(calls.executor());
    let mut builder = http2::Builder::new(executor);
    builder
        .timer(channel.runtime.clone())
        .initial_stream_window_size(channel.settings.windows.stream)
        .initial_connection_window_size(channel.settings.windows.connection);
    if let Some((interval, timeout)) = channel.settings.keep_alive {
        builder
            .keep_alive_interval(interval)
            .keep_alive_timeout(timeout);
    }
    let (sender, connection) = builder.handshake(io).await.map_err(failed)?;
    let pooled = Pooled {
        channel: Arc::downgrade(channel),
        remote: Arc::clone(&remote),
    };
    channel.runtime.spawn(drive(connection, pooled, calls));
    Ok(Connected {
        sender: Sender::Http2(sender),
        remote,
    })
}

/// Polls an HTTP/1.1 connection. While its server takes no bytes hyper asks for nothing more of the request, and so does not
/// see that it was given up.
async fn drive_http1<R: Runtime, C: Future>(
    runtime: R,
    connection: C,
    dropped: oneshot::Receiver<Infallible>,
) {
    let mut connection = pin!(connection);
    // How it ends, its last call was told.
    if let Either::Right(_) = race(connection.as_mut(), dropped).await {
        let _ = timeout(&runtime, CLOSE_TIMEOUT, connection).await;
    }
}

/// Polls an HTTP/2 connection and its calls: the connection's future ends when no new call can come, the
/// calls go on to their own ends.
async fn drive<C: Future, R: Runtime>(connection: C, pooled: Pooled<R>, mut calls: Calls) {
    {
        // Dropped after the connection, also when the runtime drops the task.
        let _pooled = pooled;
        let mut connection = pin!(connection);
        poll_fn(|cx| calls.poll_with(cx, |cx| connection.as_mut().poll(cx))).await;
        // It ends here, while the calls go on: requests that it did not take any more are given back.
    }
    poll_fn(|cx| calls.poll_rest(cx)).await;
}

/// An HTTP/2 connection's entry in the pool, taken out when the connection's future is dropped.
///
/// The queue of requests between calls and connection may keep a request that came while the connection ended; it is
/// freed, and its call told, when the last sender is dropped. The pool holds the only one that lives longer than it
/// takes to queue a request.
struct Pooled<R: Runtime> {
    channel: Weak<Inner<R>>,
    remote: Arc<Remote>,
}

impl<R: Runtime> Drop for Pooled<R> {
    fn drop(&mut self) {
        if let Some(channel) = self.channel.upgrade() {
            channel.pool.discard(&self.remote);
        }
    }
}

impl Phase {
    fn failed(self) -> Error {
        Error::unavailable(match self {
            Self::Resolve => "no connection to the server: its name has no address",
            Self::Connect => "no connection to the server: it cannot be reached",
            Self::TlsHandshake => "no connection to the server: the TLS handshake failed",
        })
    }
}

/// gRPC needs HTTP/2, and the server does not offer it.
fn no_http2(address: SocketAddr) -> Failure {
    let error = Error::unavailable("no connection to the server: it does not offer HTTP/2");
    let detail = format!(
        "TLS handshake with {address}: the server chose HTTP/1.1; gRPC needs HTTP/2 (ALPN \"h2\"): \
         turn it on there, or call by Connect or gRPC-Web"
    );
    Failure::NoHttp2(TransportError::new(Sent::No, error).with_detail(detail))
}

fn unsent(error: Error, detail: String) -> Failure {
    Failure::Other(TransportError::new(Sent::No, error).with_detail(detail))
}
