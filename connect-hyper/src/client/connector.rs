//! From an address to a byte stream: sockets, a proxy, or the user's own way.

use std::{fmt, future::Future, io, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};

use connect_proto::Error;
use connect_tower::transport::{FailureKind, TransportError};

use super::{address::EndpointAddress, dial::dial, proxy::Proxy, settings::Settings};
use crate::runtime::{BoxIo, Io, Runtime};

/// How connections are opened, in place of sockets: through a tunnel, in memory, with options of your own.
///
/// It is called for each connection, not for each call. TLS and HTTP are spoken on what it returns, within the channel's
/// [connect timeout](super::ChannelBuilder::with_connect_timeout). A closure will do:
///
/// ```
/// # fn with<R: connect_hyper::Runtime>() -> Result<(), connect_proto::Error> {
/// use connect_hyper::{Channel, Runtime, client::EndpointAddress};
///
/// let runtime = R::default();
/// let channel = Channel::<R>::builder("http://example.com")
///     .with_connector(move |address: EndpointAddress| {
///         let runtime = runtime.clone();
///         async move {
///             println!("connecting to {address}");
///             runtime.connect(([127, 0, 0, 1], 8080).into()).await
///         }
///     })
///     .build()?;
/// # drop(channel);
/// # Ok(())
/// # }
/// ```
pub trait Connect: Send + Sync + 'static {
    /// Opens a connection to this address: the [host](EndpointAddress::Host) of the channel's URI, not looked up, unless the
    /// channel was given other addresses.
    ///
    /// An error ends the attempt; the channel tries again with its usual waits.
    fn connect(&self, address: &EndpointAddress) -> Connecting;
}

/// A connection that is being opened by a [`Connect`].
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<BoxIo>> + Send>>;

impl<F, A, I> Connect for F
where
    F: Fn(EndpointAddress) -> A + Send + Sync + 'static,
    A: Future<Output = io::Result<I>> + Send + 'static,
    I: Io,
{
    fn connect(&self, address: &EndpointAddress) -> Connecting {
        let connecting = self(address.clone());
        Box::pin(async move {
            let io: BoxIo = Box::new(connecting.await?);
            Ok(io)
        })
    }
}

/// The way to an address.
#[derive(Clone, Default)]
pub(super) enum Connector {
    /// A socket.
    #[default]
    Direct,
    /// A tunnel, to those addresses that it is for.
    Proxy(Arc<Proxy>),
    Own(Arc<dyn Connect>),
}

/// A byte stream to a server, and the server's name in messages.
pub(super) struct Reached {
    pub(super) io: BoxIo,
    pub(super) name: String,
}

/// What a connection is opened by, one after the other; an error's message names it, without an address.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    Resolve,
    Connect,
    Proxy,
    TlsHandshake,
    Http2,
}

impl Phase {
    /// The error of a connection that failed in this phase. The detail names the server.
    pub(super) fn failed(self, detail: String, source: Option<io::Error>) -> TransportError {
        let error = Error::unavailable(match self {
            Self::Resolve => "no connection to the server: its name has no address",
            Self::Connect => "no connection to the server: it cannot be reached",
            Self::Proxy => "no connection to the server: the proxy gives none",
            Self::TlsHandshake => "no connection to the server: the TLS handshake failed",
            Self::Http2 => "no connection to the server: it does not speak HTTP/2",
        });
        let error = match source {
            Some(source) => error.with_source(source),
            None => error,
        };
        TransportError::of_kind(FailureKind::NoConnection, error).with_detail(detail)
    }
}

impl Connector {
    /// A byte stream to this address.
    pub(super) async fn reach<R: Runtime>(
        &self,
        runtime: &R,
        address: &EndpointAddress,
        settings: &Settings,
    ) -> Result<Reached, TransportError> {
        match (self, address) {
            (Self::Own(own), _) => {
                let name = address.to_string();
                let connected = own.connect(address).await;
                let io = connected.map_err(|error| {
                    let detail = format!("connect to {name} by the channel's connector: {error}");
                    Phase::Connect.failed(detail, Some(error))
                })?;
                Ok(Reached { io, name })
            }
            (_, EndpointAddress::Unix(path)) => {
                let name = address.to_string();
                let connected = runtime.connect_unix(path).await;
                let io = connected.map_err(|error| {
                    let detail = format!(
                        "connect to {name}: {error}; is the server running, and may this program use the socket?"
                    );
                    Phase::Connect.failed(detail, Some(error))
                })?;
                Ok(Reached { io, name })
            }
            (Self::Proxy(proxy), _) if proxy.is_for(address) => {
                through(runtime, proxy, address, settings).await
            }
            (_, EndpointAddress::Host(host, port)) => {
                let addresses = resolve(runtime, host, *port).await?;
                socket(runtime, host, addresses, settings.attempt_delay).await
            }
            (_, EndpointAddress::Sockets(addresses)) => {
                let addresses = addresses.to_vec();
                socket(runtime, "the server", addresses, settings.attempt_delay).await
            }
        }
    }
}

async fn resolve<R: Runtime>(
    runtime: &R,
    host: &str,
    port: u16,
) -> Result<Vec<SocketAddr>, TransportError> {
    let resolved = runtime.resolve(host, port).await;
    resolved.map_err(|error| {
        let detail = format!("resolve {host}: {error}; check the host's name");
        Phase::Resolve.failed(detail, Some(error))
    })
}

/// A socket to the first of these addresses that answers.
async fn socket<R: Runtime>(
    runtime: &R,
    host: &str,
    addresses: Vec<SocketAddr>,
    delay: Duration,
) -> Result<Reached, TransportError> {
    match dial(runtime, delay, addresses).await {
        Ok((io, address)) => Ok(Reached {
            io: Box::new(io),
            name: address.to_string(),
        }),
        Err((_, None)) => {
            let detail = format!("resolve {host}: the name has no address");
            Err(Phase::Resolve.failed(detail, None))
        }
        Err((failures, error)) => {
            let detail =
                format!("connect to {failures}; is the server running, and the port right?");
            Err(Phase::Connect.failed(detail, error))
        }
    }
}

/// A tunnel through the proxy, which looks up names itself, to the first of the server's addresses that it reaches.
async fn through<R: Runtime>(
    runtime: &R,
    proxy: &Proxy,
    address: &EndpointAddress,
    settings: &Settings,
) -> Result<Reached, TransportError> {
    let destinations = match address {
        EndpointAddress::Sockets(addresses) => addresses.iter().map(ToString::to_string).collect(),
        EndpointAddress::Host(..) | EndpointAddress::Unix(_) => vec![address.to_string()],
    };
    let mut failures = Vec::new();
    let mut cause = None;
    for destination in destinations {
        match tunnel(runtime, proxy, &destination, settings).await {
            Ok(io) => {
                let name = format!("{destination} by the proxy {proxy}");
                return Ok(Reached { io, name });
            }
            Err((why, source)) => {
                failures.push(format!("proxy {proxy} for {destination}: {why}"));
                cause = source;
            }
        }
    }
    if failures.is_empty() {
        return Err(Phase::Resolve.failed("the server has no address".into(), None));
    }
    Err(Phase::Proxy.failed(failures.join("; "), cause))
}

/// What is wrong, and the cause if there is one.
type ProxyFailure = (String, Option<io::Error>);

async fn tunnel<R: Runtime>(
    runtime: &R,
    proxy: &Proxy,
    destination: &str,
    settings: &Settings,
) -> Result<BoxIo, ProxyFailure> {
    let (host, port) = proxy.address();
    let resolved = runtime.resolve(host, port).await;
    let addresses = resolved.map_err(|error| {
        let why = format!("resolve {host}: {error}; check the proxy's name");
        (why, Some(error))
    })?;
    let dialled = dial(runtime, settings.attempt_delay, addresses).await;
    let (io, _) = dialled.map_err(|(why, source)| match why.is_empty() {
        true => (format!("resolve {host}: the name has no address"), source),
        false => (format!("connect to {why}; is the proxy running?"), source),
    })?;
    let tunnel = proxy.tunnel(io, destination, settings.http1).await;
    tunnel.map_err(|why| (why, None))
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Proxy(proxy) => f.debug_tuple("Proxy").field(proxy).finish(),
            Self::Own(_) => f.write_str("Own"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        pin::pin,
        task::{Context, Poll, Waker},
    };

    use super::*;
    use crate::test_runtime::NoRuntime;

    #[test]
    fn the_next_address_is_tried_after_the_delay_that_is_set() {
        let address = |port| SocketAddr::from(([192, 0, 2, 1], port));
        let addresses = [NoRuntime::SILENT, NoRuntime::TAKES].map(address);
        let server = EndpointAddress::Sockets(addresses.into());
        let mut settings = Settings::default();
        let mut reach = |delay, slept| {
            settings.attempt_delay = Duration::from_millis(delay);
            let runtime = NoRuntime::with_sleeps_of(Duration::from_millis(slept));
            let reaching = pin!(Connector::Direct.reach(&runtime, &server, &settings));
            let polled = reaching.poll(&mut Context::from_waker(Waker::noop()));
            matches!(polled, Poll::Ready(Ok(_)))
        };
        assert!(!reach(250, 249) && reach(250, 250));
        assert!(!reach(40, 39) && reach(40, 40));
    }
}
