//! HTTP proxies: a tunnel by CONNECT (RFC 9110, section 9.3.6), and the environment variables that name them.

use std::{fmt, net::IpAddr, pin::pin};

use base64::{Engine, engine::general_purpose::STANDARD};
use connect_proto::Error;
use http::{
    HeaderValue, Method, Request, StatusCode, Uri,
    header::{HOST, PROXY_AUTHORIZATION},
    uri::{Authority, Scheme},
};
use percent_encoding::percent_decode_str;

use super::{address::EndpointAddress, connection::Http1Settings};
use crate::{
    reset::chain,
    runtime::{BoxIo, Either, Io, race},
};

/// An HTTP proxy, spoken to in the clear. It is displayed without its user and password.
pub(super) struct Proxy {
    authority: Authority,
    port: u16,
    /// The value of `proxy-authorization`.
    credentials: Option<HeaderValue>,
    /// What the environment excepts; `None` if the proxy is not from there: it is for all.
    no_proxy: Option<String>,
}

impl Proxy {
    /// Reads `http://[user:password@]host[:port]`.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        // A user's password is not to be in messages.
        Self::read(text).map_err(|why| {
            Error::invalid_argument(format!(
                "the proxy cannot be used: {why}; give a URI such as http://proxy.example:3128"
            ))
        })
    }

    fn read(text: &str) -> Result<Self, String> {
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| error.to_string())?;
        match uri.scheme() {
            // `proxy:3128` has none, and is usual in the environment.
            None => {}
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) => {
                return Err(format!("it is one of {scheme}, and only HTTP is spoken"));
            }
        }
        let authority = uri.authority().ok_or("there is no host")?;
        let (user, host) = match authority.as_str().rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority.as_str()),
        };
        let authority: Authority = host.parse().map_err(|_| "there is no host")?;
        if authority.host().is_empty() {
            return Err("there is no host".into());
        }
        let port = match authority.as_str()[authority.host().len()..].trim_start_matches(':') {
            "" => 80,
            port => port
                .parse()
                .map_err(|_| "the port is not a number up to 65535")?,
        };
        Ok(Self {
            port,
            credentials: user.map(basic).transpose()?,
            authority,
            no_proxy: None,
        })
    }

    /// Whether this address is to be reached by the proxy. Of several that a server has, one that is excepted counts for all.
    pub(super) fn is_for(&self, address: &EndpointAddress) -> bool {
        let is_excepted = |host: &str, port| {
            let no_proxy = self.no_proxy.as_deref();
            no_proxy.is_some_and(|no_proxy| is_excepted(no_proxy, host, port))
        };
        match address {
            EndpointAddress::Host(host, port) => !is_excepted(host, *port),
            EndpointAddress::Sockets(addresses) => !addresses
                .iter()
                .any(|it| is_excepted(&it.ip().to_string(), it.port())),
            EndpointAddress::Unix(_) => false,
        }
    }

    /// Host and port, to look up.
    pub(super) fn address(&self) -> (&str, u16) {
        let host = self.authority.host();
        (host.trim_matches(['[', ']']), self.port)
    }

    /// Asks for a tunnel to this destination, `host:port`, on a connection to the proxy. Its answer has the limits that any of
    /// HTTP/1.1 has.
    ///
    /// # Errors
    ///
    /// Why there is none, in words.
    pub(super) async fn tunnel<I: Io>(
        &self,
        io: I,
        destination: &str,
        settings: Http1Settings,
    ) -> Result<BoxIo, String> {
        let mut request = Request::builder()
            .method(Method::CONNECT)
            .uri(destination)
            .header(HOST, destination);
        if let Some(credentials) = &self.credentials {
            request = request.header(PROXY_AUTHORIZATION, credentials);
        }
        let request = request
            .body(String::new())
            .map_err(|error| format!("ask for {destination}: {error}"))?;
        open_tunnel(io, request, settings).await
    }
}

async fn open_tunnel<I: Io>(
    io: I,
    request: Request<String>,
    settings: Http1Settings,
) -> Result<BoxIo, String> {
    let broken = |error: hyper::Error| {
        if error.is_incomplete_message() {
            "it closed the connection without an answer".into()
        } else if error.is_parse_too_large() {
            "the head of its answer is larger than with_http1_buffer_size or with_max_headers allows"
                .into()
        } else {
            format!("its answer is not HTTP/1.1 ({})", chain(&error))
        }
    };
    let opening = settings.builder().handshake(io).await;
    let (mut sender, connection) = opening.map_err(broken)?;
    let mut connection = pin!(connection.with_upgrades());
    let mut answering = pin!(sender.send_request(request));
    let answered = match race(answering.as_mut(), connection.as_mut()).await {
        Either::Left(answered) => answered,
        // How it ended, the request has learnt.
        Either::Right(_) => answering.await,
    };
    let response = answered.map_err(broken)?;
    if !response.status().is_success() {
        return Err(refusal(response.status()));
    }
    let mut upgrading = pin!(hyper::upgrade::on(response));
    let upgraded = match race(upgrading.as_mut(), connection).await {
        Either::Left(upgraded) => upgraded,
        Either::Right(_) => upgrading.await,
    };
    Ok(Box::new(upgraded.map_err(broken)?))
}

/// What an answer that opens no tunnel means.
fn refusal(status: StatusCode) -> String {
    let advice = match status {
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            "; give user and password in the proxy's URI: http://user:password@host:port"
        }
        StatusCode::FORBIDDEN | StatusCode::METHOD_NOT_ALLOWED => {
            "; does it allow CONNECT to this host and port?"
        }
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT | StatusCode::SERVICE_UNAVAILABLE => {
            "; can it reach the server?"
        }
        _ => "",
    };
    format!("it answered {status}{advice}")
}

/// RFC 7617: user and password, as a URI has them, for basic authentication.
fn basic(user: &str) -> Result<HeaderValue, String> {
    let (user, password) = user.split_once(':').unwrap_or((user, ""));
    let mut pair: Vec<u8> = percent_decode_str(user).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(password));
    let value = format!("Basic {}", STANDARD.encode(pair));
    let mut value = HeaderValue::try_from(value).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The proxy that the environment names for this server, if any; it knows which addresses it is not for. `variable` reads the environment.
///
/// # Errors
///
/// When it names one that cannot be used.
pub(super) fn from_environment(
    variable: impl Fn(&str) -> Option<String>,
    is_tls: bool,
    (host, port): (&str, u16),
) -> Result<Option<Proxy>, Error> {
    let exact = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
    let read = |name: &str| exact(name).or_else(|| exact(&name.to_ascii_lowercase()));
    let no_proxy = read("NO_PROXY").unwrap_or_default();
    if is_excepted(&no_proxy, host, port) {
        return Ok(None);
    }
    // In a CGI program HTTP_PROXY is what the client's header `proxy` says: CVE-2016-5385.
    let is_cgi = variable("REQUEST_METHOD").is_some();
    let of_scheme = match is_tls {
        true => read("HTTPS_PROXY"),
        false if is_cgi => exact("http_proxy"),
        false => read("HTTP_PROXY"),
    };
    let Some(uri) = of_scheme.or_else(|| read("ALL_PROXY")) else {
        return Ok(None);
    };
    let mut proxy = Proxy::parse(uri.trim())?;
    proxy.no_proxy = Some(no_proxy);
    Ok(Some(proxy))
}

/// Whether a server is to be reached without a proxy: itself on this machine, or named by `NO_PROXY`.
///
/// Entries are separated by commas: `*` for all; a name, for itself and all names below it, with or without a dot before
/// it; an address; a network, as `10.0.0.0/8`; and after a name or an address a colon and a port, for that port alone.
fn is_excepted(no_proxy: &str, host: &str, port: u16) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let address: Option<IpAddr> = host.parse().ok();
    if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
        return true;
    }
    no_proxy.split(',').any(|entry| {
        let entry = entry.trim().to_ascii_lowercase();
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            let network = network.parse().ok().zip(bits.parse().ok());
            return network
                .zip(address)
                .is_some_and(|((network, bits), address)| is_within(address, network, bits));
        }
        let Some((entry, of_port)) = split_port(&entry) else {
            return false;
        };
        if of_port.is_some_and(|of_port| of_port != port) {
            return false;
        }
        if let Some(address) = address {
            return entry.parse() == Ok(address);
        }
        let name = entry.trim_start_matches("*.").trim_matches('.');
        let below = host.strip_suffix(name);
        !name.is_empty() && below.is_some_and(|below| below.is_empty() || below.ends_with('.'))
    })
}

/// An entry without its port, and the port, if it has one; `None` if that is no port. The address of an IPv6 entry with a port
/// is in brackets.
fn split_port(entry: &str) -> Option<(&str, Option<u16>)> {
    if entry.parse::<IpAddr>().is_ok() {
        return Some((entry, None));
    }
    let bracketed = entry.strip_prefix('[').and_then(|it| it.split_once(']'));
    let (host, port) =
        bracketed.unwrap_or_else(|| entry.split_at(entry.find(':').unwrap_or(entry.len())));
    match port.strip_prefix(':') {
        Some(port) => Some((host, Some(port.parse().ok()?))),
        None => port.is_empty().then_some((host, None)),
    }
}

fn is_within(address: IpAddr, network: IpAddr, bits: u32) -> bool {
    let (address, network, size) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = address ^ network;
    bits <= size && differing.checked_shr(size - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests;
