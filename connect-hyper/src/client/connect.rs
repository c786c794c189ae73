//! Opening a connection: name, address, socket, TLS, HTTP. Every error says which of them failed, with which
//! server, and what may help.

use std::{io, sync::Arc};

use connect_proto::Error;
use connect_tower::transport::{Sent, TransportError};

use super::{
    address::EndpointAddress,
    connection::{Driver, Http1Connection, Http2Connection, Http2Driver, Http2Settings},
    connector::{Phase, Reached},
    error,
    io::ClientIo,
    remote::Remote,
    shared::{Shared, Want},
};
use crate::{
    runtime::{BoxIo, Runtime, timeout},
    tls::{self, ALPN_HTTP1, ALPN_HTTP2, TlsSession},
};

/// A connection that was just opened, and what drives it.
pub(super) enum Connected {
    Http1(Arc<Http1Connection>, Driver),
    Http2(Http2Connection, Http2Driver),
}

/// Why there is no connection.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server is there, but does not offer HTTP/2, which was asked for.
    NoHttp2(TransportError),
    /// The server took the connection, and at once began to end it: another may be taking its place.
    Drained(TransportError),
    Other(TransportError),
}

impl From<Failure> for TransportError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NoHttp2(error) | Failure::Drained(error) | Failure::Other(error) => error,
        }
    }
}

/// How many connections are opened, one after the other, to a server that begins to end each.
const TRIES: u32 = 3;

/// Connects to this address within the channel's connect timeout.
pub(super) async fn connect<R: Runtime>(
    shared: &Shared<R>,
    address: &EndpointAddress,
    want: Want,
    http2: Http2Settings,
) -> Result<Connected, Failure> {
    let limit = shared.settings.connect_timeout;
    let mut is_silent = false;
    let opening = async {
        for _ in 1..TRIES {
            match open(shared, address, want, http2, &mut is_silent).await {
                Err(Failure::Drained(_)) => is_silent = false,
                opened => return opened,
            }
        }
        open(shared, address, want, http2, &mut is_silent).await
    };
    let opened = timeout(&shared.runtime, limit, opening).await;
    opened.unwrap_or_else(|| {
        let (phase, detail) = match is_silent {
            true => (
                Phase::Http2,
                format!(
                    "start HTTP/2 with {address}: the server took the connection, but sent no HTTP/2 settings within {limit:?}; \
                     does the port speak HTTP/2?"
                ),
            ),
            false => (
                Phase::Connect,
                format!(
                    "connect to {address}: not done within {limit:?}; is the server reachable, and does it answer?"
                ),
            ),
        };
        Err(unsent(phase, detail, None))
    })
}

/// `is_silent` tells, if this is dropped, whether it waits for the server's HTTP/2 settings.
async fn open<R: Runtime>(
    shared: &Shared<R>,
    address: &EndpointAddress,
    want: Want,
    http2: Http2Settings,
    is_silent: &mut bool,
) -> Result<Connected, Failure> {
    let reached = shared
        .connector
        .reach(&shared.runtime, address, &shared.settings)
        .await;
    let Reached { io, name } = reached.map_err(Failure::Other)?;
    let remote = Arc::new(Remote::new(name));
    if !shared.target.is_tls() {
        let speaks_http2 = want == Want::Http2;
        let io = ClientIo::cleartext(io, speaks_http2, Arc::clone(&remote));
        return match speaks_http2 {
            true => speak_http2(&shared.runtime, io, remote, http2, is_silent).await,
            false => speak_http1(shared, io, remote).await,
        };
    }
    let session = handshake(shared, want, io, &remote).await?;
    let speaks_http2 = session.speaks(ALPN_HTTP2);
    if want == Want::Http2 && !speaks_http2 {
        return Err(no_http2(&remote));
    }
    let io = ClientIo::tls(session.into_parts().0);
    match speaks_http2 {
        true => speak_http2(&shared.runtime, io, remote, http2, is_silent).await,
        false => speak_http1(shared, io, remote).await,
    }
}

async fn handshake<R: Runtime>(
    shared: &Shared<R>,
    want: Want,
    io: BoxIo,
    remote: &Remote,
) -> Result<TlsSession, Failure> {
    let name = shared.target.tls_name();
    let Some(tls) = &shared.tls else {
        // The builder refuses https without TLS.
        let detail = format!("{}: no TLS is configured", shared.target);
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

async fn speak_http1<R: Runtime>(
    shared: &Shared<R>,
    io: ClientIo,
    remote: Arc<Remote>,
) -> Result<Connected, Failure> {
    let opened = Http1Connection::open(
        io,
        Arc::clone(&remote),
        &shared.runtime,
        shared.settings.http1,
    )
    .await;
    let (connection, driver) =
        opened.map_err(|error| Failure::Other(error::not_started(Some(error), &remote)))?;
    Ok(Connected::Http1(Arc::new(connection), driver))
}

/// An HTTP/2 connection is open when the server's settings are there: they tell how many streams it allows, and that it speaks
/// HTTP/2 at all.
async fn speak_http2<R: Runtime>(
    runtime: &R,
    io: ClientIo,
    remote: Arc<Remote>,
    settings: Http2Settings,
    is_silent: &mut bool,
) -> Result<Connected, Failure> {
    let opened = Http2Connection::open(io, Arc::clone(&remote), runtime, settings).await;
    let (connection, mut driver) =
        opened.map_err(|error| Failure::Other(error::not_started(Some(error), &remote)))?;
    *is_silent = true;
    if let Err(error) = driver.start().await {
        let is_drained = driver.has_settings() && error.as_ref().is_none_or(error::is_goaway);
        let not_started = error::not_started(error, &remote);
        return Err(match is_drained {
            true => Failure::Drained(error::drained(&not_started)),
            false => Failure::Other(not_started),
        });
    }
    Ok(Connected::Http2(connection, driver))
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
