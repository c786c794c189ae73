//! The gate: what decides about a call when its head is known and nothing of its body was read.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use connect_proto::{CallPolicy, Detected, Error, Protocol, Spec, Time, metadata::Names};
use http::{Extensions, HeaderMap, Uri, request};

use crate::call::{
    connection::Connection,
    peer::Peer,
    permits::Permits,
    rt::{SharedTimer, no_timer},
};

/// Decides about a call by its head, before a byte of its body is read.
///
/// A refused call costs no read, no decompression and no decoding: this is the place for authentication and
/// admission. A gate may also set the call's limits and deadline, and leave extensions for the handler. Gates run in the
/// order of their registration, before all interceptors; the first error refuses the call in its own protocol.
///
/// ```
/// use connect_tower::{CallHead, CallPolicy, Error, Gate, Limits, Router};
///
/// #[derive(Clone)]
/// struct User(String);
///
/// struct Auth;
///
/// impl Gate for Auth {
///     async fn gate(&self, head: &mut CallHead, policy: &mut CallPolicy) -> Result<(), Error> {
///         let Some(user) = head.headers().get("x-user").and_then(|v| v.to_str().ok()) else {
///             return Err(Error::unauthenticated("who are you?"));
///         };
///         let user = User(user.to_owned());
///         head.extensions_mut().insert(user);
///         *policy = policy.with_limits(Limits::default().with_recv_message_bytes(64 * 1024));
///         Ok(())
///     }
/// }
///
/// let router = Router::new().add_gate(Auth);
/// ```
pub trait Gate: Send + Sync + 'static {
    /// Lets the call pass, or refuses it.
    ///
    /// # Errors
    ///
    /// The error that the caller receives.
    fn gate(
        &self,
        head: &mut CallHead,
        policy: &mut CallPolicy,
    ) -> impl Future<Output = Result<(), Error>> + Send;
}

/// The head of a call on the server: all that is known before the body.
///
/// Its `Debug` shows no values of headers and no query: they may be tokens, cookies, or the message.
pub struct CallHead {
    pub(crate) parts: request::Parts,
    pub(crate) detected: Detected,
    pub(crate) spec: Spec,
    pub(crate) permits: Permits,
    /// Set before the first gate sees the head.
    pub(crate) timer: Option<SharedTimer>,
}

impl fmt::Debug for CallHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHead")
            .field("spec", &self.spec)
            .field("protocol", &self.protocol())
            .field("codec", &self.codec())
            .field("path", &self.uri().path())
            .field("headers", &Names(self.headers()))
            .field("peer", &self.peer())
            .field("timeout", &self.timeout())
            .finish_non_exhaustive()
    }
}

impl CallHead {
    /// The procedure.
    #[must_use]
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The protocol that the caller speaks.
    #[must_use]
    pub fn protocol(&self) -> Protocol {
        self.detected.protocol()
    }

    /// The name of the codec in which messages travel.
    #[must_use]
    pub fn codec(&self) -> &str {
        self.detected.codec()
    }

    /// The request's headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// The request's URI; a Connect GET carries its message there, still encoded.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The other end of the connection; `None` where the adapter does not say.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        Connection::peer_of(&self.parts.extensions)
    }

    /// The timeout that the client asks for, before any policy; `None` for none.
    #[must_use]
    pub fn timeout(&self) -> Option<Duration> {
        self.detected.timeout()
    }

    /// When the call must be over, with this policy; see [`Detected::deadline`].
    pub(crate) fn deadline(&self, policy: &CallPolicy, now: Time) -> Option<Time> {
        self.detected.deadline(policy, now)
    }

    /// The timer that the call's deadline is kept with, for gates that wait or measure. It stands still if the router has
    /// [none](crate::Router::with_timer).
    #[must_use]
    pub fn timer(&self) -> &SharedTimer {
        self.timer.as_ref().unwrap_or_else(|| no_timer())
    }

    /// Typed values that came with the HTTP request.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        &self.parts.extensions
    }

    /// The extensions, to leave something for the handler.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.parts.extensions
    }

    /// Keeps the value until the call ends, and then drops it: a permit, or a counter of the calls in flight.
    ///
    /// The call ends when the last of its response has been taken from the response's body, or when it is dropped
    /// before: canceled, past its deadline, or refused by a later gate. The handler is dropped before the value is.
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use connect_tower::{Error, Router, gate_fn};
    ///
    /// // Each call in flight holds a clone.
    /// let in_flight = Arc::new(());
    /// let router = Router::new().add_gate(gate_fn(move |head, _policy| {
    ///     let permit = in_flight.clone();
    ///     if Arc::strong_count(&in_flight) > 1000 + 1 {
    ///         return Err(Error::unavailable("the server is busy; try again later"));
    ///     }
    ///     head.hold(permit);
    ///     Ok(())
    /// }));
    /// ```
    pub fn hold(&mut self, value: impl Send + Sync + 'static) {
        self.permits.add_value(value);
    }
}

/// A gate made of a synchronous function: see [`gate_fn`].
#[derive(Clone, Copy, Debug)]
pub struct GateFn<F>(F);

/// A gate made of a synchronous function.
///
/// ```
/// use connect_tower::{Error, Router, gate_fn};
///
/// let router = Router::new().add_gate(gate_fn(|head, _policy| {
///     if head.headers().contains_key("authorization") {
///         Ok(())
///     } else {
///         Err(Error::unauthenticated("a token is required"))
///     }
/// }));
/// ```
pub const fn gate_fn<F>(function: F) -> GateFn<F>
where
    F: Fn(&mut CallHead, &mut CallPolicy) -> Result<(), Error> + Send + Sync + 'static,
{
    GateFn(function)
}

impl<F> Gate for GateFn<F>
where
    F: Fn(&mut CallHead, &mut CallPolicy) -> Result<(), Error> + Send + Sync + 'static,
{
    async fn gate(&self, head: &mut CallHead, policy: &mut CallPolicy) -> Result<(), Error> {
        (self.0)(head, policy)
    }
}

/// Any gate, as a trait object.
pub(crate) trait DynGate: Send + Sync {
    fn gate<'a>(
        &'a self,
        head: &'a mut CallHead,
        policy: &'a mut CallPolicy,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;
}

impl<G: Gate> DynGate for G {
    fn gate<'a>(
        &'a self,
        head: &'a mut CallHead,
        policy: &'a mut CallPolicy,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        // Also the call itself is in the future, where a panic is caught.
        Box::pin(async move { Gate::gate(self, head, policy).await })
    }
}
