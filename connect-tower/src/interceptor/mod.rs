//! Interceptors: code around calls, the same on servers and clients, for unary calls and streams.
//!
//! An interceptor sees a call as metadata and a stream of encoded messages; a unary call is a stream of one. So one method
//! serves all stream types, and an interceptor that does not read messages pays for no decoding.

use std::{fmt, future::Future, pin::Pin, sync::Arc};

use connect_proto::Error;
use http::HeaderMap;

use crate::{
    BoxFuture,
    call::panics::{CatchPanic, UserCode},
    call::payload::{End, Payload, Payloads, append_all},
    message::request::Request,
    message::response::Response,
};

/// A call as an interceptor sees it: a [`Request`] whose message is a stream of encoded messages.
pub type Call = Request<Payloads>;

/// The reply to a call, as an interceptor sees it.
///
/// A unary reply has its trailers in [`Response::trailers`]; those of a stream come with its end, where
/// [`Reply::on_end`](Response::on_end) sees and changes them for both.
pub type Reply = Response<Payloads>;

/// Code around calls: logging, metrics, retries, validation, caching.
///
/// On a server interceptors run after the [gates](crate::Gate), when the message of a unary call was read and
/// decompressed; on a client before the request is sent. The first registered is outermost. An interceptor may answer
/// without asking [`Next`], and may ask it more than once.
///
/// # How calls end
///
/// Every call that an interceptor passes on ends for it exactly once, and [`Next::observe`] sees that end: the answer's
/// trailing metadata, or the error. A handler that panics, or an interceptor further in, is an `internal` error. Where
/// nobody waits for the answer any more, the interceptor's future and the reply are dropped, and the end is
/// `deadline_exceeded` if the deadline has passed, else `canceled`: the client went away.
///
/// An interceptor does not see calls that a gate refuses, nor unary calls whose message cannot be read. A tower layer
/// around the router sees those too: it finds the [`Error`] in the response's extensions.
///
/// ```
/// use connect_tower::{Call, Error, Interceptor, Next, Reply};
///
/// /// Counts messages, both ways, whatever the stream type.
/// struct Count(std::sync::Arc<std::sync::atomic::AtomicU64>);
///
/// impl Interceptor for Count {
///     async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
///         let (sent, received) = (self.0.clone(), self.0.clone());
///         let count = move |payload, counter: &std::sync::atomic::AtomicU64| {
///             counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///             Ok(payload)
///         };
///         let call = call.map(|payloads| payloads.map(move |payload| count(payload, &sent)));
///         let reply = next.run(call).await?;
///         Ok(reply.map(|payloads| payloads.map(move |payload| count(payload, &received))))
///     }
/// }
/// ```
pub trait Interceptor: Send + Sync + 'static {
    /// Handles a call, usually by passing it on to `next`.
    ///
    /// # Errors
    ///
    /// The error that the call ends with.
    fn intercept(
        &self,
        call: Call,
        next: Next<'_>,
    ) -> impl Future<Output = Result<Reply, Error>> + Send;
}

/// The rest of the chain: the inner interceptors, then the handler or the server.
#[derive(Clone, Copy)]
pub struct Next<'a> {
    chain: &'a [Arc<dyn DynInterceptor>],
    terminal: &'a dyn Terminal,
}

impl<'a> Next<'a> {
    pub(crate) fn new(chain: &'a [Arc<dyn DynInterceptor>], terminal: &'a dyn Terminal) -> Self {
        Self { chain, terminal }
    }

    /// Passes the call on.
    ///
    /// # Errors
    ///
    /// The error that the call ended with. A stream may also end with an error later, in the reply's payloads: see
    /// [`observe`](Self::observe).
    pub async fn run(self, call: Call) -> Result<Reply, Error> {
        let deadline = call.deadline().cloned();
        let reply = match self.chain.split_first() {
            None => self.terminal.call(call),
            Some((first, chain)) => {
                let terminal = self.terminal;
                first.intercept(call, Self { chain, terminal })
            }
        };
        let mut reply = CatchPanic::new(reply, UserCode::Interceptor).await?;
        reply.payloads_mut().set_deadline(deadline);
        Ok(reply)
    }

    /// Passes the call on and runs `look` exactly once, when the call ends: with all trailing metadata after a clean end, or
    /// with the error. `look` may change either, which counts if somebody still waits for it.
    ///
    /// The answer of a unary call has ended once it is known, a stream when its last message was taken: on a server by the
    /// connection, which does not know whether the client reads it. A call that is dropped before ends with
    /// `deadline_exceeded` if its deadline has passed, else with `canceled`.
    ///
    /// ```
    /// use connect_tower::{Call, Error, Interceptor, Next, Reply};
    ///
    /// struct Log;
    ///
    /// impl Interceptor for Log {
    ///     async fn intercept(&self, call: Call, next: Next<'_>) -> Result<Reply, Error> {
    ///         let procedure = call.spec().procedure().to_owned();
    ///         let log = move |end: Result<&mut http::HeaderMap, &mut Error>| match end {
    ///             Ok(_trailers) => println!("{procedure} went well"),
    ///             Err(error) => println!("{procedure} failed: {error}"),
    ///         };
    ///         next.observe(call, log).await
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub async fn observe(
        self,
        call: Call,
        look: impl FnOnce(Result<&mut HeaderMap, &mut Error>) + Send + 'static,
    ) -> Result<Reply, Error> {
        let mut end = End::new(look, call.deadline().cloned());
        match self.run(call).await {
            Ok(reply) => Ok(reply.watch(end)),
            Err(mut error) => {
                end.report(Err(&mut error));
                Err(error)
            }
        }
    }
}

impl fmt::Debug for Next<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Next")
            .field("interceptors", &self.chain.len())
            .finish_non_exhaustive()
    }
}

/// The end of a chain.
pub(crate) trait Terminal: Send + Sync {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Reply, Error>>;
}

/// Any interceptor, as a trait object.
pub(crate) trait DynInterceptor: Send + Sync {
    fn intercept<'a>(
        &'a self,
        call: Call,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>>;
}

impl<I: Interceptor> DynInterceptor for I {
    fn intercept<'a>(
        &'a self,
        call: Call,
        next: Next<'a>,
    ) -> Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + 'a>> {
        // Also the call itself is in the future, where a panic is caught.
        Box::pin(async move { Interceptor::intercept(self, call, next).await })
    }
}

/// An interceptor made of a synchronous function that sees each call: see [`before`].
#[derive(Clone, Copy, Debug)]
pub struct Before<F>(F);

/// An interceptor that runs `function` before each call, which may change the call or end it with an error.
///
/// ```
/// use connect_tower::{Router, before};
/// use http::HeaderValue;
///
/// let router = Router::new().add_interceptor(before(|call| {
///     call.headers_mut().insert("x-seen", HeaderValue::from_static("yes"));
///     Ok(())
/// }));
/// ```
pub const fn before<F>(function: F) -> Before<F>
where
    F: Fn(&mut Call) -> Result<(), Error> + Send + Sync + 'static,
{
    Before(function)
}

impl<F> Interceptor for Before<F>
where
    F: Fn(&mut Call) -> Result<(), Error> + Send + Sync + 'static,
{
    async fn intercept(&self, mut call: Call, next: Next<'_>) -> Result<Reply, Error> {
        (self.0)(&mut call)?;
        next.run(call).await
    }
}

impl Request<Payloads> {
    /// The messages of the call.
    #[must_use]
    pub fn payloads(&self) -> &Payloads {
        self.message()
    }

    /// The messages of the call, to change them.
    pub fn payloads_mut(&mut self) -> &mut Payloads {
        self.message_mut()
    }

    /// A copy of the call, if its messages can be copied, as a unary call's can: for retries and hedging.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        let payloads = self.message().try_clone()?;
        Some(Self::from_head(self.head.clone(), payloads))
    }
}

impl Response<Payloads> {
    /// The messages of the reply.
    #[must_use]
    pub fn payloads(&self) -> &Payloads {
        self.message()
    }

    /// The messages of the reply, to change them.
    pub fn payloads_mut(&mut self) -> &mut Payloads {
        self.message_mut()
    }

    /// A reply of one message: for an interceptor that answers a unary call by itself.
    #[must_use]
    pub fn once(payload: Payload) -> Self {
        Self::new(Payloads::once(payload))
    }

    /// Runs `look` exactly once, at the end of the reply, of unary calls and streams alike: with all trailing metadata,
    /// which it may change, or with the error, which it may change too. A reply that is dropped before its end has ended
    /// with `deadline_exceeded` or `canceled`.
    ///
    /// It is for replies that are there: [`Next::observe`] sees the end of calls that never came so far, too.
    #[must_use]
    pub fn on_end(
        self,
        look: impl FnOnce(Result<&mut HeaderMap, &mut Error>) + Send + 'static,
    ) -> Self {
        let end = End::new(look, self.payloads().deadline().cloned());
        self.watch(end)
    }

    fn watch<F>(self, end: End<F>) -> Self
    where
        F: FnOnce(Result<&mut HeaderMap, &mut Error>) + Send + 'static,
    {
        let (mut head, payloads) = self.split();
        let trailers = std::mem::take(&mut head.trailers);
        Self::from_head(head, payloads.with_trailers(trailers).watch(end))
    }
}

/// The one message of a unary call or reply, and the trailing metadata after it.
pub(crate) async fn read_single(
    mut payloads: Payloads,
    mut trailers: HeaderMap,
) -> Result<(Payload, HeaderMap), Error> {
    let Some(payload) = payloads.next().await? else {
        return Err(Error::internal(
            "an interceptor took the call's one message",
        ));
    };
    if payloads.next().await?.is_some() {
        return Err(Error::internal(
            "an interceptor added a message to a call of one",
        ));
    }
    append_all(&mut trailers, payloads.take_trailers());
    Ok((payload, trailers))
}
