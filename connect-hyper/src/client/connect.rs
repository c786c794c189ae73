//! Opening a connection: name, address, socket, TLS, HTTP. Every error says which of them failed, with whom,
//! and what may help.

use std::{
    future::{Future, poll_fn},
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    task::Poll,
};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};
use hyper::client::conn::{http1, http2};

use super::{Inner, body::RequestBody, dial::dial};
use crate::{
    calls::{CallExecutor, Calls},
    runtime::{BoxIo, Runtime, timeout},
    tls::{ALPN_HTTP1, ALPN_HTTP2},
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
    /// Whom it leads to, for messages to people.
    pub(super) peer: Arc<str>,
}

pub(super) enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// Connects within the channel's connect timeout.
pub(super) async fn connect<R: Runtime>(
    channel: &Inner<R>,
    want: Want,
) -> Result<Connected, TransportError> {
    let limit = channel.settings.connect_timeout;
    timeout(&channel.runtime, limit, open(channel, want))
        .await
        .unwrap_or_else(|| {
            Err(unsent(format!(
                "connect to {}: not done within {limit:?}; is the server reachable, and does it answer?",
                channel.origin
            )))
        })
}

async fn open<R: Runtime>(channel: &Inner<R>, want: Want) -> Result<Connected, TransportError> {
    let (io, address) = reach(channel).await?;
    let peer: Arc<str> = address.to_string().into();
    if !channel.origin.is_tls() {
        let io: BoxIo = Box::new(io);
        let http2 = want == Want::Http2;
        return speak(channel, io, http2, peer).await;
    }
    let host = channel.origin.host();
    let Some(tls) = &channel.tls else {
        // The builder refuses https without TLS.
        return Err(unsent(format!("{}: no TLS is configured", channel.origin)));
    };
    let alpn: &[&'static [u8]] = match want {
        Want::Http1 => &[ALPN_HTTP1],
        Want::Http2 => &[ALPN_HTTP2],
        Want::Either => &[ALPN_HTTP2, ALPN_HTTP1],
    };
    let session = tls.connect(host, alpn, io).await.map_err(|error| {
        unsent_by(
            format!(
                "TLS handshake with {peer} as {host}: {error}; is the port a TLS port, is the server's \
                 authority trusted, and does the server want a client certificate?"
            ),
            error,
        )
    })?;
    let http2 = session.speaks(ALPN_HTTP2);
    if want == Want::Http2 && !http2 {
        return Err(unsent(format!(
            "TLS handshake with {peer} as {host}: the server does not offer HTTP/2 (ALPN \"h2\"), which this call needs"
        )));
    }
    speak(channel, session.into_parts().0, http2, peer).await
}

/// A socket to the first of the host's addresses that answers.
async fn reach<R: Runtime>(channel: &Inner<R>) -> Result<(R::Io, SocketAddr), TransportError> {
    let (host, port) = (channel.origin.host(), channel.origin.port());
    let resolved = channel.runtime.resolve(host, port).await;
    let addresses = resolved.map_err(|error| {
        unsent_by(
            format!("resolve {host}: {error}; check the host's name"),
            error,
        )
    })?;
    dial(&channel.runtime, addresses)
        .await
        .map_err(|(failures, cause)| match cause {
            None => unsent(format!("resolve {host}: the name has no address")),
            Some(error) => unsent_by(
                format!("connect to {failures}; is the server running, and the port right?"),
                error,
            ),
        })
}

/// Starts HTTP on a connection and leaves it to a task of its own.
async fn speak<R: Runtime>(
    channel: &Inner<R>,
    io: BoxIo,
    http2: bool,
    peer: Arc<str>,
) -> Result<Connected, TransportError> {
    let failed = |error: hyper::Error| {
        let text = crate::reset::chain(&error);
        unsent_by(format!("start HTTP with {peer}: {text}"), error)
    };
    if !http2 {
        let (sender, connection) = http1::handshake(io).await.map_err(failed)?;
        // How it ends, its last call was told.
        channel.runtime.spawn(async move { drop(connection.await) });
        return Ok(Connected {
            sender: Sender::Http1(sender),
            peer,
        });
    }
    let calls = Calls::new();
    let executor: CallExecutor<R> = calls.executor();
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
    channel.runtime.spawn(drive(connection, calls));
    Ok(Connected {
        sender: Sender::Http2(sender),
        peer,
    })
}

/// Polls an HTTP/2 connection and its calls: the connection's future ends when no new call can come, the
/// calls go on to their own ends.
async fn drive<C: Future>(connection: C, mut calls: Calls) {
    let mut connection = pin!(connection);
    let mut open = true;
    poll_fn(|cx| {
        if open {
            let polled = calls.poll_with(cx, |cx| connection.as_mut().poll(cx));
            if polled.is_pending() {
                return Poll::Pending;
            }
            open = false;
        }
        calls.poll_rest(cx)
    })
    .await;
}

fn unsent(message: String) -> TransportError {
    TransportError::new(Sent::No, Error::unavailable(message))
}

fn unsent_by(
    message: String,
    source: impl std::error::Error + Send + Sync + 'static,
) -> TransportError {
    let error = Error::unavailable(message).with_source(source);
    TransportError::new(Sent::No, error)
}
