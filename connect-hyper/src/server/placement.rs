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
    stall::{AnswerProgress, BodyPoll},
};
use crate::{calls::CallExecutor, runtime::Runtime};

/// Hands a call's progress from the service to the executor of the same connection.
///
/// hyper calls the service with a request, makes a future of what it returns, and at once gives that future to the
/// executor, all in one poll of the connection. So the slot is filled and emptied by turns.
#[derive(Clone, Debug, Default)]
pub(super) struct ProgressSlot(Arc<Mutex<Option<Arc<AnswerProgress>>>>);

impl ProgressSlot {
    /// A new call begins; its future comes to the executor next.
    pub(super) fn begin(&self) -> Arc<AnswerProgress> {
        let progress = Arc::<AnswerProgress>::default();
        let last = self.replace(Some(Arc::clone(&progress)));
        debug_assert!(last.is_none(), "hyper executes each call at once");
        progress
    }

    /// The call whose future came to the executor. `None` for the tunnel that a service opens by answering CONNECT.
    fn take(&self) -> Option<Arc<AnswerProgress>> {
        self.replace(None)
    }

    fn replace(&self, progress: Option<Arc<AnswerProgress>>) -> Option<Arc<AnswerProgress>> {
        // Nothing that can panic runs under the lock.
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut slot, progress)
    }
}

/// The executor of an HTTP/2 connection.
#[derive(Clone, Debug)]
pub(super) struct ServerExecutor<R> {
    pub(super) calls: CallExecutor<R>,
    pub(super) slot: ProgressSlot,
    pub(super) activity: Arc<Activity<R>>,
}

impl<R, F> Executor<F> for ServerExecutor<R>
where
    R: Runtime,
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        self.calls.execute(ServerCall {
            call: Some(call),
            progress: self.slot.take(),
            stall: None,
            active: ActiveCall::new(Arc::clone(&self.activity)),
        });
    }
}

pin_project! {
    /// A call as hyper polls it, counted, ended when its client takes its answer too slowly, and alone when it panics.
    struct ServerCall<F, R> {
        #[pin]
        call: Option<F>,
        progress: Option<Arc<AnswerProgress>>,
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
        if let Ok(Poll::Pending) = polled {
            if let Some(progress) = this.progress {
                match progress.take_body() {
                    BodyPoll::Ready => {
                        *this.stall = Some(this.active.server().write_timer(progress.end()));
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
        let connection = Drain::default().enter_connection(None);
        let activity = Activity::new(Arc::new(server), connection);
        let (mut calls, noted) = (Calls::new(), Arc::default());
        let slot = ProgressSlot::default();
        let executor = ServerExecutor::<NoRuntime> {
            calls: calls.executor(),
            slot: slot.clone(),
            activity: Arc::clone(&activity),
        };
        let _progress = slot.begin();
        executor.execute(Canceled(activity, Arc::clone(&noted)));
        assert!(
            calls
                .poll_rest(&Context::from_waker(Waker::noop()))
                .is_ready()
        );
        assert_eq!(noted.load(Ordering::SeqCst), 1);
    }
}
