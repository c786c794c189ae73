//! A transport over the global function `fetch`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use connect_tower::{CallBody, Error, Sent, Transport, TransportError, rt::SharedTimer};
use http::{HeaderMap, Request, Response, StatusCode};
use js_sys::{Array, Promise, Uint8Array, futures::JsFuture};
use send_wrapper::SendWrapper;
use wasm_bindgen::{JsCast, JsValue};

use web_sys::{AbortController, Headers, RequestCredentials, RequestInit, RequestRedirect};

use crate::{
    base::Base,
    body::FetchBody,
    head::{self, Outgoing},
    js::{self, AbortOnDrop},
    timer,
};

/// Carries calls by the browser's `fetch`: unary calls and server streams, in Connect and gRPC-Web.
///
/// Connections, TLS, the HTTP version, cookies and caches are the browser's. Redirects are not followed: they fail as
/// connections that cannot be opened do. A clone is cheap.
///
/// What a call ends with, besides the server's own errors:
///
/// - `unimplemented`: fetch cannot do this ([what works](crate#what-works-over-fetch)); nothing was sent;
/// - `unavailable`: the server was not reached, or the connection was lost, or the server does not let pages of this origin
///   call it (CORS). Browsers do not tell pages which of these it was; their consoles do;
/// - `deadline_exceeded`: the call was aborted because its time was up;
/// - `canceled`: something else in the browser has aborted it.
///
/// ```
/// use connect_web::{Credentials, FetchTransport};
///
/// # fn main() -> Result<(), connect_web::Error> {
/// // Services of the server that the page came from, below a path:
/// let own = FetchTransport::new("/api")?;
/// // Those of another origin, with its cookies:
/// let other = FetchTransport::new("https://api.example.com")?.with_credentials(Credentials::Include);
/// # let _ = (own, other);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct FetchTransport {
    base: Arc<Base>,
    credentials: Credentials,
    timer: SharedTimer,
}

/// When the browser sends cookies, client certificates and stored passwords, and keeps cookies that come back.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Credentials {
    /// Never.
    Omit,
    /// To the origin that the page came from.
    #[default]
    SameOrigin,
    /// Always. A server of another origin must allow it, by `access-control-allow-credentials`.
    Include,
}

impl FetchTransport {
    /// A transport to `http://host[:port]` or `https://host[:port]`, or to `/`, the origin that the page or worker came from;
    /// with a path if the services lie below one. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// `invalid_argument` for what is no such address.
    pub fn new(base: impl AsRef<str>) -> Result<Self, Error> {
        Ok(Self {
            base: Arc::new(Base::parse(base.as_ref())?),
            credentials: Credentials::default(),
            timer: timer(),
        })
    }

    /// When cookies and other credentials go along: to the page's own origin by default.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// When cookies and other credentials go along.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials
    }

    async fn fetch(
        self,
        request: Request<CallBody>,
    ) -> Result<Response<FetchBody>, TransportError> {
        let outgoing = Outgoing::from_request(request)
            .map_err(|error| TransportError::new(Sent::No, error))?;
        let fetch = js::function("fetch").ok_or_else(|| {
            let error = Error::unimplemented(
                "the request was not sent: there is no function fetch in the global scope",
            );
            TransportError::new(Sent::No, error)
        })?;
        let refused = |thrown: JsValue| js::refused("fetch does not take it", &thrown);
        let abort = AbortOnDrop(AbortController::new().map_err(refused)?);
        let init = self.init(&outgoing, &abort).map_err(refused)?;
        let url = self.base.url(&outgoing.head.uri);
        let promise = fetch
            .call2(&js_sys::global(), &url.into(), &init)
            .map_err(refused)?;
        let response = JsFuture::from(promise.unchecked_into::<Promise>())
            .await
            .map_err(|thrown| self.no_answer(&thrown))?;
        receive(response.unchecked_ref(), abort)
    }

    fn init(&self, outgoing: &Outgoing, abort: &AbortOnDrop) -> Result<RequestInit, JsValue> {
        let headers = Headers::new()?;
        for (name, value) in &outgoing.head.headers {
            headers.append(name.as_str(), &head::value(value))?;
        }
        let init = RequestInit::new();
        init.set_method(outgoing.head.method.as_str());
        init.set_headers(&headers);
        init.set_credentials(self.credentials.into());
        init.set_redirect(RequestRedirect::Error);
        init.set_signal(Some(&abort.0.signal()));
        if let Some(body) = &outgoing.body {
            init.set_body(&Uint8Array::from(&body[..]));
        }
        Ok(init)
    }

    fn no_answer(&self, thrown: &JsValue) -> TransportError {
        let (base, what) = (&self.base, js::describe(thrown));
        let error = if js::is_abort(thrown) {
            Error::canceled(format!("the request to {base} was aborted ({what})"))
        } else {
            Error::unavailable(format!(
                "no answer from {base} ({what}): is it reachable, and does it let pages of this origin call it (CORS)?"
            ))
        };
        TransportError::new(Sent::Maybe, error)
    }
}

impl Transport for FetchTransport {
    type Body = FetchBody;
    type Future = FetchFuture;

    fn send(&self, request: Request<CallBody>) -> FetchFuture {
        FetchFuture {
            call: SendWrapper::new(Box::pin(self.clone().fetch(request))),
        }
    }

    fn timer(&self) -> Option<SharedTimer> {
        Some(self.timer.clone())
    }
}

/// A call of [`FetchTransport`], up to the head of its response. Dropping it aborts the request.
#[must_use = "futures do nothing unless polled"]
pub struct FetchFuture {
    call: SendWrapper<Pin<Box<Fetching>>>,
}

type Fetching = dyn Future<Output = Result<Response<FetchBody>, TransportError>>;

impl Future for FetchFuture {
    type Output = Result<Response<FetchBody>, TransportError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.call.as_mut().poll(cx)
    }
}

impl fmt::Debug for FetchFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchFuture").finish_non_exhaustive()
    }
}

impl From<Credentials> for RequestCredentials {
    fn from(credentials: Credentials) -> Self {
        match credentials {
            Credentials::Omit => Self::Omit,
            Credentials::SameOrigin => Self::SameOrigin,
            Credentials::Include => Self::Include,
        }
    }
}

/// The response as the layers above know responses.
fn receive(
    response: &web_sys::Response,
    abort: AbortOnDrop,
) -> Result<Response<FetchBody>, TransportError> {
    let status = StatusCode::from_u16(response.status()).map_err(|_| {
        let error = Error::internal("the browser does not show the response's status");
        TransportError::new(Sent::Yes, error)
    })?;
    let headers = headers(&response.headers());
    let body = FetchBody::new(response.body(), abort);
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The headers that the browser shows: of another origin those that the server exposes.
fn headers(headers: &Headers) -> HeaderMap {
    let mut map = HeaderMap::new();
    let pairs = js_sys::try_iter(headers).ok().flatten();
    for pair in pairs.into_iter().flatten().flatten() {
        let pair: Array = pair.unchecked_into();
        if let (Some(name), Some(value)) = (pair.get(0).as_string(), pair.get(1).as_string()) {
            if let Some((name, value)) = head::header(&name, &value) {
                // More headers than a map can hold are more than a browser takes.
                let _ = map.try_append(name, value);
            }
        }
    }
    head::forget_coding(&mut map);
    map
}

#[cfg(test)]
mod tests;
