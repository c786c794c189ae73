//! The sending side of a call object: filled by the caller, emptied by the transport, perhaps on another task.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::BytesMut;
use connect_proto::{Error, MessageSize, SendHalf, Transmit};
use http::{Extensions, HeaderMap};

use crate::{
    call::observe::Observed,
    call::payload::{Payload, PayloadStream},
    call::sink::{Outbox, Sink},
    call::waker_slot::WakerSlot,
};

/// What a call object and the body of its request share.
pub(crate) struct Shared {
    state: Mutex<State>,
}

struct State {
    outlet: Outlet,
    observed: Option<Observed>,
    /// Waits for messages.
    consumer: WakerSlot,
    /// Waits for room.
    caller: WakerSlot,
    /// The request's head is on its way: see [`HeadSent`].
    head_sent: bool,
    /// A router has the request.
    has_begun: bool,
    /// The transport wants no more of the request.
    is_dropped: bool,
}

/// Where messages wait.
enum Outlet {
    Wire(Box<SendHalf>),
    Payloads(Box<Outbox>),
}

impl Outlet {
    fn with_sink<T>(&mut self, work: impl FnOnce(&mut Sink<'_>) -> T) -> T {
        match self {
            Self::Wire(send) => work(&mut Sink::Wire {
                send,
                extensions: None,
                observed: None,
            }),
            Self::Payloads(outbox) => work(&mut Sink::Payloads(outbox)),
        }
    }
}

impl Shared {
    /// Two ends of a request that goes over the wire as it is.
    pub(crate) fn wire(send: Box<SendHalf>, observed: Option<Observed>) -> (Arc<Self>, Consumer) {
        Self::new(Outlet::Wire(send), observed)
    }

    /// Two ends of a request that goes through interceptors first.
    pub(crate) fn payloads(outbox: Outbox) -> (Arc<Self>, Consumer) {
        Self::new(Outlet::Payloads(Box::new(outbox)), None)
    }

    fn new(outlet: Outlet, observed: Option<Observed>) -> (Arc<Self>, Consumer) {
        let shared = Arc::new(Self {
            state: Mutex::new(State {
                outlet,
                observed,
                consumer: WakerSlot::default(),
                caller: WakerSlot::default(),
                head_sent: false,
                has_begun: false,
                is_dropped: false,
            }),
        });
        (shared.clone(), Consumer(shared))
    }

    /// Waits for room for a message; `false` if the transport wants no more of the request.
    ///
    /// There is none before the request's head is on its way: until then the caller must poll the transport, which may
    /// have to connect. Only an interceptor that asks for a message, without which it may not go on, gets it before.
    pub(crate) fn poll_room(&self, has_response: bool, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.lock();
        if state.is_dropped {
            return Poll::Ready(false);
        }
        let may_send = state.head_sent || has_response || state.consumer.is_set();
        let room = state
            .outlet
            .with_sink(|sink| (may_send && sink.wants_message()) || sink.is_finished());
        if !room {
            state.caller.set(cx.waker());
            return Poll::Pending;
        }
        Poll::Ready(true)
    }

    /// Sends a message, for which there was room.
    pub(crate) fn send(
        &self,
        encode: impl FnOnce(&mut BytesMut) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut state = self.lock();
        let sent = match &mut state.outlet {
            Outlet::Wire(send) => send.send_message(encode).map(|()| send.message_size()),
            Outlet::Payloads(outbox) => outbox.encode(encode).map(|()| MessageSize::default()),
        };
        let waker = state.consumer.take();
        let observed = state.observed.clone();
        drop(state);
        let sent = sent.map(|size| {
            if let Some(observed) = observed {
                observed.sent(size);
            }
        });
        waker.wake();
        sent
    }

    /// Sets the compression of what follows.
    pub(crate) fn set_compression(&self, compress: bool) {
        let mut state = self.lock();
        state
            .outlet
            .with_sink(|sink| sink.set_compression(compress));
    }

    /// Ends the request, or gives it up. Ignored if it has ended.
    pub(crate) fn finish(&self, outcome: Result<(), Error>) {
        let mut state = self.lock();
        let outcome = outcome.map(|()| HeaderMap::new());
        state.outlet.with_sink(|sink| sink.finish(outcome));
        let wakers = [state.consumer.take(), state.caller.take()];
        drop(state);
        wakers.into_iter().for_each(WakerSlot::wake);
    }

    pub(crate) fn is_head_sent(&self) -> bool {
        self.lock().head_sent
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.lock().outlet.with_sink(|sink| sink.is_finished())
    }

    /// A panic in a codec leaves the state whole: what the machines hold is changed after a message is encoded.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says to a call object that its request's head is on its way. A transport that asks for the body says so. In the same
/// process a handler may do much before it reads, so a router says it: it finds this in the request's extensions, whatever
/// body a layer or an interceptor has put in place of the call object's.
#[derive(Clone)]
pub(crate) struct HeadSent(Arc<Shared>);

impl HeadSent {
    pub(crate) fn of(shared: &Arc<Shared>) -> Self {
        Self(shared.clone())
    }

    /// This request has reached a router.
    pub(crate) fn report_in(extensions: &mut Extensions) {
        if let Some(head_sent) = extensions.remove::<Self>() {
            head_sent.0.lock().has_begun = true;
            head_sent.report();
        }
    }

    /// Whether the request has reached a router of this process: whoever drops its body then has read what it wants, and
    /// nobody sends it again.
    pub(crate) fn has_begun(&self) -> bool {
        self.0.lock().has_begun
    }

    pub(crate) fn report(self) {
        let mut state = self.0.lock();
        state.head_sent = true;
        let caller = state.caller.take();
        drop(state);
        caller.wake();
    }
}

/// The transport's end: the rest of a body, or of a stream of payloads.
pub(crate) struct Consumer(Arc<Shared>);

impl Consumer {
    pub(crate) fn poll_transmit(&mut self, cx: &mut Context<'_>) -> Poll<Option<Transmit>> {
        self.poll_with(cx, |outlet| match outlet {
            Outlet::Wire(send) => match send.poll_transmit() {
                None if send.is_closed() => Some(None),
                transmit => transmit.map(Some),
            },
            Outlet::Payloads(_) => Some(None),
        })
    }

    /// What there is to take, or its wake-up. Wakes a caller who waits for room.
    fn poll_with<R>(
        &self,
        cx: &Context<'_>,
        take: impl FnOnce(&mut Outlet) -> Option<R>,
    ) -> Poll<R> {
        let mut state = self.0.lock();
        let taken = take(&mut state.outlet);
        let mut caller = WakerSlot::default();
        if taken.is_some() || !state.head_sent {
            caller = state.caller.take();
        }
        // Bytes are asked for by the transport, payloads perhaps by an interceptor.
        state.head_sent |= matches!(state.outlet, Outlet::Wire(_));
        if taken.is_none() {
            state.consumer.set(cx.waker());
        }
        drop(state);
        caller.wake();
        taken.map_or(Poll::Pending, Poll::Ready)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        match &self.0.lock().outlet {
            Outlet::Wire(send) => send.is_end_stream(),
            Outlet::Payloads(_) => false,
        }
    }
}

impl PayloadStream for Consumer {
    fn poll_payload(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Payload, Error>>> {
        self.poll_with(cx, |outlet| match outlet {
            Outlet::Payloads(outbox) => outbox.take_next(),
            Outlet::Wire(_) => Some(None),
        })
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_dropped = true;
        let caller = state.caller.take();
        drop(state);
        caller.wake();
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
