//! The receiving side of a call object: waits for the response's head, then reads messages.
//!
//! Nothing is spawned: the sending side polls the call too. Otherwise a call would make no progress before its transport
//! is connected, nor with a server in the same process.

use std::{
    collections::VecDeque,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Wake, Waker, ready},
};

use bytes::Bytes;
use connect_proto::{Error, Spec};
use http::{Extensions, HeaderMap};
use http_body::Body;
use pin_project_lite::pin_project;

use super::{
    Client,
    call::Opened,
    intercepted::Intercepted,
    retry::{attempting::Attempting, source::Streamed},
};
use crate::{
    call::observe::{CallGuard, in_scope},
    call::waker_slot::WakerSlot,
    transport::{BodyError, Transport},
};

/// A call that both of its halves drive.
pub(crate) struct Exchange<T: Transport> {
    state: Mutex<State<T>>,
    wakers: Arc<HalfWakers>,
    call: Option<CallGuard>,
}

/// How far a call has come.
pub(crate) enum Progress {
    NoResponse,
    HasResponse,
    Ended(Result<(), Error>),
}

/// One of the two halves of a call object.
#[derive(Clone, Copy)]
pub(crate) enum Half {
    Sender,
    Receiver,
}

/// See [`Exchange`].
pub(crate) enum State<T: Transport> {
    Attempting(Pin<Box<InAttempts<T>>>),
    Intercepted(Intercepted),
    Open(Box<Open<T::Body>>),
    Failed(Error),
}

pin_project! {
    /// A call without interceptors whose response has not begun.
    pub(crate) struct InAttempts<T: Transport> {
        client: Client<T>,
        spec: Spec,
        #[pin]
        attempting: Attempting<T, Streamed>,
    }
}

/// A call whose response has begun.
pub(crate) struct Open<B> {
    opened: Opened<B>,
    /// The leading metadata, whatever becomes of the call.
    headers: HeaderMap,
    /// What was received while only the sender polled.
    ahead: VecDeque<(Bytes, bool)>,
    ahead_bytes: usize,
    /// Whether the last message that was taken came compressed.
    is_compressed: bool,
}

impl<T: Transport> Exchange<T> {
    /// An exchange that has come so far. The transport does nothing before it is polled.
    pub(crate) fn new(state: State<T>, call: Option<CallGuard>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(state),
            wakers: Arc::default(),
            call,
        })
    }

    pub(crate) fn failed(error: Error, call: Option<CallGuard>) -> Arc<Self> {
        if let Some(call) = &call {
            call.end(Err(&error));
        }
        Self::new(State::Failed(error), call)
    }

    /// The response's leading metadata and extensions, once it has begun.
    pub(crate) fn poll_head(
        &self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(HeaderMap, Extensions), Error>> {
        self.poll_with(Half::Receiver, cx, |state, cx| {
            let open = ready!(state.poll_open(cx))?;
            Poll::Ready(Ok((open.headers.clone(), open.opened.extensions.clone())))
        })
    }

    /// The next message; `None` after a clean end.
    pub(crate) fn poll_message(&self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let mut had_stopped = false;
        let message = self.poll_with(Half::Receiver, cx, |state, cx| {
            let open = ready!(state.poll_open(cx))?;
            had_stopped = !open.ahead.is_empty();
            open.poll_message(cx)
        });
        // A sender that had stopped receiving goes on, and one whose call is over learns it.
        if had_stopped || matches!(message, Poll::Ready(Ok(None) | Err(_))) {
            self.wakers.wake_half(Half::Sender);
        }
        message
    }

    /// Makes progress for a sender.
    pub(crate) fn poll_ahead(&self, cx: &mut Context<'_>) -> Progress {
        let (mut has_response, mut has_news) = (false, false);
        let ended = self.poll_with(Half::Sender, cx, |state, cx| {
            let open = match ready!(state.poll_open(cx)) {
                Ok(open) => open,
                Err(error) => return Poll::Ready(Err(error)),
            };
            open.poll_ahead(cx);
            has_response = true;
            has_news = !open.ahead.is_empty();
            match open.opened.incoming.ended() {
                Some(ended) => Poll::Ready(ended.clone()),
                None => Poll::Pending,
            }
        });
        if has_news || ended.is_ready() {
            self.wakers.wake_half(Half::Receiver);
        }
        match ended {
            Poll::Ready(ended) => Progress::Ended(ended),
            Poll::Pending if has_response => Progress::HasResponse,
            Poll::Pending => Progress::NoResponse,
        }
    }

    /// A half waits no longer.
    pub(crate) fn rest(&self, half: Half) {
        self.wakers.forget(half);
    }

    /// Whether the last message travelled compressed.
    pub(crate) fn is_compressed(&self) -> bool {
        match &*self.lock() {
            State::Open(open) => open.is_compressed,
            _ => false,
        }
    }

    /// The trailing metadata; empty before the end.
    pub(crate) fn trailers(&self) -> HeaderMap {
        match &*self.lock() {
            State::Open(open) => open.opened.incoming.trailers().clone(),
            _ => HeaderMap::new(),
        }
    }

    /// Ends the exchange from this side, with an error that the caller sees.
    pub(crate) fn fail(&self, error: &Error) {
        self.give_up(error.clone());
        if let Some(call) = &self.call {
            call.end(Err(error));
        }
    }

    /// Ends the exchange whose caller has gone.
    pub(crate) fn abandon(&self, error: Error) {
        self.give_up(error);
        if let Some(call) = &self.call {
            call.end_dropped();
        }
    }

    fn give_up(&self, error: Error) {
        let mut state = self.lock();
        if state.ended().is_none() {
            let given_up = mem::replace(&mut *state, State::Failed(error));
            // Dropped without the lock: a transport or a handler may wake anything.
            drop(state);
            in_scope(self.call.as_ref(), || drop(given_up));
        }
    }

    /// Polls with a waker that wakes both halves: either may be waiting when the call makes progress.
    fn poll_with<R>(
        &self,
        half: Half,
        cx: &Context<'_>,
        poll: impl FnOnce(&mut State<T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        self.wakers.register(half, cx.waker());
        let waker = Waker::from(self.wakers.clone());
        let mut state = self.lock();
        let mut cx = Context::from_waker(&waker);
        let polled = in_scope(self.call.as_ref(), || poll(&mut state, &mut cx));
        if let (Some(call), Some(ended)) = (&self.call, state.ended()) {
            call.end(ended);
        }
        polled
    }

    /// After a panic in the transport, or in a handler of this process, the call has failed.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(|poisoned| {
            let mut state = PoisonError::into_inner(poisoned);
            *state = State::Failed(Error::internal("the call panicked"));
            state
        })
    }
}

impl<T: Transport> State<T> {
    /// A call without interceptors.
    pub(crate) fn attempting(
        client: Client<T>,
        spec: Spec,
        attempting: Attempting<T, Streamed>,
    ) -> Self {
        Self::Attempting(Box::pin(InAttempts {
            client,
            spec,
            attempting,
        }))
    }

    fn open(opened: Opened<T::Body>) -> Self {
        Self::Open(Box::new(Open {
            headers: opened.headers().clone(),
            opened,
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            is_compressed: false,
        }))
    }

    /// How the exchange has ended, once it has.
    fn ended(&self) -> Option<Result<(), &Error>> {
        match self {
            Self::Open(open) => {
                let ended = open.opened.incoming.ended()?;
                Some(ended.as_ref().copied())
            }
            Self::Failed(error) => Some(Err(error)),
            Self::Attempting(_) | Self::Intercepted(_) => None,
        }
    }

    /// The response, once its head is there. A failure stays.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Open<T::Body>, Error>> {
        if let Err(error) = ready!(self.poll_response(cx)) {
            *self = Self::Failed(error);
        }
        match self {
            Self::Open(open) => Poll::Ready(Ok(open)),
            Self::Failed(error) => Poll::Ready(Err(error.clone())),
            Self::Attempting(_) | Self::Intercepted(_) => Poll::Pending,
        }
    }

    fn poll_response(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let opened = match self {
            Self::Open(_) | Self::Failed(_) => return Poll::Ready(Ok(())),
            Self::Attempting(call) => {
                let call = call.as_mut().project();
                ready!(call.attempting.poll_open(call.client, call.spec, cx))?
            }
            Self::Intercepted(call) => ready!(call.poll_open(cx))?,
        };
        *self = Self::open(opened);
        Poll::Ready(Ok(()))
    }
}

impl<B> Open<B>
where
    B: Body<Data = Bytes, Error: Into<BodyError>> + Unpin,
{
    fn poll_message(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        if let Some((message, is_compressed)) = self.ahead.pop_front() {
            self.ahead_bytes -= message.len();
            self.is_compressed = is_compressed;
            return Poll::Ready(Ok(Some(message)));
        }
        let message = ready!(self.opened.incoming.poll_message(cx));
        self.is_compressed = self.opened.incoming.is_compressed();
        Poll::Ready(message)
    }

    /// Receives for a sender that waits for the server to read. Otherwise a server that answers while it reads would stop
    /// at once, where a connection's window lets it go on for a while.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) {
        while self.ahead_bytes < AHEAD_BYTES && self.ahead.len() < AHEAD_MESSAGES {
            match self.opened.incoming.poll_message(cx) {
                Poll::Ready(Ok(Some(message))) => {
                    self.ahead_bytes += message.len();
                    let is_compressed = self.opened.incoming.is_compressed();
                    self.ahead.push_back((message, is_compressed));
                }
                Poll::Ready(Ok(None) | Err(_)) | Poll::Pending => return,
            }
        }
    }
}

/// The wakers of both halves.
#[derive(Default)]
struct HalfWakers {
    sender: Mutex<WakerSlot>,
    receiver: Mutex<WakerSlot>,
}

impl HalfWakers {
    fn place(&self, half: Half) -> MutexGuard<'_, WakerSlot> {
        let place = match half {
            Half::Sender => &self.sender,
            Half::Receiver => &self.receiver,
        };
        place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn register(&self, half: Half, waker: &Waker) {
        self.place(half).set(waker);
    }

    fn forget(&self, half: Half) {
        self.place(half).take();
    }

    fn wake_half(&self, half: Half) {
        // In two steps, to free the lock before.
        let waker = self.place(half).take();
        waker.wake();
    }
}

impl Wake for HalfWakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.wake_half(Half::Sender);
        self.wake_half(Half::Receiver);
    }
}

/// How much is received while only the sender polls: as much as a stream's window in HTTP/2 (RFC 9113, 6.9.2).
const AHEAD_BYTES: usize = 65_535;

/// How many messages are received so, if they are small.
const AHEAD_MESSAGES: usize = 1024;
