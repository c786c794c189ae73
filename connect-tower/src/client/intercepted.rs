//! A client's call inside of its interceptors.

use std::sync::Arc;

use connect_proto::{Error, Side};
use http::HeaderMap;

use super::{Client, Prepared};
use crate::{
    BoxFuture,
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
    let mut started = client.start(&spec, request)?;
    let (request, waiting) = if spec.stream_type().client_streams() {
        let forward = Forward {
            payloads,
            trailers: HeaderMap::new(),
            single: false,
        };
        started.produce(CatchPanicProducer::new(
            Box::pin(forward),
            UserCode::Interceptor,
        ))?
    } else {
        let (payload, _) = read_single(payloads, HeaderMap::new()).await?;
        started.send_with(|send| send.send_bytes(payload.into_bytes()))?;
        started.finish()?
    };
    let opened = client.open(Prepared::Wire(request, waiting)).await?;
    if spec.stream_type().server_streams() {
        let (response, incoming) = opened.into_stream();
        Ok(response.map(|()| incoming.into_payloads(codec, Side::Client)))
    } else {
        let (response, bytes) = opened.into_single().await?;
        Ok(response.map(|()| Payloads::once(Payload::received(bytes, codec, Side::Client))))
    }
}
