//! Where the calls of an HTTP/2 connection run, and what surrounds each of them there.

use std::{
    fmt,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use connect_tower::rt::Sleep;
use hyper::rt::Executor;
use pin_project_lite::pin_project;

use super::{
    lifetime::{ActiveCall, Activity},
    pace::Procedure,
    stall::{AnswerProgress, BodyPoll},
};
use crate::{
    calls::{BoxCall, Call, CallExecutor},
    runtime::Runtime,
};

/// Hands what the service knows of a call to the executor of the same connection.
///
/// hyper calls the service with a request, makes a future of what it returns, and at once gives that future to the
/// executor, all in one poll of the connection. So the slot is filled and emptied by turns.
#[derive(Clone, Debug, Default)]
pub(super) struct BegunSlot(Arc<Mutex<Option<Begun>>>);

/// A call that the service was given.
#[derive(Debug)]
struct Begun {
    progress: Arc<AnswerProgress>,
    procedure: Option<Procedure>,
}

impl BegunSlot {
    /// A new call begins; its future comes to the executor next. Its procedure, if the time of its polls is taken.
    pub(super) fn begin(&self, procedure: Option<Procedure>) -> Arc<AnswerProgress> {
        let progress = Arc::<AnswerProgress>::default();
        let last = self.replace(Some(Begun {
            progress: Arc::clone(&progress),
            procedure,
        }));
        debug_assert!(last.is_none(), "hyper executes each call at once");
        progress
    }

    /// The call whose future came to the executor. `None` for the tunnel that a service opens by answering CONNECT.
    fn take(&self) -> Option<Begun> {
        self.replace(None)
    }

    fn replace(&self, begun: Option<Begun>) -> Option<Begun> {
        // Nothing that can panic runs under the lock.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slot, begun)
    }
}

/// The executor of an HTTP/2 connection.
#[derive(Clone, Debug)]
pub(super) struct ServerExecutor<R> {
    /// None: each call is a task.
    pub(super) calls: Option<CallExecutor>,
    pub(super) slot: BegunSlot,
    pub(super) activity: Arc<Activity<R>>,
}

impl<R, F> Executor<F> for ServerExecutor<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let (progress, procedure) = match self.slot.take() {
            Some(begun) => (Some(begun.progress), begun.procedure),
            None => (None, None),
        };
        let call = ServerCall {
            call: Some(call),
            progress,
            procedure,
            stall: None,
            active: ActiveCall::new(Arc::clone(&self.activity)),
        };
        match &self.calls {
            Some(calls) => calls.join(call),
            None => self.activity.server.runtime.spawn(call),
        }
    }
}

pin_project! {
    /// A call as hyper polls it, counted, ended when its client takes its answer too slowly, and alone when it panics.
    struct ServerCall<F, R> {
        #[pin]
        call: Option<F>,
        progress: Option<Arc<AnswerProgress>>,
        procedure: Option<Procedure>,
        // While there is a frame that the client's window has no room for.
        stall: Option<Sleep>,
        // Last: the call is counted until all of it is dropped.
        active: ActiveCall<R>,
    }
}

impl<F: Future<Output = ()>, R: Runtime> Future for ServerCall<F, R> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let server = this.active.server();
        // Both, if the call may leave its connection.
        let pace = server.paces.as_ref().zip(*this.procedure);
        let begun = pace.map(|_| server.runtime.now());
        // The future is dropped here: what a handler drops may panic too.
        let polled = catch_unwind(AssertUnwindSafe(|| {
            let Some(call) = this.call.as_mut().as_pin_mut() else {
                return Poll::Ready(());
            };
            let polled = call.poll(cx);
            if polled.is_ready() {
                // Noted before the stream is dropped: that wakes the connection, which counts, perhaps on another thread.
                if this.progress.as_ref().is_some_and(|p| !p.is_answered()) {
                    this.active.set_canceled();
                }
                this.call.set(None);
            }
            polled
        }));
        if let (Some((paces, procedure)), Some(begun)) = (pace, begun) {
            let took = server.runtime.now().saturating_since(begun);
            paces.note(procedure, took);
        }
        if let Ok(Poll::Pending) = polled {
            if let Some(progress) = this.progress {
                match progress.take_body() {
                    BodyPoll::Ready => {
                        *this.stall = Some(server.write_timer(progress.end()));
                    }
                    BodyPoll::Pending => *this.stall = None,
                    BodyPoll::NotPolled => {}
                }
            }
            let Some(stall) = this.stall else {
                return Poll::Pending;
            };
            if stall.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
        // Over, panicked, or waited for too long: dropped, an unfinished call resets its stream.
        let _ = catch_unwind(AssertUnwindSafe(|| this.call.set(None)));
        Poll::Ready(())
    }
}

impl<F, R> Call for ServerCall<F, R>
where
    F: Future<Output = ()> + Send + 'static,
    R: Runtime,
{
    fn stay(self: Pin<Box<Self>>) -> Option<BoxCall> {
        let server = self.active.server();
        let pace = server.paces.as_ref().zip(self.procedure);
        if !pace.is_some_and(|(paces, procedure)| paces.is_slow(procedure)) {
            return Some(self);
        }
        server.runtime.clone().spawn(self);
        None
    }
}

impl<F, R> fmt::Debug for ServerCall<F, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCall").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        task::Waker,
    };

    use super::*;
    use crate::{
        calls::Calls,
        server::{config::Config, context::ServerContext, drain::Drain},
        test_runtime::NoRuntime,
    };

    /// A call that its client has canceled. Dropped, it tells how many were noted by then.
    struct Canceled(Arc<Activity<NoRuntime>>, Arc<AtomicUsize>);

    impl Future for Canceled {
        type Output = ();

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }

    impl Drop for Canceled {
        fn drop(&mut self) {
            self.1.store(self.0.canceled(), Ordering::SeqCst);
        }
    }

    #[test]
    fn a_canceled_call_is_noted_before_the_end_of_its_stream_wakes_the_connection() {
        let server = ServerContext::new(NoRuntime::default(), Config::default(), None);
        let connection = Drain::default()
            .handle()
            .enter_connection(None, usize::MAX)
            .unwrap();
        let activity = Activity::new(Arc::new(server), connection);
        let (mut calls, noted) = (Calls::new(), Arc::default());
        let slot = BegunSlot::default();
        let executor = ServerExecutor::<NoRuntime> {
            calls: Some(calls.executor()),
            slot: slot.clone(),
            activity: Arc::clone(&activity),
        };
        let _progress = slot.begin(None);
        executor.execute(Canceled(activity, Arc::clone(&noted)));
        assert!(
            calls
                .poll_rest(&Context::from_waker(Waker::noop()))
                .is_ready()
        );
        assert_eq!(noted.load(Ordering::SeqCst), 1);
    }
}
