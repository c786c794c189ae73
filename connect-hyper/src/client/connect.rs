//! Opening a connection: name, address, socket, TLS, HTTP. Every error says which of them failed, with which
//! server, and what may help.

use std::{io, sync::Arc};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};

use super::{
    Inner,
    connection::{Driver, Http1Connection, Http2Connection},
    connector::{Phase, Reached},
    io::ClientIo,
    remote::Remote,
};
use crate::{
    runtime::{BoxIo, Runtime, timeout},
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

impl Want {
    /// Whether only HTTP/1.1 will do, for a server that prefers it over TLS, or not.
    pub(super) fn needs_http1(self, prefers_http1: bool) -> bool {
        match self {
            Self::Http1 => true,
            Self::Http2 => false,
            Self::Either => prefers_http1,
        }
    }
}

/// A connection that was just opened, and what drives it.
pub(super) enum Connected<R: Runtime> {
    Http1(Box<Http1Connection<R>>, Driver),
    Http2(Http2Connection, Driver),
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
) -> Result<Connected<R>, Failure> {
    let limit = channel.settings.connect_timeout;
    timeout(&channel.runtime, limit, open(channel, want))
        .await
        .unwrap_or_else(|| {
            let detail = format!(
                "connect to {}: not done within {limit:?}; is the server reachable, and does it answer?",
                channel.target
            );
            Err(unsent(Phase::Connect, detail, None))
        })
}

async fn open<R: Runtime>(channel: &Arc<Inner<R>>, want: Want) -> Result<Connected<R>, Failure> {
    let address = channel.target.address();
    let reached = channel.connector.reach(&channel.runtime, address).await;
    let Reached { io, name } = reached.map_err(Failure::Other)?;
    let remote = Arc::new(Remote::new(name));
    if !channel.target.is_tls() {
        let http2 = want == Want::Http2;
        let io = ClientIo::cleartext(io, http2, Arc::clone(&remote));
        return speak(channel, io, http2, remote).await;
    }
    let session = handshake(channel, want, io, &remote).await?;
    let http2 = session.speaks(ALPN_HTTP2);
    if want == Want::Http2 && !http2 {
        return Err(no_http2(&remote));
    }
    let io = ClientIo::tls(session.into_parts().0);
    speak(channel, io, http2, remote).await
}

async fn handshake<R: Runtime>(
    channel: &Arc<Inner<R>>,
    want: Want,
    io: BoxIo,
    remote: &Remote,
) -> Result<TlsSession, Failure> {
    let name = channel.target.tls_name();
    let Some(tls) = &channel.tls else {
        // The builder refuses https without TLS.
        let detail = format!("{}: no TLS is configured", channel.target);
        return Err(unsent(Phase::TlsHandshake, detail, None));
    };
    let alpn: &[&'static [u8]] = match want {
        Want::Http1 => &[ALPN_HTTP1],
        Want::Http2 => &[ALPN_HTTP2],
        Want::Either => &[ALPN_HTTP2, ALPN_HTTP1],
    };
    tls.connect(name, alpn, io).await.map_err(|error| {
        if want == Want::Http2 && tls::is_alpn_refusal(&error) {
            return no_http2(remote);
        }
        let advice = tls::advice(&error);
        let detail = format!("TLS handshake with {remote} as {name}: {error}; {advice}");
        unsent(Phase::TlsHandshake, detail, Some(error))
    })
}

/// Starts HTTP on a connection.
async fn speak<R: Runtime>(
    channel: &Arc<Inner<R>>,
    io: ClientIo,
    http2: bool,
    remote: Arc<Remote>,
) -> Result<Connected<R>, Failure> {
    let opened = match http2 {
        false => Http1Connection::open(io, Arc::clone(&remote), channel)
            .await
            .map(|(connection, driver)| Connected::Http1(connection, driver)),
        true => {
            let settings = channel.settings.http2;
            Http2Connection::open(io, Arc::clone(&remote), &channel.runtime, settings)
                .await
                .map(|(connection, driver)| Connected::Http2(connection, driver))
        }
    };
    opened.map_err(|error| {
        let text = crate::reset::chain(&error);
        let detail = format!("start HTTP with {remote}: {text}");
        unsent(Phase::Connect, detail, Some(io::Error::other(error)))
    })
}

/// gRPC needs HTTP/2, and the server does not offer it.
fn no_http2(remote: &Remote) -> Failure {
    let error = Error::unavailable("no connection to the server: it does not offer HTTP/2");
    let detail = format!(
        "TLS handshake with {remote}: the server chose HTTP/1.1; gRPC needs HTTP/2 (ALPN \"h2\"): \
         turn it on there, or call by Connect or gRPC-Web"
    );
    Failure::NoHttp2(TransportError::new(Sent::No, error).with_detail(detail))
}

fn unsent(phase: Phase, detail: String, source: Option<io::Error>) -> Failure {
    Failure::Other(phase.failed(detail, source))
}
