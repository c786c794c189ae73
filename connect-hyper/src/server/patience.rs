//! Patience with clients that do not take their answers, and its end.
//!
//! hyper asks an answer's body for more only when the client's window (HTTP/2) or the socket has room. So a body whose
//! client stopped reading is polled by nobody, and cannot keep its call's deadline itself. Here the connection keeps it:
//! an HTTP/2 call that waits for the window too long is dropped, which resets its stream; a connection whose socket takes
//! nothing for too long fails. Only what waits has a timer.

use std::{
    cell::Cell,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use connect_tower::Deadline;
use hyper::rt::{Executor, Sleep};
use pin_project_lite::pin_project;

use crate::{calls::CallExecutor, runtime::Runtime};

/// How long after its deadline a call may still end in its protocol's own way, should the client read again.
const GRACE: Duration = Duration::from_millis(500);

/// Waits for a client: no longer than the write timeout, nor than the call's end.
#[derive(Debug)]
pub(super) struct Patience<R> {
    runtime: R,
    write_timeout: Duration,
}

impl<R: Runtime> Patience<R> {
    pub(super) fn new(runtime: &R, write_timeout: Duration) -> Self {
        Self {
            runtime: runtime.clone(),
            write_timeout,
        }
    }

    /// A timer for what begins to wait now.
    pub(super) fn begin(&self, end: Option<Instant>) -> Pin<Box<dyn Sleep>> {
        let Some(end) = end else {
            return self.runtime.sleep(self.write_timeout);
        };
        let now = self.runtime.now();
        let left = end.saturating_duration_since(now).min(self.write_timeout);
        self.runtime.sleep(left)
    }
}

impl<R: Clone> Clone for Patience<R> {
    fn clone(&self) -> Self {
        Self {
            runtime: self.runtime.clone(),
            write_timeout: self.write_timeout,
        }
    }
}

/// When a call with this deadline is over at the latest, whatever its client reads.
pub(super) fn end_of<R: Runtime>(runtime: &R, deadline: &Deadline) -> Option<Instant> {
    let left = deadline.remaining().saturating_add(GRACE);
    runtime.now().checked_add(left)
}

/// The end of an HTTP/1.1 connection's present call, told by the call to the connection's IO.
#[derive(Clone, Debug, Default)]
pub(super) struct CallEnd(Arc<Mutex<Option<Instant>>>);

impl CallEnd {
    pub(super) fn set(&self, end: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = end;
    }

    pub(super) fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a call said of itself while it was polled.
#[derive(Clone, Copy, Debug, Default)]
struct Said {
    /// The end of the call, if it has a deadline and its answer may take long.
    end: Option<Instant>,
    /// What the answer's body said last: that a frame is ready, or that none is. None if it was not asked.
    frame: Option<bool>,
}

thread_local! {
    /// Between a [`KeptCall`] and the service and body inside it, with hyper's own future in between.
    static SAID: Cell<Said> = const { Cell::new(Said { end: None, frame: None }) };
}

/// The call that is polled now ends then, at the latest.
pub(super) fn say_end(end: Option<Instant>) {
    SAID.set(Said { end, ..SAID.get() });
}

/// The body of the call that is polled now was asked for a frame, and had one or not.
pub(super) fn say_frame(ready: bool) {
    let frame = Some(ready);
    SAID.set(Said {
        frame,
        ..SAID.get()
    });
}

/// The executor of an HTTP/2 connection: it counts the calls and does not wait for ever for the client's window.
#[derive(Clone, Debug)]
pub(super) struct ServerExecutor<R> {
    pub(super) calls: CallExecutor<R>,
    pub(super) patience: Patience<R>,
    pub(super) activity: Arc<Activity>,
}

impl<R, F> Executor<F> for ServerExecutor<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        self.calls.execute(KeptCall {
            call: Some(call),
            end: None,
            waiting: None,
            patience: self.patience.clone(),
            _active: Active::new(&self.activity),
        });
    }
}

pin_project! {
    /// A call as hyper polls it, ended when its client takes its answer too slowly, and alone when it panics.
    struct KeptCall<F, R> {
        #[pin]
        call: Option<F>,
        end: Option<Instant>,
        // While there is a frame that the client's window has no room for.
        waiting: Option<Pin<Box<dyn Sleep>>>,
        patience: Patience<R>,
        _active: Active,
    }
}

impl<F: Future<Output = ()>, R: Runtime> Future for KeptCall<F, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let outer = SAID.replace(Said::default());
        // The future is dropped here: what a handler drops may panic too.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(call) = this.call.as_mut().as_pin_mut() else {
                return Poll::Ready(());
            };
            let polled = call.poll(cx);
            if polled.is_ready() {
                this.call.set(None);
            }
            polled
        }));
        let said = SAID.replace(outer);
        if let Ok(Poll::Pending) = polled {
            *this.end = said.end.or(*this.end);
            match said.frame {
                Some(true) => *this.waiting = Some(this.patience.begin(*this.end)),
                Some(false) => *this.waiting = None,
                None => {}
            }
            let Some(waiting) = this.waiting else {
                return Poll::Pending;
            };
            if waiting.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        // Over, panicked, or waited for too long: dropped, an unfinished call resets its stream.
        let _ = catch_unwind(AssertUnwindSafe(|| this.call.set(None)));
        Poll::Ready(())
    }
}

/// The calls of an HTTP/2 connection, counted.
#[derive(Debug, Default)]
pub(super) struct Activity {
    open: AtomicUsize,
    begun: AtomicUsize,
}

impl Activity {
    /// The number of calls that are open, and of those that ever began.
    pub(super) fn calls(&self) -> (usize, usize) {
        let open = self.open.load(Ordering::Relaxed);
        (open, self.begun.load(Ordering::Relaxed))
    }
}

struct Active(Arc<Activity>);

impl Active {
    fn new(activity: &Arc<Activity>) -> Self {
        activity.open.fetch_add(1, Ordering::Relaxed);
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Finds out that an HTTP/2 connection has had no call for a while. A look now and then, so that calls pay no timer.
pub(super) struct IdleWatch<R> {
    runtime: R,
    timeout: Duration,
    activity: Arc<Activity>,
    /// How many calls had begun at the last look.
    seen: usize,
    next: Option<Pin<Box<dyn Sleep>>>,
    closing: bool,
}

/// What to do with a connection without calls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Idle {
    /// Tell the client that it ends.
    Close,
    /// End it: the client was told and did nothing.
    End,
}

/// What a client has to close a connection that was idle.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

impl<R: Runtime> IdleWatch<R> {
    pub(super) fn new(runtime: &R, timeout: Duration, activity: Arc<Activity>) -> Self {
        Self {
            runtime: runtime.clone(),
            timeout,
            activity,
            seen: 0,
            next: None,
            closing: false,
        }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Idle> {
        loop {
            let pause = match self.closing {
                true => self.timeout.min(CLOSE_TIMEOUT),
                false => self.timeout,
            };
            let next = self.next.get_or_insert_with(|| self.runtime.sleep(pause));
            if next.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.next = None;
            let (open, begun) = self.activity.calls();
            let idle = open == 0 && begun == self.seen;
            self.seen = begun;
            if idle {
                let told = std::mem::replace(&mut self.closing, true);
                return Poll::Ready(if told { Idle::End } else { Idle::Close });
            }
        }
    }
}
