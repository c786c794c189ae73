//! Watching calls: what an operator's tools are told of each one, whatever becomes of it.

mod observed;

use std::{fmt, time::Duration};

use connect_proto::{Code, Error, MessageSize, Protocol, Side, Spec};
use http::{Extensions, HeaderMap, header::HOST};

pub(crate) use self::observed::{CallGuard, InScope, Observed, in_scope};
use crate::call::{attempts::Attempts, connection::Connection, peer::Peer};

/// Is told of every call of a [`Router`](crate::Router) or a [`Client`](crate::Client): for logs, metrics and traces.
///
/// It sees calls that interceptors never see: refused by gates, of unknown procedures, of no known protocol, dropped by the
/// peer. It stands outside of gates and interceptors, and changes nothing of a call but the headers of a client's request.
/// Where there is no observer, calls do not pay for it.
///
/// On a server a call begins when its head has arrived, and ends when the last of its response was taken by the connection,
/// or when it is dropped before. On a client it begins when it is made, and ends when its caller has its result; a stream
/// when its caller has its end, or drops it. Requests for a router's [fallback](crate::Router::with_fallback) are no calls.
///
/// A panic of an observer is printed by the panic hook, and has no other effect.
///
/// ```
/// use connect_tower::{CallEnd, CallObserver, CallStart, Observer, Router};
///
/// /// A line for each call.
/// struct Log;
///
/// struct LogCall {
///     procedure: String,
/// }
///
/// impl Observer for Log {
///     fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>> {
///         let procedure = start.procedure().unwrap_or("unknown").to_owned();
///         Some(Box::new(LogCall { procedure }))
///     }
/// }
///
/// impl CallObserver for LogCall {
///     fn end(&self, end: &CallEnd<'_>) {
///         let code = end.code().map_or("ok", |code| code.as_str());
///         println!("{} {code} {} messages", self.procedure, end.sent().messages());
///     }
/// }
///
/// let router = Router::new().add_observer(Log);
/// ```
pub trait Observer: Send + Sync + 'static {
    /// A call begins. Returns what is told of the rest of it; `None` if that does not matter.
    fn begin(&self, start: &mut CallStart<'_>) -> Option<Box<dyn CallObserver>>;
}

/// Is told of one call. Every method has a default that does nothing, but for [`end`](Self::end).
///
/// The two directions of a stream may be polled by different tasks at once, so all methods take `&self`.
pub trait CallObserver: Send + Sync + 'static {
    /// Runs `work` once: a poll of the call, a part of it or its drop. Whatever the thread keeps as its current context,
    /// such as a span, is to be set around it.
    ///
    /// On a server that is the handler and its response stream, with gates and interceptors; on a client the call's future
    /// and its streams, with interceptors. A task that a handler spawns is not in it.
    fn in_scope(&self, work: &mut dyn FnMut()) {
        work();
    }

    /// A client's call is about to send another request than its first: again, because no server has begun the last one, as a
    /// retry, or as a hedge. It is told how many there were so far, this one included.
    fn attempt(&self, _attempts: Attempts) {}

    /// A message was handed over to be sent.
    fn sent(&self, _size: MessageSize) {}

    /// A message was received, whole.
    fn received(&self, _size: MessageSize) {}

    /// The call has ended. It comes exactly once, as the last.
    fn end(&self, end: &CallEnd<'_>);
}

/// A call that begins.
pub struct CallStart<'a> {
    pub(crate) side: Side,
    pub(crate) spec: Option<&'a Spec>,
    pub(crate) path: &'a str,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) authority: Option<&'a str>,
    pub(crate) headers: &'a mut HeaderMap,
    pub(crate) extensions: &'a mut Extensions,
}

impl CallStart<'_> {
    /// Whether this is a server's view of the call or a client's.
    #[must_use]
    pub fn side(&self) -> Side {
        self.side
    }

    /// The procedure; `None` on a server that does not serve it.
    #[must_use]
    pub fn spec(&self) -> Option<&Spec> {
        self.spec
    }

    /// The procedure's path without its first slash, `package.Service/Method`; `None` on a server that does not serve it.
    /// There are no more different ones than there are procedures, so it may label a metric.
    #[must_use]
    pub fn procedure(&self) -> Option<&str> {
        let path = self.spec?.procedure();
        Some(path.strip_prefix('/').unwrap_or(path))
    }

    /// The path that was called. On a server it is the client's word, and may be anything.
    #[must_use]
    pub fn path(&self) -> &str {
        self.path
    }

    /// The protocol of the call; `None` on a server that has not recognised it.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// The host, with its port if there is one, that the client means to call: on a server the request's authority or host,
    /// as the client has written it. `None` where it is not known.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        let of_server = || self.headers.get(HOST).and_then(|host| host.to_str().ok());
        self.authority.or_else(of_server)
    }

    /// The headers of the request: on a server those that came, on a client those that the caller has set.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// The headers, to change them: a client's request takes the context of a trace along.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers
    }

    /// Typed values that came with the request, or that the caller has set.
    #[must_use]
    pub fn extensions(&self) -> &Extensions {
        self.extensions
    }

    /// The extensions, to leave something for gates, interceptors and the handler.
    pub fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions
    }

    /// The other end of the connection; `None` on a client, and where the server's adapter does not say.
    #[must_use]
    pub fn peer(&self) -> Option<&Peer> {
        Connection::peer_of(self.extensions)
    }
}

/// How a call has ended.
#[derive(Clone, Copy, Debug)]
pub struct CallEnd<'a> {
    pub(crate) error: Option<&'a Error>,
    pub(crate) dropped: bool,
    pub(crate) duration: Option<Duration>,
    pub(crate) attempts: Attempts,
    pub(crate) sent: Traffic,
    pub(crate) received: Traffic,
}

impl<'a> CallEnd<'a> {
    /// The code; `None` for a call that has succeeded.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        self.error.map(Error::code)
    }

    /// The error; `None` for a call that has succeeded. Its source is for this side alone.
    #[must_use]
    pub fn error(&self) -> Option<&'a Error> {
        self.error
    }

    /// Whether the call was dropped before its end: by its caller, or on a server because the client has gone or has
    /// reset the stream. The error is then `canceled`, or `deadline_exceeded` if the deadline had passed.
    #[must_use]
    pub fn is_dropped(&self) -> bool {
        self.dropped
    }

    /// How long the call took, by the timer of the router or client; `None` if it has none.
    #[must_use]
    pub fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// How many requests a client's call has taken; on a server it is one attempt.
    #[must_use]
    pub fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// What this side has sent.
    #[must_use]
    pub fn sent(&self) -> Traffic {
        self.sent
    }

    /// What this side has received.
    #[must_use]
    pub fn received(&self) -> Traffic {
        self.received
    }
}

/// The messages that went one way in a call. A message that was sent again by a later attempt counts again.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Traffic {
    pub(crate) messages: u64,
    pub(crate) encoded_bytes: u64,
    pub(crate) wire_bytes: u64,
}

impl Traffic {
    /// How many messages.
    #[must_use]
    pub fn messages(&self) -> u64 {
        self.messages
    }

    /// What the codec makes of them, in bytes: see [`MessageSize::encoded`].
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.encoded_bytes
    }

    /// What has travelled, in bytes: see [`MessageSize::wire`].
    #[must_use]
    pub fn wire_bytes(&self) -> u64 {
        self.wire_bytes
    }
}

impl fmt::Debug for CallStart<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallStart")
            .field("side", &self.side)
            .field("path", &self.path)
            .field("protocol", &self.protocol)
            .finish_non_exhaustive()
    }
}
