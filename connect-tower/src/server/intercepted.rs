//! A server's call inside of its interceptors.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use connect_codec::Codec;
use connect_proto::{Error, Side};
use http::HeaderMap;

use crate::{
    BoxFuture,
    call::incoming::{Incoming, Source},
    call::panics::UserCode,
    call::payload::{Payload, Payloads},
    call::producer::CatchPanicProducer,
    call::producer::{Forward, Produced, Producer},
    call::sink::{Outbox, Sink},
    interceptor::{Call, Next, Reply, Terminal, read_single},
    message::request::Request,
    message::response::Response,
    server::handler::{self, Input},
    server::router::Procedure,
};

/// Starts a call in the outermost interceptor.
pub(crate) fn start(
    request: Request<Input>,
    procedure: Procedure,
    codec: Codec,
) -> CatchPanicProducer {
    let single = !procedure.route().spec.stream_type().server_streams();
    let is_compressed = request.is_compressed();
    let call = request.map(|input| match input {
        Input::Message(bytes) => {
            let codec = codec.clone();
            Payloads::once(Payload::received(bytes, codec, Side::Server, is_compressed))
        }
        Input::Stream(incoming) => incoming.into_payloads(codec.clone(), Side::Server),
    });
    let terminal = ToHandler { procedure, codec };
    let producer = Intercepted::Waiting {
        reply: Box::pin(async move {
            let interceptors = &terminal.procedure.scope().interceptors;
            Next::new(interceptors, &terminal).run(call).await
        }),
        single,
    };
    CatchPanicProducer::new(Box::pin(producer), UserCode::Interceptor)
}

/// Waits for the outermost interceptor's reply, then sends it.
enum Intercepted {
    Waiting {
        reply: BoxFuture<'static, Result<Reply, Error>>,
        single: bool,
    },
    Replying(Box<Forward>),
}

impl Producer for Intercepted {
    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()> {
        if let Self::Waiting { reply, single } = &mut *self {
            let reply = match ready!(reply.as_mut().poll(cx)) {
                Ok(reply) => reply,
                Err(error) => {
                    sink.finish(Err(error));
                    return Poll::Ready(());
                }
            };
            let single = *single;
            let (mut head, payloads) = reply.split();
            let trailers = std::mem::take(&mut head.trailers);
            sink.send_head(head);
            *self = Self::Replying(Box::new(Forward {
                payloads,
                trailers,
                single,
            }));
        }
        match &mut *self {
            Self::Replying(forward) => Pin::new(&mut **forward).poll_produce(cx, sink),
            Self::Waiting { .. } => Poll::Pending,
        }
    }
}

/// The end of a server's chain: the handler.
struct ToHandler {
    procedure: Procedure,
    codec: Codec,
}

impl Terminal for ToHandler {
    fn call(&self, call: Call) -> BoxFuture<'static, Result<Reply, Error>> {
        let procedure = self.procedure.clone();
        let codec = self.codec.clone();
        Box::pin(async move {
            let route = procedure.route();
            let (head, payloads) = call.into_parts();
            let input = if route.spec.stream_type().client_streams() {
                Input::Stream(Box::new(Incoming::new(Source::Payloads(payloads), None)))
            } else {
                let (payload, _) = read_single(payloads, HeaderMap::new()).await?;
                Input::Message(payload.into_bytes())
            };
            let producer = handler::start(&*route.handler, head.map(|()| input), codec.clone())?;
            let produced = Produced::new(producer, Outbox::new(codec));
            if route.spec.stream_type().server_streams() {
                stream_reply(produced).await
            } else {
                single_reply(produced).await
            }
        })
    }
}

/// A reply as soon as its head is known.
async fn stream_reply(mut produced: Produced) -> Result<Reply, Error> {
    let head = poll_fn(|cx| {
        loop {
            if let Some(head) = produced.outbox().take_head() {
                return Poll::Ready(head);
            }
            let worked = produced.poll_work(cx);
            if worked.is_pending() {
                return produced
                    .outbox()
                    .take_head()
                    .map_or(Poll::Pending, Poll::Ready);
            }
        }
    })
    .await?;
    Ok(Response::from_head(
        head,
        Payloads::from_stream(Box::pin(produced)),
    ))
}

/// A reply of one message, once all of it is known.
async fn single_reply(mut produced: Produced) -> Result<Reply, Error> {
    poll_fn(|cx| produced.poll_work(cx)).await;
    let mut head = produced
        .outbox()
        .take_head()
        .transpose()?
        .unwrap_or_default();
    let Some((payload, trailers)) = produced.outbox().take_whole() else {
        return Err(produced.outbox().take_error());
    };
    head.trailers = trailers;
    Ok(Response::from_head(head, Payloads::once(payload)))
}
