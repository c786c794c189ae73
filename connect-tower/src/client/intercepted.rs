//! A client's call inside of its interceptors.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll, ready},
};

use connect_proto::{Error, Side};
use http::HeaderMap;

use super::{Client, call::Opened, retry::source::Encoded};
use crate::{
    BoxFuture,
    call::deadline::{DeadlineTimer, poll_within_deadline},
    call::panics::UserCode,
    call::payload::{Payload, Payloads},
    call::producer::CatchPanicProducer,
    call::producer::Forward,
    interceptor::{Call, DynInterceptor, Next, Reply, Terminal, read_single},
    transport::Transport,
};

/// The interceptors of a client, and the end of their chain.
pub(crate) struct Chain<T> {
    pub(crate) interceptors: Vec<Arc<dyn DynInterceptor>>,
    /// Makes the end of the chain. It is a function made where the transport was known to be `Send`, so that
    /// clients without interceptors need no such bound.
    terminal: fn(&Client<T>) -> Arc<dyn Terminal>,
}

impl<T> Clone for Chain<T> {
    fn clone(&self) -> Self {
        Self {
            interceptors: self.interceptors.clone(),
            terminal: self.terminal,
        }
    }
}

impl<T> Chain<T>
where
    T: Transport<Body: Send + 'static, Future: Send> + Send + Sync + 'static,
{
    pub(crate) fn new() -> Self {
        Self {
            interceptors: Vec::new(),
            terminal: |client| {
                Arc::new(ToServer {
                    client: client.clone(),
                })
            },
        }
    }
}

impl<T> Chain<T> {
    /// Starts a call in the outermost interceptor.
    pub(crate) fn start(
        self: &Arc<Self>,
        client: &Client<T>,
        call: Call,
    ) -> BoxFuture<'static, Result<Reply, Error>> {
        let terminal = (self.terminal)(client);
        let interceptors = self.interceptors.clone();
        Box::pin(async move { Next::new(&interceptors, &*terminal).run(call).await })
    }
}

/// The end of a client's chain: the transport.
struct ToServer<T> {
    client: Client<T>,
}

impl<T> Terminal for ToServer<T>
where
    T: Transport<Body: Send + 'static, Future: Send> + Send + Sync + 'static,
{
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Reply, Error>> {
        let client = self.client.clone();
        Box::pin(async move { send(&client, call).await })
    }
}

async fn send<T>(client: &Client<T>, call: Call) -> Result<Reply, Error>
where
    T: Transport<Body: Send + 'static>,
{
    let codec = client.codec()?.clone();
    let spec = call.spec().clone();
    let (request, payloads) = call.into_parts();
    let opened = if spec.stream_type().client_streams() {
        let forward = Forward {
            payloads,
            trailers: HeaderMap::new(),
            single: false,
        };
        let producer = CatchPanicProducer::new(Box::pin(forward), UserCode::Interceptor);
        let attempting = client.attempt_stream(&spec, request, producer)?;
        client.open_attempting(&spec, attempting).await?
    } else {
        let (payload, _) = read_single(payloads, HeaderMap::new()).await?;
        let source = Encoded(payload.into_bytes());
        client.open(&spec, request, source).await?
    };
    if spec.stream_type().server_streams() {
        let (response, incoming) = opened.into_stream();
        Ok(response.map(|()| incoming.into_payloads(codec, Side::Client)))
    } else {
        let (response, bytes) = opened.into_single().await?;
        let payload = Payload::received(bytes, codec, Side::Client, response.is_compressed());
        Ok(response.map(|()| Payloads::once(payload)))
    }
}

/// A call in its interceptors, up to its response's head.
pub(crate) struct Intercepted {
    pub(crate) reply: BoxFuture<'static, Result<Reply, Error>>,
    pub(crate) deadline_timer: Option<DeadlineTimer>,
}

impl Intercepted {
    pub(crate) async fn open<B>(mut self) -> Result<Opened<B>, Error> {
        poll_fn(|cx| self.poll_open(cx)).await
    }

    /// The response, as it comes out of the outermost interceptor.
    pub(crate) fn poll_open<B>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Opened<B>, Error>> {
        let polled = self.reply.as_mut().poll(cx);
        let reply = ready!(poll_within_deadline(
            polled,
            self.deadline_timer.as_mut(),
            cx
        ))??;
        Poll::Ready(Ok(Opened::from_reply(reply, self.deadline_timer.take())))
    }
}
