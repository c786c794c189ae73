//! What makes one side of a call: a handler, a client's stream of messages, or an interceptor's payloads.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use connect_proto::Error;
use http::HeaderMap;

use crate::{
    call::deadline::CallScope,
    call::panics::{UserCode, catch, drop_quietly},
    call::payload::{Payload, PayloadStream, Payloads, append_all},
    call::sink::{Outbox, Sink},
};

/// Makes what one side of a call sends.
pub(crate) trait Producer: Send {
    /// Puts into the sink what there is. `Ready` when the sink wants no more for now or is finished, `Pending` when
    /// there is nothing for now, perhaps after putting something in. Not called once the sink is finished.
    fn poll_produce(self: Pin<&mut Self>, cx: &mut Context<'_>, sink: &mut Sink<'_>) -> Poll<()>;
}

pub(crate) type BoxProducer = Pin<Box<dyn Producer>>;

/// A producer whose panic ends its side of the call with an error.
pub(crate) struct CatchPanicProducer {
    /// None after a panic.
    producer: Option<BoxProducer>,
    code: UserCode,
    /// Of a server's call.
    scope: Option<CallScope>,
}

impl CatchPanicProducer {
    pub(crate) fn new(producer: BoxProducer, code: UserCode) -> Self {
        Self {
            producer: Some(producer),
            code,
            scope: None,
        }
    }

    /// Works in the scope of the call that it answers.
    pub(crate) fn in_scope(mut self, scope: CallScope) -> Self {
        self.scope = Some(scope);
        self
    }

    /// As [`Producer::poll_produce`](Producer::poll_produce).
    pub(crate) fn poll_produce(&mut self, cx: &mut Context<'_>, sink: &mut Sink<'_>) -> Poll<()> {
        let Some(producer) = &mut self.producer else {
            return Poll::Ready(());
        };
        let mut work = || catch(self.code, || producer.as_mut().poll_produce(cx, sink));
        let worked = match &mut self.scope {
            Some(scope) => scope.enter(work),
            None => work(),
        };
        match worked {
            Ok(polled) => polled,
            Err(error) => {
                drop_quietly(self.producer.take());
                sink.finish(Err(error));
                Poll::Ready(())
            }
        }
    }
}

impl Drop for CatchPanicProducer {
    fn drop(&mut self) {
        if let Some(producer) = self.producer.take() {
            drop_quietly(producer);
        }
    }
}

/// The payloads that a producer makes.
pub(crate) struct Produced {
    producer: Option<CatchPanicProducer>,
    outbox: Outbox,
}

impl Produced {
    pub(crate) fn new(producer: CatchPanicProducer, outbox: Outbox) -> Self {
        Self {
            producer: Some(producer),
            outbox,
        }
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Lets the producer work once.
    pub(crate) fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(producer) = &mut self.producer else {
            return Poll::Ready(());
        };
        let worked = producer.poll_produce(cx, &mut Sink::Payloads(&mut self.outbox));
        if self.outbox.has_ended() {
            self.producer = None;
        }
        worked
    }
}

impl PayloadStream for Produced {
    fn poll_payload(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        loop {
            if let Some(next) = self.outbox.take_next() {
                return Poll::Ready(next);
            }
            if self.poll_work(cx).is_pending() {
                let next = self.outbox.take_next();
                return next.map_or(Poll::Pending, Poll::Ready);
            }
        }
    }

    fn take_trailers(mut self: Pin<&mut Self>) -> HeaderMap {
        self.outbox.take_trailers()
    }
}

/// Sends payloads that come from interceptors.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) payloads: Payloads,
    /// Trailing metadata that is known from the start.
    pub(crate) trailers: HeaderMap,
    /// One message is to be sent: after it the sink wants none, but the end is still to come.
    pub(crate) single: bool,
}

impl Producer for Forward {
    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        sink: &mut Sink<'_>,
    ) -> Poll<()> {
        while !sink.is_finished() && (self.single || sink.wants_message()) {
            match ready!(self.payloads.poll_payload(cx)) {
                Some(Ok(payload)) => {
                    if let Some(compress) = payload.compress {
                        sink.set_compression(compress);
                    }
                    if let Err(error) = sink.send_bytes(payload.into_bytes()) {
                        self.payloads.fail(&error);
                        sink.fail(error, mem::take(&mut self.trailers));
                    }
                }
                Some(Err(error)) => sink.fail(error, mem::take(&mut self.trailers)),
                None => {
                    let mut trailers = mem::take(&mut self.trailers);
                    append_all(&mut trailers, self.payloads.take_trailers());
                    sink.finish(Ok(trailers));
                }
            }
        }
        Poll::Ready(())
    }
}
