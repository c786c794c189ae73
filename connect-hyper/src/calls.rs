//! The tasks that hyper asks for, polled by their connection's own task.
//!
//! hyper hands a future to an executor for every HTTP/2 call. Spawned, each would be a task that wakes the
//! connection, and a small answer would cost a flush of its own. Here the connection's task polls them
//! between two polls of the connection: all answers of one turn leave in one write, and no wake-up crosses
//! the scheduler. The price is that calls of one connection do not run in parallel, and that a handler
//! which computes for long without an await holds up its neighbours; so before each poll a call may leave.
//!
//! Not `FuturesUnordered`: it wakes its task after every round, which here would repeat every turn.

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use atomic_waker::AtomicWaker;
use pin_project_lite::pin_project;

/// What a connection's task polls.
pub(crate) trait Call: Future<Output = ()> + Send {
    /// Asked before each poll: gives itself back, or goes on elsewhere and is none of the connection's any more.
    fn stay(self: Pin<Box<Self>>) -> Option<BoxCall>;
}

pub(crate) type BoxCall = Pin<Box<dyn Call>>;

/// The executor of one connection. Weak, because a queued call holds an executor itself.
#[derive(Clone, Debug)]
pub(crate) struct CallExecutor(Weak<Turn>);

impl CallExecutor {
    /// The call joins the connection's task.
    pub(crate) fn join(&self, call: impl Call + 'static) {
        // Without a connection there is nothing to carry the call: it is dropped, and so cancelled.
        if let Some(turn) = self.0.upgrade() {
            push(&mut turn.inbox(), Event::New(Box::pin(call)));
            // While the connection is polled, its calls are polled next anyway.
            if !turn.in_connection.load(Ordering::Relaxed) {
                turn.wake_by_ref();
            }
        }
    }
}

/// For hyper: calls that never leave.
impl<F> hyper::rt::Executor<F> for CallExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        self.join(Staying { call });
    }
}

pin_project! {
    struct Staying<F> {
        #[pin]
        call: F,
    }
}

impl<F: Future> Future for Staying<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        self.project().call.poll(cx)
    }
}

impl<F: Future<Output = ()> + Send + 'static> Call for Staying<F> {
    fn stay(self: Pin<Box<Self>>) -> Option<BoxCall> {
        Some(self)
    }
}

/// The calls of one connection.
#[derive(Debug)]
pub(crate) struct Calls {
    slots: Vec<Slot>,
    free: Vec<usize>,
    turn: Arc<Turn>,
    waker: Waker,
}

/// Polls of the connection before the task lets others run.
const MAX_TURNS: usize = 16;

impl Calls {
    pub(crate) fn new() -> Self {
        let turn = Arc::new(Turn {
            state: AtomicU8::new(IDLE),
            in_connection: AtomicBool::new(false),
            task: AtomicWaker::new(),
            inbox: Mutex::default(),
        });
        Self {
            slots: Vec::new(),
            free: Vec::new(),
            waker: Waker::from(Arc::clone(&turn)),
            turn,
        }
    }

    /// An executor that feeds these calls.
    pub(crate) fn executor(&self) -> CallExecutor {
        CallExecutor(Arc::downgrade(&self.turn))
    }

    /// Polls the connection and its calls in turn until both wait for something else than each other.
    ///
    /// `connection` is the connection's poll; it is not called again once it was ready.
    pub(crate) fn poll_with<T>(
        &mut self,
        cx: &Context<'_>,
        mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        self.turn.task.register(cx.waker());
        // The waker leaves `self` for the turn, so that the calls can be borrowed.
        let waker = self.waker.clone();
        for _ in 0..MAX_TURNS {
            self.turn.begin();
            self.turn.in_connection.store(true, Ordering::Relaxed);
            let polled = connection(&mut Context::from_waker(&waker));
            self.turn.in_connection.store(false, Ordering::Relaxed);
            if polled.is_ready() {
                return polled;
            }
            if self.run() {
                // It may be next on this very thread, and compute there, while nobody waits for sockets: a task that yields
                // makes tokio wake a thread that does.
                break;
            }
            if self.turn.end() {
                return Poll::Pending;
            }
        }
        self.turn.yield_to(cx.waker());
        Poll::Pending
    }

    /// Polls the calls that outlive the connection's own future; ready when none is left.
    pub(crate) fn poll_rest(&mut self, cx: &Context<'_>) -> Poll<()> {
        let polled = self.poll_with(cx, |_| Poll::<()>::Pending);
        if self.free.len() == self.slots.len() && self.turn.inbox().is_empty() {
            return Poll::Ready(());
        }
        polled
    }

    /// Polls new calls and those that were woken, once each. What comes meanwhile is for the next turn. True if one has left.
    fn run(&mut self) -> bool {
        let (mut next, mut left) = {
            let mut inbox = self.turn.inbox();
            (inbox.pop_front(), inbox.len())
        };
        let mut has_left = false;
        while let Some(event) = next {
            let index = match event {
                Event::New(call) => self.insert(call),
                Event::Woken(index) => index,
            };
            has_left |= self.poll_call(index);
            if left == 0 {
                break;
            }
            left -= 1;
            next = self.turn.inbox().pop_front();
        }
        has_left
    }

    fn insert(&mut self, call: BoxCall) -> usize {
        if let Some(index) = self.free.pop() {
            self.slots[index].call = Some(call);
            return index;
        }
        let index = self.slots.len();
        let wake = Arc::new(CallWake {
            index,
            queued: AtomicBool::new(false),
            turn: Arc::clone(&self.turn),
        });
        let slot = Slot {
            call: Some(call),
            waker: Waker::from(Arc::clone(&wake)),
            wake,
        };
        if self.slots.capacity() == 0 {
            self.slots.reserve_exact(1);
            self.free.reserve_exact(1);
        }
        self.slots.push(slot);
        index
    }

    /// True if the call has left.
    fn poll_call(&mut self, index: usize) -> bool {
        let Some(slot) = self.slots.get_mut(index) else {
            return false;
        };
        // Before the poll, so that a wake-up during it counts. A swap, to see what was written before a wake-up that found it set.
        slot.wake.queued.swap(false, Ordering::SeqCst);
        // A slot's waker outlives its call: a wake-up after its end finds no call, or polls the next one for nothing.
        let Some(call) = slot.call.take() else {
            return false;
        };
        let Some(mut call) = call.stay() else {
            self.free.push(index);
            return true;
        };
        let mut cx = Context::from_waker(&slot.waker);
        match call.as_mut().poll(&mut cx) {
            Poll::Pending => slot.call = Some(call),
            Poll::Ready(()) => self.free.push(index),
        }
        false
    }
}

/// Adds an event; the first takes room for itself alone. Most connections have one call at a time, and room for four is a lot
/// beside an idle one.
fn push(inbox: &mut VecDeque<Event>, event: Event) {
    if inbox.capacity() == 0 {
        inbox.reserve_exact(1);
    }
    inbox.push_back(event);
}

struct Slot {
    call: Option<BoxCall>,
    wake: Arc<CallWake>,
    waker: Waker,
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot")
            .field("running", &self.call.is_some())
            .finish_non_exhaustive()
    }
}

/// Wakes one call.
struct CallWake {
    index: usize,
    queued: AtomicBool,
    turn: Arc<Turn>,
}

impl Wake for CallWake {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::SeqCst) {
            push(&mut self.turn.inbox(), Event::Woken(self.index));
            self.turn.wake_by_ref();
        }
    }
}

/// Collects the wake-ups of one turn, so that the connection and its calls can wake each other without a
/// trip through the scheduler.
///
/// ```text
///   IDLE --wake: wakes the task--> WOKEN --begin--> POLLING --end--> IDLE
///                                    ^                 |
///                                    +------wake-------+   (the turn is repeated)
/// ```
pub(crate) struct Turn {
    state: AtomicU8,
    in_connection: AtomicBool,
    task: AtomicWaker,
    /// What came since the last turn.
    inbox: Mutex<VecDeque<Event>>,
}

enum Event {
    New(BoxCall),
    /// The call in this slot.
    Woken(usize),
}

const IDLE: u8 = 0;
const POLLING: u8 = 1;
const WOKEN: u8 = 2;

impl Turn {
    fn inbox(&self) -> MutexGuard<'_, VecDeque<Event>> {
        // Nothing that can panic runs under the lock.
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A swap, as for a call: the connection is to see what was written before a wake-up that found the turn woken.
    fn begin(&self) {
        self.state.swap(POLLING, Ordering::SeqCst);
    }

    /// True if nothing was woken during the turn.
    fn end(&self) -> bool {
        self.state
            .compare_exchange(POLLING, IDLE, Ordering::SeqCst, Ordering::SeqCst)
            .is_ok()
    }

    /// Lets other tasks run before the next turn.
    fn yield_to(&self, task: &Waker) {
        self.state.store(WOKEN, Ordering::SeqCst);
        task.wake_by_ref();
    }
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == IDLE {
            self.task.wake();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turn").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
