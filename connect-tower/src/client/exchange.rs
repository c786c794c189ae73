//! The receiving side of a call object: waits for the response's head, then reads messages.
//!
//! Nothing is spawned. Whoever waits for anything of the call polls it, the sending side too: a call whose server is
//! in the same process makes progress only so, and any call before its transport is connected.

use std::{
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::Bytes;
use connect_proto::Error;
use http::{Extensions, HeaderMap};

use super::{
    Begun,
    call::{Opened, Waiting},
};
use crate::{
    BoxFuture, deadline::Alarm, incoming::too_late, interceptor::Reply, transport::Transport,
};

/// A call that both of its halves drive.
pub(crate) struct Exchange<T: Transport> {
    state: Mutex<State<T>>,
    fan: Arc<Fan>,
}

/// One of the two halves of a call object.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Sender,
    Receiver,
}

enum State<T: Transport> {
    Waiting {
        response: Pin<Box<T::Future>>,
        waiting: Waiting,
    },
    Intercepted {
        reply: BoxFuture<'static, Result<Reply, Error>>,
        alarm: Option<Alarm>,
    },
    Open(Box<Opened<T::Body>>),
    Failed(Error),
}

impl<T: Transport> Exchange<T> {
    /// Sends the request. The transport does nothing before the exchange is polled.
    pub(crate) fn new(begun: Begun, transport: &T) -> Arc<Self> {
        Self::from_state(match begun {
            Begun::Wire(request, waiting) => State::Waiting {
                response: Box::pin(transport.send(request)),
                waiting,
            },
            Begun::Chain(reply, alarm) => State::Intercepted { reply, alarm },
        })
    }

    pub(crate) fn failed(error: Error) -> Arc<Self> {
        Self::from_state(State::Failed(error))
    }

    fn from_state(state: State<T>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            fan: Arc::default(),
        })
    }

    /// The response's leading metadata and extensions, once it has begun.
    pub(crate) fn poll_head(
        &self,
        half: Half,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(HeaderMap, Extensions), Error>> {
        self.poll_with(half, cx, |state, cx| {
            let opened = ready!(state.poll_open(cx))?;
            Poll::Ready(Ok((opened.headers.clone(), opened.extensions.clone())))
        })
    }

    /// The next message; `None` after a clean end.
    pub(crate) fn poll_message(
        &self,
        half: Half,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, Error>> {
        self.poll_with(half, cx, |state, cx| {
            ready!(state.poll_open(cx))?.incoming.poll_message(cx)
        })
    }

    /// Makes progress for a sender. Says how the call ended, if it has.
    pub(crate) fn poll_ahead(&self, cx: &mut Context<'_>) -> Option<Result<(), Error>> {
        let ended = self.poll_with(Half::Sender, cx, |state, cx| {
            let opened = match ready!(state.poll_open(cx)) {
                Ok(opened) => opened,
                Err(error) => return Poll::Ready(Some(Err(error))),
            };
            opened.incoming.poll_ahead(cx);
            Poll::Ready(opened.incoming.ended().cloned())
        });
        match ended {
            Poll::Ready(ended) => ended,
            Poll::Pending => None,
        }
    }

    /// The trailing metadata; empty before the end.
    pub(crate) fn trailers(&self) -> HeaderMap {
        match &*self.lock() {
            State::Open(opened) => opened.incoming.trailers().clone(),
            _ => HeaderMap::new(),
        }
    }

    /// Ends the exchange from this side.
    pub(crate) fn fail(&self, error: Error) {
        let state = &mut *self.lock();
        let ended = match state {
            State::Open(opened) => opened.incoming.ended().is_some(),
            State::Failed(_) => true,
            State::Waiting { .. } | State::Intercepted { .. } => false,
        };
        if !ended {
            *state = State::Failed(error);
        }
    }

    /// Polls with a waker that wakes both halves, as each half may be the one that waits when the call moves on.
    fn poll_with<R>(
        &self,
        half: Half,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut State<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.fan.register(half, cx.waker());
        let waker = Waker::from(self.fan.clone());
        poll(&mut self.lock(), &mut Context::from_waker(&waker))
    }

    /// After a panic in the transport or in a handler of this process the call is as good as failed, and says so.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            *state = State::Failed(Error::internal("the call panicked"));
            state
        })
    }
}

impl<T: Transport> State<T> {
    /// The response, once it has begun. A failure stays.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Opened<T::Body>, Error>> {
        if let Err(error) = ready!(self.poll_begin(cx)) {
            *self = Self::Failed(error);
        }
        match self {
            Self::Open(opened) => Poll::Ready(Ok(opened)),
            Self::Failed(error) => Poll::Ready(Err(error.clone())),
            Self::Waiting { .. } | Self::Intercepted { .. } => Poll::Pending,
        }
    }

    fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        match self {
            Self::Open(_) | Self::Failed(_) => return Poll::Ready(Ok(())),
            Self::Waiting { response, waiting } => {
                let polled = response.as_mut().poll(cx);
                let response = match ready!(or_late(polled, &mut waiting.alarm, cx)) {
                    Ok(response) => response?,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let Self::Waiting { waiting, .. } =
                    mem::replace(self, Self::Failed(Error::internal("the call panicked")))
                else {
                    return Poll::Pending;
                };
                *self = Self::Open(Box::new(waiting.open(response)));
            }
            Self::Intercepted { reply, alarm } => {
                let polled = reply.as_mut().poll(cx);
                let reply = match ready!(or_late(polled, alarm, cx)) {
                    Ok(reply) => reply?,
                    Err(error) => return Poll::Ready(Err(error)),
                };
                let alarm = alarm.take();
                *self = Self::Open(Box::new(Opened::from_reply(reply, alarm)));
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// What was polled, unless the deadline has come meanwhile.
fn or_late<R>(
    polled: Poll<R>,
    alarm: &mut Option<Alarm>,
    cx: &mut Context<'_>,
) -> Poll<Result<R, Error>> {
    match (polled, alarm) {
        (Poll::Ready(output), _) => Poll::Ready(Ok(output)),
        (Poll::Pending, Some(alarm)) => alarm.poll(cx).map(|_| Err(too_late())),
        (Poll::Pending, None) => Poll::Pending,
    }
}

/// Wakes whichever halves wait.
#[derive(Default)]
struct Fan {
    sender: Mutex<Option<Waker>>,
    receiver: Mutex<Option<Waker>>,
}

impl Fan {
    fn register(&self, half: Half, waker: &Waker) {
        let place = match half {
            Half::Sender => &self.sender,
            Half::Receiver => &self.receiver,
        };
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *place {
            Some(known) => known.clone_from(waker),
            None => *place = Some(waker.clone()),
        }
    }
}

impl Wake for Fan {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        for place in [&self.sender, &self.receiver] {
            let waker = place.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
